package dev.foreword.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import java.io.File
import java.security.MessageDigest

class BundleTest {
    @get:Rule
    val folder = TemporaryFolder()

    private val model = ByteArray(1000) { it.toByte() }
    private val tokenizer = Golden.read("testdata/golden/tokenizer/kinds.json")["kinds"]
        .list.first { it["name"].text == "digits" }["tokenizer"].json().toByteArray()

    private fun sha256(bytes: ByteArray) =
        MessageDigest.getInstance("SHA-256").digest(bytes).joinToString("") { "%02x".format(it) }

    private fun manifest() = """{"format_version": 1, "family": "llama", "parameters": 1000,
        "layers": 2, "kv_heads": 1, "head_dim": 4, "vocabulary": 300, "context": 64,
        "cache_dtype": "float32", "recipe": "int8", "signatures": ["decode", "s16_verify_8"],
        "start_token": null, "end_tokens": [2], "prepend_start": false, "source": "tiny",
        "license": "", "source_sha256": null, "versions": {}, "files": {
        "model.tflite": {"size_bytes": ${model.size}, "sha256": "${sha256(model)}"},
        "tokenizer.json": {"size_bytes": ${tokenizer.size}, "sha256": "${sha256(tokenizer)}"}}}"""

    private fun written(manifest: String = manifest()): File {
        val directory = folder.newFolder()
        File(directory, Manifest.NAME).writeText(manifest)
        File(directory, Manifest.MODEL).writeBytes(model)
        File(directory, Manifest.TOKENIZER).writeBytes(tokenizer)
        return directory
    }

    private fun assertRefused(directory: File, verify: Boolean = false) {
        val error = assertThrows(BundleException::class.java) {
            Bundle.open(directory).also { if (verify) it.verify() }
        }
        assertFalse(error.message, '\n' in error.message.orEmpty())
    }

    @Test
    fun aBundleIsReadAndItsHashesHold() {
        val bundle = Bundle.open(written())
        assertEquals(Shape("llama", 1000, 2, 1, 4, 300, 64), bundle.manifest.shape)
        assertEquals(listOf("decode", "s16_verify_8"), bundle.manifest.signatures)
        var read = 0L
        assertTrue(bundle.verify { read = it })
        assertEquals((model.size + tokenizer.size).toLong(), read)
        assertFalse(bundle.verify({ true }) {})
        assertEquals("the", bundle.tokenizer().let { it.decode(it.encode("the")) })
    }

    private fun Bundle.verify(onBytes: (Long) -> Unit) = verify(null, onBytes)

    @Test
    fun whatIsMissingTruncatedOrChangedIsRefused() {
        assertRefused(File(folder.root, "none"))
        for (name in listOf(Manifest.NAME, Manifest.MODEL, Manifest.TOKENIZER)) {
            assertRefused(written().also { File(it, name).delete() })
            assertRefused(written().also { File(it, name).writeBytes(ByteArray(10)) })
        }
        val changed = written()
        File(changed, Manifest.MODEL).writeBytes(ByteArray(model.size))
        Bundle.open(changed)
        assertRefused(changed, verify = true)
    }

    @Test
    fun whatAManifestMayNotSayIsRefused() {
        for ((old, new) in listOf(
            "\"format_version\": 1" to "\"format_version\": 2",
            "\"context\": 64" to "\"context\": 0",
            "\"context\": 64" to "\"context\": 1.5",
            "\"context\": 64" to "\"context\": true",
            "\"vocabulary\": 300" to "\"vocabulary\": 99999999999",
            "\"kv_heads\": 1" to "\"kv_heads\": 1, \"kv_heads\": 1",
            "float32" to "float16",
            "\"decode\", " to "",
            "s16_verify_8" to "s64_verify_8",
            "s16_verify_8" to "s16_verify_0",
            "s16_verify_8" to "../up",
            "\"llama\"" to "\"\\u001b[2J\"",
            "\"llama\"" to "\"" + "x".repeat(300) + "\"",
            "\"end_tokens\": [2]" to "\"end_tokens\": [300]",
            "\"prepend_start\": false" to "\"prepend_start\": true",
            "tokenizer.json\"" to "../../passwd\"",
            "{\"format_version\"" to "[".repeat(5000) + "{\"format_version\"",
            "\"files\"" to "\"file\"",
        )) {
            val text = manifest().replaceFirst(old, new)
            assertTrue(old, text != manifest())
            assertRefused(written(text))
        }
        for (text in listOf("", "[]", "null", " ".repeat(2_000_000))) assertRefused(written(text))
    }
}
