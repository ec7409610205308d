package dev.foreword.app

import java.io.Closeable
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.Interpreter

/** What [LiteRtGraph] needs of LiteRT: the signatures of a model, and to run one. */
interface Signatures : Closeable {
    val names: List<String>

    /** The size in bytes of each input and output of a signature, by name. */
    fun inputBytes(signature: String): Map<String, Int>

    fun outputBytes(signature: String): Map<String, Int>

    /** Runs a signature on direct buffers, each copied into or out of its tensor once. */
    fun run(signature: String, inputs: Map<String, ByteBuffer>, outputs: Map<String, ByteBuffer>)
}

/** The signatures of a model in memory, which must stay as it is. */
class InterpreterSignatures(model: ByteBuffer, threads: Int) : Signatures {
    private val interpreter = Interpreter(model, Interpreter.Options().setNumThreads(threads))

    override val names: List<String> = interpreter.signatureKeys.toList()

    override fun inputBytes(signature: String) = interpreter.getSignatureInputs(signature)
        .associateWith { interpreter.getInputTensorFromSignature(it, signature).numBytes() }

    override fun outputBytes(signature: String) = interpreter.getSignatureOutputs(signature)
        .associateWith { interpreter.getOutputTensorFromSignature(it, signature).numBytes() }

    override fun run(
        signature: String,
        inputs: Map<String, ByteBuffer>,
        outputs: Map<String, ByteBuffer>,
    ) = interpreter.runSignature(inputs, outputs, signature)

    override fun close() = interpreter.close()
}

/** Returns a buffer outside the heap, as the runtime wants it, zeroed. */
internal fun direct(bytes: Int): ByteBuffer =
    ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())
