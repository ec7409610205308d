package dev.foreword.app

import dev.foreword.core.Bundle
import dev.foreword.core.BundleException
import dev.foreword.core.Completer
import dev.foreword.core.Engine
import dev.foreword.core.Filter
import dev.foreword.core.LanguageModel
import dev.foreword.core.Manifest
import java.io.Closeable
import java.io.InputStream
import java.nio.ByteBuffer

/**
 * Opens a model, chosen by what its files are: a bundle's, or one text graph.
 *
 * [checkMemory] is told how many bytes it will take, and throws where that is too many.
 */
class Loading(
    private val files: ModelFiles,
    private val lexicon: () -> InputStream,
    private val checkMemory: (Long) -> Unit,
    private val signatures: (ByteBuffer, Int) -> Signatures = ::InterpreterSignatures,
) {
    fun open(progress: (Float) -> Unit): Suggester {
        val filter = lexicon().use { Filter.read(it) }
        progress(0.1f)
        return if (files.names.isEmpty()) textGraph(filter) else bundle(filter, progress)
    }

    private fun textGraph(filter: Filter): Suggester {
        val model = files.map("")
        if (model.capacity() < 8 || magicOf(model) != MAGIC) {
            throw BundleException("expected a .tflite model, found another kind of file")
        }
        checkMemory(2L * model.capacity())
        val graph = TextGraph(model, threads())
        return suggester(graph, graph, Completer(graph, filter))
    }

    private fun bundle(filter: Filter, progress: (Float) -> Unit): Suggester {
        val bundle = Bundle.open(files)
        val tokenizer = bundle.tokenizer()
        progress(0.5f)
        val model = files.map(Manifest.MODEL)
        checkMemory(PACKINGS * model.capacity())
        val manifest = bundle.manifest
        val runtime = signatures(model, threads())
        val graph = try {
            LiteRtGraph(runtime, manifest.shape, manifest.signatures)
        } catch (error: Exception) {
            runtime.close()
            throw error
        }
        progress(0.8f)
        val engine = Engine(graph, tokenizer, manifest)
        val completer = Completer(engine, filter).also { it.prepare() }
        progress(0.9f)
        engine.logits(intArrayOf(0), null) // the first step packs the weights
        graph.clear()
        progress(1f)
        return suggester(engine, graph, completer)
    }

    private fun suggester(model: LanguageModel, owner: Closeable, completer: Completer) =
        SessionSuggester(completer, model.context, owner)

    /** Two cores fewer than there are leave the keyboard its own; more than four hardly help. */
    private fun threads() = (Runtime.getRuntime().availableProcessors() - 2).coerceIn(1, 4)

    private fun magicOf(model: ByteBuffer) =
        String(ByteArray(4) { model.get(4 + it) }, Charsets.ISO_8859_1)

    private companion object {
        const val MAGIC = "TFL3"

        /** The weights as each of two signatures packs them, and once more while it does. */
        const val PACKINGS = 3L
    }
}
