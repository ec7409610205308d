package dev.foreword.core

/** The longest token first; tests/fixed_model.py says what its tokens are. */
internal class FixedTokenizer(longer: List<String>) : Tokenizer {
    private val pieces = listOf(ByteArray(0)) + (0 until 256).map { byteArrayOf(it.toByte()) } +
        longer.map { hex -> ByteArray(hex.length / 2) { hex.substring(2 * it, 2 * it + 2).toInt(16).toByte() } }
    private val ids = pieces.withIndex().associate { (id, piece) -> latin(piece) to id }
    private val longest = pieces.maxOf { it.size }

    override val vocabularySize = pieces.size

    override fun encode(text: String): IntArray {
        val found = ArrayList<Int>()
        var raw = latin(Utf8.bytes(text))
        while (raw.isNotEmpty()) {
            found.add(nextOf(raw))
            raw = raw.substring(pieces[found.last()].size)
        }
        return found.toIntArray()
    }

    fun nextOf(raw: String): Int =
        (minOf(longest, raw.length) downTo 1).firstNotNullOf { ids[raw.take(it)] }

    override fun tokenBytes(id: Int): ByteArray = pieces[id]
}

/** Scores that any language computes to the last bit. */
internal class FixedModel(override val tokenizer: FixedTokenizer, about: Value) : TokenModel {
    override val context = about["context"].int
    override val firstToken = if (about["first_token"].isNull) null else about["first_token"].int
    override var computedTokens = 0
    private val book = about["book"].list.map {
        latin(Utf8.bytes(it.list[0].text)) to it.list[1].number
    }

    override fun logits(tokens: IntArray, cancel: Cancel?): FloatArray? {
        if (cancel?.isSet() == true) return null
        computedTokens++
        val last = tokens.lastOrNull() ?: 0
        val before = tokens.getOrNull(tokens.size - 2) ?: 0
        val scores = FloatArray(tokenizer.vocabularySize) {
            -(12 + ((31 * last + 17 * before + 7 * it) % 8) / 8.0).toFloat()
        }
        val seen = latin(joined(tokens.map(tokenizer::tokenBytes)))
        for ((sentence, weight) in book) {
            val size = (sentence.length downTo 1).firstOrNull { seen.endsWith(sentence.take(it)) } ?: continue
            val rest = sentence.substring(size)
            val id = if (rest.isEmpty()) 0 else tokenizer.nextOf(rest)
            scores[id] = maxOf(scores[id], (weight + size / 4.0).toFloat())
        }
        return scores
    }
}

private fun latin(bytes: ByteArray) = String(bytes, Charsets.ISO_8859_1)
