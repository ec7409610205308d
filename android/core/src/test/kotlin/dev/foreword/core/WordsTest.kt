package dev.foreword.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import java.util.Random

class WordsTest {
    @Test
    fun wordsAreTheCommittedOnes() {
        for (case in Golden.read("testdata/golden/window.json")["words"].list) {
            val text = case["text"].text
            val parts = Words.partsOf(text)
            assertEquals(text, case["ends"].ints.toList(), parts.map { pointsTo(text, it.end) })
            assertEquals(text, case["words"].list.map { it.raw }, parts.map { it.isWord })
            assertEquals(case["last_two_words"].text, Words.lastWords(text, 2))
            assertEquals(case["first_word"].text, Words.firstWord(text))
            val end = Words.sentenceEnd(text)
            val wanted = case["sentence_end"]
            assertEquals(text, if (wanted.isNull) -1 else wanted.int, if (end < 0) end else pointsTo(text, end))
        }
    }

    @Test
    fun whatFollowsIsNotSaidTwice() {
        for ((text, following, left) in listOf(
            Triple(" sat on the", " on the mat", " sat"),
            Triple("sat on the", "on the mat", "sat "),
            Triple(" sat on", "  on\nthe", " sat"),
            Triple(" mat. It", ".", " mat"),
            Triple(" sat the", " they said", " sat the"),
            Triple(" sat", "\n sat", " sat"),
            Triple("커피 한 잔", " 한 잔 더", "커피"),
            Triple("我在图书馆", "书馆学习", "我在图"),
        )) {
            assertEquals(left, text.take(Words.repeatsFrom(text, following)))
        }
    }

    @Test
    fun aFlagAFamilyAndAHalfTypedSyllableAreOneCharacterEach() {
        val signs = listOf("🇩🇪", "👨‍👩‍👧", "e\u0301", "क्त", "\r\n", "각\u11a8", "👍🏽")
        assertEquals(signs, Graphemes.of(signs.joinToString("")))
        assertEquals(listOf("각", "\u1161"), Graphemes.of("각\u1161"))
        assertFalse(Graphemes.divides("👨‍", "👩"))
        assertTrue(Graphemes.divides("ㅎ", "ㅏ"))
        assertFalse(Graphemes.divides("\u1112", "\u1161"))
    }

    @Test
    fun settledPartsStayWhateverIsWrittenBehindThem() {
        val signs = Graphemes.points("ab1.'-_ !\u0301한ㅏ日👨\u200d🇩\n")
        val random = Random(1)
        fun draw(most: Int) =
            (0 until random.nextInt(most)).joinToString("") { signs[random.nextInt(signs.size)] }
        for (round in 0 until 3000) {
            val text = draw(10)
            val settled = Words.settledParts(text)
            assertEquals(settled, Words.partsOf(text + draw(4)).take(settled.size))
        }
    }
}
