package dev.foreword.core

/** The tokens a model is given, and the bytes that what follows must begin with. */
class Healed(val tokenIds: IntArray, val typed: ByteArray)

/**
 * Token healing: the letters typed last constrain the first tokens, however these cut them.
 *
 * A tokenizer cuts "I'm enjoying a del" after "del", and a model seldom goes on from there with
 * "icious": it has learnt "delicious" as one token. So the last word is taken back, and what is
 * generated must begin with its bytes. (Lundberg 2023, "The art of prompt design: prompt boundaries
 * and token healing".)
 */
object Healing {
    /** Tokens taken back at most: of text without spaces the last few say enough. */
    private const val MOST_TOKENS = 4
    private const val SPACE = ' '.code
    private const val REPLACEMENT = 0xfffd

    /**
     * Takes back the tokens of the word a prompt ends in, or of the space it ends with.
     *
     * A line's end is not taken back, nor is the first token: something must be left to go on
     * from. `start` is a leading token that is no text.
     */
    fun heal(ids: IntArray, tokenizer: Tokenizer, start: Int? = null): Healed {
        val least = if (start != null && ids.isNotEmpty() && ids[0] == start) 2 else 1
        val last = ids.size - MOST_TOKENS
        var cut = ids.size
        while (cut > maxOf(least, last)) {
            val piece = tokenizer.tokenBytes(ids[cut - 1])
            if (piece.isEmpty() || isLineEnd(piece.last())) break
            cut--
            if (Windows.beginsWithSpace(piece)) break
            if (!isWithinWord(tokenizer.tokenBytes(ids[cut - 1]), piece)) break
        }
        // Half a character is no place to begin.
        while (cut < ids.size && beginsWithin(tokenizer, ids, cut)) cut++
        val typed = (cut until ids.size).map { tokenizer.tokenBytes(ids[it]) }
        return Healed(ids.copyOf(cut), joined(typed))
    }

    private fun isLineEnd(byte: Byte) = byte.toInt() == '\r'.code || byte.toInt() == '\n'.code

    private fun beginsWithin(tokenizer: Tokenizer, ids: IntArray, cut: Int): Boolean {
        val first = (cut until ids.size).map { tokenizer.tokenBytes(ids[it]) }
            .firstOrNull { it.isNotEmpty() }
        return first != null && Windows.isContinuation(first[0])
    }

    /** Returns whether a token goes on with a word, or a space, of the one before it. */
    private fun isWithinWord(left: ByteArray, right: ByteArray): Boolean {
        val before = Utf8.text(left).let { if (it.isEmpty()) SPACE else it.codePointBefore(it.length) }
        val after = Utf8.text(right).let { if (it.isEmpty()) SPACE else it.codePointAt(0) }
        return before == SPACE || (isOfWord(before) && isOfWord(after))
    }

    private fun isOfWord(point: Int) = point == REPLACEMENT || Unicode.isAlphanumeric(point)
}

/** The bytes of every token, and the tokens by their bytes; control tokens have none. */
class Pieces(private val tokenizer: Tokenizer) {
    private val ids: IntArray
    private val pieces: Array<ByteArray> // of these tokens, ascending
    private val kept = HashMap<String, IntArray>()

    init {
        val tokens = (0 until tokenizer.vocabularySize).filter { of(it).isNotEmpty() }
        ids = tokens.sortedWith { a, b -> compare(of(a), of(b)).let { if (it != 0) it else a - b } }
            .toIntArray()
        pieces = Array(ids.size) { of(ids[it]) }
    }

    /** Returns the bytes of a token. */
    fun of(id: Int): ByteArray = tokenizer.tokenBytes(id)

    /** Returns the tokens that begin with `typed`, or with which `typed` begins; not empty. */
    fun fitting(typed: ByteArray): IntArray {
        val key = String(typed, Charsets.ISO_8859_1)
        return kept[key] ?: found(typed).also {
            if (kept.size > MOST_KEPT) kept.clear()
            kept[key] = it
        }
    }

    private fun found(typed: ByteArray): IntArray {
        var found = IntArray(0)
        for (size in 1 until typed.size) {
            val shorter = typed.copyOf(size)
            found += ids.copyOfRange(first(shorter), first(shorter.copyOf(size + 1)))
        }
        val after = after(typed)
        return found + ids.copyOfRange(first(typed), if (after == null) ids.size else first(after))
    }

    /** The place of the first piece that is not below some bytes. */
    private fun first(wanted: ByteArray): Int {
        var low = 0
        var high = pieces.size
        while (low < high) {
            val middle = (low + high) ushr 1
            if (compare(pieces[middle], wanted) < 0) low = middle + 1 else high = middle
        }
        return low
    }

    /** The smallest bytes above all that begin with `typed`, null where there are none. */
    private fun after(typed: ByteArray): ByteArray? {
        val last = typed.indexOfLast { it != HIGHEST }
        return if (last < 0) null else typed.copyOf(last + 1).also { it[last]++ }
    }

    private fun compare(a: ByteArray, b: ByteArray): Int {
        for (i in 0 until minOf(a.size, b.size)) {
            if (a[i] != b[i]) return (a[i].toInt() and 0xff) - (b[i].toInt() and 0xff)
        }
        return a.size - b.size
    }

    private companion object {
        const val MOST_KEPT = 1 shl 10
        const val HIGHEST: Byte = -1
    }
}
