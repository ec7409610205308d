package dev.foreword.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class SuggestTest {
    private val golden = Golden.read("testdata/golden/suggest.json")
    private val tokenizer = FixedTokenizer(golden["tokens"].texts)
    private val filters = HashMap<String, Filter>()

    private fun completer(case: Value): Completer {
        val level = if ("safety" in case) case["safety"].text else "default"
        val filter = filters.getOrPut(level) { filterOf(Level.valueOf(level.uppercase())) }
        return Completer(model(case["model"].text), filter)
    }

    private fun model(name: String) = FixedModel(tokenizer, golden["models"][name])

    private val cats get() = completer(Value(mapOf("model" to "cats")))

    private fun suffix(case: Value) = if ("suffix" in case) case["suffix"].text else ""

    private fun policy(case: Value): Policy {
        val asked = if ("policy" in case) case["policy"] else Value(emptyMap<String, Any>())
        val usual = Policy()
        fun number(key: String, usual: Double) = if (key in asked) asked[key].number else usual
        fun int(key: String) = if (key in asked && !asked[key].isNull) asked[key].int else null
        for (key in asked.keys) assertTrue(key, key in KEYS)
        return Policy(
            int("context_tokens"),
            int("context_words"),
            int("max_words") ?: usual.maxWords,
            int("max_tokens") ?: usual.maxTokens,
            int("alternatives") ?: usual.alternatives,
            number("confidence", usual.confidence),
            number("temperature", usual.temperature),
        )
    }

    private fun assertAnswer(label: String, wanted: Value, found: Suggestions) {
        val items = wanted["items"].list
        assertEquals(label, items.map { it["text"].text }, found.items.map { it.text })
        for ((one, item) in items.zip(found.items)) {
            assertEquals(label, one["tokens"].int, item.tokens)
            assertNear(label, one["logprob"].number, item.logprob)
            assertNear(label, one["confidence"].number, item.confidence)
            assertEquals(label, one["by_part"].list.size, item.byPart.size)
            for ((a, b) in one["by_part"].list.zip(item.byPart)) assertNear(label, a.number, b)
        }
        assertEquals(label, wanted["refused"].raw, found.refused?.name?.lowercase())
        assertEquals(label, wanted["context_tokens"].int, found.contextTokens)
        assertEquals(label, wanted["dropped_tokens"].int, found.droppedTokens)
        assertEquals(label, wanted["computed_tokens"].int, found.computedTokens)
    }

    /** Python adds up in float32 what is added up in Double here. */
    private fun assertNear(label: String, wanted: Double, found: Double?) =
        assertEquals(label, wanted, found ?: Double.NaN, 1.01e-4 + Math.abs(wanted) * 1e-6)

    @Test
    fun suggestionsAreTheCommittedOnes() {
        for (case in golden["cases"].list) {
            val label = "${case["model"].text}: ${case["text"].text}|${suffix(case)}"
            val told = ArrayList<String>()
            val onWords: OnWords? = if ("stream" in case && case["stream"].raw == true) told::add else null
            val found = completer(case).suggest(case["text"].text, policy(case), null, suffix(case), onWords)
            assertAnswer(label, case["answer"], found)
            if (onWords != null) assertEquals(label, case["told"].texts, told)
        }
    }

    @Test
    fun sessionsAreTheCommittedOnes() {
        for (case in golden["sessions"].list) {
            val session = Session(completer(case), policy(case))
            for ((step, wanted) in case["steps"].list.zip(case["answers"].list)) {
                val what = step["do"].text
                val text = if ("text" in step) step["text"].text else ""
                when (what) {
                    "suggest" -> assertAnswer(text, wanted, session.suggest(text, null, suffix(step)))
                    "next" -> assertAnswer(text, wanted, session.next(text, null, suffix(step)))
                    "prefetch" -> session.prefetch(text, null, suffix(step))
                    "dismiss" -> session.dismiss()
                    "accept" -> assertEquals(wanted.text, session.accept(text))
                    else -> assertEquals(wanted.text, session.accept(text, Session.Share.WORD))
                }
            }
        }
    }

    @Test
    fun whatWasScannedBeforeChangesNoVerdict() {
        val completer = cats
        val texts = golden["cases"].list.map { it["text"].text }
        val fresh = filterOf(Level.DEFAULT)
        for (text in texts + texts.reversed()) {
            val refused = completer.suggest(text, Policy(confidence = 0.0)).refused
            if (fresh.scan().feed(text) == null) continue
            if (text.length < 20) assertEquals(text, Refusal.INPUT, refused)
        }
    }

    @Test
    fun whatIsCalledOffIsNotAnsweredNorRemembered() {
        val session = Session(cats, Policy(confidence = 0.0))
        assertTrue(session.suggest("the cat", { true }).cancelled)
        assertEquals(" sat on the mat.", session.suggest("the cat").items[0].text)
    }

    @Test
    fun aCallIsCalledOffBetweenTwoTokens() {
        val model = model("cats")
        val completer = Completer(model, filterOf(Level.DEFAULT))
        val found = completer.suggest("the cat", Policy(confidence = 0.0), { model.computedTokens == 2 })
        assertTrue(found.cancelled)
        assertEquals(2, model.computedTokens)
    }

    @Test
    fun withATemperatureTokensAreDrawnByTheSeed() {
        fun text(temperature: Double, seed: Long?) = cats
            .suggest("the cat sa", Policy(confidence = 0.0, temperature = temperature, seed = seed))
            .items.firstOrNull()?.text
        val drawn = (0L until 12).map { text(1.0, it) }
        assertTrue(drawn.toSet().size > 1)
        assertEquals(drawn[3], text(1.0, 3))
        assertEquals(text(0.0, null), text(1e-9, 3))
    }

    @Test
    fun aPolicyHasBoundsAndWhatIsNoTextDoesNoHarm() {
        for (policy in listOf<() -> Policy>(
            { Policy(maxWords = 0) },
            { Policy(confidence = Double.NaN) },
            { Policy(contextTokens = 0) },
            { Policy(seed = -1) },
        )) {
            assertThrows(UsageException::class.java) { policy() }
        }
        assertThrows(UsageException::class.java) { cats.suggest("the cat", Policy(contextTokens = 65)) }
        val odd = cats.suggest("\ud83d the cat", Policy(confidence = 0.0))
        assertEquals(" sat on the mat.", odd.items[0].text)
        assertNull(cats.suggest(" \n").refused)
    }

    private companion object {
        val KEYS = setOf(
            "context_tokens", "context_words", "max_words", "max_tokens", "alternatives",
            "confidence", "temperature", "seed",
        )
    }
}
