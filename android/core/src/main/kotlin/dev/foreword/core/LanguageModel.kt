package dev.foreword.core

/** What completion needs of any model. */
interface LanguageModel {
    /** Tokens that prompt and continuation have together, at most. */
    val context: Int

    /** Tokens computed so far, in all. */
    val computedTokens: Int
}

/** A model that says how likely every next token is, such as an [Engine]. */
interface TokenModel : LanguageModel {
    val tokenizer: Tokenizer

    /** The token that every prompt begins with, null where there is none. */
    val firstToken: Int?

    /**
     * Returns the scores of what follows a prompt, overwritten by the next call; null when called
     * off. Throws [EngineException], and [PromptException] for a prompt it does not take.
     */
    fun logits(tokens: IntArray, cancel: Cancel?): FloatArray?
}

/**
 * A model from text to text, which says nothing of its tokens: a classic text graph.
 *
 * Where `tokenizer` is null its context counts words.
 */
interface TextModel : LanguageModel {
    val tokenizer: Tokenizer?

    /** Returns the prompt and what follows it; null when called off. */
    fun complete(prompt: String, cancel: Cancel?): String?
}

/** The request was called off. */
internal class Called : Exception(null, null, false, false)

/** Every try ended in a bad word; `typed` tells whether it was there before. */
internal class Refused(val typed: Boolean) : Exception(null, null, false, false)
