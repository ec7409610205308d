package dev.foreword.core

/** The tokens of a tokenizer.json, their bytes, and what pairs of them become. */
internal class Vocabulary(document: Rule) {
    val bytes: Array<ByteArray>
    val merges: Merges

    /** Ids of the tokens that stand for single bytes in a SentencePiece vocabulary, else -1. */
    val byteIds = IntArray(256) { -1 }
    val unknown: Int

    /** Whether no merge reaches across a space, so that a text may be cut before its spaces. */
    val partsAtSpaces: Boolean

    /** Tokens found in a text as they are, but for control tokens. */
    val added: List<AddedText>
    val size: Int
    private val ids = HashMap<String, Int>()
    private val tokens: Array<String>
    private val control: BooleanArray

    init {
        val model = document.rule("model") ?: throw UnsupportedTokenizer("no model")
        check(model)
        val listed = document.rules("added_tokens").filter { it.integer("id") != null }
        for ((token, id) in model.map("vocab")) {
            if (token is String && id is Long && id in 0 until MOST_TOKENS) ids[token] = id.toInt()
        }
        for (token in listed) ids[token.text("content").orEmpty()] = token.integer("id") ?: 0
        size = ids.size
        val found = arrayOfNulls<String>(size)
        for ((token, id) in ids) {
            if (id >= size || found[id] != null) throw BpeTokenizer.unusable("gaps in its token ids")
            found[id] = token
        }
        tokens = Array(size) { found[it].orEmpty() }
        if (size == 0) throw BpeTokenizer.unusable("no tokens")

        val toBytes = byteRule(document)
        bytes = Array(size) { toBytes(tokens[it]) }
        control = BooleanArray(size)
        for (token in listed) {
            val id = token.integer("id") ?: continue
            control[id] = token.flag("special")
            bytes[id] = if (control[id]) ByteArray(0) else Utf8.bytes(tokens[id])
        }
        added = listed.filter { !it.flag("special") }.map(::plainlyAdded)
        for (byte in 0 until 256) byteIds[byte] = idOf("<0x%02X>".format(byte))
        unknown = model.text("unk_token")?.let(::idOf) ?: -1
        val pairs = model.list("merges")
        merges = Merges(pairs.size)
        pairs.forEachIndexed { rank, pair -> add(rank, pair) }
        partsAtSpaces = model.flag("byte_fallback") && !model.flag("ignore_merges") &&
            pairs.none { reachesAcross(textOf(it)) }
    }

    /** Returns the id of a token, -1 for none. */
    fun idOf(token: String): Int = ids[token] ?: -1

    /** Returns what a token is called. */
    fun tokenOf(id: Int): String = tokens[id]

    /** Returns whether a token stands for no text. */
    fun isControl(id: Int): Boolean = control[id]

    private fun check(model: Rule) {
        val type = model.text("type") ?: "BPE"
        if (type != "BPE") throw UnsupportedTokenizer(type)
        for (name in listOf("continuing_subword_prefix", "end_of_word_suffix")) {
            if (!model.text(name).isNullOrEmpty()) throw UnsupportedTokenizer(name)
        }
    }

    private fun plainlyAdded(token: Rule): AddedText {
        for (flag in listOf("single_word", "lstrip", "rstrip")) {
            if (token.flag(flag)) throw UnsupportedTokenizer("an added token with $flag")
        }
        val text = token.text("content").orEmpty()
        if (text.isEmpty()) throw UnsupportedTokenizer("an added token without text")
        return AddedText(text, idOf(text), token.flag("normalized"))
    }

    private fun add(rank: Int, pair: Any?) {
        val parts = partsOf(pair)
        val left = idOf(parts[0])
        val right = idOf(parts[1])
        val result = idOf(parts[0] + parts[1])
        if (left < 0 || right < 0 || result < 0) {
            throw BpeTokenizer.unusable("a merge of tokens that are none")
        }
        merges.add(left, right, rank, result)
    }

    private fun partsOf(pair: Any?): List<String> {
        val parts = if (pair is String) pair.split(" ") else pair as? List<*> ?: emptyList<Any>()
        val texts = parts.filterIsInstance<String>()
        if (texts.size != 2) throw BpeTokenizer.unusable("a merge that is no pair")
        return texts
    }

    private fun textOf(pair: Any?): String = partsOf(pair).joinToString("")

    private fun reachesAcross(text: String): Boolean =
        (1 until text.length).any { text[it] == SPACE && text[it - 1] != SPACE }

    /** Tells from its decoder how a tokenizer writes bytes in tokens. */
    private fun byteRule(document: Rule): (String) -> ByteArray {
        val decoder = document.rule("decoder")
        val kinds = decoder?.steps("decoders")?.map { it.type } ?: emptyList()
        return when {
            "ByteLevel" in kinds -> { token -> ByteAlphabet.bytesOf(token) ?: Utf8.bytes(token) }
            "ByteFallback" in kinds -> ::sentencePieceBytes
            else -> throw UnsupportedTokenizer("it does not hold every byte")
        }
    }

    private fun sentencePieceBytes(token: String): ByteArray {
        if (token.length == 6 && token.startsWith("<0x") && token.endsWith(">")) {
            val byte = token.substring(3, 5).toIntOrNull(16)
            if (byte != null && token[3] != '-' && token[3] != '+') return byteArrayOf(byte.toByte())
        }
        return Utf8.bytes(token.replace(SPACE, ' '))
    }

    private companion object {
        const val SPACE = '▁'
        const val MOST_TOKENS = 1 shl 22
    }
}
