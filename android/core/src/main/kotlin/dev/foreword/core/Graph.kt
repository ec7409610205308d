package dev.foreword.core

import java.io.Closeable

/** A token model as the engine sees it, whatever runs it: tokens at a position in, logits out. */
interface Graph : Closeable {
    val shape: Shape
    val widths: Widths

    /**
     * Runs tokens at slots `position…` and keeps their keys and values in the cache.
     *
     * Returns logits, a row of the vocabulary's size for each token, overwritten by the next run,
     * or null for a prefill signature. Slots from `position` on are hidden from attention. Throws
     * [EngineException].
     */
    fun run(signature: String, tokens: IntArray, position: Int): FloatArray?

    /** Zeroes the caches: a NaN in a hidden slot would spread, a stale number does not. */
    fun clear()
}

/** Chunk widths of the signatures that exist for the whole context, ascending. */
data class Widths(val prefill: List<Int>, val verify: List<Int>) {
    companion object {
        /** Returns the widths of a manifest's signatures. */
        fun of(signatures: List<String>, context: Int): Widths {
            val whole = signatures.map { Signature.of(it, context) }.filter { it.slots == context }
            fun widths(kind: String) = whole.filter { it.kind == kind }.map { it.width }.sorted()
            return Widths(widths("prefill"), widths("verify"))
        }
    }
}

/**
 * A signature's name and what it says: the slots of its cache, its kind (`decode`, `prefill`,
 * `verify`) and how many tokens it takes; `chunk` is the name without the slots.
 */
data class Signature(val slots: Int, val kind: String, val width: Int) {
    val chunk: String get() = if (kind == "decode") kind else "${kind}_$width"

    companion object {
        /** Splits a name that a manifest may hold: "s128_prefill_8", "decode". */
        fun of(name: String, context: Int): Signature =
            parse(name, context) ?: throw UsageException("signature: expected a name, found $name")

        /** Returns what a name says, null where it is none. */
        internal fun parse(name: String, context: Int): Signature? {
            val parts = name.split('_')
            val head = parts[0]
            val isShort = head.startsWith("s") && parts.size > 1
            val slots = if (isShort) number(head.substring(1)) ?: return null else context
            val rest = if (isShort) parts.drop(1) else parts
            if (rest == listOf("decode")) return Signature(slots, "decode", 1)
            if (rest.size != 2 || rest[0] !in setOf("prefill", "verify")) return null
            return Signature(slots, rest[0], number(rest[1]) ?: return null)
        }

        private fun number(text: String): Int? {
            val isPlain = text.length in 1..7 && text[0] != '0' && text.all { it in '0'..'9' }
            return if (isPlain) text.toInt() else null
        }
    }
}
