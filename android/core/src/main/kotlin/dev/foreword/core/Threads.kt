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

    /** What two threads have in common that are alike, as a key. */
    data class Kind(val node: Node, val bits: Int)

    fun kind(): Kind {
        val read = (if (isLettered) 4 else 0) + (if (isWild) 2 else 0) + if (isDoubtful) 1 else 0
        return Kind(node, (pieces * 4 + gap) * 8 + read)
    }

    fun matchOf(entry: Entry) = Match(start, end, entry.severity, entry.id)

    fun ending(end: Int) =
        Thread(node, start, end, pieces, gap, isLettered, isWild, isDoubtful)

    fun apart(gap: Int, pieces: Int = this.pieces) =
        Thread(node, start, end, pieces, gap, isLettered, isWild, isDoubtful)
}

/** Threads, of which those that are alike are one, the earliest. */
internal class Threads {
    val list = ArrayList<Thread>()
    private var places: HashMap<Thread.Kind, Int>? = null // where there are many

    /** Adds a thread. */
    fun keep(new: Thread) {
        val place = if (list.size < MANY) list.indexOfFirst(new::isLike) else placed(new)
        if (place < 0) list.add(new) else if (new.start < list[place].start) list[place] = new
    }

    private fun placed(new: Thread): Int {
        val known = places ?: HashMap<Thread.Kind, Int>().also { known ->
            places = known
            for (i in list.indices) known[list[i].kind()] = i
        }
        return known.put(new.kind(), list.size)?.also { known[new.kind()] = it } ?: -1
    }

    private companion object {
        const val MANY = 16
    }
}
