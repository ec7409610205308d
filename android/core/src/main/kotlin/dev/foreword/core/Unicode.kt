package dev.foreword.core

/**
 * What is asked of a code point, from the core's own table: a device's data depend on its age.
 *
 * Sets of general categories are bits of an Int, as [LETTER].
 */
internal object Unicode {
    private val NAMES = (
        "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cs Cn"
    ).split(" ")
    private const val BASIC = 0x10000

    val LETTER = categories("L")
    val NUMBER = categories("N")
    val MARK = categories("M")
    val PUNCTUATION = categories("P")
    val SYMBOL = categories("S")

    private val kindOf = ByteArray(BASIC) // of the code points below
    private val starts: IntArray // of the runs above, ascending
    private val kinds: ByteArray // of these runs
    private val categoryOf: IntArray
    private val breakOf: ByteArray
    private val unspacedOf: BooleanArray

    init {
        val packed = UnicodeTable.KINDS
        categoryOf = IntArray(packed.length / 3) { 1 shl digit(packed[3 * it]) }
        breakOf = ByteArray(packed.length / 3) { digit(packed[3 * it + 1]).toByte() }
        unspacedOf = BooleanArray(packed.length / 3) { digit(packed[3 * it + 2]) != 0 }
        val runs = UnicodeTable.RUNS
        val highStarts = ArrayList<Int>()
        val highKinds = ArrayList<Byte>()
        var point = 0
        var at = 0
        while (at < runs.length) {
            val kind = (digit(runs[at]) * 64 + digit(runs[at + 1])).toByte()
            at += 2
            var length = 0
            var shift = 0
            while (true) {
                val digit = digit(runs[at++])
                length = length or ((digit and 31) shl shift)
                shift += 5
                if (digit < 32) break
            }
            if (point < BASIC) kindOf.fill(kind, point, minOf(point + length, BASIC))
            if (point + length > BASIC) {
                highStarts.add(maxOf(point, BASIC))
                highKinds.add(kind)
            }
            point += length
        }
        starts = highStarts.toIntArray()
        kinds = highKinds.toByteArray()
    }

    /** Returns the general category of a code point, as the one bit of a set. */
    fun category(point: Int): Int = categoryOf[kind(point)]

    /** Returns whether a code point is of one of the categories of a set. */
    fun isOf(point: Int, categories: Int): Boolean = category(point) and categories != 0

    /** Returns the kind of grapheme break of a code point, one of [Break] or 0. */
    fun breakKind(point: Int): Int = breakOf[kind(point)].toInt()

    /** Returns whether a code point's script puts no spaces between words. */
    fun isUnspaced(point: Int): Boolean = unspacedOf[kind(point)]

    /** Returns whether a code point is a letter or a number. */
    fun isAlphanumeric(point: Int): Boolean = isOf(point, LETTER or NUMBER)

    /** Returns whether a code point is white space (the property White_Space). */
    fun isWhite(point: Int): Boolean = when {
        point < 0x80 -> point == 0x20 || point in 0x09..0x0d
        point < 0x1680 -> point == 0x85 || point == 0xa0
        else -> point == 0x1680 || point in 0x2000..0x200a || point == 0x2028 || point == 0x2029 ||
            point == 0x202f || point == 0x205f || point == 0x3000
    }

    /** Returns whether a code point is what Python's `str.isspace` takes for space. */
    fun isSpace(point: Int): Boolean = isWhite(point) || point in 0x1c..0x1f

    /** Returns the set of all categories whose name begins so: "L", "Lu"; 0 for none. */
    fun categories(name: String): Int {
        var found = 0
        for (i in NAMES.indices) if (NAMES[i].startsWith(name)) found = found or (1 shl i)
        return found
    }

    private fun kind(point: Int): Int {
        if (point < BASIC) return kindOf[point].toInt()
        var low = 0
        var high = starts.size - 1
        while (low < high) {
            val middle = (low + high + 1) ushr 1
            if (starts[middle] <= point) low = middle else high = middle - 1
        }
        return kinds[low].toInt()
    }

    private fun digit(character: Char): Int = when (character) {
        in 'A'..'Z' -> character - 'A'
        in 'a'..'z' -> character - 'a' + 26
        in '0'..'9' -> character - '0' + 52
        '-' -> 62
        else -> 63
    }
}
