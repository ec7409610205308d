package dev.foreword.core

/** Characters as a reader sees them: extended grapheme clusters (Unicode Standard Annex 29). */
internal object Graphemes {
    /** Code points that a character can reach across: flags and families of emoji are the longest. */
    private const val REACH = 32

    // Of Korean syllables with the same beginning, the first alone ends in its vowel.
    private const val FIRST_SYLLABLE = 0xac00
    private const val TRAILERS = 28

    // What of a picture is behind a place: nothing, it and what extends it, and a joiner after it.
    private const val NOTHING = 0
    private const val PICTURE = 1
    private const val JOINED = 2

    /** Returns where the character ends that begins at a place before the end of a text. */
    fun end(text: CharSequence, start: Int): Int {
        var point = Character.codePointAt(text, start)
        var at = start + Character.charCount(point)
        var kind = Unicode.breakKind(point)
        var left = behind(point, kind)
        var picture = picture(NOTHING, kind)
        var linked = kind == Break.LINKER
        var regionals = if (kind == Break.REGIONAL) 1 else 0
        while (at < text.length) {
            point = Character.codePointAt(text, at)
            kind = Unicode.breakKind(point)
            val joins = when (kind) {
                Break.PICTURE -> picture == JOINED
                Break.CONSONANT -> linked
                Break.REGIONAL -> regionals % 2 == 1
                else -> false
            }
            if (!joins && breaks(left, kind)) break
            picture = picture(picture, kind)
            // As Python's package has it, for which no consonant need be before the linker.
            linked = kind == Break.LINKER || (linked && linksOn(kind))
            regionals = if (kind == Break.REGIONAL) regionals + 1 else 0
            left = behind(point, kind)
            at += Character.charCount(point)
        }
        return at
    }

    /** Returns the characters of a text. */
    fun of(text: String): List<String> {
        val found = ArrayList<String>()
        var at = 0
        while (at < text.length) {
            val end = end(text, at)
            found.add(text.substring(at, end))
            at = end
        }
        return found
    }

    /** Returns the code points of a text, each as a text. */
    fun points(text: String): List<String> {
        val found = ArrayList<String>()
        var at = 0
        while (at < text.length) {
            val end = text.offsetByCodePoints(at, 1)
            found.add(text.substring(at, end))
            at = end
        }
        return found
    }

    /** Returns whether a character ends between two texts. */
    fun divides(before: String, after: String): Boolean {
        if (before.isEmpty() || after.isEmpty()) return true
        val near = before.substring(backFrom(before, REACH))
        val text = near + after.substring(0, forward(after, REACH))
        var at = 0
        while (at < near.length) at = end(text, at)
        return at == near.length
    }

    private fun backFrom(text: String, points: Int): Int {
        var at = text.length
        for (i in 0 until points) if (at > 0) at = text.offsetByCodePoints(at, -1)
        return at
    }

    private fun forward(text: String, points: Int): Int {
        var at = 0
        for (i in 0 until points) if (at < text.length) at = text.offsetByCodePoints(at, 1)
        return at
    }

    /** The rules GB3 to GB9b and GB999 of the annex. */
    private fun breaks(left: Int, right: Int): Boolean = when {
        left == Break.CR -> right != Break.LF
        isControl(left) || isControl(right) -> true
        left == Break.LEADING && isSyllable(right) && right != Break.TRAILING -> false
        left == Break.VOWEL && right == Break.VOWEL -> false
        right == Break.TRAILING && (left == Break.VOWEL || left == Break.TRAILING) -> false
        else -> !extends(right) && left != Break.PREPEND
    }

    /** A whole syllable is behind a place what its last letter is. */
    private fun behind(point: Int, kind: Int): Int = when {
        kind != Break.SYLLABLE -> kind
        (point - FIRST_SYLLABLE) % TRAILERS == 0 -> Break.VOWEL
        else -> Break.TRAILING
    }

    private fun picture(before: Int, kind: Int): Int = when (kind) {
        Break.PICTURE -> PICTURE
        Break.ZWJ -> if (before == PICTURE) JOINED else NOTHING
        Break.EXTEND, Break.UNLINKED, Break.LINKER -> if (before == PICTURE) PICTURE else NOTHING
        else -> NOTHING
    }

    private fun linksOn(kind: Int) = kind == Break.EXTEND || kind == Break.ZWJ

    private fun isControl(kind: Int) = kind in Break.CR..Break.CONTROL

    private fun isSyllable(kind: Int) = kind in Break.LEADING..Break.SYLLABLE

    private fun extends(kind: Int) = kind in Break.EXTEND..Break.ZWJ || kind == Break.SPACING
}
