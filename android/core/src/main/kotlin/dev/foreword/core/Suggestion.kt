package dev.foreword.core

/** Tells whether a request was called off; it may be asked from any thread. */
fun interface Cancel {
    fun isSet(): Boolean
}

/**
 * How much of the text is looked at, how much is suggested, and when there is silence.
 *
 * The window is at most `contextTokens` long, by default half of the model's context, and
 * `contextWords` where given. A suggestion has up to `maxWords` words, cut short at the end of a
 * sentence or a line and where the next word is less sure than `confidence`; below that the first
 * word is not shown either. `alternatives` are distinct, the best first. `temperature` 0 takes the
 * likeliest tokens; above it they are drawn, the same for the same `seed`. Throws [UsageException]
 * for values outside their range.
 */
data class Policy(
    val contextTokens: Int? = null,
    val contextWords: Int? = null,
    val maxWords: Int = 4,
    val maxTokens: Int = 16,
    val alternatives: Int = 1,
    val confidence: Double = Confidence.DEFAULT,
    val temperature: Double = 0.0,
    val seed: Long? = null,
) {
    init {
        checkLeast("contextTokens", contextTokens?.toLong(), 1)
        checkLeast("contextWords", contextWords?.toLong(), 1)
        checkLeast("seed", seed, 0)
        checkRange("maxWords", maxWords.toDouble(), 1, 100)
        checkRange("maxTokens", maxTokens.toDouble(), 1, 256)
        checkRange("alternatives", alternatives.toDouble(), 1, 16)
        checkRange("confidence", confidence, 0, 1)
        checkRange("temperature", temperature, 0, 2)
    }

    private fun checkLeast(name: String, value: Long?, least: Int) {
        if (value != null && value < least) {
            throw UsageException("$name: expected $least or more, found $value")
        }
    }

    private fun checkRange(name: String, value: Double, least: Int, most: Int) {
        if (!(value >= least && value <= most)) {
            throw UsageException("$name: expected $least to $most, found $value")
        }
    }
}

/**
 * What may follow the cursor: the rest of the word that is typed, then whole words.
 *
 * `logprob` is the sum of its `tokens`' natural logarithms, those of letters typed already among
 * them; `confidence` the chance that the first word is what the writer has in mind, and null where
 * the model does not say. `byPart` is that of every word and run of marks ([Words.partsOf]), given
 * those before it.
 */
data class Suggestion(
    val text: String,
    val confidence: Double? = null,
    val logprob: Double? = null,
    val tokens: Int = 0,
    val byPart: List<Double> = emptyList(),
)

/** Where a bad word stands: in what is typed, or in all that could follow it. */
enum class Refusal { INPUT, OUTPUT }

/**
 * The answer to one text: `items`, the best first; none is silence, or a refusal.
 *
 * `contextTokens` were looked at, `droppedTokens` lie before them, `computedTokens` ran through the
 * model: 0 where what was known sufficed.
 */
data class Suggestions(
    val items: List<Suggestion> = emptyList(),
    val refused: Refusal? = null,
    val contextTokens: Int = 0,
    val droppedTokens: Int = 0,
    val computedTokens: Int = 0,
    val latencyMs: Double = 0.0,
    val cancelled: Boolean = false,
)

/** Takes the text of the first suggestion as it grows; what it was given is never taken back. */
typealias OnWords = (String) -> Unit

/**
 * What is asked at one place of a text: `before` the cursor is what counts, `suffix` follows.
 *
 * A suggestion does not repeat the suffix. `onWords` is told its first one's text as it grows.
 */
internal class Request(
    val before: String,
    val suffix: String,
    val policy: Policy,
    val cancel: Cancel?,
    val onWords: OnWords?,
)
