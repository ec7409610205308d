package dev.foreword.core

/**
 * A bundle's tokenizer: byte-level BPE, or SentencePiece BPE with byte fallback.
 *
 * It reads a Hugging Face tokenizer.json; what in it cannot be followed here is refused, since a
 * wrong token is worse than none. Not for several threads at once.
 */
class BpeTokenizer private constructor(document: Rule) : Tokenizer {
    override val vocabularySize: Int
    private val vocabulary: Vocabulary
    private val words: WordEncoder
    private val rules = TextRules(document.rule("normalizer"))
    private val first: Cut
    private val metaspaces: List<Metaspace>
    private val added: AddedTexts // found in a text as it is typed
    private val addedWritten: AddedTexts // found in it as the rules write it
    private val found = IntList()

    init {
        vocabulary = Vocabulary(document)
        vocabularySize = vocabulary.size
        val model = document.rule("model") ?: throw UnsupportedTokenizer("no model")
        val cuts = Cuts(document.rule("pre_tokenizer"), vocabulary.partsAtSpaces)
        words = WordEncoder(vocabulary, model, cuts.after)
        metaspaces = cuts.before.filterIsInstance<Metaspace>()
        first = chained(cuts.before, object : Cut() {
            override fun take(text: String, from: Int, to: Int) =
                found.addAll(words.encode(text.substring(from, to)))
        })
        added = AddedTexts(vocabulary.added.filter { !it.normalized })
        addedWritten = AddedTexts(
            vocabulary.added.filter { it.normalized }.map { it.copy(text = rules.apply(it.text)) },
        )
    }

    override fun encode(text: String): IntArray {
        found.clear()
        added.cut(text, found::add) { from, to ->
            metaspaces.forEach { it.isFirst = from == 0 }
            val written = rules.apply(text.substring(from, to))
            addedWritten.cut(written, found::add) { start, end ->
                first.take(written, start, end)
            }
        }
        return found.toArray()
    }

    override fun tokenBytes(id: Int): ByteArray {
        if (id < 0 || id >= vocabularySize) {
            throw PromptException(
                "token id $id: expected 0 to ${vocabularySize - 1}, the ids of this model's " +
                    "vocabulary; encode the text with this model's own tokenizer",
            )
        }
        return vocabulary.bytes[id]
    }

    companion object {
        /** Reads a tokenizer.json; throws [UnsupportedTokenizer], [BundleException] for no JSON. */
        fun read(text: String): BpeTokenizer {
            val document = try {
                Json.parse(text)
            } catch (error: NotJson) {
                throw unusable(error.message.orEmpty())
            }
            return BpeTokenizer(Rule(document as? Map<*, *> ?: throw unusable("no object")))
        }

        internal fun unusable(found: String) = BundleException(
            "tokenizer.json: expected a byte-level tokenizer, found $found; choose another model",
        )
    }
}

/** Returns the first of some cuts in a row, with a last one behind them. */
internal fun chained(cuts: List<Cut>, last: Cut): Cut = cuts.foldRight(last) { cut, next ->
    cut.also { it.next = next }
}

/** A token that is found in a text as it is. */
internal data class AddedText(val text: String, val id: Int, val normalized: Boolean)

/** Texts that are tokens wherever they stand, the longest first. */
internal class AddedTexts(added: List<AddedText>) {
    private val added = added.sortedByDescending { it.text.length }

    /** Tells of every token in a text, and of the stretches between them, in order. */
    inline fun cut(text: String, onToken: (Int) -> Unit, onText: (Int, Int) -> Unit) {
        var start = 0
        var at = if (added.isEmpty()) text.length else 0
        while (at < text.length) {
            val token = added.firstOrNull { text.startsWith(it.text, at) }
            if (token == null) {
                at++
                continue
            }
            if (at > start) onText(start, at)
            onToken(token.id)
            at += token.text.length
            start = at
        }
        if (start < text.length) onText(start, text.length)
    }
}

/** Token ids that become more. */
internal class IntList {
    private var items = IntArray(256)
    private var size = 0

    fun clear() {
        size = 0
    }

    fun add(item: Int) {
        if (size == items.size) items = items.copyOf(2 * size)
        items[size++] = item
    }

    fun addAll(more: IntArray) {
        for (item in more) add(item)
    }

    fun toArray(): IntArray = items.copyOf(size)
}

/** What the pieces of a text are in tokens; those asked for before are remembered. */
internal class WordEncoder(
    private val vocabulary: Vocabulary,
    model: Rule,
    after: List<Cut>,
) {
    private val wholePieces = model.flag("ignore_merges")
    private val fallback = model.flag("byte_fallback")
    private val fusesUnknown = model.flag("fuse_unk")
    private val known = HashMap<String, IntArray>()
    private val found = IntList()
    private val first = chained(after, object : Cut() {
        override fun take(text: String, from: Int, to: Int) = piece(text.substring(from, to))
    })

    /** Returns the tokens of a piece. */
    fun encode(word: String): IntArray {
        known[word]?.let { return it }
        found.clear()
        first.take(word, 0, word.length)
        val ids = found.toArray()
        if (word.length <= LONGEST) {
            if (known.size >= MOST_KNOWN) known.clear()
            known[word] = ids
        }
        return ids
    }

    private fun piece(text: String) {
        val whole = if (wholePieces) vocabulary.idOf(text) else -1
        if (whole >= 0) return add(whole)
        // A character is in up to four bytes.
        val symbols = IntArray(4 * text.length)
        var count = 0
        var at = 0
        while (at < text.length) {
            val end = at + Character.charCount(text.codePointAt(at))
            val id = vocabulary.idOf(text.substring(at, end))
            count = if (id >= 0) put(symbols, count, id) else unknown(text, at, end, symbols, count)
            at = end
        }
        for (id in vocabulary.merges.apply(symbols, count)) add(id)
    }

    private fun put(symbols: IntArray, count: Int, id: Int): Int {
        symbols[count] = id
        return count + 1
    }

    private fun unknown(text: String, at: Int, end: Int, symbols: IntArray, before: Int): Int {
        val bytes = Utf8.bytes(text.substring(at, end))
        if (fallback && bytes.all { vocabulary.byteIds[it.toInt() and 0xff] >= 0 }) {
            var count = before
            for (byte in bytes) {
                count = put(symbols, count, vocabulary.byteIds[byte.toInt() and 0xff])
            }
            return count
        }
        val unknown = vocabulary.unknown
        val fused = fusesUnknown && before > 0 && symbols[before - 1] == unknown
        return if (unknown < 0 || fused) before else put(symbols, before, unknown)
    }

    /** A vocabulary that takes whole pieces can find a control token in typed text. */
    private fun add(id: Int) {
        if (!vocabulary.isControl(id)) return found.add(id)
        for (letter in Graphemes.points(vocabulary.tokenOf(id))) {
            val spelled = vocabulary.idOf(letter)
            if (spelled >= 0 && !vocabulary.isControl(spelled)) found.add(spelled)
        }
    }

    private companion object {
        const val MOST_KNOWN = 1 shl 14
        const val LONGEST = 64
    }
}
