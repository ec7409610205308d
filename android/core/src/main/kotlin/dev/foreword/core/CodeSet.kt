package dev.foreword.core

/** A set of code points, as a class in a pattern names it; for ASCII it is a table. */
internal class CodeSet(
    private val ranges: IntArray = IntArray(0), // first and last of each
    private val categories: Int = 0,
    private val white: Boolean = false,
    private val sets: List<CodeSet> = emptyList(),
    private val negated: Boolean = false,
    private val anyCase: Boolean = false,
) {
    private val ascii = BooleanArray(0x80) { decide(it) }

    /** Returns whether a code point is in the set. */
    fun contains(point: Int): Boolean = if (point < 0x80) ascii[point] else decide(point)

    private fun decide(point: Int): Boolean = negated != (
        holds(point) || (anyCase && (holds(folded(point)) ||
            holds(Character.toUpperCase(folded(point)))))
        )

    private fun holds(point: Int): Boolean {
        for (i in ranges.indices step 2) if (point >= ranges[i] && point <= ranges[i + 1]) return true
        if (categories != 0 && Unicode.isOf(point, categories)) return true
        if (white && Unicode.isWhite(point)) return true
        for (set in sets) if (set.contains(point)) return true
        return false
    }

    // "ſ" is an "s" in another case, too.
    private fun folded(point: Int) = Character.toLowerCase(Character.toUpperCase(point))

    companion object {
        fun of(point: Int, anyCase: Boolean = false) =
            CodeSet(intArrayOf(point, point), anyCase = anyCase)
    }
}
