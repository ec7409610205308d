package dev.foreword.core

import java.io.Closeable

/** Why a stream ended: an end token or a stop string, its length, or because it was called off. */
enum class Finish { STOP, LENGTH, CANCELLED }

/**
 * A loaded bundle: token ids in, scores and text out, over one cache that is kept between calls.
 *
 * Not for several threads at once, except that a request may be called off from another.
 */
class Engine(
    private val graph: Graph,
    override val tokenizer: Tokenizer,
    val manifest: Manifest,
) : TokenModel, Closeable {
    private val prefix = Prefix()
    private val planner = Planner(graph.widths)

    init {
        val found = tokenizer.vocabularySize
        if (found > manifest.shape.vocabulary) {
            throw EngineException(
                "the tokenizer has $found tokens, the model ${manifest.shape.vocabulary}: they do " +
                    "not belong together, convert the model again",
            )
        }
    }

    override val context: Int get() = graph.shape.context

    override val firstToken: Int?
        get() = manifest.specialTokens.let { if (it.prependStart) it.start else null }

    override var computedTokens = 0
        private set

    /** Returns the token ids of a text, with the start token where the model wants it. */
    fun encode(text: String): IntArray {
        val ids = tokenizer.encode(text)
        return firstToken?.let { intArrayOf(it) + ids } ?: ids
    }

    /**
     * Brings the cache up to a prompt and returns the scores of what follows, overwritten by the
     * next call; null when called off. What it shares with the last prompt is reused.
     *
     * Throws [PromptException] for a prompt that is empty without a start token, longer than the
     * context or not of this vocabulary; [EngineException] when the output is not finite.
     */
    override fun logits(tokens: IntArray, cancel: Cancel?): FloatArray? {
        val prompt = checked(tokens)
        if (cancel?.isSet() == true) return null
        val reused = prefix.reuse(prompt)
        var logits: FloatArray? = null
        var rows = 1
        for (run in planner.plan(prompt.size - reused)) {
            if (cancel?.isSet() == true) return null
            val position = prefix.size
            val chunk = prompt.copyOfRange(position, position + run.count)
            logits = run(run.signature, chunk, position)
            rows = run.count
            prefix.extend(chunk)
            computedTokens += run.count
        }
        val last = logits ?: throw EngineException("a plan ends with logits: report this")
        return finite(lastRow(last, rows))
    }

    /**
     * Continues a prompt and tells of its text as it becomes safe to show; returns why it ended.
     *
     * Throws what [logits] throws.
     */
    fun stream(
        tokens: IntArray,
        params: SamplingParams = SamplingParams(),
        cancel: Cancel? = null,
        onText: (String) -> Unit,
    ): Finish {
        val text = TextStream(tokenizer, params.stop)
        val sampler = Sampler(params)
        var all = checked(tokens)
        fun tell(piece: String) {
            if (piece.isNotEmpty()) onText(piece)
        }
        for (count in 1..params.maxNewTokens) {
            val logits = logits(all, cancel)
            val id = logits?.let { sampler.choose(it, all) }
            if (id == null || id in manifest.specialTokens.end) {
                tell(text.finish())
                return if (id == null) Finish.CANCELLED else Finish.STOP
            }
            all += id
            tell(text.push(id))
            if (text.stopped) return Finish.STOP
            if (all.size > context) break
        }
        tell(text.finish())
        return Finish.LENGTH
    }

    /** Gives the model's memory back. */
    override fun close() = graph.close()

    private fun run(signature: String, chunk: IntArray, position: Int): FloatArray? = try {
        graph.run(signature, chunk, position)
    } catch (error: EngineException) {
        prefix.clear() // what the cache holds now nobody knows
        throw error
    }

    private fun lastRow(logits: FloatArray, rows: Int): FloatArray {
        val size = manifest.shape.vocabulary
        val isRow = rows == 1 && logits.size == size
        return if (isRow) logits else logits.copyOfRange((rows - 1) * size, rows * size)
    }

    private fun finite(logits: FloatArray): FloatArray {
        var top = logits[0]
        for (score in logits) if (!(score <= top)) top = score // a NaN stays
        if (top.isFinite()) return logits
        prefix.clear()
        graph.clear()
        throw EngineException(
            "the model's output is not a finite number: its weights are damaged or overflow; " +
                "check the bundle with 'foreword inspect --verify'",
        )
    }

    private fun checked(tokens: IntArray): IntArray {
        if (tokens.isEmpty()) {
            val start = manifest.specialTokens.start ?: throw PromptException(
                "the prompt is empty and this model has no start token: give it some text",
            )
            return intArrayOf(start)
        }
        if (tokens.size > context) {
            throw PromptException(
                "the prompt has ${tokens.size} tokens, the context holds $context: keep its end",
            )
        }
        val vocabulary = manifest.shape.vocabulary
        for (id in tokens) {
            if (id < 0 || id >= vocabulary) {
                throw PromptException("token $id is not in the vocabulary of $vocabulary tokens")
            }
        }
        return tokens
    }
}
