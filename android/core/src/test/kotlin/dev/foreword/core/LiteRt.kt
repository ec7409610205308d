package dev.foreword.core

import com.sun.jna.Memory
import com.sun.jna.NativeLibrary
import com.sun.jna.Pointer
import com.sun.jna.ptr.PointerByReference
import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * The C interface of `libLiteRt.so` 2.3.0, of which src/foreword/engine/runtime.py says more: its
 * calls, each of which throws [EngineException] unless it returns success.
 */
internal class LiteRt(path: String) {
    private val library = NativeLibrary.getInstance(path)

    val environment: Pointer by lazy {
        // Two options of 24 bytes: a tag, and a value of a kind. Quiet; and the CPU alone.
        val options = Memory(48).apply { clear() }
        for ((i, option) in listOf(25 to 4L, 24 to 1L).withIndex()) {
            options.setInt(24L * i, option.first)
            options.setInt(24L * i + 8, INT)
            options.setLong(24L * i + 16, option.second)
        }
        make("LiteRtCreateEnvironment", 2, options)
    }

    fun call(name: String, vararg arguments: Any?) {
        val status = library.getFunction(name).invokeInt(arguments)
        if (status != 0) throw EngineException("LiteRT: $name failed with status $status")
    }

    /** Calls a function whose last argument receives a handle, and returns the handle. */
    fun make(name: String, vararg arguments: Any?): Pointer {
        val handle = PointerByReference()
        call(name, *arguments, handle)
        return handle.value
    }

    fun destroy(name: String, handle: Pointer) = library.getFunction(name).invokeVoid(arrayOf(handle))

    fun count(name: String, handle: Pointer): Int {
        val count = Memory(8)
        call(name, handle, count)
        return count.getLong(0).toInt()
    }

    fun text(name: String, vararg arguments: Any?): String = make(name, *arguments).getString(0)

    /** Element type and dimensions, of a tensor or a buffer as `name` says. */
    fun tensorType(name: String, handle: Pointer): List<Int> {
        val type = Memory(TENSOR_TYPE).apply { clear() }
        call(name, handle, type)
        return listOf(type.getInt(0)) + (0 until (type.getInt(4) and 0x7f)).map { type.getInt(8L + 4 * it) }
    }

    /** Makes a tensor buffer over memory. */
    fun buffer(memory: Pointer, bytes: Int, type: Int, dimensions: List<Int>): Pointer {
        val tensor = Memory(TENSOR_TYPE).apply { clear() }
        tensor.setInt(0, type)
        tensor.setInt(4, dimensions.size)
        dimensions.forEachIndexed { i, size -> tensor.setInt(8L + 4 * i, size) }
        return make("LiteRtCreateTensorBufferFromHostMemory", tensor, memory, bytes.toLong(), null)
    }

    companion object {
        const val FLOAT32 = 1
        const val INT32 = 2
        const val INT8 = 9
        private const val INT = 2
        private const val TENSOR_TYPE = 72L

        /** Copies a text into memory that C may free, and returns it with C's own `free`. */
        fun cString(text: String): Pair<Pointer, Pointer> {
            val c = NativeLibrary.getInstance(null)
            return c.getFunction("strdup").invokePointer(arrayOf(text)) to c.getFunction("free")
        }
    }
}

/** Memory that LiteRT reads and writes in place: blocks at multiples of 64 bytes. */
internal class AlignedMemory : Allocator {
    private val blocks = ArrayList<Memory>()

    override fun allocate(bytes: Int): ByteBuffer {
        val memory = Memory(bytes + 128L).apply { clear() }
        blocks.add(memory)
        val block = memory.align(64)
        return block.getByteBuffer(0, bytes.toLong()).order(ByteOrder.nativeOrder())
    }
}
