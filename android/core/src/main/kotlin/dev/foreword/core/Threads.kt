package dev.foreword.core

// Pieces of a thread so far: single letters, with spaces between, longer.
internal const val SINGLE = 0
internal const val SPACED = 1
internal const val LONG = 2

/** A place in a trie of words that some stretch of a text spells. */
internal class Thread(
    val node: Node,
    val start: Int,
    val end: Int,
    val pieces: Int,
    val gap: Int, // signs since the last letter
    val isLettered: Boolean, // one was read as a letter
    val isWild: Boolean, // a wildcard was used
    val isDoubtful: Boolean, // the last letter was a wildcard or a punctuation mark
) {
    fun spellsWord(): Boolean =
        gap == 0 && isLettered && !isDoubtful && (!isWild || node.depth > 3)

    fun endsWord(): Boolean = node.whole != null && spellsWord()

    /** Returns whether two threads differ in their beginnings and ends alone. */
    fun isLike(other: Thread): Boolean = node === other.node && pieces == other.pieces &&
        gap == other.gap && isLettered == other.isLettered && isWild == other.isWild &&
        isDoubtful == other.isDoubtful

    fun matchOf(entry: Entry) = Match(start, end, entry.severity, entry.id)

    fun ending(end: Int) =
        Thread(node, start, end, pieces, gap, isLettered, isWild, isDoubtful)

    fun apart(gap: Int, pieces: Int = this.pieces) =
        Thread(node, start, end, pieces, gap, isLettered, isWild, isDoubtful)
}

/** Adds a thread; of those that are alike it keeps the earliest. */
internal fun keep(threads: MutableList<Thread>, new: Thread) {
    for (i in threads.indices) {
        if (threads[i].isLike(new)) {
            if (new.start < threads[i].start) threads[i] = new
            return
        }
    }
    threads.add(new)
}
