package dev.foreword.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class TextTest {
    private val bytes = FixedTokenizer(emptyList())

    @Test
    fun aCharacterIsShownWhenItIsWhole() {
        val stream = TextStream(bytes)
        val shown = bytes.encode("é🎉a").map(stream::push)
        assertEquals(listOf("", "é", "", "", "", "🎉", "a"), shown)
        stream.push(bytes.encode("é")[0])
        assertEquals("", stream.finish())
    }

    @Test
    fun theFirstStopStringThatIsCompleteEndsTheTextOfSeveralTheLongest() {
        for ((stop, wanted) in listOf(
            listOf("cd") to "ab",
            listOf("d", "bcd") to "a",
            listOf("bce", "x") to "abcdef",
            listOf("ef") to "abcd",
        )) {
            val stream = TextStream(bytes, stop)
            val text = bytes.encode("abcdef").joinToString("") { stream.push(it) } + stream.finish()
            assertEquals(wanted, text)
        }
    }

    @Test
    fun whatIsNoUtf8IsOneReplacementForEachBeginning() {
        fun text(vararg values: Int) = Utf8.text(ByteArray(values.size) { values[it].toByte() })
        assertEquals("\ufffd\ufffda", text(0xff, 0xe2, 'a'.code))
        assertEquals("\ufffd\ufffd\ufffd", text(0xed, 0xa0, 0x80))
        assertEquals("\ufffd", text(0xf0, 0x9f, 0x8e))
        assertNull(Utf8.wholeText(byteArrayOf(-1), 0))
        assertEquals("", Utf8.wholeText(byteArrayOf(-30, -126), 0))
    }

    @Test
    fun jsonIsReadStrictly() {
        val wanted = mapOf("a" to listOf(1L, -2.5, 1e3, true, null), "é\n\"" to "🎉/")
        val text = """ {"a": [1, -2.5, 1E3, true, null], "\u00e9\n\"": "\ud83c\udf89\/"} """
        assertEquals(wanted, Json.parse(text))
        for (bad in listOf(
            "", "{", "[1,]", "{\"a\"}", "01", "1.", "-", "nul", "NaN", "\"a", "\"\n\"", "\"\\x\"",
            "[] []", "{\"a\":1,\"a\":2}", "[".repeat(101), "'a'", "{a:1}",
        )) {
            assertThrows(bad, NotJson::class.java) { Json.parse(bad) }
        }
    }

    @Test
    fun patternsMatchAsTheTokenizersPackageDoes() {
        fun found(pattern: String, text: String): List<String> {
            val found = ArrayList<String>()
            Pattern(pattern).eachMatch(text, 0, text.length) { a, b -> found.add(text.substring(a, b)) }
            return found
        }
        assertEquals(listOf("it", "'S", " 12"), found("(?i:'s)| ?\\p{L}+| ?\\d{1,2}", "it'S 12"))
        assertEquals(listOf("  ", " "), found("\\s+(?!\\S)|\\s+", "   a"))
        assertEquals(listOf("ab", "ab"), found("(?:ab|a)(?=a|$)|(?:ab)+?", "abab"))
        assertEquals(listOf("aab", "b"), found("(a|ab)*b", "aabb"))
        assertEquals(listOf("x(", "y"), found("[^\\s\\)[,.]]+", "x(,y)"))
        assertEquals(emptyList<String>(), found("a++a", "aaa"))
        assertEquals(listOf("aaa"), found("a{2,}", "aaa"))
        assertEquals(listOf("🎉🎉"), found("[🎉]+", "a🎉🎉"))
        for (bad in listOf("(", "a)", "[a", "\\p{Han}", "(?<n>a)", "a{3,1}", "*", "\\Q", "[a&&b]")) {
            assertThrows(bad, UnsupportedTokenizer::class.java) { Pattern(bad) }
        }
    }

    @Test
    fun samplersFilterAndDrawAlikeForASeed() {
        val logits = floatArrayOf(1f, 3f, 2f, 3f, -5f)
        fun drawn(params: SamplingParams) = Sampler(params).let { sampler ->
            (0 until 200).map { sampler.choose(logits, intArrayOf(1)) }
        }
        assertEquals(setOf(1), drawn(SamplingParams()).toSet())
        val hot = SamplingParams(temperature = 1.0, seed = 5)
        assertEquals(setOf(1, 3), drawn(hot.copy(topK = 2)).toSet())
        assertEquals(setOf(1, 3), drawn(hot.copy(topP = 0.7)).toSet())
        assertEquals(setOf(1, 2, 3), drawn(hot.copy(minP = 0.3)).toSet())
        assertEquals(drawn(hot), drawn(hot))
        assertTrue(drawn(hot) != drawn(hot.copy(seed = 6)))
        assertEquals(setOf(3), drawn(SamplingParams(repetitionPenalty = 2.0)).toSet())
        for (bad in listOf<() -> SamplingParams>(
            { SamplingParams(temperature = -1.0) },
            { SamplingParams(topP = 0.0) },
            { SamplingParams(maxNewTokens = 0) },
            { SamplingParams(stop = listOf("")) },
            { SamplingParams(minP = Double.NaN) },
        )) {
            assertThrows(UsageException::class.java) { bad() }
        }
    }
}
