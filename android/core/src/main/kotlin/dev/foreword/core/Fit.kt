package dev.foreword.core

/** What of a draft is enough, and what is sure enough to be shown. */
internal class Fit(
    private val draft: Draft,
    private val request: Request,
    private val threshold: Double,
) {
    private val policy = request.policy

    /** Returns whether a draft may have another word, or more of its last one. */
    fun wantsMore(): Boolean {
        val text = draft.text
        if ('\n' in text || Words.sentenceEnd(text) >= 0) return false
        val parts = Words.partsOf(text)
        val growing = parts.isNotEmpty() && parts.last().end == text.length
        val words = parts.count { it.isWord }
        if (words > policy.maxWords) return false
        if (words == policy.maxWords && !(growing && parts.last().isWord)) return false
        // A word grows less likely with every token: what is below the bar stays there.
        val ends = parts.map { it.end }
        val logprobs = draft.sums(if (growing) ends.dropLast(1) else ends)
        return logprobs.indices.all { isSure(it, logprobs[it]) }
    }

    /** Returns the whole words of a draft that are sure enough, null where there are none. */
    fun suggestion(): Suggestion? {
        val end = Words.sentenceEnd(draft.text)
        val text = firstSentence(end)
        val parts = Words.partsOf(text)
        val whole = draft.ended || end >= 0 || '\n' in draft.text
        val isCut = parts.isNotEmpty() && parts.last().end == text.length && !whole
        return sure(text, if (isCut) parts.dropLast(1) else parts)
    }

    /** Returns the same of the text up to `safe`, where no more text changes it. */
    fun settled(safe: Int): Suggestion? {
        val text = firstSentence(Words.sentenceEnd(draft.text))
        return sure(text, Words.settledParts(text).filter { it.end <= safe })
    }

    private fun firstSentence(end: Int): String {
        val line = draft.text.substringBefore('\n')
        return if (end >= 0) line.take(end) else line
    }

    private fun sure(whole: String, parts: List<Part>): Suggestion? {
        val logprobs = draft.sums(parts.map { it.end })
        var count = 0
        var words = 0
        for (part in parts) {
            if (part.isWord) words++
            if (words > policy.maxWords || !isSure(count, logprobs[count])) break
            count++
        }
        val sure = whole.take(if (count > 0) parts[count - 1].end else 0)
        val text = sure.take(Words.repeatsFrom(sure, request.suffix))
        val kept = parts.filter { it.end <= text.length }
        if (kept.none { it.isWord }) return null
        val byPart = kept.indices.map { rounded(Confidence.calibrated(logprobs[it])) }
        val tokens = draft.offsets.count { it < kept.last().end }
        val logprob = draft.logprobs.subList(0, tokens).sum()
        return Suggestion(text, byPart[0], logprob, tokens, byPart)
    }

    private fun isSure(part: Int, logprob: Double): Boolean =
        Confidence.calibrated(logprob) >= if (part > 0) policy.confidence else threshold

    private fun rounded(chance: Double): Double = Math.round(chance * 1e4) / 1e4
}
