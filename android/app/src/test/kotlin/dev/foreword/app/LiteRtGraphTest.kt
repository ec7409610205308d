package dev.foreword.app

import dev.foreword.core.EngineException
import dev.foreword.core.Shape
import java.nio.ByteBuffer
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

private const val LAYERS = 2
private const val HEADS = 2
private const val SIZE = 3
private const val VOCABULARY = 5

private fun shape(context: Int, dtype: String = "float32") =
    Shape("fake", 1, LAYERS, HEADS, SIZE, VOCABULARY, context, dtype)

/**
 * Signatures whose keys and values say where they are from (token, position, layer, head, index),
 * and whose logits are what the mask lets through of the cache.
 */
private class FakeSignatures(
    private val shape: Shape,
    private val slots: Map<String, Int>,
    private val wrong: String? = null,
) : Signatures {
    private val itemBytes = KeyValueCache.itemBytesOf(shape)
    val ran = ArrayList<String>()
    var closed = false
    override val names = slots.keys.toList()

    private fun width(name: String) = name.substringAfter("prefill_", "1").toInt()

    override fun inputBytes(signature: String): Map<String, Int> {
        val length = slots.getValue(signature)
        val layer = HEADS * SIZE * length * itemBytes
        return caches("kv_cache", layer) + mapOf(
            "mask" to length * 4,
            "tokens" to width(signature) * 4,
            "input_pos" to width(signature) * (if (wrong == "input_pos") 8 else 4),
        )
    }

    override fun outputBytes(signature: String): Map<String, Int> {
        val slices = caches("kv_slice", HEADS * SIZE * width(signature) * itemBytes)
        return if ("prefill" in signature) slices else slices + ("logits" to VOCABULARY * 4)
    }

    private fun caches(prefix: String, bytes: Int) = (0 until LAYERS)
        .flatMap { listOf("${prefix}_k_$it" to bytes, "${prefix}_v_$it" to bytes) }.toMap()

    override fun run(
        signature: String,
        inputs: Map<String, ByteBuffer>,
        outputs: Map<String, ByteBuffer>,
    ) {
        ran.add(signature)
        val length = slots.getValue(signature)
        val width = width(signature)
        for (layer in 0 until LAYERS) for (head in 0 until HEADS) for (row in 0 until width) {
            val token = inputs.getValue("tokens").getInt(row * 4)
            val position = inputs.getValue("input_pos").getInt(row * 4)
            for (index in 0 until SIZE) {
                val at = ((head * width + row) * SIZE + index) * itemBytes
                val number = token * 7 + position * 3 + layer * 50 + head * 20 + index
                put(outputs.getValue("kv_slice_k_$layer"), at, number)
                put(outputs.getValue("kv_slice_v_$layer"), at, -number)
            }
        }
        val logits = outputs["logits"] ?: return
        var sum = 0f
        for (slot in 0 until length) if (inputs.getValue("mask").getFloat(slot * 4) == 0f) {
            for (layer in 0 until LAYERS) for (head in 0 until HEADS) for (index in 0 until SIZE) {
                val key = ((head * length + slot) * SIZE + index) * itemBytes
                val value = ((head * SIZE + index) * length + slot) * itemBytes
                val weight = (slot + 1) * (index + 1)
                sum += weight * get(inputs.getValue("kv_cache_k_$layer"), key)
                sum += 2 * weight * get(inputs.getValue("kv_cache_v_$layer"), value)
            }
        }
        for (id in 0 until VOCABULARY) logits.putFloat(id * 4, sum + id)
    }

    private fun put(buffer: ByteBuffer, at: Int, number: Int) {
        if (itemBytes == 1) buffer.put(at, number.toByte())
        else buffer.putFloat(at, number.toFloat())
    }

    private fun get(buffer: ByteBuffer, at: Int) =
        if (itemBytes == 1) buffer.get(at).toFloat() else buffer.getFloat(at)

    override fun close() {
        closed = true
    }
}

class LiteRtGraphTest {
    private val tokens = intArrayOf(1, 4, 2, 3, 1, 0, 2, 4, 3, 1, 2)

    private fun graph(dtype: String, signatures: Map<String, Int>, context: Int) =
        FakeSignatures(shape(context, dtype), signatures).let {
            it to LiteRtGraph(it, shape(context, dtype), signatures.keys.toList())
        }

    @Test
    fun `chunks of any size leave the same cache`() {
        for (dtype in listOf("float32", "int8")) {
            val signatures = mapOf("decode" to 16, "prefill_4" to 16)
            val expected = graph(dtype, signatures, 16).second.let { graph ->
                tokens.indices.map { graph.run("decode", intArrayOf(tokens[it]), it)!! }.last()
            }
            val (_, graph) = graph(dtype, signatures, 16)
            for (at in listOf(0, 4, 8)) {
                val chunk = tokens.copyOfRange(at, minOf(at + 4, tokens.size - 1))
                assertNull(graph.run("prefill_4", chunk, at))
            }
            val found = graph.run("decode", intArrayOf(tokens.last()), tokens.size - 1)
            assertArrayEquals(expected, found, 0f)
        }
    }

    @Test
    fun `slots beyond the position are hidden, and cleared ones are zero`() {
        val (_, graph) = graph("float32", mapOf("decode" to 16), 16)
        val first = graph.run("decode", intArrayOf(3), 0)!!
        for (at in 1..5) graph.run("decode", intArrayOf(4), at)
        assertArrayEquals(first, graph.run("decode", intArrayOf(3), 0), 0f)
        graph.clear()
        val cleared = graph.run("decode", intArrayOf(3), 10)!!
        assertArrayEquals(FloatArray(VOCABULARY) { it.toFloat() }, cleared, 0f)
    }

    @Test
    fun `the shortest cache that is long enough is used, with one prefill chunk`() {
        val signatures = mapOf(
            "decode" to 512, "prefill_8" to 512, "prefill_128" to 512, "s64_decode" to 64,
            "s128_decode" to 128, "s128_prefill_4" to 128, "s128_prefill_8" to 128,
            "s128_prefill_32" to 128,
        )
        val (fake, graph) = graph("float32", signatures, 512)
        assertEquals(128, graph.shape.context)
        assertEquals(listOf(8), graph.widths.prefill)
        graph.run("prefill_8", tokens.copyOf(8), 0)
        graph.run("decode", intArrayOf(1), 8)
        assertEquals(listOf("s128_prefill_8", "s128_decode"), fake.ran)
    }

    @Test
    fun `a model that is not as its manifest says is refused before it runs`() {
        val signatures = mapOf("decode" to 16)
        val names = listOf("decode", "prefill_4")
        val missing = assertThrows(EngineException::class.java) {
            LiteRtGraph(FakeSignatures(shape(16), signatures), shape(16), names)
        }
        assertTrue(missing.message!!, "prefill_4" in missing.message!!)
        for ((promised, wrong) in listOf(shape(32) to null, shape(16) to "input_pos")) {
            val error = assertThrows(EngineException::class.java) {
                val fake = FakeSignatures(shape(16), signatures, wrong)
                LiteRtGraph(fake, promised, listOf("decode"))
            }
            assertTrue(error.message!!, "manifest promises" in error.message!!)
        }
    }

    @Test
    fun `closing gives the interpreter's memory back`() {
        val (fake, graph) = graph("float32", mapOf("decode" to 16), 16)
        graph.close()
        assertTrue(fake.closed)
    }
}
