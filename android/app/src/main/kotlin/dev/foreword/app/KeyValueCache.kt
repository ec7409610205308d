package dev.foreword.app

import dev.foreword.core.Shape
import java.nio.ByteBuffer

/**
 * Keys [K, S, H], values [K, H, S] of every layer, and the mask [S], of [slots] slots.
 *
 * They are of the type the model gives and takes: what int8 stands for, it knows.
 */
class KeyValueCache(private val shape: Shape, private val slots: Int) {
    private val itemBytes = itemBytesOf(shape)
    private val layerBytes = shape.kvHeads * slots * shape.headDim * itemBytes
    private val keys = List(shape.layers) { direct(layerBytes) }
    private val values = List(shape.layers) { direct(layerBytes) }
    private val mask = direct(slots * Float.SIZE_BYTES)

    /** The tensors a signature reads, by name. */
    val inputs = numbered("kv_cache_k_", keys) + numbered("kv_cache_v_", values) + ("mask" to mask)

    /** Lets the first [length] slots be attended, and hides the others. */
    fun show(length: Int) {
        for (slot in 0 until slots) mask.putFloat(slot * 4, if (slot < length) 0f else HIDDEN)
    }

    /** Stores the first [count] rows of a layer's slices [K, width, H] at slots [position]…. */
    fun write(layer: Int, position: Int, count: Int, key: ByteBuffer, value: ByteBuffer) {
        val rowBytes = shape.headDim * itemBytes
        val width = key.capacity() / (shape.kvHeads * rowBytes)
        for (head in 0 until shape.kvHeads) {
            val from = head * width * rowBytes
            val to = (head * slots + position) * rowBytes
            keys[layer].move(to, key, from, count * rowBytes)
            transpose(values[layer], head, position, count, value, from)
        }
    }

    /** Zeroes every slot: a NaN in a hidden one would spread, a stale number does not. */
    fun clear() {
        for (buffer in keys + values) {
            for (at in 0 until buffer.capacity() step itemBytes) {
                if (itemBytes == 1) buffer.put(at, 0) else buffer.putInt(at, 0)
            }
        }
    }

    /** Stores the rows [count, H] of a head as columns; numbers are moved, whatever they mean. */
    private fun transpose(
        into: ByteBuffer, head: Int, position: Int, count: Int, rows: ByteBuffer, from: Int,
    ) {
        for (index in 0 until shape.headDim) {
            val column = (head * shape.headDim + index) * slots + position
            for (row in 0 until count) {
                val at = from + (row * shape.headDim + index) * itemBytes
                val to = (column + row) * itemBytes
                if (itemBytes == 1) into.put(to, rows.get(at)) else into.putInt(to, rows.getInt(at))
            }
        }
    }

    companion object {
        /** The mask's value for a slot that may not be attended. */
        private const val HIDDEN = -1e4f

        fun itemBytesOf(shape: Shape) = if (shape.cacheDtype == "int8") 1 else Float.SIZE_BYTES
    }
}

/** Names the tensors of the layers. */
internal fun numbered(prefix: String, layers: List<ByteBuffer>): Map<String, ByteBuffer> =
    layers.withIndex().associate { (layer, buffer) -> prefix + layer to buffer }

/** Copies bytes between places of two buffers; the JDK's own needs a later Android. */
private fun ByteBuffer.move(to: Int, from: ByteBuffer, at: Int, bytes: Int) {
    val source = from.duplicate()
    source.limit(at + bytes)
    source.position(at)
    val target = duplicate()
    target.position(to)
    target.put(source)
}
