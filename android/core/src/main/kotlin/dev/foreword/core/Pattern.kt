package dev.foreword.core

/**
 * A pattern of a tokenizer's rules, matched as Oniguruma does, which the tokenizers' own package
 * uses; what a device's patterns take for letters and white space depends on its age.
 *
 * Known are alternatives, groups, classes in classes, categories (`\p{L}`), `\s \d \w` and their
 * opposites, looking ahead, the places `\A \z ^ $`, and all quantifiers. Throws
 * [UnsupportedTokenizer] for anything else.
 */
internal class Pattern(source: String) {
    val first = PatternParser(source).parse()

    /**
     * Calls `found` with the beginning and end of every match in a stretch of text, in order.
     *
     * A match is not empty.
     */
    inline fun eachMatch(text: CharSequence, from: Int, to: Int, found: (Int, Int) -> Unit) {
        val region = Region(text, from, to)
        var at = from
        while (at < to) {
            val end = first.match(region, at)
            if (end > at) {
                found(at, end)
                at = end
            } else {
                at += if (Character.isHighSurrogate(text[at]) && at + 1 < to) 2 else 1
            }
        }
    }
}

/** The stretch of text that a pattern sees. */
internal class Region(private val text: CharSequence, val from: Int, val to: Int) {
    /** Returns the code point at a place before the end. */
    fun point(at: Int): Int {
        val high = text[at]
        if (Character.isHighSurrogate(high) && at + 1 < to) {
            val low = text[at + 1]
            if (Character.isLowSurrogate(low)) return Character.toCodePoint(high, low)
        }
        return high.code
    }
}

/** A step of a pattern; `next` is what follows it. */
internal abstract class Step {
    lateinit var next: Step

    /** Returns where the whole match ends if it goes on at a place, else -1. */
    abstract fun match(region: Region, at: Int): Int
}

/** The end of a pattern. */
internal class Accept : Step() {
    override fun match(region: Region, at: Int): Int = at
}

/** One code point of a set, again and again: as often as possible, if not `lazy`. */
internal class Repeated(
    private val set: CodeSet,
    private val least: Int,
    private val most: Int,
    private val lazy: Boolean,
    private val possessive: Boolean,
) : Step() {
    override fun match(region: Region, at: Int): Int {
        var end = at
        var count = 0
        val wanted = if (lazy) least else most
        while (count < wanted && end < region.to) {
            val point = region.point(end)
            if (!set.contains(point)) break
            end += Character.charCount(point)
            count++
        }
        if (count < least) return -1
        return when {
            possessive || (next is Accept && !lazy) -> next.match(region, end)
            lazy -> forward(region, end, count)
            else -> back(region, end, count)
        }
    }

    private fun back(region: Region, from: Int, taken: Int): Int {
        var end = from
        var count = taken
        while (true) {
            val found = next.match(region, end)
            if (found >= 0 || count == least) return found
            end--
            if (end > region.from && region.point(end - 1) >= Character.MIN_SUPPLEMENTARY_CODE_POINT) {
                end--
            }
            count--
        }
    }

    private fun forward(region: Region, from: Int, taken: Int): Int {
        var end = from
        var count = taken
        while (true) {
            val found = next.match(region, end)
            if (found >= 0 || count == most || end == region.to) return found
            val point = region.point(end)
            if (!set.contains(point)) return -1
            end += Character.charCount(point)
            count++
        }
    }
}

/** The first of several ways that leads to the end; each goes on with what follows all. */
internal class Choice(private val ways: Array<Step>) : Step() {
    override fun match(region: Region, at: Int): Int {
        for (way in ways) {
            val found = way.match(region, at)
            if (found >= 0) return found
        }
        return -1
    }
}

/** A group that may come again and again; one that was empty does not. */
internal class Again(private val lazy: Boolean) : Step() {
    lateinit var body: Step
    private var last = -1 // where it began last

    override fun match(region: Region, at: Int): Int {
        if (at == last) return -1
        if (lazy) {
            val found = next.match(region, at)
            if (found >= 0) return found
        }
        val before = last
        last = at
        val found = body.match(region, at)
        last = before
        return if (found >= 0 || lazy) found else next.match(region, at)
    }
}

/** Whether something follows, or does not, which is not taken. */
internal class Ahead(private val body: Step, private val wanted: Boolean) : Step() {
    override fun match(region: Region, at: Int): Int =
        if (body.match(region, at) >= 0 == wanted) next.match(region, at) else -1
}

/** What is matched once and not given back. */
internal class Atomic(private val body: Step) : Step() {
    override fun match(region: Region, at: Int): Int {
        val end = body.match(region, at)
        return if (end < 0) -1 else next.match(region, end)
    }
}

/** A place: the beginning or end of the text, or of a line. */
internal class Place(private val kind: Char) : Step() {
    override fun match(region: Region, at: Int): Int {
        val holds = when (kind) {
            'A' -> at == region.from
            'z' -> at == region.to
            '^' -> at == region.from || region.point(at - 1) == LINE_END
            else -> at == region.to || region.point(at) == LINE_END
        }
        return if (holds) next.match(region, at) else -1
    }

    private companion object {
        const val LINE_END = '\n'.code
    }
}
