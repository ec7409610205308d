package dev.foreword.core

/** How the threads of a scan go on with one cell, which is that of the code point at `length`. */
internal class Growth(private val cell: Cell, private val length: Int) {
    private val grown = Threads()

    /** Returns what becomes of threads, and those that begin at the cell in the trie `root`. */
    fun grow(threads: List<Thread>, root: Node, pieces: Int): List<Thread> {
        for (thread in threads) advance(thread)
        if (!cell.isJoined) begin(root, pieces)
        return if (grown.list.isEmpty()) emptyList() else grown.list
    }

    private fun begin(root: Node, pieces: Int) {
        for (i in cell.readings.indices) {
            val child = root.child(cell.readings[i]) ?: continue
            grown.keep(Thread(child, length, length + 1, pieces, 0, cell.lettered[i], false,
                cell.isPunctuation))
        }
    }

    private fun advance(thread: Thread) {
        if (cell.isJoined) {
            if (cell.isDecoration) grown.keep(thread)
            thread.node.child(cell.letter)?.let { move(thread, it, thread.pieces, false) }
            return
        }
        val node = thread.node
        val close = thread.gap == 0 && length >= thread.end
        if (!(close && thread.pieces == SPACED)) read(thread, close)
        if (thread.gap == 0 && node.letter in cell.repeats) grown.keep(thread.ending(length + 1))
        if (cell.gap != Gap.NONE && cell.gap != Gap.END && thread.gap < Scan.MAX_GAP) pass(thread)
    }

    private fun read(thread: Thread, close: Boolean) {
        val longer = if (close) LONG else thread.pieces
        for (i in cell.readings.indices) {
            val child = thread.node.child(cell.readings[i]) ?: continue
            move(thread, child, longer, cell.lettered[i])
        }
        if (cell.isWildcard && close) {
            thread.node.eachChild { child ->
                if (child.letter != Scan.SPACE) {
                    grown.keep(Thread(child, thread.start, length + 1, LONG, 0,
                        thread.isLettered, true, true))
                }
            }
        }
    }

    /** Goes over a gap. */
    private fun pass(thread: Thread) {
        val isTight = cell.gap == Gap.TIGHT
        if (thread.node.letter == Scan.SPACE) {
            grown.keep(thread.apart(thread.gap + 1))
        } else if (thread.pieces != LONG) {
            val spaced = if (isTight && thread.pieces == SINGLE) SINGLE else SPACED
            grown.keep(thread.apart(thread.gap + 1, spaced))
        } else if (isTight && thread.gap == 0) {
            grown.keep(thread.apart(1))
        }
        if (thread.gap == 0 && thread.pieces != SPACED) {
            thread.node.child(Scan.SPACE)?.let { move(thread, it, LONG, false) }
        }
    }

    private fun move(thread: Thread, node: Node, pieces: Int, isLetter: Boolean) {
        grown.keep(Thread(node, thread.start, length + 1, pieces, 0,
            thread.isLettered || isLetter, thread.isWild, cell.isPunctuation))
    }
}
