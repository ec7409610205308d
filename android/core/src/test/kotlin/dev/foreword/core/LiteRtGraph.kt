package dev.foreword.core

import com.sun.jna.Memory
import com.sun.jna.Native
import com.sun.jna.Pointer
import java.io.File
import java.nio.ByteBuffer

/** A bundle's model run by LiteRT on this machine, as src/foreword/engine/runtime.py does. */
internal class LiteRtGraph(
    private val runtime: LiteRt,
    model: File,
    override val shape: Shape,
    signatures: List<String>,
    threads: Int,
) : Graph {
    override val widths = Widths.of(signatures, shape.context)

    /** The signatures that ran, with their cache's slots. */
    val ran = ArrayList<String>()
    private val cacheType = if (shape.cacheDtype == "int8") LiteRt.INT8 else LiteRt.FLOAT32
    private val memory = AlignedMemory()
    private val handles = ArrayList<Pair<String, Pointer>>()
    private val caches: Caches
    private val chunks: Map<String, Chunk>
    private val calls = HashMap<String, HashMap<Int, Call>>()
    private val model: Pointer
    private val compiled: Pointer

    private class Call(val index: Int, val inputs: Memory, val outputs: Memory, val ins: Int, val outs: Int)

    init {
        this.model = own(
            "Model",
            runtime.make("LiteRtCreateModelFromFile", runtime.environment, model.path),
        )
        compiled = compile(threads)
        val split = signatures.associateWith { Signature.of(it, shape.context) }
        val made = split.values.map { it.slots }.distinct().map { Cache(shape, it, memory) }
        caches = Caches(made)
        chunks = split.values.distinctBy { it.chunk }
            .associate { it.chunk to Chunk(shape, it, memory) }
        val bound = made.associate { it.slots to bind(it) }
        val inputs = chunks.mapValues { bindInputs(it.value) }
        val outputs = chunks.mapValues { bindOutputs(it.value) }
        for (index in 0 until runtime.count("LiteRtGetNumModelSignatures", this.model)) {
            val handle = runtime.make("LiteRtGetModelSignature", this.model, index.toLong())
            val signature = split[runtime.text("LiteRtGetSignatureKey", handle)] ?: continue
            val chunk = signature.chunk
            val ins = bound.getValue(signature.slots) + inputs.getValue(chunk)
            val outs = outputs.getValue(chunk)
            calls.getOrPut(chunk) { HashMap() }[signature.slots] = Call(
                index,
                inOrder(handle, "Input", ins),
                inOrder(handle, "Output", outs),
                ins.size,
                outs.size,
            )
        }
    }

    override fun run(signature: String, tokens: IntArray, position: Int): FloatArray? {
        val chunk = chunks.getValue(signature)
        val lengths = calls.getValue(signature)
        val cache = caches.hold(position, position + tokens.size, lengths.keys)
        chunk.fill(tokens, position)
        cache.show(position)
        val call = lengths.getValue(cache.slots)
        runtime.call(
            "LiteRtRunCompiledModel",
            compiled,
            call.index.toLong(),
            call.ins.toLong(),
            call.inputs,
            call.outs.toLong(),
            call.outputs,
        )
        cache.write(position, chunk, tokens.size)
        ran.add("$signature/${cache.slots}")
        return chunk.rows(tokens.size)
    }

    override fun clear() = caches.clear()

    override fun close() {
        for ((kind, handle) in handles.asReversed()) runtime.destroy("LiteRtDestroy$kind", handle)
        handles.clear()
    }

    private fun own(kind: String, handle: Pointer) = handle.also { handles.add(kind to it) }

    private fun compile(threads: Int): Pointer {
        val options = own("Options", runtime.make("LiteRtCreateOptions"))
        runtime.call("LiteRtSetOptionsHardwareAccelerators", options, 1)
        val settings = "num_threads = $threads\nweight_cache_file_path = \":memory\"\n"
        val (payload, free) = LiteRt.cString(settings)
        val opaque = runtime.make("LiteRtCreateOpaqueOptions", "xnnpack", payload, free)
        runtime.call("LiteRtAddOpaqueOptions", options, opaque)
        return own(
            "CompiledModel",
            runtime.make("LiteRtCreateCompiledModel", runtime.environment, model, options),
        )
    }

    private fun bind(cache: Cache): Map<String, Pointer> {
        val (heads, size, slots) = Triple(shape.kvHeads, shape.headDim, cache.slots)
        val bound = hashMapOf("mask" to buffer(cache.mask, LiteRt.FLOAT32, 1, 1, 1, slots))
        for (i in cache.keys.indices) {
            bound["kv_cache_k_$i"] = buffer(cache.keys[i], cacheType, 1, heads, slots, size)
            bound["kv_cache_v_$i"] = buffer(cache.values[i], cacheType, 1, heads, size, slots)
        }
        return bound
    }

    private fun bindInputs(chunk: Chunk) = mapOf(
        "tokens" to buffer(chunk.tokens, LiteRt.INT32, 1, chunk.width),
        "input_pos" to buffer(chunk.positions, LiteRt.INT32, chunk.width),
    )

    private fun bindOutputs(chunk: Chunk): Map<String, Pointer> {
        val (heads, size, width) = Triple(shape.kvHeads, shape.headDim, chunk.width)
        val bound = HashMap<String, Pointer>()
        for (i in chunk.keys.indices) {
            bound["kv_slice_k_$i"] = buffer(chunk.keys[i], cacheType, 1, heads, width, size)
            bound["kv_slice_v_$i"] = buffer(chunk.values[i], cacheType, 1, heads, width, size)
        }
        chunk.logits?.let { bound["logits"] = buffer(it, LiteRt.FLOAT32, 1, width, shape.vocabulary) }
        return bound
    }

    private fun buffer(memory: ByteBuffer, type: Int, vararg dimensions: Int): Pointer {
        val address = Native.getDirectBufferPointer(memory)
        return own("TensorBuffer", runtime.buffer(address, memory.capacity(), type, dimensions.toList()))
    }

    private fun inOrder(handle: Pointer, side: String, buffers: Map<String, Pointer>): Memory {
        val count = runtime.count("LiteRtGetNumSignature${side}s", handle)
        if (count != buffers.size) throw EngineException("$count ${side}s, expected ${buffers.size}")
        val ordered = Memory(8L * count)
        for (i in 0 until count) {
            val name = runtime.text("LiteRtGetSignature${side}Name", handle, i.toLong())
            val buffer = buffers[name] ?: throw EngineException("a strange $side: $name")
            val tensor = runtime.make("LiteRtGetSignature${side}TensorByIndex", handle, i.toLong())
            val found = runtime.tensorType("LiteRtGetRankedTensorType", tensor)
            val expected = runtime.tensorType("LiteRtGetTensorBufferTensorType", buffer)
            if (found != expected) throw EngineException("$name is $found, expected $expected")
            ordered.setPointer(8L * i, buffer)
        }
        return ordered
    }
}
