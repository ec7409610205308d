package dev.foreword.core

import kotlin.math.exp
import kotlin.math.ln

/**
 * How tokens of a stream are chosen and when it stops.
 *
 * `temperature` 0 is greedy. `topK` 0, `topP` 1, `minP` 0 and `repetitionPenalty` 1 switch their
 * filters off. `stop` strings end the text before them. Throws [UsageException] for values outside
 * their range.
 */
data class SamplingParams(
    val temperature: Double = 0.0,
    val topK: Int = 0,
    val topP: Double = 1.0,
    val minP: Double = 0.0,
    val repetitionPenalty: Double = 1.0,
    val seed: Long? = null,
    val maxNewTokens: Int = 32,
    val stop: List<String> = emptyList(),
) {
    init {
        check("temperature", temperature, 0.0, 100.0)
        check("topK", topK.toDouble(), 0.0, Double.MAX_VALUE)
        check("topP", topP, Double.MIN_VALUE, 1.0)
        check("minP", minP, 0.0, 1.0)
        check("repetitionPenalty", repetitionPenalty, 0.01, 100.0)
        check("maxNewTokens", maxNewTokens.toDouble(), 1.0, Double.MAX_VALUE)
        check("seed", seed?.toDouble() ?: 0.0, 0.0, Double.MAX_VALUE)
        if (stop.any { it.isEmpty() }) {
            throw UsageException("stop: expected non-empty strings, found an empty one")
        }
    }

    private fun check(name: String, value: Double, least: Double, most: Double) {
        if (value >= least && value <= most) return
        val range = if (most == Double.MAX_VALUE) "$least or more" else "$least to $most"
        throw UsageException("$name: expected $range, found $value")
    }
}

/** Chooses tokens for one request; two with the same seed choose alike. */
class Sampler(private val params: SamplingParams) {
    private val chance = Chance(params.seed)

    /**
     * Returns a token for logits, which are not changed; `seen` are the prompt's and the new
     * tokens so far.
     *
     * The order of the filters is that of llama.cpp: penalty, top-k, top-p, min-p, temperature.
     */
    fun choose(logits: FloatArray, seen: IntArray): Int {
        val scores = if (params.repetitionPenalty == 1.0) logits else penalized(logits, seen)
        if (params.temperature == 0.0) return likeliest(scores)
        var kept = best(scores)
        kept = topP(kept, scores)
        kept = minP(kept, scores)
        return drawn(kept, scores, maxOf(params.temperature, LEAST_TEMPERATURE))
    }

    private fun likeliest(scores: FloatArray): Int {
        var best = 0
        for (i in 1 until scores.size) if (scores[i] > scores[best]) best = i
        return best
    }

    /** Repetition penalty of CTRL (Keskar et al. 2019), once for each token seen. */
    private fun penalized(logits: FloatArray, seen: IntArray): FloatArray {
        val penalty = params.repetitionPenalty.toFloat()
        val scores = logits.copyOf()
        for (id in seen) {
            scores[id] = if (logits[id] > 0) logits[id] / penalty else logits[id] * penalty
        }
        return scores
    }

    /** The `topK` best tokens (all for 0), best first; of equal ones the first. */
    private fun best(scores: FloatArray): IntArray {
        // Sorted as numbers: the score upside down in the upper half, its place in the lower.
        val order = LongArray(scores.size) { (descending(scores[it]) shl 32) or it.toLong() }
        order.sort()
        val count = if (params.topK in 1 until scores.size) params.topK else scores.size
        return IntArray(count) { order[it].toInt() }
    }

    /** A whole number that is the less the more a score is. */
    private fun descending(score: Float): Long {
        val bits = (score + 0f).toRawBits() // + 0 makes one of both zeros
        return (if (bits < 0) bits and Int.MAX_VALUE else bits.inv()).toLong()
    }

    /** The smallest head whose probability reaches p (Holtzman et al. 2020). */
    private fun topP(kept: IntArray, scores: FloatArray): IntArray {
        if (params.topP >= 1) return kept
        val chances = softmax(kept, scores, 1.0)
        var sum = 0.0
        for (i in kept.indices) {
            sum += chances[i]
            if (sum >= params.topP) return kept.copyOf(i + 1)
        }
        return kept
    }

    /** Tokens at least p times as likely as the best (Nguyen et al. 2024). */
    private fun minP(kept: IntArray, scores: FloatArray): IntArray {
        if (params.minP <= 0) return kept
        val least = scores[kept[0]] + ln(params.minP)
        var count = 1
        while (count < kept.size && scores[kept[count]] >= least) count++
        return kept.copyOf(count)
    }

    private fun drawn(kept: IntArray, scores: FloatArray, temperature: Double): Int {
        val chances = softmax(kept, scores, temperature)
        var left = chance.next()
        for (i in kept.indices) {
            left -= chances[i]
            if (left < 0) return kept[i]
        }
        return kept[0]
    }

    private fun softmax(kept: IntArray, scores: FloatArray, temperature: Double): DoubleArray {
        val top = scores[kept[0]]
        val weights = DoubleArray(kept.size) { exp((scores[kept[it]] - top) / temperature) }
        val sum = weights.sum()
        for (i in weights.indices) weights[i] /= sum
        return weights
    }

    companion object {
        /** What is nearer to 0 is as good as greedy, and would overflow. */
        const val LEAST_TEMPERATURE = 1e-4
    }
}
