package dev.foreword.core

import java.nio.ByteBuffer

/** Makes zeroed memory of so many bytes, in the machine's order, that the runtime may read. */
fun interface Allocator {
    fun allocate(bytes: Int): ByteBuffer
}

/**
 * Keys [K, S, H] and values [K, H, S] of every layer, and the mask [S], of `slots` slots S.
 *
 * Keys and values are of the type the model gives and takes: what int8 stands for, it knows. A
 * model takes one layer's as `kv_cache_k_<i>` and `kv_cache_v_<i>`.
 */
class Cache(private val shape: Shape, val slots: Int, allocator: Allocator) {
    private val itemBytes = bytesOf(shape.cacheDtype)
    private val layerBytes = shape.kvHeads.toLong() * slots * shape.headDim * itemBytes
    val mask: ByteBuffer = allocator.allocate(slots * Float.SIZE_BYTES)
    val keys: List<ByteBuffer>
    val values: List<ByteBuffer>

    init {
        if (layerBytes > Int.MAX_VALUE) {
            throw EngineException(
                "there is not enough memory for a context of $slots tokens: convert the model with " +
                    "a smaller one",
            )
        }
        keys = List(shape.layers) { allocator.allocate(layerBytes.toInt()) }
        values = List(shape.layers) { allocator.allocate(layerBytes.toInt()) }
    }

    /** Lets the first `length` slots be attended, and hides the others. */
    fun show(length: Int) {
        for (slot in 0 until slots) mask.putFloat(slot * 4, if (slot < length) 0f else HIDDEN)
    }

    /** Stores what a chunk gave for its first `count` tokens at slots `position…`. */
    fun write(position: Int, chunk: Chunk, count: Int) {
        val row = shape.headDim * itemBytes
        for (layer in keys.indices) {
            for (head in 0 until shape.kvHeads) {
                val from = head * chunk.width * row
                val to = (head * slots + position) * row
                copy(chunk.keys[layer], from, keys[layer], to, count * row)
            }
            if (itemBytes == 1) {
                turnBytes(chunk.values[layer], chunk.width, values[layer], position, count)
            } else {
                turnFloats(chunk.values[layer], chunk.width, values[layer], position, count)
            }
        }
    }

    /** Copies the first `length` slots of another cache. */
    fun take(other: Cache, length: Int) {
        val row = shape.headDim * itemBytes
        val taken = length * itemBytes
        for (layer in keys.indices) {
            for (head in 0 until shape.kvHeads) {
                copy(other.keys[layer], head * other.slots * row, keys[layer], head * slots * row,
                    length * row)
            }
            for (line in 0 until shape.kvHeads * shape.headDim) {
                copy(other.values[layer], line * other.slots * itemBytes, values[layer],
                    line * slots * itemBytes, taken)
            }
        }
    }

    /** Zeroes every slot. */
    fun clear() {
        for (buffer in keys + values) {
            for (i in 0 until buffer.capacity()) buffer.put(i, 0)
        }
    }

    private fun copy(from: ByteBuffer, at: Int, to: ByteBuffer, place: Int, bytes: Int) {
        val source = from.duplicate()
        source.limit(at + bytes)
        source.position(at)
        val target = to.duplicate()
        target.position(place)
        target.put(source)
    }

    /** Writes slices [K, T, H] as columns of [K, H, S]. */
    private fun turnFloats(from: ByteBuffer, width: Int, to: ByteBuffer, position: Int, count: Int) {
        val source = from.asFloatBuffer()
        val target = to.asFloatBuffer()
        eachItem(width, position, count) { a, b -> target.put(b, source.get(a)) }
    }

    private fun turnBytes(from: ByteBuffer, width: Int, to: ByteBuffer, position: Int, count: Int) =
        eachItem(width, position, count) { a, b -> to.put(b, from.get(a)) }

    private inline fun eachItem(width: Int, position: Int, count: Int, copy: (Int, Int) -> Unit) {
        val size = shape.headDim
        for (head in 0 until shape.kvHeads) {
            for (token in 0 until count) {
                val row = (head * width + token) * size
                val column = head * size * slots + position + token
                for (i in 0 until size) copy(row + i, column + i * slots)
            }
        }
    }

    companion object {
        /** The graph contract's mask value for a slot that may not be attended. */
        const val HIDDEN = -1e4f

        internal fun bytesOf(dtype: String): Int = when (dtype) {
            "float32" -> 4
            "int8" -> 1
            else -> throw EngineException(
                "cache_dtype: expected float32 or int8, found another: convert the model again",
            )
        }
    }
}

/** The lengths of caches there are, ascending, and the one that holds the text now. */
class Caches(caches: List<Cache>) : Iterable<Cache> {
    private val caches = caches.sortedBy { it.slots }
    private var current = this.caches[0]

    override fun iterator(): Iterator<Cache> = caches.iterator()

    /**
     * Returns the cache to run tokens `position…end` on, with those before in it.
     *
     * `lengths` are those the signature to run exists for, the longest among them. The cache grows
     * with the text and shrinks only when a text starts anew: going back and forth at a boundary
     * would copy at every keystroke.
     */
    fun hold(position: Int, end: Int, lengths: Collection<Int>): Cache {
        val least = maxOf(end, if (position > 0) current.slots else 0)
        val chosen = caches.firstOrNull { it.slots >= least && it.slots in lengths }
            ?: throw EngineException("the context has no room for $end tokens: keep the text's end")
        if (chosen !== current) {
            chosen.take(current, position)
            current = chosen
        }
        return chosen
    }

    /** Zeroes all. */
    fun clear() = caches.forEach { it.clear() }
}

/**
 * What one run of `width` tokens T takes and gives, the same for every length of the cache:
 * `tokens` and `input_pos` [T], slices `kv_slice_k_<i>` and `kv_slice_v_<i>` [K, T, H], and logits
 * [T, V], null for prefill.
 */
class Chunk(shape: Shape, signature: Signature, allocator: Allocator) {
    val width = signature.width
    val tokens: ByteBuffer = allocator.allocate(width * Int.SIZE_BYTES)
    val positions: ByteBuffer = allocator.allocate(width * Int.SIZE_BYTES)
    val keys: List<ByteBuffer>
    val values: List<ByteBuffer>
    val logits: ByteBuffer? = if (signature.kind == "prefill") {
        null
    } else {
        allocator.allocate(width * shape.vocabulary * Float.SIZE_BYTES)
    }
    private val vocabulary = shape.vocabulary
    private val read = if (logits == null) null else FloatArray(vocabulary * width)

    init {
        val bytes = shape.kvHeads * width * shape.headDim * Cache.bytesOf(shape.cacheDtype)
        keys = List(shape.layers) { allocator.allocate(bytes) }
        values = List(shape.layers) { allocator.allocate(bytes) }
    }

    /** Sets tokens and positions; padding is token 0 at the last real position. */
    fun fill(ids: IntArray, position: Int) {
        for (i in 0 until width) {
            tokens.putInt(i * 4, if (i < ids.size) ids[i] else 0)
            positions.putInt(i * 4, position + minOf(i, ids.size - 1))
        }
    }

    /** Returns the logits of the first `count` tokens, overwritten by the next run; or null. */
    fun rows(count: Int): FloatArray? {
        val buffer = logits ?: return null
        return read?.also { buffer.asFloatBuffer().get(it, 0, count * vocabulary) }
    }
}
