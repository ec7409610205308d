package dev.foreword.core

import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Before
import org.junit.Test
import java.io.File

/**
 * The default model, run by LiteRT on this machine.
 *
 * It needs `FOREWORD_LITERT`, the wheel's libLiteRt.so, and `FOREWORD_BUNDLE`, a bundle's
 * directory; `FOREWORD_CASES` names prompts and their greedy tokens, else those are taken that are
 * committed for float32.
 */
class RealModelTest {
    private lateinit var graph: LiteRtGraph
    private lateinit var engine: Engine

    @Before
    fun load() {
        val library = System.getenv("FOREWORD_LITERT")
        val path = System.getenv("FOREWORD_BUNDLE")
        assumeTrue(library != null && path != null)
        val bundle = Bundle.open(File(path))
        assertTrue(bundle.verify())
        val manifest = bundle.manifest
        val model = File(path, Manifest.MODEL)
        graph = LiteRtGraph(LiteRt(library), model, manifest.shape, manifest.signatures, 2)
        engine = Engine(graph, bundle.tokenizer(), manifest)
    }

    @After
    fun close() {
        if (::engine.isInitialized) engine.close()
    }

    private fun greedy(prompt: IntArray, count: Int): List<Int> {
        var all = prompt
        val sampler = Sampler(SamplingParams())
        repeat(count) {
            val logits = engine.logits(all, null) ?: error("called off")
            all += sampler.choose(logits, all)
        }
        return all.drop(prompt.size)
    }

    @Test
    fun greedyTokensArePythons() {
        val path = System.getenv("FOREWORD_CASES")
        val cases = if (path != null) {
            Value(Json.parse(File(path).readText()))
        } else {
            Golden.read("testdata/golden/completion/smollm2-float32.json")
        }["cases"].list
        assertEquals(20, cases.size)
        for (case in cases) {
            val wanted = case["token_ids"].ints.toList()
            val prompt = case["prompt"].text
            assertEquals(prompt, wanted, greedy(engine.encode(prompt), wanted.size))
        }
    }

    @Test
    fun whatWasComputedIsReusedAndChangesNothing() {
        val ids = engine.encode("The weather today is nice, so we will go to the")
        val first = greedy(ids, 4)
        engine.logits(engine.encode("Something else"), null)
        assertEquals(first, greedy(ids, 4))
        val computed = engine.computedTokens
        greedy(ids, 1)
        assertEquals(1, engine.computedTokens - computed)
    }

    @Test
    fun aLongTextGoesToALongerCache() {
        val ids = engine.encode("one two three four five six seven ".repeat(40)).copyOf(200)
        greedy(ids, 2)
        val slots = graph.ran.map { it.substringAfter('/').toInt() }.distinct()
        assertTrue(slots.toString(), slots.max() >= 200)
    }

    @Test
    fun aTextIsCompletedAndBadLanguageRefused() {
        val completer = Completer(engine, filterOf(Level.DEFAULT))
        val told = ArrayList<String>()
        val found = completer.suggest("Thank you very much for yo", Policy(confidence = 0.0), onWords = told::add)
        assertTrue(found.toString(), found.items[0].text.startsWith("ur "))
        assertTrue(told.isNotEmpty() && found.items[0].text.startsWith(told[0]))
        assertEquals(Refusal.INPUT, completer.suggest("what the fuck is").refused)
        for (text in listOf("안녕하세요, 오늘", "👨‍👩‍👧 and 🎉 ", "x".repeat(1_000_000))) {
            assertFalse(completer.suggest(text, Policy(confidence = 0.0)).cancelled)
        }
    }

    @Test
    fun aStreamEndsWhereItShould() {
        val text = StringBuilder()
        val params = SamplingParams(maxNewTokens = 12)
        val finish = engine.stream(engine.encode("The capital of France is"), params) { text.append(it) }
        assertEquals(Finish.LENGTH, finish)
        assertTrue(text.toString(), "Paris" in text)
        val stopped = SamplingParams(stop = listOf("Paris"))
        val before = StringBuilder()
        assertEquals(Finish.STOP, engine.stream(engine.encode("The capital of France is"), stopped) { before.append(it) })
        assertFalse("Paris" in before)
        assertEquals(Finish.CANCELLED, engine.stream(engine.encode("The"), params, { true }) {})
    }
}
