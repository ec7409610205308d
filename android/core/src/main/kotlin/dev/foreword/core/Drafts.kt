package dev.foreword.core

/** Drafts after one healed prompt, whose text the `scan` has read. */
internal class Drafts(
    private val scores: Scores,
    private val pieces: Pieces,
    private val healed: Healed,
    private val scan: Scan,
    private val request: Request,
) {
    private val policy = request.policy
    private val before = request.before.codePointCount(0, request.before.length)
    private val draw = Draw(
        policy.temperature,
        if (policy.temperature > 0) Chance(policy.seed) else null,
    )

    /** A draft, and what of it is fit to be shown. */
    class Grown(val draft: Draft, val fit: Suggestion?)

    /**
     * Returns a draft, of which `onWords` is told while it grows.
     *
     * Nothing is fit where the first word is less sure than `threshold`. At `place` the tokens
     * that are `banned` are not taken. Throws [Called], and [Refused] where bad words are all
     * there is: the token that ends one is banned, at the third try the one that begins it. What
     * was shown before a bad word remains.
     */
    fun grow(place: Int, banned: Set<Int>, threshold: Double, onWords: OnWords?): Grown {
        val draft = Draft(healed.typed)
        val scans = arrayListOf(scan)
        val taken = hashMapOf(place to banned.toHashSet())
        var typed = false
        for (tries in TRIES downTo 0) {
            var match = extend(draft, scans, taken, threshold, onWords)
            if (match == null) {
                val fit = Fit(draft, request, threshold).suggestion()
                if (fit == null || !Graphemes.divides(request.before, fit.text)) {
                    return Grown(draft, draft.shown)
                }
                match = verdict(fit) ?: return Grown(draft, draft.agreed(fit))
            }
            typed = match.end <= before
            // Another end for the word; at last another word.
            val point = (if (tries > 1) match.end - 1 else match.start) - before
            val at = if (point < 0) -1 else unitsIn(draft.text, point)
            val back = maxOf(countUpTo(draft.offsets, at) - 1, 0)
            taken.getOrPut(back) { HashSet() }.add(draft.tokenIds[back])
            draft.backTo(back, pieces)
            scans.subList(back + 1, scans.size).clear()
        }
        if (draft.shown == null) throw Refused(typed)
        return Grown(draft, draft.shown)
    }

    /** Adds tokens until there is enough, or until a bad word is certain. */
    private fun extend(
        draft: Draft,
        scans: MutableList<Scan>,
        taken: Map<Int, Set<Int>>,
        threshold: Double,
        onWords: OnWords?,
    ): Match? {
        val room = policy.maxTokens + draft.typed.size
        while (!draft.ended && draft.tokenIds.size < room &&
            Fit(draft, request, threshold).wantsMore()
        ) {
            val drawn = next(draft, taken[draft.tokenIds.size] ?: emptySet())
            val piece = if (drawn == null) ByteArray(0) else pieces.of(drawn.id)
            val fresh = if (drawn == null || piece.isEmpty()) {
                null
            } else {
                draft.add(drawn.id, drawn.logprob, piece)
            }
            if (fresh == null) {
                draft.ended = true // by a control token, or by what is no text
                return null
            }
            val longer = scans.last().copy()
            scans.add(longer)
            longer.feed(fresh)?.let { return it }
            show(draft, longer.safe, threshold, onWords)
        }
        return null
    }

    /** Notes what is fit to be shown whatever comes, if that is more than before. */
    private fun show(draft: Draft, safe: Int, threshold: Double, onWords: OnWords?) {
        val units = if (safe < before) -1 else unitsIn(draft.text, safe - before)
        val fit = Fit(draft, request, threshold).settled(units)
        if (fit == null || draft.agreed(fit) !== fit) return
        if (Graphemes.divides(request.before, fit.text) && verdict(fit) == null) {
            draft.shown = fit
            onWords?.invoke(fit.text)
        }
    }

    private fun verdict(suggestion: Suggestion): Match? =
        scan.copy().let { it.feed(suggestion.text) ?: it.end() }

    private fun next(draft: Draft, banned: Set<Int>): Drawn? {
        val prompt = healed.tokenIds + draft.tokenIds.toIntArray()
        val logits = scores.after(prompt, request.cancel)
        val done = draft.raw.size
        val rest = if (done < draft.typed.size) draft.typed.copyOfRange(done, draft.typed.size) else null
        return draw.choose(logits, rest?.let(pieces::fitting), banned)
    }

    private companion object {
        /** How often a bad word is avoided before there is no suggestion. */
        const val TRIES = 3
    }
}

/** Returns how many code units the first `points` code points of a text have, at most all. */
internal fun unitsIn(text: String, points: Int): Int =
    if (points >= text.codePointCount(0, text.length)) text.length
    else text.offsetByCodePoints(0, points)
