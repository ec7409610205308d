package dev.foreword.core

import java.text.Normalizer

/** What may stand between letters. */
internal object Gap {
    const val NONE = 0 // a letter
    const val TIGHT = 1
    const val LOOSE = 2
    const val END = 3 // neither: of a line
}

/** One letter of a text after folding, with all that the filter asks of it. */
internal class Cell(
    val letter: Int,
    val script: Int, // 0: in no word; two letters of different scripts have a boundary between them
    val isMark: Boolean, // joined to the letter before
    val gap: Int,
    val readings: IntArray, // letters to read it as
    val lettered: BooleanArray, // which of them count as letters, and are no digits
    val repeats: IntArray, // those of the readings that may be repeated
    val isPunctuation: Boolean,
    val isWildcard: Boolean,
    val isDecoration: Boolean,
) {
    val isJoined get() = isMark || isDecoration

    /** Returns whether the cell can be read as itself. */
    fun isOwn(): Boolean = letter in readings
}

/**
 * How characters are read: the tables of `lexicon.json` except its words.
 *
 * A letter (Unicode category L, N or M) has the script of its range, else 1; it can be read as
 * itself. All else is of script 0 and a gap, but a symbol (category S) that is in neither `signs`
 * nor `tight`, as an emoji, can be read as itself, too. `look_alikes` and `signs` add readings.
 * Read as itself, a digit does not count as a letter; nor does what is read by `signs`.
 */
internal class Tables(document: LexiconFile) {
    private val folds = document.texts("folds")
    private val lookAlikes = document.texts("look_alikes")
    private val signs = document.texts("signs")
    private val wildcards = document.text("wildcards")
    private val tight = document.text("tight")
    private val scripts = document.ranges("scripts", 3)
    private val decorations = document.ranges("decorations", 2)
    private val repeatable = document.ranges("repeatable", 2)
    private val plain = arrayOfNulls<Array<Cell>>(0x80)
    private val others = HashMap<Int, Array<Cell>>()

    /** Returns the cells of one code point: NFKD, then lower case, then `folds`. */
    @Synchronized
    fun cells(point: Int): Array<Cell> {
        val known = if (point < plain.size) plain[point] else others[point]
        if (known != null) return known
        val found = pointsOf(fold(point)).map(::cell).toTypedArray()
        if (point < plain.size) {
            plain[point] = found
        } else {
            if (others.size > MOST_KEPT) others.clear()
            others[point] = found
        }
        return found
    }

    /** Folds a word as it goes into a trie: gaps become one space each. */
    fun letters(text: String): String {
        val written = StringBuilder()
        for (point in pointsOf(text)) {
            for (cell in cells(point)) {
                val isGap = cell.gap != Gap.NONE && !cell.isOwn()
                written.appendCodePoint(if (isGap) SPACE else cell.letter)
            }
        }
        return written.split(' ').filter { it.isNotEmpty() }.joinToString(" ")
    }

    /** Returns whether a folded word is of a script that parts no words, Korean left out. */
    fun isUnspaced(letters: String): Boolean = pointsOf(letters).all { cell(it).script > 2 }

    private fun fold(point: Int): String {
        if (point in 0xd800..0xdfff) return String(Character.toChars(point))
        val whole = Normalizer.normalize(String(Character.toChars(point)), Normalizer.Form.NFKD)
        val lowered = whole.lowercase()
        return Graphemes.points(lowered).joinToString("") { folds[it] ?: it }
    }

    private fun cell(letter: Int): Cell {
        val text = String(Character.toChars(letter))
        val isLetter = Unicode.isOf(letter, Unicode.LETTER or Unicode.NUMBER or Unicode.MARK)
        val script = if (isLetter) rangeOf(scripts, 3, letter)?.let { scripts[it + 2] } ?: 1 else 0
        val gap = when {
            script != 0 -> Gap.NONE
            letter in LINE_ENDS -> Gap.END
            text in tight -> Gap.TIGHT
            else -> Gap.LOOSE
        }
        val readings = ArrayList<Int>()
        val lettered = ArrayList<Boolean>()
        fun add(points: Iterable<Int>, counts: Boolean) = points.forEach {
            readings.add(it)
            lettered.add(counts)
        }
        val isSymbol = Unicode.isOf(letter, Unicode.SYMBOL)
        if (script != 0 || (gap == Gap.LOOSE && isSymbol && text !in signs)) {
            add(listOf(letter), !Unicode.isOf(letter, Unicode.NUMBER))
        }
        add(pointsOf(lookAlikes[text].orEmpty()), true)
        add(pointsOf(signs[text].orEmpty()), false)
        return Cell(
            letter,
            script,
            Unicode.isOf(letter, Unicode.MARK),
            gap,
            readings.toIntArray(),
            lettered.toBooleanArray(),
            readings.filter { rangeOf(repeatable, 2, it) != null }.toIntArray(),
            Unicode.isOf(letter, Unicode.PUNCTUATION),
            text in wildcards,
            rangeOf(decorations, 2, letter) != null,
        )
    }

    /** The place of the range that holds a code point. */
    private fun rangeOf(ranges: IntArray, width: Int, point: Int): Int? {
        for (i in ranges.indices step width) if (point in ranges[i]..ranges[i + 1]) return i
        return null
    }

    private companion object {
        const val MOST_KEPT = 10_000
        const val SPACE = ' '.code
        val LINE_ENDS = setOf(0x0a, 0x0d, 0x2028, 0x2029)
    }
}

/** Returns the code points of a text. */
internal fun pointsOf(text: String): List<Int> {
    val points = ArrayList<Int>(text.length)
    var at = 0
    while (at < text.length) {
        val point = text.codePointAt(at)
        points.add(point)
        at += Character.charCount(point)
    }
    return points
}
