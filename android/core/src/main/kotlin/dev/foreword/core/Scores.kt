package dev.foreword.core

import java.nio.IntBuffer

/** What a model says of the next token, remembered for the `kept` prompts asked for last. */
internal class Scores(private val model: TokenModel, private val kept: Int) {
    private val known = object : LinkedHashMap<IntBuffer, FloatArray>(16, 0.75f, true) {
        override fun removeEldestEntry(eldest: Map.Entry<IntBuffer, FloatArray>) = size > kept
    }

    /** Returns the logits after a prompt, not to be changed; throws [Called]. */
    fun after(tokens: IntArray, cancel: Cancel?): FloatArray {
        val key = IntBuffer.wrap(tokens)
        known[key]?.let { return it }
        val found = model.logits(tokens, cancel)?.copyOf() ?: throw Called()
        known[key] = found
        return found
    }
}
