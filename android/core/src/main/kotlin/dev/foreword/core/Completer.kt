package dev.foreword.core

/**
 * Completes texts with a language model, one request at a time.
 *
 * `filter` keeps bad words out. What a [TokenModel] said is `remembered` for so many prompts, 4
 * bytes for each of its tokens.
 */
class Completer(
    private val model: LanguageModel,
    private val filter: Filter,
    remembered: Int = 32,
) {
    private val scores = (model as? TokenModel)?.let { Scores(it, remembered) }
    private var pieces: Pieces? = null
    private var read = "" // the text that the scan below has read
    private var scan = filter.scan()

    /**
     * Returns what may follow the cursor at the end of a text; no items where none is sure.
     *
     * A text in whose window there is a bad word is refused as input, and one after which nothing
     * but bad words came as output. Where the model says how likely its tokens are, the word that
     * the text ends in is healed and there are alternatives; a text graph gives one suggestion, of
     * which it does not say how sure it is.
     *
     * A suggestion does not repeat `suffix`, the text after the cursor. `onWords` is told the first
     * suggestion's text as it grows by words, each a beginning of the next and of the one returned,
     * which then is first among alternatives. Throws [UsageException] for a window that the model
     * does not hold, [EngineException].
     */
    fun suggest(
        text: String,
        policy: Policy = Policy(),
        cancel: Cancel? = null,
        suffix: String = "",
        onWords: OnWords? = null,
    ): Suggestions {
        val started = System.nanoTime()
        val computed = model.computedTokens
        val seen = Seen.of(text, policy, model)
        var answer = Suggestions(contextTokens = seen.contextTokens, droppedTokens = seen.dropped)
        try {
            if (!Words.isBlank(seen.text)) {
                val request = Request(seen.text, suffix, policy, cancel, onWords)
                answer = answer.copy(items = items(seen, request))
            }
        } catch (_: Called) {
            answer = answer.copy(cancelled = true)
        } catch (refused: Refused) {
            val refusal = if (refused.typed) Refusal.INPUT else Refusal.OUTPUT
            answer = answer.copy(refused = refusal)
        }
        return answer.copy(
            computedTokens = model.computedTokens - computed,
            latencyMs = (System.nanoTime() - started) / 1e6,
        )
    }

    /** Makes ready what the first suggestion needs, which takes a moment. */
    fun prepare() {
        if (model is TokenModel) piecesOf(model)
    }

    private fun items(seen: Seen, request: Request): List<Suggestion> {
        if (!reads(request.before)) throw Refused(true)
        if (model is TextModel) return listOfNotNull(completed(model, scan, request))
        if (scores == null || model !is TokenModel) return emptyList()
        val healed = Healing.heal(seen.tokenIds, model.tokenizer, model.firstToken)
        val pieces = piecesOf(model)
        val drafts = Drafts(scores, pieces, healed, scan, request)
        return alternatives(drafts, pieces, healed.typed.size, request)
    }

    /** Scans a text, or what is new at the end of it; returns whether it has no bad word. */
    private fun reads(text: String): Boolean {
        if (!text.startsWith(read)) {
            scan = filter.scan()
            read = ""
        }
        val longer = scan.copy()
        if (longer.feed(text.substring(read.length)) != null) return false
        scan = longer
        read = text
        return true
    }

    private fun piecesOf(model: TokenModel): Pieces =
        pieces ?: Pieces(model.tokenizer).also { pieces = it }
}

/**
 * Returns distinct suggestions, those likeliest by the token first.
 *
 * They share the tokens of what is typed and part at the first one beyond it. One of which
 * `onWords` was told stays the first.
 */
private fun alternatives(
    drafts: Drafts,
    pieces: Pieces,
    typedBytes: Int,
    request: Request,
): List<Suggestion> {
    val wanted = request.policy.alternatives
    var threshold = request.policy.confidence
    var onWords = request.onWords
    val found = ArrayList<Suggestion>()
    val firsts = HashSet<String>()
    val banned = HashSet<Int>()
    var place = 0
    for (round in 0 until 2 * wanted) {
        val grown = try {
            drafts.grow(place, banned, threshold, onWords)
        } catch (refused: Refused) {
            if (found.isEmpty()) throw refused
            break
        }
        val fit = grown.fit
        if (fit != null) {
            if (found.isEmpty() && fit !== grown.draft.shown) onWords?.invoke(fit.text)
            if (firsts.add(fit.text.take(Words.partsOf(fit.text)[0].end))) found.add(fit)
        } else if (found.isEmpty()) {
            return emptyList()
        }
        if (found.size == wanted) break
        val ids = grown.draft.tokenIds
        if (banned.isEmpty()) place = parting(ids, pieces, typedBytes)
        if (place >= ids.size) break
        banned.add(ids[place])
        threshold = 0.0
        onWords = null
    }
    val kept = minOf(if (request.onWords != null) 1 else 0, found.size)
    return found.take(kept) + found.drop(kept).sortedByDescending {
        (it.logprob ?: 0.0) / maxOf(it.tokens, 1)
    }
}

/** The place of the first token that goes beyond what is typed. */
private fun parting(ids: List<Int>, pieces: Pieces, typedBytes: Int): Int {
    var size = 0
    for (i in ids.indices) {
        size += pieces.of(ids[i]).size
        if (size > typedBytes) return i
    }
    return ids.size
}
