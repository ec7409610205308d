package dev.foreword.core

import kotlin.math.exp
import kotlin.math.ln

/** A token, and the natural logarithm of its probability among the tokens allowed. */
internal class Drawn(val id: Int, val logprob: Double)

/** From logits to a token of those allowed: the likeliest, or one that is drawn. */
internal class Draw(private val temperature: Double, private val chance: Chance?) {
    /**
     * Returns a token, null where none is allowed: of `ids`, all where it is null, but those that
     * are `banned`.
     */
    fun choose(logits: FloatArray, ids: IntArray?, banned: Set<Int>): Drawn? {
        val scores = allowed(logits, ids, banned)
        var best = 0
        for (i in 1 until scores.size) if (scores[i] > scores[best]) best = i
        if (scores.isEmpty() || !scores[best].isFinite()) return null
        val top = scores[best]
        val place = if (chance == null) best else draw(scores, top, chance)
        val logprob = (scores[place] - top).toDouble() - ln(sumOfExp(scores, top, 1.0))
        return Drawn(if (ids == null) place else ids[place], logprob)
    }

    private fun allowed(logits: FloatArray, ids: IntArray?, banned: Set<Int>): FloatArray {
        if (ids == null && banned.isEmpty()) return logits
        if (ids == null) return logits.copyOf().also { for (id in banned) it[id] = LEAST }
        val scores = FloatArray(ids.size) { logits[ids[it]] }
        if (banned.isNotEmpty()) for (i in ids.indices) if (ids[i] in banned) scores[i] = LEAST
        return scores
    }

    /** Returns a place by the chances of a softmax. */
    private fun draw(scores: FloatArray, top: Float, chance: Chance): Int {
        val heat = maxOf(temperature, Sampler.LEAST_TEMPERATURE)
        var left = chance.next() * sumOfExp(scores, top, heat)
        var last = 0 // what rounding leaves goes to the last that has a chance
        for (i in scores.indices) {
            val power = (scores[i] - top) / heat
            if (power < NOTHING) continue
            last = i
            left -= exp(power)
            if (left < 0) break
        }
        return last
    }

    private fun sumOfExp(scores: FloatArray, top: Float, heat: Double): Double {
        var sum = 0.0
        for (score in scores) {
            val power = (score - top) / heat
            // Hundreds of thousands of what is less change no digit that a Float has.
            if (power > NOTHING) sum += exp(power)
        }
        return sum
    }

    private companion object {
        const val LEAST = Float.NEGATIVE_INFINITY
        const val NOTHING = -30.0
    }
}
