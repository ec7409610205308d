package dev.foreword.core

/**
 * Reads a pattern into steps. An item is a chain of steps that waits for what follows: a function
 * from the next step to the first.
 */
internal class PatternParser(private val source: String) {
    private var at = 0
    private var anyCase = false

    fun parse(): Step {
        val whole = choice()
        if (at < source.length) refuse()
        return whole(Accept())
    }

    private fun choice(): (Step) -> Step {
        val ways = arrayListOf(sequence())
        while (takes("|")) ways.add(sequence())
        if (ways.size == 1) return ways[0]
        return { next -> Choice(Array(ways.size) { ways[it](next) }) }
    }

    private fun sequence(): (Step) -> Step {
        val items = ArrayList<(Step) -> Step>()
        while (at < source.length && source[at] != '|' && source[at] != ')') items.add(item())
        return { next -> items.foldRight(next) { item, after -> item(after) } }
    }

    private fun item(): (Step) -> Step {
        when {
            takes("(?!") -> return looking(false)
            takes("(?=") -> return looking(true)
            takes("(?i:") -> return quantified(group(true))
            takes("(?:") -> return quantified(group(anyCase))
            takes("(?") -> refuse()
            takes("(") -> return quantified(group(anyCase))
            takes("^") -> return placed('^')
            takes("$") -> return placed('$')
            takes("\\A") -> return placed('A')
            takes("\\z") -> return placed('z')
        }
        val set = if (takes("[")) members() else single()
        val (least, most) = count() ?: (1 to 1)
        val lazy = takes("?")
        val possessive = !lazy && takes("+")
        return { next -> Repeated(set, least, most, lazy, possessive).also { it.next = next } }
    }

    private fun placed(kind: Char): (Step) -> Step = { next -> Place(kind).also { it.next = next } }

    private fun looking(wanted: Boolean): (Step) -> Step {
        val body = group(anyCase)
        return { next -> Ahead(body(Accept()), wanted).also { it.next = next } }
    }

    private fun group(inAnyCase: Boolean): (Step) -> Step {
        val outside = anyCase
        anyCase = inAnyCase
        val body = choice()
        anyCase = outside
        if (!takes(")")) refuse()
        return body
    }

    private fun quantified(body: (Step) -> Step): (Step) -> Step {
        val (least, most) = count() ?: return body
        val lazy = takes("?")
        if (!lazy && takes("+")) {
            val inner = repeated(body, least, most, false)
            return { next -> Atomic(inner(Accept())).also { it.next = next } }
        }
        return repeated(body, least, most, lazy)
    }

    private fun repeated(body: (Step) -> Step, least: Int, most: Int, lazy: Boolean):
        (Step) -> Step {
        if (maxOf(least, if (most == ENDLESS) 0 else most) > MOST_COPIES) refuse()
        return { next ->
            var after = next
            if (most == ENDLESS) {
                val again = Again(lazy).also { it.next = next }
                again.body = body(again)
                after = again
            } else {
                for (i in least until most) {
                    val taken = body(after)
                    after = Choice(if (lazy) arrayOf(next, taken) else arrayOf(taken, next))
                }
            }
            for (i in 0 until least) after = body(after)
            after
        }
    }

    /** Least and most times that the item before may come, null where nothing is said. */
    private fun count(): Pair<Int, Int>? = when {
        takes("?") -> 0 to 1
        takes("*") -> 0 to ENDLESS
        takes("+") -> 1 to ENDLESS
        takes("{") -> braces()
        else -> null
    }

    private fun braces(): Pair<Int, Int> {
        val least = if (source.startsWith(",", at)) 0 else number()
        val most = if (!takes(",")) least else if (source.startsWith("}", at)) ENDLESS else number()
        if (!takes("}") || most < least) refuse()
        return least to most
    }

    private fun number(): Int {
        val start = at
        while (at < source.length && source[at] in '0'..'9') at++
        return source.substring(start, at).toIntOrNull()?.takeIf { it <= 1000 } ?: refuse()
    }

    private fun single(): CodeSet = when {
        takes("\\") -> escape()
        takes(".") -> CodeSet(intArrayOf('\n'.code, '\n'.code), negated = true)
        source[at] in "*+?{" -> refuse()
        else -> CodeSet.of(point(), anyCase)
    }

    /** What stands in a class, behind its bracket. */
    private fun members(): CodeSet {
        val negated = takes("^")
        val ranges = ArrayList<Int>()
        val sets = ArrayList<CodeSet>()
        do {
            when {
                takes("[:") || takes("&&") -> refuse()
                takes("[") -> sets.add(members())
                isSetEscape(at + 1) && takes("\\") -> sets.add(escape())
                else -> range(ranges)
            }
            if (at >= source.length) refuse()
        } while (!takes("]"))
        return CodeSet(ranges.toIntArray(), sets = sets, negated = negated, anyCase = anyCase)
    }

    private fun range(ranges: MutableList<Int>) {
        val low = member()
        val isRange = source.startsWith("-", at) && !source.startsWith("-]", at)
        val high = if (isRange) {
            at++
            if (source.startsWith("[", at)) refuse()
            member()
        } else {
            low
        }
        if (high < low) refuse()
        ranges.add(low)
        ranges.add(high)
    }

    private fun member(): Int = if (takes("\\")) escapedPoint() else point()

    private fun isSetEscape(place: Int) =
        place in 1 until source.length && source[place - 1] == '\\' && source[place] in "sSdDwWpP"

    private fun escape(): CodeSet {
        if (!isSetEscape(at)) return CodeSet.of(escapedPoint(), anyCase)
        return when (val letter = source[at++]) {
            's', 'S' -> CodeSet(white = true, negated = letter == 'S')
            'd', 'D' -> CodeSet(categories = Unicode.categories("Nd"), negated = letter == 'D')
            'w', 'W' -> CodeSet(categories = WORD, negated = letter == 'W')
            else -> property(letter == 'P')
        }
    }

    private fun property(opposite: Boolean): CodeSet {
        val end = source.indexOf('}', at)
        if (!takes("{") || end < 0) refuse()
        val negated = takes("^") != opposite
        val categories = Unicode.categories(source.substring(at, end))
        if (categories == 0 || at == end) refuse()
        at = end + 1
        return CodeSet(categories = categories, negated = negated)
    }

    private fun escapedPoint(): Int {
        if (at >= source.length) refuse()
        val letter = source[at++]
        return when (letter) {
            'r' -> '\r'.code
            'n' -> '\n'.code
            't' -> '\t'.code
            'f' -> 0x0c
            'v' -> 0x0b
            'u' -> {
                if (at + 4 > source.length) refuse()
                at += 4
                source.substring(at - 4, at).toIntOrNull(16) ?: refuse()
            }
            else -> if (letter.isLetterOrDigit()) refuse() else letter.code
        }
    }

    private fun point(): Int {
        val point = source.codePointAt(at)
        at += Character.charCount(point)
        return point
    }

    private fun takes(text: String): Boolean {
        if (!source.startsWith(text, at)) return false
        at += text.length
        return true
    }

    private fun refuse(): Nothing = throw UnsupportedTokenizer(
        "its pattern ${source.take(SHOWN).filter { it >= ' ' }} at character $at",
    )

    private companion object {
        const val ENDLESS = Int.MAX_VALUE
        const val MOST_COPIES = 16
        const val SHOWN = 40
        val WORD = Unicode.LETTER or Unicode.MARK or Unicode.NUMBER or Unicode.categories("Pc")
    }
}
