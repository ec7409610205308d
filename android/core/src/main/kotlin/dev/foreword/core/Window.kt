package dev.foreword.core

/** The tokens a model is given, and how many of the prompt's were left out before them. */
class Window(val tokenIds: IntArray, val dropped: Int)

/** The context window: how much of the text before the cursor the model is given. */
object Windows {
    /** Code units of a token, at most, where a text is worth its tokens. */
    private const val CHARACTERS = 16
    private const val STRIDE = 4096

    /** Tokens looked through, at most, for one that begins a word. */
    private const val NEAR = 16
    private const val SPACE_WITHIN = 64

    /**
     * Keeps the end of a prompt, at most `limit` >= 1 tokens of it.
     *
     * What is kept begins at a word where one begins near the cut, else at a character. A leading
     * `start` token, where given, is kept as well and counts.
     */
    fun keepEnd(ids: IntArray, limit: Int, tokenizer: Tokenizer, start: Int? = null): Window {
        if (ids.size <= limit) return Window(ids, 0)
        val head = headOf(ids, start)
        return cut(ids, ids.size - maxOf(limit - head, 1), head, limit, tokenizer)
    }

    /**
     * Keeps the end of a prompt as [keepEnd] does, or up to a quarter less.
     *
     * The beginning stays where it is while a quarter of the window is typed: what is computed of
     * it is not computed anew at every key.
     */
    fun keepSteady(ids: IntArray, limit: Int, tokenizer: Tokenizer, start: Int? = null): Window {
        val over = ids.size - limit
        if (over <= 0) return Window(ids, 0)
        val head = headOf(ids, start)
        val stride = maxOf(limit / 4, 1)
        val from = minOf((over + stride - 1) / stride * stride + head, ids.size - 1)
        return cut(ids, from, head, limit, tokenizer)
    }

    /**
     * Returns the end of a text that surely has `limit` tokens, or all of it.
     *
     * It begins at a word, where one begins near, and stays there while thousands of characters
     * are typed: so much less has to be cut into tokens at every key.
     */
    fun nearEnd(text: String, limit: Int): String {
        val wanted = limit.toLong() * CHARACTERS
        if (text.length - wanted < STRIDE) return text
        var start = ((text.length - wanted) / STRIDE * STRIDE).toInt()
        for (at in start until minOf(start + SPACE_WITHIN, text.length)) {
            if (Words.beginsWithSpace(text, at)) return text.substring(at)
        }
        while (start < text.length && !isBoundary(text, start)) start++
        return text.substring(start)
    }

    private fun isBoundary(text: String, at: Int): Boolean =
        Graphemes.divides(text.substring(maxOf(at - STRIDE, 0), at),
            text.substring(at, minOf(at + STRIDE, text.length)))

    /** How many tokens lead a prompt that are no text. */
    private fun headOf(ids: IntArray, start: Int?): Int =
        if (start != null && ids.isNotEmpty() && ids[0] == start) 1 else 0

    private fun cut(ids: IntArray, from: Int, head: Int, limit: Int, tokenizer: Tokenizer): Window {
        val earlier = maxOf(from - NEAR, head)
        val before = (earlier until from).map { tokenizer.tokenBytes(ids[it]) }
        val near = (from until minOf(from + NEAR, ids.size)).map { tokenizer.tokenBytes(ids[it]) }
        val first = from + firstBoundary(before, near, ids.size - from)
        val room = maxOf(limit - (ids.size - first), 0)
        val tail = ids.copyOfRange(first, ids.size)
        val kept = if (head > 0 && room > 0) intArrayOf(ids[0]) + tail else tail
        return Window(kept, ids.size - kept.size)
    }

    /** The index of the first token that begins a word, else a character, else 0. */
    private fun firstBoundary(before: List<ByteArray>, near: List<ByteArray>, count: Int): Int {
        for (i in 0 until minOf(near.size, count - 1)) if (beginsWithSpace(near[i])) return i
        for (i in near.indices) {
            if (near[i].isEmpty() || isContinuation(near[i][0])) continue
            val earlier = Utf8.text(joined(before + near.subList(0, i)), "")
            if (Graphemes.divides(earlier, Utf8.text(joined(near.subList(i, near.size)), ""))) {
                return i
            }
        }
        return 0
    }

    /** Returns whether bytes begin with white space of ASCII. */
    internal fun beginsWithSpace(bytes: ByteArray): Boolean =
        bytes.isNotEmpty() && (bytes[0].toInt() == 0x20 || bytes[0] in 0x09..0x0d)

    /** Returns whether a byte goes on with a character. */
    internal fun isContinuation(byte: Byte): Boolean = byte.toInt() and 0xc0 == 0x80
}
