package dev.foreword.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test

class SafetyTest {
    private val golden = Golden.read("testdata/golden/safety.json")

    private fun matchOf(value: Value) = if (value.isNull) {
        null
    } else {
        Match(value["start"].int, value["end"].int, value["severity"].text, value["entry"].text)
    }

    @Test
    fun verdictsAreTheCommittedOnes() {
        for (level in Level.entries) {
            val filter = filterOf(level)
            for (case in golden["texts"].list) {
                val wanted = matchOf(case[level.name.lowercase()])
                assertEquals("$level: ${case["text"].text}", wanted, filter.find(case["text"].text))
            }
        }
    }

    @Test
    fun streamsAreSafeUpToTheCommittedPlacesAndCopiesGoOnByThemselves() {
        val filter = filterOf(Level.DEFAULT)
        for (case in golden["streams"].list) {
            val scan = filter.scan()
            val safe = case["pieces"].texts.map { piece ->
                val copy = scan.copy()
                copy.feed("x")
                copy.end()
                scan.feed(piece)
                scan.safe
            }
            assertEquals(case["pieces"].texts.toString(), case["safe"].ints.toList(), safe)
            assertEquals(matchOf(case["match"]), scan.end())
            assertEquals(case["safe_at_end"].int, scan.safe)
        }
    }

    @Test
    fun aReadersOwnListsCount() {
        for (case in golden["lists"].list) {
            val filter = filterOf(Level.DEFAULT, case["extra"].texts, case["allow"].texts)
            assertEquals(matchOf(case["match"]), filter.find(case["text"].text))
        }
    }

    @Test
    fun whatIsNoLexiconIsRefused() {
        for (text in listOf("", "[]", "{}", "{\"version\":2}", "{\"version\":1}")) {
            assertThrows(text, BundleException::class.java) { Filter.read(text.byteInputStream()) }
        }
    }
}

/** Returns the filter of a level with the repository's lexicon. */
internal fun filterOf(
    level: Level,
    extra: List<String> = emptyList(),
    allow: List<String> = emptyList(),
): Filter = Golden.file("src/foreword/completion/lexicon.json").inputStream().use {
    Filter.read(it, level, extra, allow)
}
