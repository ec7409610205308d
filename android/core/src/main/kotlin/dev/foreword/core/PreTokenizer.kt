package dev.foreword.core

/**
 * A step that cuts a text into pieces, each of which the next step cuts further.
 *
 * A step sees nothing but its piece, which is what lies between two places of a text.
 */
internal abstract class Cut {
    lateinit var next: Cut

    /** Takes a piece of a text. */
    abstract fun take(text: String, from: Int, to: Int)

    protected fun pass(text: String, from: Int, to: Int) {
        if (to > from) next.take(text, from, to)
    }
}

/** Cuts by a pattern, and does with its matches what the behaviour says. */
internal class Split(
    private val pattern: Pattern,
    private val behavior: String,
    private val invert: Boolean,
) : Cut() {
    init {
        if (behavior !in BEHAVIORS) throw UnsupportedTokenizer("a split that is $behavior")
    }

    override fun take(text: String, from: Int, to: Int) {
        var start = from // of the piece that grows
        var done = from // behind the last match
        var inMatch = false // whether that piece is, or ends in, a match
        pattern.eachMatch(text, from, to) { first, end ->
            if (first > done) {
                start = stretch(text, start, done, invert, inMatch)
                inMatch = invert
            }
            start = stretch(text, start, first, !invert, inMatch)
            inMatch = !invert
            done = end
        }
        if (done < to) {
            start = stretch(text, start, done, invert, inMatch)
            inMatch = invert
        }
        if (!(inMatch && behavior == "Removed")) pass(text, start, to)
    }

    /** Adds a stretch to the piece that grows, or begins one with it; returns where that begins. */
    private fun stretch(
        text: String,
        start: Int,
        from: Int,
        isMatch: Boolean,
        before: Boolean,
    ): Int {
        val goesOn = when (behavior) {
            "Contiguous" -> isMatch == before
            "MergedWithPrevious" -> isMatch && !before
            "MergedWithNext" -> before && !isMatch
            else -> false
        }
        if (goesOn || from == start) return start
        if (!(before && behavior == "Removed")) pass(text, start, from)
        return from
    }

    private companion object {
        val BEHAVIORS =
            setOf("Removed", "Isolated", "Contiguous", "MergedWithPrevious", "MergedWithNext")
    }
}

/** Writes bytes as the characters of the byte-level alphabet; the pieces stay. */
internal class ByteLevel : Cut() {
    override fun take(text: String, from: Int, to: Int) {
        val mapped = StringBuilder(to - from)
        val bytes = ByteArray(4)
        val region = Region(text, from, to)
        var at = from
        while (at < to) {
            val point = region.point(at)
            val size = Utf8.put(point, bytes, 0)
            for (i in 0 until size) mapped.append(ByteAlphabet.LETTERS[bytes[i].toInt() and 0xff])
            at += Character.charCount(point)
        }
        pass(mapped.toString(), 0, mapped.length)
    }
}

/** Begins every piece with a space, unless one is there. */
internal class SpaceBefore : Cut() {
    override fun take(text: String, from: Int, to: Int) {
        if (text[from] == ' ') return pass(text, from, to)
        pass(" " + text.substring(from, to), 0, to - from + 1)
    }
}

/** Writes spaces as another mark, and begins a text, or its first piece, with one. */
internal class Metaspace(private val mark: String, private val scheme: String) : Cut() {
    /** Whether the next piece at place 0 is the first of all the text. */
    var isFirst = true

    init {
        if (scheme !in setOf("always", "first", "never")) throw UnsupportedTokenizer(scheme)
    }

    override fun take(text: String, from: Int, to: Int) {
        val marked = text.substring(from, to).replace(" ", mark)
        val begins = scheme == "always" || (scheme == "first" && from == 0 && isFirst)
        val whole = if (begins && !marked.startsWith(mark)) mark + marked else marked
        pass(whole, 0, whole.length)
    }
}

/** The bytes and the characters that stand for them in a byte-level vocabulary (GPT-2, 2019). */
internal object ByteAlphabet {
    val LETTERS = CharArray(256)
    private val bytes = IntArray(512) { -1 }

    init {
        var hidden = 256
        for (byte in 0 until 256) {
            val shown = byte in 0x21..0x7e || (byte in 0xa1..0xff && byte != 0xad)
            val letter = if (shown) byte else hidden++
            LETTERS[byte] = letter.toChar()
            bytes[letter] = byte
        }
    }

    /** Returns the bytes of a token, null where it has a letter that stands for none. */
    fun bytesOf(token: String): ByteArray? {
        val found = ByteArray(token.length)
        for (i in token.indices) {
            val byte = if (token[i].code < bytes.size) bytes[token[i].code] else -1
            if (byte < 0) return null
            found[i] = byte.toByte()
        }
        return found
    }
}
