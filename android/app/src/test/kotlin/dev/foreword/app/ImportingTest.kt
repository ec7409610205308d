package dev.foreword.app

import dev.foreword.core.ForewordException
import java.io.ByteArrayInputStream
import java.io.File
import java.io.IOException
import java.security.MessageDigest
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder

class ImportingTest {
    @get:Rule val folder = TemporaryFolder()
    private val directory get() = File(folder.root, "models")
    private val models get() = ImportedModels(directory)

    private val model = ByteArray(1_000_000) { it.toByte() }
    private val tokenizer = "{}".toByteArray()

    private fun hash(bytes: ByteArray) = MessageDigest.getInstance("SHA-256").digest(bytes)
        .joinToString("") { "%02x".format(it) }

    private fun manifest(version: Int = 1) = """
        {"format_version": $version, "family": "llama", "parameters": 1, "layers": 1,
         "kv_heads": 1, "head_dim": 4, "vocabulary": 8, "context": 16, "cache_dtype": "float32",
         "recipe": "int8", "signatures": ["decode"], "start_token": null, "end_tokens": [],
         "prepend_start": false, "source": "org/some model", "license": "MIT",
         "source_sha256": null, "versions": {},
         "files": {
           "model.tflite": {"size_bytes": ${model.size}, "sha256": "${hash(model)}"},
           "tokenizer.json": {"size_bytes": ${tokenizer.size}, "sha256": "${hash(tokenizer)}"}}}
    """.toByteArray()

    private fun file(name: String, bytes: ByteArray, size: Long? = bytes.size.toLong()) =
        ChosenFile(name, size) { ByteArrayInputStream(bytes) }

    private fun bundle(model: ByteArray = this.model, manifest: ByteArray = manifest()) = listOf(
        file("tokenizer.json", tokenizer),
        file("bundle.json", manifest),
        file("model.tflite", model),
    )

    private fun refusal(files: List<ChosenFile>, cancelled: () -> Boolean = { false }): String {
        val error = assertThrows(ForewordException::class.java) {
            models.import(files, {}, cancelled)
        }
        assertEquals(emptyList<ModelRef>(), models.list())
        assertTrue(directory.list().orEmpty().isEmpty())
        return error.message!!
    }

    @Test
    fun `a bundle is copied, checked and named, a second one beside it`() {
        val told = ArrayList<Float>()
        val made = models.import(bundle(), told::add) { false }
        assertEquals("some model int8", made.name)
        assertEquals(told.sorted(), told)
        assertEquals(1f, told.last(), 1e-6f)
        assertTrue(models.file(made.name).resolve("model.tflite").readBytes().contentEquals(model))
        assertEquals("some model int8-2", models.import(bundle(), {}) { false }.name)
        models.delete(made.name)
        assertEquals(listOf("some model int8-2"), models.list().map { it.name })
    }

    @Test
    fun `a text graph is one file`() {
        val graph = file("autocomplete.tflite", model, size = null)
        val made = models.import(listOf(graph), {}) { false }
        assertEquals("autocomplete.tflite", made.name)
        assertTrue(models.file(made.name).isFile)
    }

    @Test
    fun `what is no model is refused, and nothing of it stays`() {
        assertTrue("choose them together" in refusal(bundle().take(2)))
        assertTrue("choose them together" in refusal(listOf(file("photo.jpg", model))))
        assertTrue("damaged" in refusal(bundle(model.copyOf(model.size - 1))))
        assertTrue("damaged" in refusal(bundle(model.copyOf().also { it[7] = 99 })))
        assertTrue("newer Foreword" in refusal(bundle(manifest = manifest(version = 2))))
        assertTrue("JSON" in refusal(bundle(manifest = "no".toByteArray())))
    }

    @Test
    fun `one for which there is no room, that cannot be read or is cancelled leaves nothing`() {
        val large = file("model.tflite", model, size = 1L shl 60)
        assertTrue("room" in refusal(bundle().dropLast(1) + large))
        val broken = ChosenFile("model.tflite", null) { throw IOException("gone") }
        assertTrue("gone" in refusal(bundle().dropLast(1) + broken))
        assertTrue("cancelled" in refusal(bundle()) { true })
    }

    @Test
    fun `a name leads nowhere else`() {
        val begun = models.begin().also { File(it, "x").writeText("") }
        assertEquals("-..-evil", models.finish(begun, "../../evil").name)
    }
}
