package dev.foreword.core

/** A word of a text, or a run of marks: up to `end`, with the spaces before it. */
data class Part(val end: Int, val isWord: Boolean)

/**
 * Words as a reader counts them, in any script.
 *
 * A word is a run of letters and digits, with the marks within it ("don't", "3.14"); in scripts
 * that do not put spaces between words (Han, kana, Thai, Lao, Khmer, Burmese …) every character
 * is one. A run of other marks stands by itself, and is no word. Positions count UTF-16 code units,
 * as strings do.
 */
object Words {
    /** Code units after the cursor that a suggestion is compared with, at most. */
    private const val COMPARED = 4096
    private const val JOINERS = "'’._-"

    /** Returns the words and runs of marks of a text, in order. */
    fun partsOf(text: String): List<Part> {
        val parts = ArrayList<Part>()
        var start = whiteEnd(text, 0)
        while (start < text.length) {
            val end = partEnd(text, start)
            parts.add(Part(end, hasAlphanumeric(text, start, end)))
            start = whiteEnd(text, end)
        }
        return parts
    }

    /** Returns the parts of a text that are the same whatever is written behind it. */
    fun settledParts(text: String): List<Part> {
        val parts = partsOf(text)
        if (parts.isEmpty() || parts.last().end != text.length) return parts
        val settled = parts.subList(0, parts.size - 1)
        val last = settled.lastOrNull() ?: return settled
        // "don" and its mark may become "don't".
        val joins = last.isWord && text.substring(last.end) in JOINERS
        return if (joins) settled.subList(0, settled.size - 1) else settled
    }

    /**
     * Returns where a text begins to say what follows it, its length where it does not.
     *
     * Compared are whole words and marks, up to the end of the shorter; what follows is the rest
     * of a line. White space counts only at the cut: there is to be some before what follows.
     */
    fun repeatsFrom(text: String, following: String): Int {
        val line = following.take(COMPARED).substringBefore('\n')
        val next = cut(line).map(::trim)
        if (next.isEmpty()) return text.length
        val said = cut(text)
        var start = 0
        for (i in said.indices) {
            val count = minOf(said.size - i, next.size)
            if ((0 until count).all { trim(said[i + it]) == next[it] }) {
                return start + if (beginsWithSpace(line)) 0 else spaceEnd(said[i], 0)
            }
            start += said[i].length
        }
        return text.length
    }

    /** Returns the end of a text with its last `count` words, without the space before them. */
    fun lastWords(text: String, count: Int): String {
        val starts = ArrayList<Int>()
        var start = 0
        for (part in partsOf(text)) {
            if (part.isWord) starts.add(start)
            start = part.end
        }
        if (starts.size <= count) return text
        return text.substring(spaceEnd(text, starts[starts.size - count]))
    }

    /** Returns the first word of a text, with what is before it and the marks right behind it. */
    fun firstWord(text: String): String {
        val parts = partsOf(text)
        val found = parts.indexOfFirst { it.isWord }
        val count = if (found < 0) parts.size else found + 1
        var end = if (count > 0) parts[count - 1].end else 0
        if (count < parts.size && !parts[count].isWord && !beginsWithSpace(text, end)) {
            end = parts[count].end
        }
        return text.substring(0, end)
    }

    /**
     * Returns where the first sentence of a text ends, -1 where it does not in this text.
     *
     * A mark such as a full stop ends one only when white space follows.
     */
    fun sentenceEnd(text: String): Int {
        for (start in text.indices) {
            if (text[start] in ".!?…") {
                val end = run(text, run(text, start, ".!?…"), "\"'”’»)]")
                if (end < text.length && Unicode.isWhite(text[end].code)) return end
            } else if (text[start] in "。！？｡") {
                return run(text, run(text, start, "。！？｡"), "」』”’）")
            }
        }
        return -1
    }

    /** Returns whether there is white space at a place of a text. */
    fun beginsWithSpace(text: String, at: Int = 0): Boolean =
        at < text.length && Unicode.isSpace(text[at].code)

    /** Returns whether a text is nothing but white space. */
    fun isBlank(text: String): Boolean = spaceEnd(text, 0) == text.length

    private fun spaceEnd(text: String, start: Int): Int {
        var at = start
        while (beginsWithSpace(text, at)) at++
        return at
    }

    private fun trim(text: String): String = text.trim { Unicode.isSpace(it.code) }

    /** The words and runs of marks of a text, with the spaces before them. */
    private fun cut(text: String): List<String> {
        var start = 0
        return partsOf(text).map { part -> text.substring(start, part.end).also { start = part.end } }
    }

    private fun run(text: String, start: Int, of: String): Int {
        var at = start
        while (at < text.length && text[at] in of) at++
        return at
    }

    private fun whiteEnd(text: String, start: Int): Int {
        var at = start
        while (at < text.length && Unicode.isWhite(text[at].code)) at++
        return at
    }

    /** Where the part ends that begins at a place, which is no white space. */
    private fun partEnd(text: String, start: Int): Int {
        if (Unicode.isUnspaced(text.codePointAt(start))) return Graphemes.end(text, start)
        if (isLetter(text, start)) return wordEnd(text, start)
        var at = start
        while (isMark(text, at)) at = Graphemes.end(text, at)
        return at
    }

    private fun wordEnd(text: String, start: Int): Int {
        var at = start
        while (isLetter(text, at)) {
            do at = Graphemes.end(text, at) while (isLetter(text, at))
            if (at < text.length && text[at] in JOINERS && isLetter(text, at + 1)) at++
        }
        return at
    }

    private fun isLetter(text: String, at: Int): Boolean {
        if (at >= text.length) return false
        val point = text.codePointAt(at)
        return Unicode.isAlphanumeric(point) && !Unicode.isUnspaced(point)
    }

    private fun isMark(text: String, at: Int): Boolean {
        if (at >= text.length) return false
        val point = text.codePointAt(at)
        return !Unicode.isWhite(point) && !Unicode.isAlphanumeric(point)
    }

    private fun hasAlphanumeric(text: String, start: Int, end: Int): Boolean {
        var at = start
        while (at < end) {
            val point = text.codePointAt(at)
            if (Unicode.isAlphanumeric(point)) return true
            at += Character.charCount(point)
        }
        return false
    }
}
