package dev.foreword.core

/** The end of a text that counts, its tokens, and how many were left out before them. */
internal class Seen private constructor(
    val text: String,
    val tokenIds: IntArray,
    val contextTokens: Int,
    val dropped: Int,
) {
    companion object {
        private val SURROGATES = 0xd800..0xdfff

        /** Cuts a text to the window of a policy; throws [UsageException] for too large a one. */
        fun of(text: String, policy: Policy, model: LanguageModel): Seen {
            val limit = policy.contextTokens ?: maxOf(model.context / 2, 1)
            if (limit > model.context) {
                throw UsageException("contextTokens: this model holds ${model.context}, found $limit")
            }
            var near = wellFormed(Windows.nearEnd(text, limit))
            if (policy.contextWords != null) near = Words.lastWords(near, policy.contextWords)
            return when (model) {
                is TokenModel -> inTokens(near, limit, model.tokenizer, model.firstToken)
                is TextModel -> model.tokenizer?.let { inTokens(near, limit, it, null) }
                    ?: inWords(near, limit)
                else -> inWords(near, limit)
            }
        }

        private fun inTokens(near: String, limit: Int, tokenizer: Tokenizer, first: Int?): Seen {
            val encoded = tokenizer.encode(near)
            val all = if (first == null) encoded else intArrayOf(first) + encoded
            val window = Windows.keepSteady(all, limit, tokenizer, first)
            val ids = window.tokenIds
            if (window.dropped == 0) return Seen(near, ids, ids.size, 0)
            val head = if (first == null) 0 else 1
            val kept = (head until ids.size).map { tokenizer.tokenBytes(ids[it]) }
            return Seen(Utf8.text(joined(kept), ""), ids, ids.size, window.dropped)
        }

        private fun inWords(near: String, limit: Int): Seen {
            val words = Words.partsOf(near).count { it.isWord }
            val kept = minOf(words, limit)
            return Seen(Words.lastWords(near, limit), IntArray(0), kept, words - kept)
        }

        /** Puts U+FFFD for half a pair of surrogates, which is no character. */
        private fun wellFormed(text: String): String {
            var at = 0
            while (at < text.length) {
                val point = text.codePointAt(at)
                if (point in SURROGATES) break
                at += Character.charCount(point)
            }
            if (at == text.length) return text
            val points = StringBuilder(text.length)
            for (point in pointsOf(text)) {
                points.appendCodePoint(if (point in SURROGATES) 0xfffd else point)
            }
            return points.toString()
        }
    }
}
