package dev.foreword.app

import dev.foreword.core.Cancel
import dev.foreword.core.EngineException
import dev.foreword.core.TextModel
import dev.foreword.core.Tokenizer
import java.io.Closeable
import java.nio.ByteBuffer
import org.tensorflow.lite.Interpreter

/**
 * A classic `autocomplete.tflite`: a prompt goes in, the prompt and what follows it come out.
 *
 * It needs TensorFlow's own kernels and TF Text's in the app: see README.md. Its context is counted
 * in words, as what it says of itself stands behind the model and is not read here.
 */
class TextGraph(model: ByteBuffer, threads: Int) : TextModel, Closeable {
    override val context = MOST_WORDS
    override val tokenizer: Tokenizer? = null
    override var computedTokens = 0
        private set
    private val interpreter = try {
        Interpreter(model, Interpreter.Options().setNumThreads(threads))
    } catch (error: RuntimeException) {
        throw unable(error)
    }

    init {
        val found = interpreter.signatureKeys.firstOrNull()?.let(interpreter::getSignatureInputs)
        if (found?.toList() != listOf(INPUT)) {
            interpreter.close()
            throw EngineException(
                "expected a text graph, with the input '$INPUT', found another model: " +
                    "import a bundle's three files together",
            )
        }
    }

    override fun complete(prompt: String, cancel: Cancel?): String? {
        if (cancel?.isSet() == true) return null
        val answer = arrayOf("")
        try {
            interpreter.runSignature(mapOf(INPUT to arrayOf(prompt)), mapOf(OUTPUT to answer))
        } catch (error: RuntimeException) {
            throw unable(error)
        }
        computedTokens += 1
        return answer[0]
    }

    override fun close() = interpreter.close()

    private fun unable(error: RuntimeException) = EngineException(
        "this app was built without what a text graph needs (${reasonOf(error).take(120)}): " +
            "build it with Select TF and TF Text, or choose a bundle",
    )

    private companion object {
        const val INPUT = "prompt"
        const val OUTPUT = "text"
        const val MOST_WORDS = 64
    }
}
