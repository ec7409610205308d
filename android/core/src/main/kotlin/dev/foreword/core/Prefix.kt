package dev.foreword.core

/** The tokens whose keys and values are in the cache, slot by slot. */
internal class Prefix {
    private var ids = IntArray(64)
    var size = 0
        private set

    /**
     * Rewinds to the longest prefix shared with a prompt, and returns its length.
     *
     * At least one token of the prompt is left to compute: its logits are needed.
     */
    fun reuse(prompt: IntArray): Int {
        var shared = 0
        while (shared < minOf(size, prompt.size - 1) && ids[shared] == prompt[shared]) shared++
        size = shared
        return shared
    }

    /** Forgets everything. */
    fun clear() {
        size = 0
    }

    /** Records tokens just computed. */
    fun extend(tokens: IntArray) {
        if (size + tokens.size > ids.size) ids = ids.copyOf(2 * (size + tokens.size))
        tokens.copyInto(ids, size)
        size += tokens.size
    }
}

/** One call of a signature with `count` real tokens; what it is wider is padding. */
data class Run(val kind: String, val width: Int, val count: Int) : Comparable<Run> {
    val signature: String get() = if (kind == "decode") kind else "${kind}_$width"

    override fun compareTo(other: Run): Int =
        compareValuesBy(this, other, { it.signature }, { it.count })
}

/**
 * Cuts prompts into runs at the lowest cost; `widths` are those there are.
 *
 * The last run gives logits: `decode` for one token or, cheaper than prefill and decode, a verify
 * signature for a short tail. Without widths every token is decoded.
 */
class Planner(private val widths: Widths) {
    private val known = HashMap<Int, List<Run>>()

    /** Returns the runs for the last `count` >= 1 tokens of a prompt. */
    fun plan(count: Int): List<Run> = known[count] ?: made(count, widths.prefill).also {
        if (known.size >= MOST_KNOWN) known.clear()
        known[count] = it
    }

    private fun made(count: Int, prefill: List<Int>): List<Run> {
        if (prefill.isEmpty() && widths.verify.isEmpty()) return List(count) { DECODE }
        val endings = arrayListOf(1 to DECODE)
        for (width in widths.verify) endings.add(width to Run("verify", width, minOf(width, count)))
        var best: List<Run>? = null
        var least = 0
        for ((width, ending) in endings) {
            val rest = count - ending.count
            val (cost, head) = when {
                rest > 0 && prefill.isEmpty() -> rest * RUN_COST to plan(rest)
                else -> cheapest(rest, prefill).let { it.first to fill(rest, it.second) }
            }
            val total = cost + width + RUN_COST
            val runs = head + ending
            if (best == null || total < least || (total == least && less(runs, best))) {
                best = runs
                least = total
            }
        }
        return best.orEmpty()
    }

    /** Cost and widths, widest first, of the runs that hold `count` tokens. */
    private fun cheapest(count: Int, prefill: List<Int>): Pair<Int, List<Int>> {
        if (count <= 0) return 0 to emptyList()
        val widest = prefill.last()
        val full = maxOf(count / widest - 1, 0)
        val rest = count - full * widest
        val best = ArrayList<Pair<Int, List<Int>>>()
        best.add(0 to emptyList())
        for (held in 1..rest) {
            val options = prefill.map { width ->
                val (cost, chosen) = best[maxOf(held - width, 0)]
                cost + width + RUN_COST to chosen + width
            }
            best.add(options.reduce { a, b -> if (isCheaper(b, a)) b else a })
        }
        val chosen = List(full) { widest } + best[rest].second.sortedDescending()
        return best[rest].first + full * (widest + RUN_COST) to chosen
    }

    /** Gives every run its tokens: all are full but the last. */
    private fun fill(count: Int, chosen: List<Int>): List<Run> {
        var left = count
        return chosen.map { width ->
            val taken = minOf(width, left)
            left -= taken
            Run("prefill", width, taken)
        }
    }

    private fun isCheaper(a: Pair<Int, List<Int>>, b: Pair<Int, List<Int>>): Boolean =
        a.first < b.first || (a.first == b.first && less(a.second, b.second))

    private fun <T : Comparable<T>> less(a: List<T>, b: List<T>): Boolean {
        for (i in 0 until minOf(a.size, b.size)) if (a[i] != b[i]) return a[i] < b[i]
        return a.size < b.size
    }

    private companion object {
        /** Reading the weights costs a run about as much as the arithmetic of this many tokens. */
        const val RUN_COST = 16
        const val MOST_KNOWN = 4096
        val DECODE = Run("decode", 1, 1)
    }
}
