package dev.foreword.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class EngineTest {
    /** A graph whose next token is the last one and one more. */
    private class Counting(signatures: List<String>) : Graph {
        override val shape = Shape("llama", 1, 1, 1, 1, VOCABULARY, CONTEXT)
        override val widths = Widths.of(signatures, CONTEXT)
        val ran = ArrayList<String>()
        var bad = Float.NaN
        var fails = false
        var cleared = 0

        override fun run(signature: String, tokens: IntArray, position: Int): FloatArray? {
            if (fails) throw EngineException("no")
            ran.add("$signature@$position+${tokens.size}")
            if (signature.startsWith("prefill")) return null
            return FloatArray(tokens.size * VOCABULARY) { i ->
                val token = tokens[i / VOCABULARY]
                if (token == BROKEN) bad else if (i % VOCABULARY == token + 1) 5f else 0f
            }
        }

        override fun clear() {
            cleared++
        }

        override fun close() = Unit
    }

    private val graph = Counting(listOf("decode", "prefill_8", "verify_4", "s8_decode"))
    private val engine = engineOf(graph, start = 3)

    private fun engineOf(graph: Graph, start: Int?) = Engine(
        graph,
        FixedTokenizer(emptyList()),
        Manifest(graph.shape, "int8", listOf("decode"), SpecialTokens(start, intArrayOf(90), false),
            "", "", emptyMap()),
    )

    private fun next(vararg tokens: Int) =
        engine.logits(tokens, null)?.let { Sampler(SamplingParams()).choose(it, tokens) }

    @Test
    fun whatIsSharedWithTheLastPromptIsReused() {
        assertEquals(15, next(*(1..14).toList().toIntArray()))
        assertEquals(listOf("prefill_8@0+8", "prefill_8@8+5", "decode@13+1"), graph.ran)
        graph.ran.clear()
        assertEquals(16, next(*(1..15).toList().toIntArray()))
        assertEquals(8, next(1, 2, 3, 4, 5, 7))
        assertEquals(listOf("decode@14+1", "decode@5+1"), graph.ran)
        assertEquals(16, engine.computedTokens)
    }

    @Test
    fun aStreamEndsWithAnEndTokenAStopStringItsLengthOrWhenCalledOff() {
        fun text(params: SamplingParams, from: Int, cancel: Cancel? = null): Pair<Finish, String> {
            val text = StringBuilder()
            return engine.stream(intArrayOf(from), params, cancel) { text.append(it) } to "$text"
        }
        // Token 1 + b is the byte b: 66 is "A".
        assertEquals(Finish.LENGTH to "ABC", text(SamplingParams(maxNewTokens = 3), 65))
        assertEquals(Finish.STOP to "ABC", text(SamplingParams(stop = listOf("DE", "E")), 65))
        assertEquals(Finish.STOP to "UVWX", text(SamplingParams(), 85))
        var asked = 0
        assertEquals(Finish.CANCELLED, text(SamplingParams(), 65) { ++asked > 4 }.first)
        assertEquals(Finish.LENGTH, text(SamplingParams(maxNewTokens = 100), 4).first)
    }

    @Test
    fun whatIsNoPromptIsRefusedInALine() {
        assertEquals(4, next())
        for (tokens in listOf(IntArray(CONTEXT + 1), intArrayOf(VOCABULARY), intArrayOf(-1))) {
            val error = assertThrows(PromptException::class.java) { engine.logits(tokens, null) }
            assertFalse('\n' in error.message.orEmpty())
        }
        val other = engineOf(Counting(listOf("decode")), null)
        assertThrows(PromptException::class.java) { other.logits(IntArray(0), null) }
        assertNull(engine.logits(intArrayOf(1)) { true })
    }

    @Test
    fun whatIsNotFiniteIsForgotten() {
        next(1, 2)
        for (bad in listOf(Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY)) {
            graph.bad = bad
            assertThrows(EngineException::class.java) { next(1, 2, BROKEN) }
        }
        assertEquals(3, graph.cleared)
        graph.ran.clear()
        assertEquals(3, next(1, 2))
        assertEquals(listOf("verify_4@0+2"), graph.ran)
    }

    @Test
    fun aFailedRunLeavesNothingToReuse() {
        next(1, 2, 3)
        graph.fails = true
        assertThrows(EngineException::class.java) { next(1, 2, 3, 4) }
        graph.fails = false
        graph.ran.clear()
        next(1, 2, 3, 4)
        assertEquals(listOf("verify_4@0+4"), graph.ran)
    }

    @Test
    fun signaturesSayTheirSlotsAndWidths() {
        assertEquals(Signature(128, "prefill", 8), Signature.of("s128_prefill_8", 512))
        assertEquals(Signature(512, "decode", 1), Signature.of("decode", 512))
        for (name in listOf("", "s_decode", "prefill", "prefill_08", "s1_s2_decode", "decode_1")) {
            assertThrows(name, UsageException::class.java) { Signature.of(name, 512) }
        }
        assertTrue(graph.widths == Widths(listOf(8), listOf(4)))
    }

    private companion object {
        const val VOCABULARY = 257
        const val CONTEXT = 32
        const val BROKEN = 200
    }
}
