package dev.foreword.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertSame
import org.junit.Assert.assertThrows
import org.junit.Test
import java.nio.ByteBuffer
import java.nio.ByteOrder

class CacheTest {
    private val memory = Allocator { ByteBuffer.allocateDirect(it).order(ByteOrder.nativeOrder()) }

    private fun shape(dtype: String) = Shape("llama", 1, 2, 2, 3, 10, 16, dtype)

    private fun ByteBuffer.item(at: Int, dtype: String) =
        if (dtype == "int8") get(at).toInt() else getFloat(4 * at).toInt()

    private fun ByteBuffer.setItem(at: Int, value: Int, dtype: String) {
        if (dtype == "int8") put(at, value.toByte()) else putFloat(4 * at, value.toFloat())
    }

    @Test
    fun whatAChunkGaveIsWhereTheGraphLooksForIt() {
        for (dtype in listOf("float32", "int8")) {
            val shape = shape(dtype)
            val caches = Caches(listOf(Cache(shape, 16, memory), Cache(shape, 4, memory)))
            val chunk = Chunk(shape, Signature.of("verify_2", 16), memory)
            for (layer in 0 until 2) {
                for (i in 0 until 2 * 2 * 3) {
                    chunk.keys[layer].setItem(i, 1 + i + 20 * layer, dtype)
                    chunk.values[layer].setItem(i, 50 + i + 20 * layer, dtype)
                }
            }
            val short = caches.hold(0, 3, listOf(4, 16))
            assertEquals(4, short.slots)
            short.write(1, chunk, 2)
            val long = caches.hold(3, 5, listOf(4, 16))
            assertEquals(16, long.slots)
            assertSame(long, caches.hold(2, 3, listOf(4, 16)))
            for (cache in listOf(short, long)) {
                for (layer in 0 until 2) for (head in 0 until 2) for (token in 0 until 2) for (i in 0 until 3) {
                    val given = (head * 2 + token) * 3 + i + 20 * layer
                    val key = (head * cache.slots + 1 + token) * 3 + i
                    val value = (head * 3 + i) * cache.slots + 1 + token
                    assertEquals(1 + given, cache.keys[layer].item(key, dtype))
                    assertEquals(50 + given, cache.values[layer].item(value, dtype))
                }
            }
            caches.clear()
            assertEquals(0, long.keys[1].item(3, dtype))
            assertSame(short, caches.hold(0, 1, listOf(4, 16)))
        }
    }

    @Test
    fun theMaskHidesWhatIsNotThereAndPaddingStandsAtTheLastPlace() {
        val cache = Cache(shape("int8"), 4, memory)
        cache.show(1)
        assertEquals(listOf(0f, -1e4f, -1e4f, -1e4f), (0 until 4).map { cache.mask.getFloat(4 * it) })
        val chunk = Chunk(shape("int8"), Signature.of("prefill_4", 16), memory)
        chunk.fill(intArrayOf(7, 8), 5)
        assertEquals(listOf(7, 8, 0, 0), (0 until 4).map { chunk.tokens.getInt(4 * it) })
        assertEquals(listOf(5, 6, 6, 6), (0 until 4).map { chunk.positions.getInt(4 * it) })
        assertEquals(null, chunk.rows(2))
    }

    @Test
    fun whatHasNoRoomIsRefused() {
        val caches = Caches(listOf(Cache(shape("int8"), 4, memory)))
        assertThrows(EngineException::class.java) { caches.hold(0, 5, listOf(4)) }
        assertThrows(EngineException::class.java) { Cache(shape("float16"), 4, memory) }
        val large = Shape("llama", 1, 1, 1024, 4096, 10, 1 shl 20)
        assertThrows(EngineException::class.java) { Cache(large, 1 shl 20, memory) }
    }
}
