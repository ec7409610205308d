package dev.foreword.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test

class CompletedTest {
    private val filter = filterOf(Level.DEFAULT)

    private class Scripted(private val more: String?) : TextModel {
        override val context = 100
        override val tokenizer: Tokenizer? = null
        override var computedTokens = 0
        override fun complete(prompt: String, cancel: Cancel?) = more?.let { prompt + it }
    }

    private fun suggest(more: String?, suffix: String = "", cancel: Cancel? = null) =
        Completer(Scripted(more), filter).suggest("what a", Policy(), cancel, suffix)

    @Test
    fun aTextModelsTextIsCutToWholeWords() {
        for ((more, wanted) in listOf(
            " nice day it is today" to " nice day it is",
            " day. And then" to " day",
            " day\nand then" to " day",
        )) {
            val item = suggest(more).items.single()
            assertEquals(wanted, item.text)
            assertNull(item.confidence)
        }
        assertEquals(" nice", suggest(" nice day", " day").items.single().text)
        for (more in listOf("", "\n", " ", "!")) assertTrue(suggest(more).items.isEmpty())
    }

    @Test
    fun itIsCutBeforeABadWord() {
        assertEquals(" piece of", suggest(" piece of shit it is").items.single().text)
        assertEquals(Refusal.OUTPUT, suggest(" shit it is").refused)
    }

    @Test
    fun itCanBeCalledOff() {
        assertTrue(suggest(null).cancelled)
        assertTrue(suggest(" day", "") { true }.cancelled)
    }
}
