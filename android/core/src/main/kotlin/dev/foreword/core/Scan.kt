package dev.foreword.core

/**
 * One text in which bad words are found, read piece by piece; completion/scan.py has the rules.
 *
 * Not for several threads at once.
 */
class Scan internal constructor(private val lexicon: Lexicon) {
    private var length = 0
    private var script = 0
    private var found: Match? = null

    // Lists are replaced, never changed: copies share them.
    private var threads = emptyList<Thread>()
    private var spelt = emptyList<Spelt>()
    private var allowing = emptyList<Allowed>()
    private var allowed = emptyList<Span>()
    private var pending = emptyList<Match>() // bad, unless an allowed text turns out to be around

    // First and last place to cut the text at which leave a bad word, and its start: text shown up
    // to there would be bad, although the whole text is not.
    private var badCuts = emptyList<BadCut>()

    /** How many code points of the text no bad word found later can take back. */
    val safe: Int
        get() {
            var safe = length
            for (thread in threads) safe = minOf(safe, thread.start)
            for (word in spelt) safe = minOf(safe, word.match.start)
            for (match in pending) safe = minOf(safe, match.start)
            found?.let { safe = minOf(safe, it.start) }
            for (i in badCuts.indices.reversed()) {
                val cut = badCuts[i]
                if (safe in cut.first..cut.last) safe = cut.start
            }
            return safe
        }

    /** Returns a scan that goes on from here by itself. */
    fun copy(): Scan {
        val other = Scan(lexicon)
        other.length = length
        other.script = script
        other.found = found
        other.threads = threads
        other.spelt = spelt
        other.allowing = allowing
        other.allowed = allowed
        other.pending = pending
        other.badCuts = badCuts
        return other
    }

    /** Reads on; returns the first bad word that is certain, from then on always the same. */
    fun feed(piece: String): Match? {
        var at = 0
        while (at < piece.length && found == null) {
            val point = piece.codePointAt(at)
            at += Character.charCount(point)
            for (cell in lexicon.tables.cells(point)) step(cell)
            length++
            settle()
        }
        return found
    }

    /** Says that the text is over, which ends its last word. */
    fun end(): Match? {
        if (found == null) {
            endWords()
            pending = pending + spelt.filter { it.follower < 0 }.map { it.match }
            threads = emptyList()
            spelt = emptyList()
            allowing = emptyList()
            settle()
        }
        return found
    }

    private fun step(cell: Cell) {
        val before = script
        val boundary = !cell.isJoined && (cell.script == 0 || cell.script != before)
        if (boundary) {
            endWords()
        } else if (!cell.isJoined) {
            for (thread in threads) {
                if (thread.endsWord()) cutBadly(thread.end, length, thread.start)
            }
        }
        if (!cell.isJoined) {
            script = cell.script
            if (spelt.isNotEmpty()) follow(cell, boundary)
        }
        allow(cell, boundary)
        val begins = before == 0 || (cell.script > 0 && cell.script != before)
        threads = Growth(cell, length).grow(threads, if (begins) lexicon.begin else lexicon.inside,
            if (begins) SINGLE else LONG)
        for (thread in threads) {
            val entry = thread.node.inner ?: continue
            val isLong = thread.pieces != SPACED || thread.end - thread.start >= MIN_SPACED
            if (thread.spellsWord() && isLong) pending = pending + thread.matchOf(entry)
        }
    }

    /** Bad and allowed words that end before the current cell. */
    private fun endWords() {
        for (thread in threads) {
            val entry = thread.node.whole
            if (entry == null || !thread.spellsWord()) continue
            val match = thread.matchOf(entry)
            if (thread.pieces == LONG || match.end - match.start == 1) {
                pending = pending + match
            } else {
                spelt = spelt + Spelt(match, 0, -1)
            }
        }
        for (text in allowing) {
            if (text.node.whole != null) allowed = allowed + Span(text.start, text.end)
        }
    }

    /** Words in single letters: bad if no other single letter follows. */
    private fun follow(cell: Cell, boundary: Boolean) {
        val waiting = ArrayList<Spelt>()
        for (word in spelt) {
            val (match, gap, follower) = word
            when {
                follower < 0 && cell.script != 0 -> waiting.add(Spelt(match, gap, length))
                follower < 0 && cell.gap != Gap.END && gap < MAX_GAP ->
                    waiting.add(Spelt(match, gap + 1, -1))
                follower == length -> waiting.add(word)
                follower < 0 || !boundary -> pending = pending + match
                else -> cutBadly(match.end, follower, match.start)
            }
        }
        spelt = waiting
    }

    /** Goes on with the allowed texts; one may begin at a boundary. */
    private fun allow(cell: Cell, boundary: Boolean) {
        val begun = if (boundary && cell.script != 0) lexicon.allow.child(cell.letter) else null
        if (allowing.isEmpty() && begun == null) return
        val going = ArrayList<Allowed>()
        val letter = if (cell.gap != Gap.NONE && cell.gap != Gap.END) SPACE else cell.letter
        for (text in allowing) {
            val child = text.node.child(letter)
            if (child != null) {
                going.add(Allowed(child, text.start, length + 1))
            } else if (cell.isDecoration || (letter == SPACE && text.node.letter == SPACE)) {
                going.add(text)
            }
        }
        if (begun != null) going.add(Allowed(begun, length, length + 1))
        allowing = going
    }

    private fun cutBadly(first: Int, last: Int, start: Int) {
        badCuts = badCuts + BadCut(first, last, start)
    }

    /** Finds the first word that no allowed text can still be around. */
    private fun settle() {
        if (pending.isNotEmpty()) {
            pending = pending.filterNot(::isAllowed)
            val first = allowing.minOfOrNull { it.start } ?: length
            val certain = pending.filter { it.start < first }
            if (certain.isNotEmpty()) {
                found = certain.minWithOrNull(
                    compareBy<Match> { it.start }.thenByDescending { it.end }.thenBy { it.entry },
                )
                return
            }
        }
        if (allowed.isNotEmpty() || badCuts.isNotEmpty()) {
            val safe = safe
            allowed = allowed.filter { it.end > safe }
            badCuts = badCuts.filter { it.last > safe }
        }
    }

    private fun isAllowed(match: Match): Boolean {
        val end = allowed.filter { it.start <= match.start && match.end <= it.end }
            .maxOfOrNull { it.end } ?: return false
        cutBadly(match.end, end - 1, match.start)
        return true
    }

    /** A word in single letters, until what follows is known. */
    private data class Spelt(val match: Match, val gap: Int, val follower: Int)

    private class Allowed(val node: Node, val start: Int, val end: Int)

    private class Span(val start: Int, val end: Int)

    private class BadCut(val first: Int, val last: Int, val start: Int)

    internal companion object {
        const val MAX_GAP = 3
        const val MIN_SPACED = 5 // code points
        const val SPACE = ' '.code
    }
}
