package dev.foreword.core

/**
 * Suggestions for a text as it is typed; letters that agree with one cost no model call.
 *
 * Not for several threads at once, except that a request may be called off from another.
 */
class Session(private val completer: Completer, private val policy: Policy = Policy()) {
    private var text: String? = null // what the answer below follows
    private var suffix = "" // and what follows it
    private var answer = Suggestions()
    private var dismissed = false
    private var ahead: Ahead? = null

    /** How much of a suggestion is accepted. */
    enum class Share { ALL, WORD }

    /**
     * Returns what may follow a text, the one to be shown first; see [Completer.suggest].
     *
     * `onWords` is told only of what is not known already.
     */
    fun suggest(
        text: String,
        cancel: Cancel? = null,
        suffix: String = "",
        onWords: OnWords? = null,
    ): Suggestions {
        val started = System.nanoTime()
        var kept = if (suffix == this.suffix) kept(text) else null
        if (kept == null) {
            kept = found(text, cancel, suffix, onWords)
            dismissed = false
            if (kept.cancelled) return kept
            this.text = text
            this.suffix = suffix
            answer = kept
        }
        if (dismissed) kept = kept.copy(items = emptyList())
        return kept.copy(latencyMs = (System.nanoTime() - started) / 1e6)
    }

    /** Returns the text after its suggestion, or the next word of it, is accepted. */
    fun accept(text: String, share: Share = Share.ALL): String {
        val item = (if (dismissed) null else kept(text))?.items?.firstOrNull() ?: return text
        return text + if (share == Share.ALL) item.text else Words.firstWord(item.text)
    }

    /** Shows nothing until the text is no longer one that the suggestion goes on from. */
    fun dismiss() {
        dismissed = true
    }

    /** Returns the same suggestions with the next one first; more are found if there is one. */
    fun next(text: String, cancel: Cancel? = null, suffix: String = ""): Suggestions {
        var answer = suggest(text, cancel, suffix)
        if (answer.items.size == 1 && policy.alternatives < MORE) {
            val more = completer.suggest(text, policy.copy(alternatives = MORE), cancel, suffix)
            if (more.cancelled) return more
            val shown = answer.items[0]
            answer = more.copy(items = listOf(shown) + more.items.filter { it.text != shown.text })
        }
        if (answer.items.isNotEmpty()) {
            answer = answer.copy(items = answer.items.drop(1) + answer.items[0])
            this.text = text
            this.answer = answer
        }
        return answer
    }

    /** Finds what may follow a text whose suggestion is accepted, while nobody waits for it. */
    fun prefetch(text: String, cancel: Cancel? = null, suffix: String = "") {
        val accepted = accept(text)
        if (accepted == text || isAhead(accepted, suffix)) return
        val found = completer.suggest(accepted, policy, cancel, suffix)
        if (!found.cancelled) ahead = Ahead(accepted, suffix, found)
    }

    private fun found(
        text: String,
        cancel: Cancel?,
        suffix: String,
        onWords: OnWords?,
    ): Suggestions {
        val known = ahead
        if (known != null && isAhead(text, suffix)) return known.answer.copy(computedTokens = 0)
        return completer.suggest(text, policy, cancel, suffix, onWords)
    }

    private fun isAhead(text: String, suffix: String): Boolean =
        ahead.let { it != null && it.text == text && it.suffix == suffix }

    /** Returns what is left of the last answer for a text, null where nothing is. */
    private fun kept(text: String): Suggestions? {
        val before = this.text
        if (before == null || !text.startsWith(before)) return null
        val typed = text.substring(before.length)
        if (typed.isEmpty()) return answer.copy(computedTokens = 0)
        val left = answer.items
            .filter { it.text.startsWith(typed) && it.text != typed }
            .map { rest(it, typed.length) }
        return if (left.isEmpty()) null else answer.copy(items = left, computedTokens = 0)
    }

    /** Returns what is left of a suggestion, as sure as its next word is. */
    private fun rest(item: Suggestion, typed: Int): Suggestion {
        val done = Words.partsOf(item.text).count { it.end <= typed }
        val byPart = item.byPart.drop(done)
        val confidence = byPart.firstOrNull() ?: item.confidence
        return item.copy(text = item.text.substring(typed), confidence = confidence, byPart = byPart)
    }

    private class Ahead(val text: String, val suffix: String, val answer: Suggestions)

    private companion object {
        /** Alternatives that are looked for when the writer wants to see another. */
        const val MORE = 3
    }
}
