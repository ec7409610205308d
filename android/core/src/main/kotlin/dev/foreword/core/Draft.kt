package dev.foreword.core

/** Tokens after a prompt, the logarithms of their probabilities, and their text so far. */
internal class Draft(val typed: ByteArray) {
    val tokenIds = ArrayList<Int>()
    val logprobs = ArrayList<Double>()
    val offsets = ArrayList<Int>() // of each token in the text
    var raw = ByteArray(0)
        private set
    var text = ""
        private set
    var ended = false

    /** What was fit to be shown already; it is not taken back. */
    var shown: Suggestion? = null

    /** Adds a token and returns the text it brings, null where its bytes make none. */
    fun add(id: Int, logprob: Double, piece: ByteArray): String? {
        val longer = raw + piece
        val whole = textOf(longer) ?: return null
        val fresh = whole.substring(text.length)
        tokenIds.add(id)
        logprobs.add(logprob)
        offsets.add(text.length)
        raw = longer
        text = whole
        return fresh
    }

    /** Takes back the tokens from `place` on. */
    fun backTo(place: Int, pieces: Pieces) {
        raw = raw.copyOf(tokenIds.subList(0, place).sumOf { pieces.of(it).size })
        text = textOf(raw).orEmpty()
        for (list in listOf(tokenIds, logprobs, offsets)) list.subList(place, list.size).clear()
        ended = false
    }

    /** Returns a suggestion if it says more than is shown already, else what is shown. */
    fun agreed(suggestion: Suggestion?): Suggestion? {
        val before = shown?.text
        if (before == null || suggestion == null) return shown ?: suggestion
        val text = suggestion.text
        val isMore = text != before && text.startsWith(before) &&
            Graphemes.divides(before, text.substring(before.length))
        return if (isMore) suggestion else shown
    }

    /** Returns the logarithms of the probabilities of the parts that end there, and the rest. */
    fun sums(ends: List<Int>): DoubleArray {
        val found = DoubleArray(ends.size + 1)
        for (i in offsets.indices) found[countUpTo(ends, offsets[i])] += logprobs[i]
        return found
    }

    private fun textOf(bytes: ByteArray): String? =
        Utf8.wholeText(bytes, minOf(typed.size, bytes.size))
}

/** Returns how many of ascending numbers are at most `value`. */
internal fun countUpTo(ascending: List<Int>, value: Int): Int = ascending.count { it <= value }
