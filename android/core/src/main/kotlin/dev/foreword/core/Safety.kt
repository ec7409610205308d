package dev.foreword.core

import java.io.InputStream

/** A bad word: where it is, in code points of the text, and which; never the word itself. */
data class Match(val start: Int, val end: Int, val severity: String, val entry: String)

/** How much a filter leaves out. */
enum class Level(internal val severities: Set<String>) {
    OFF(emptySet()),
    DEFAULT(setOf("slur", "vulgar")),
    STRICT(setOf("slur", "vulgar", "mild")),
}

/**
 * The safety filter: bad words in what is typed and in what is suggested.
 *
 * One scan reads a prompt and then its suggestion, so that a word half typed is judged with what is
 * suggested for it: `feed` the prompt (a match refuses it), then each piece of the suggestion. Show
 * no more than `safe` code points of both. On a match go back to its `start`: keep a `copy` of the
 * scan for every step. `end` judges the last word, which before may still become another.
 */
class Filter internal constructor(private val lexicon: Lexicon) {
    /** Returns the first bad word of a whole text. */
    fun find(text: String): Match? = scan().let { it.feed(text) ?: it.end() }

    /** Begins a text that comes in pieces. */
    fun scan(): Scan = Scan(lexicon)

    companion object {
        /**
         * Reads the filter of a level from what lexicon.json holds; `extra` is bad as well, and
         * `allow` is not, which wins. Throws [BundleException] for what is no lexicon.
         */
        fun read(
            lexicon: InputStream,
            level: Level = Level.DEFAULT,
            extra: List<String> = emptyList(),
            allow: List<String> = emptyList(),
        ): Filter {
            val document = LexiconFile(Utf8.text(lexicon.readBytes()))
            val words = Lexicon(Tables(document))
            words.addAll(document, level.severities)
            allow.forEach(words::allow)
            extra.forEachIndexed { i, text -> words.addOwn(i + 1, text) }
            return Filter(words)
        }
    }
}
