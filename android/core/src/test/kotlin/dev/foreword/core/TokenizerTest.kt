package dev.foreword.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assume.assumeTrue
import org.junit.Test
import java.io.File

class TokenizerTest {
    private val kinds = Golden.read("testdata/golden/tokenizer/kinds.json")["kinds"].list

    private fun documentOf(name: String) = kinds.first { it["name"].text == name }["tokenizer"].json()

    @Test
    fun idsAreTheCommittedOnes() {
        for (kind in kinds) {
            val tokenizer = BpeTokenizer.read(kind["tokenizer"].json())
            for (case in kind["cases"].list) {
                val text = case["text"].text
                val label = "${kind["name"].text}: $text"
                assertArrayEquals(label, case["ids"].ints, tokenizer.encode(text))
                assertArrayEquals("$label, again", case["ids"].ints, tokenizer.encode(text))
            }
        }
    }

    @Test
    fun theBytesOfATextsTokensAreTheText() {
        val text = "the 42 naïve cafés 日本 🇰🇷\n"
        for ((name, before) in listOf("digits" to "", "sentencepiece" to " ", "runs" to "")) {
            val tokenizer = BpeTokenizer.read(documentOf(name))
            assertEquals(before + text, tokenizer.decode(tokenizer.encode(text)))
        }
    }

    @Test
    fun controlTokensHaveNoBytesAndNoIdLiesBeyond() {
        val tokenizer = BpeTokenizer.read(documentOf("digits"))
        val last = tokenizer.vocabularySize - 1
        val texts = (last - 2..last).map { String(tokenizer.tokenBytes(it)) }
        assertEquals(listOf("", "<keep>", "the"), texts)
        for (id in listOf(-1, last + 1)) {
            assertThrows(PromptException::class.java) { tokenizer.tokenBytes(id) }
        }
    }

    @Test
    fun halfAPairOfSurrogatesIsAReplacementCharacter() {
        val tokenizer = BpeTokenizer.read(documentOf("digits"))
        assertArrayEquals(tokenizer.encode("a\ufffd"), tokenizer.encode("a\ud83d"))
    }

    @Test
    fun whatCannotBeFollowedIsRefused() {
        val document = documentOf("digits")
        for ((old, new) in listOf(
            "\"type\":\"BPE\"" to "\"type\":\"Unigram\"",
            "\"end_of_word_suffix\":null" to "\"end_of_word_suffix\":\"</w>\"",
            "\"normalizer\":null" to "\"normalizer\":{\"type\":\"Precompiled\"}",
            "\"type\":\"Digits\"" to "\"type\":\"UnicodeScripts\"",
            "\"decoder\":{\"type\":\"ByteLevel\"" to "\"decoder\":{\"type\":\"WordPiece\"",
        )) {
            val changed = document.replaceFirst(old, new)
            assert(changed != document) { old }
            assertThrows(UnsupportedTokenizer::class.java) { BpeTokenizer.read(changed) }
        }
        for (text in listOf("", "{", "[]", "{\"a\":1,\"a\":2}", document.dropLast(1))) {
            assertThrows(text, BundleException::class.java) { BpeTokenizer.read(text) }
        }
        assertThrows(ForewordException::class.java) { BpeTokenizer.read("{}") }
    }

    @Test
    fun aLongTextWithoutSpacesIsNotSlow() {
        val tokenizer = BpeTokenizer.read(documentOf("sentencepiece"))
        val text = "theinand".repeat(20_000)
        assertEquals(" $text", tokenizer.decode(tokenizer.encode(text)))
    }

    // The default model's tokenizer.json is not in the repository: who runs this says where it is.
    @Test
    fun theDefaultModelsIdsWindowsAndHealingAreTheCommittedOnes() {
        val path = System.getenv("FOREWORD_TOKENIZER")
        assumeTrue(path != null)
        val tokenizer = BpeTokenizer.read(File(path).readText())
        for (case in Golden.read("testdata/golden/tokenizer/smollm2.json")["cases"].list) {
            val text = case["text"].text
            assertArrayEquals(text, case["ids"].ints, tokenizer.encode(text))
        }
        val window = Golden.read("testdata/golden/window.json")
        for (case in window["windows"].list) {
            val ids = tokenizer.encode(case["text"].text)
            val limit = case["limit"].int
            assertEquals(case["end"].int, Windows.keepEnd(ids, limit, tokenizer).dropped)
            assertEquals(case["steady"].int, Windows.keepSteady(ids, limit, tokenizer).dropped)
        }
        for (case in window["healing"].list) {
            val healed = Healing.heal(tokenizer.encode(case["text"].text), tokenizer)
            assertEquals(case["text"].text, case["kept_tokens"].int, healed.tokenIds.size)
            assertEquals(case["typed"].text, String(healed.typed))
        }
    }
}
