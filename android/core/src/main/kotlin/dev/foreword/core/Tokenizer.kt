package dev.foreword.core

/** Text to token ids and back, exact to the byte; [BpeTokenizer] is the one of a bundle. */
interface Tokenizer {
    val vocabularySize: Int

    /** Returns the token ids of a text, none of them a control token's. */
    fun encode(text: String): IntArray

    /**
     * Returns the exact bytes a token stands for, none for a control token; not to be changed.
     *
     * Throws [PromptException] for an id outside the vocabulary.
     */
    fun tokenBytes(id: Int): ByteArray

    /** Returns the text of tokens: control tokens give none, invalid UTF-8 gives U+FFFD. */
    fun decode(ids: IntArray): String = Utf8.text(joined(ids.map(::tokenBytes)))
}
