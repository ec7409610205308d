package dev.foreword.core

import kotlin.math.exp
import kotlin.math.expm1
import kotlin.math.ln

/** From a model's probability of a word to the chance that it is the writer's. */
object Confidence {
    /** Below it there is silence. */
    const val DEFAULT = 0.45

    // Those of completion/confidence.py.
    private const val SLOPE = 1.032
    private const val SHIFT = -0.206

    /**
     * Returns the chance that a word is right which the model gives the probability exp(logprob).
     *
     * Platt scaling (Platt 1999) of the log-odds.
     */
    fun calibrated(logprob: Double): Double {
        if (logprob >= 0) return 1.0
        val odds = logprob - ln(-expm1(logprob))
        return 1 / (1 + exp(-(SLOPE * odds + SHIFT)))
    }
}
