package dev.foreword.app

import dev.foreword.core.EngineException
import dev.foreword.core.Graph
import dev.foreword.core.Shape
import dev.foreword.core.Signature
import dev.foreword.core.Widths
import java.nio.ByteBuffer

/**
 * A bundle's model over LiteRT, with its cache.
 *
 * Every signature that runs packs the weights for itself, and every step copies the whole cache it
 * is given. So two signatures are used, `decode` and one prefill chunk, over the shortest cache
 * that holds what an app on a phone looks at. Throws [EngineException] where LiteRT refuses the
 * model, or its signatures are not those that the manifest promises.
 */
class LiteRtGraph(
    private val signatures: Signatures,
    promised: Shape,
    names: List<String>,
) : Graph {
    private val chosen = Chosen.of(names, promised.context)
    override val shape = promised.copy(context = chosen.slots)
    override val widths = Widths(prefill = listOfNotNull(chosen.prefill), verify = emptyList())
    private val cache = KeyValueCache(shape, chosen.slots)
    private val chunks: Map<String, Chunk>

    init {
        val wanted = listOfNotNull("decode", chosen.prefill?.let { "prefill_$it" })
        chunks = wanted.associateWith { Chunk(shape, it, chosen.prefix + it, cache) }
        for (chunk in chunks.values) check(chunk)
    }

    override fun run(signature: String, tokens: IntArray, position: Int): FloatArray? {
        val chunk = chunks.getValue(signature)
        chunk.fill(tokens, position)
        cache.show(position)
        try {
            signatures.run(chunk.name, chunk.inputs, chunk.outputs)
        } catch (error: RuntimeException) {
            throw EngineException("the model could not be run: ${reasonOf(error)}")
        }
        for (layer in 0 until shape.layers) {
            cache.write(layer, position, tokens.size, chunk.keys[layer], chunk.values[layer])
        }
        return chunk.logits?.let { read(it, tokens.size * shape.vocabulary) }
    }

    override fun clear() = cache.clear()

    override fun close() = signatures.close()

    /** The runtime's own checks tell less, or come after it wrote past the end of something. */
    private fun check(chunk: Chunk) {
        if (chunk.name !in signatures.names) {
            throw EngineException(
                "expected a model with the signature ${chunk.name}, found " +
                    "${signatures.names.joinToString().take(80)}: convert the model again",
            )
        }
        compare(chunk.name, "input", signatures.inputBytes(chunk.name), chunk.inputs)
        compare(chunk.name, "output", signatures.outputBytes(chunk.name), chunk.outputs)
    }

    private fun compare(
        signature: String, side: String, found: Map<String, Int>, promised: Map<String, ByteBuffer>,
    ) {
        val strange = (found.keys + promised.keys).sorted()
            .find { found[it] != promised[it]?.capacity() } ?: return
        throw EngineException(
            "$side $strange of $signature has ${found[strange] ?: "no"} bytes, the manifest " +
                "promises ${promised[strange]?.capacity() ?: "none"}: convert the model again",
        )
    }

    private fun read(logits: ByteBuffer, count: Int): FloatArray {
        val numbers = FloatArray(count)
        logits.asFloatBuffer().get(numbers)
        return numbers
    }
}

/** What one run of [width] tokens takes and gives. */
private class Chunk(shape: Shape, kind: String, val name: String, cache: KeyValueCache) {
    val width = kind.substringAfter('_', "1").toInt()
    private val tokens = direct(width * Int.SIZE_BYTES)
    private val positions = direct(width * Int.SIZE_BYTES)
    private val sliceBytes =
        shape.kvHeads * width * shape.headDim * KeyValueCache.itemBytesOf(shape)
    val keys = List(shape.layers) { direct(sliceBytes) }
    val values = List(shape.layers) { direct(sliceBytes) }
    val logits = if (kind == "decode") direct(width * shape.vocabulary * Float.SIZE_BYTES) else null

    val inputs = cache.inputs + mapOf("tokens" to tokens, "input_pos" to positions)
    val outputs = numbered("kv_slice_k_", keys) + numbered("kv_slice_v_", values) +
        listOfNotNull(logits?.let { "logits" to it })

    /** Sets tokens and positions; padding is token 0 at the last real position. */
    fun fill(ids: IntArray, position: Int) {
        for (at in 0 until width) {
            tokens.putInt(at * 4, if (at < ids.size) ids[at] else 0)
            positions.putInt(at * 4, position + minOf(at, ids.size - 1))
        }
    }
}

/** Which of a bundle's signatures are used: the length of the cache and the prefill chunk. */
private class Chosen(val slots: Int, val prefill: Int?, val prefix: String) {
    companion object {
        /** The longest window of the app in tokens, and room for words that need more. */
        private const val ENOUGH_SLOTS = 128

        /** Wider chunks are hardly faster a token, and cannot be called off while they run. */
        private const val USUAL_WIDTH = 8

        fun of(names: List<String>, context: Int): Chosen {
            val all = names.map { Signature.of(it, context) }
            val lengths = all.filter { it.kind == "decode" }.map { it.slots }.sorted()
            val slots = lengths.find { it >= ENOUGH_SLOTS } ?: lengths.last()
            val widths = all.filter { it.kind == "prefill" && it.slots == slots }.map { it.width }
            val prefill = widths.sorted().find { it >= USUAL_WIDTH } ?: widths.maxOrNull()
            return Chosen(slots, prefill, if (slots == context) "" else "s${slots}_")
        }
    }
}
