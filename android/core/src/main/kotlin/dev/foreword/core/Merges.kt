package dev.foreword.core

/**
 * Byte-pair encoding of one piece (Sennrich et al. 2016): the best pair is joined first, of equal
 * ones the leftmost. Not for several threads at once.
 */
internal class Merges(pairs: Int) {
    private val mask = Integer.highestOneBit(maxOf(pairs, 1) * 4) - 1
    // An open hash table by pairs, two ids in a Long.
    private val keys = LongArray(mask + 1) { NONE }
    private val ranks = IntArray(mask + 1)
    private val results = IntArray(mask + 1)

    private var ids = IntArray(0)
    private var nexts = IntArray(0)
    private var befores = IntArray(0)
    private val heap = LongHeap()
    private var end = 0

    /** Says what two tokens become; the first of two merges of the same pair counts. */
    fun add(left: Int, right: Int, rank: Int, result: Int) {
        val slot = slot(left, right)
        if (keys[slot] != NONE) return
        keys[slot] = key(left, right)
        ranks[slot] = rank
        results[slot] = result
    }

    /** Joins tokens as far as they go: the first `count` of an array, which is used up. */
    fun apply(symbols: IntArray, count: Int): IntArray {
        begin(symbols, count)
        for (i in 0 until count - 1) offer(i)
        while (!heap.isEmpty) {
            val best = heap.pop()
            val at = (best and LOW).toInt()
            val slot = pairAt(at)
            // The pair there may have become another since, or have gone.
            if (slot < 0 || ranks[slot] != (best ushr 32).toInt()) continue
            ids[at] = results[slot]
            val gone = nexts[at]
            ids[gone] = GONE
            nexts[at] = nexts[gone]
            if (nexts[at] < count) befores[nexts[at]] = at
            offer(befores[at])
            offer(at)
        }
        var size = 0
        var at = 0
        while (at < count) {
            symbols[size++] = ids[at]
            at = nexts[at]
        }
        return symbols.copyOf(size)
    }

    private fun begin(symbols: IntArray, count: Int) {
        if (ids.size < count) {
            ids = IntArray(count * 2)
            nexts = IntArray(count * 2)
            befores = IntArray(count * 2)
        }
        end = count
        for (i in 0 until count) {
            ids[i] = symbols[i]
            nexts[i] = i + 1
            befores[i] = i - 1
        }
    }

    private fun offer(at: Int) {
        val slot = pairAt(at)
        if (slot >= 0) heap.push((ranks[slot].toLong() shl 32) or at.toLong())
    }

    /** The slot of the pair that begins at a place, -1 where none does that can be joined. */
    private fun pairAt(at: Int): Int {
        if (at < 0 || ids[at] == GONE || nexts[at] >= end) return -1
        val slot = slot(ids[at], ids[nexts[at]])
        return if (keys[slot] == NONE) -1 else slot
    }

    private fun slot(left: Int, right: Int): Int {
        val key = key(left, right)
        var slot = (key * GOLDEN ushr 32).toInt() and mask
        while (keys[slot] != NONE && keys[slot] != key) slot = (slot + 1) and mask
        return slot
    }

    private fun key(left: Int, right: Int) = (left.toLong() shl 32) or right.toLong()

    private companion object {
        const val NONE = -1L
        const val GONE = -1
        const val LOW = 0xffffffffL
        const val GOLDEN = -0x61c8864680b583ebL
    }
}

/** The least of many numbers first. */
internal class LongHeap {
    private var items = LongArray(64)
    private var size = 0

    val isEmpty: Boolean get() = size == 0

    /** Puts in a number. */
    fun push(item: Long) {
        if (size == items.size) items = items.copyOf(size * 2)
        var at = size++
        while (at > 0) {
            val parent = (at - 1) / 2
            if (items[parent] <= item) break
            items[at] = items[parent]
            at = parent
        }
        items[at] = item
    }

    /** Takes out the least number. */
    fun pop(): Long {
        val least = items[0]
        val last = items[--size]
        var at = 0
        while (2 * at + 1 < size) {
            var child = 2 * at + 1
            if (child + 1 < size && items[child + 1] < items[child]) child++
            if (items[child] >= last) break
            items[at] = items[child]
            at = child
        }
        items[at] = last
        return least
    }
}
