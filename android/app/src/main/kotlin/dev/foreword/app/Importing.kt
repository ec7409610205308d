package dev.foreword.app

import android.content.ContentResolver
import android.net.Uri
import android.provider.OpenableColumns
import dev.foreword.core.Bundle
import dev.foreword.core.BundleException
import dev.foreword.core.Manifest
import java.io.File
import java.io.IOException
import java.io.InputStream

/** A file that a person chose: its name, its size where that is known, and how to read it. */
class ChosenFile(val name: String, val bytes: Long?, val open: () -> InputStream)

/** Returns how to copy the files behind these addresses. */
fun ImportedModels.importer(resolver: ContentResolver, addresses: List<Uri>): Importer =
    { progress, cancelled -> import(addresses.map { chosen(resolver, it) }, progress, cancelled) }

/**
 * Copies a model and checks it whole: a bundle's three files, or one text graph.
 *
 * Throws [BundleException] for anything else; what was copied of it is deleted.
 */
fun ImportedModels.import(
    files: List<ChosenFile>,
    progress: (Float) -> Unit,
    cancelled: () -> Boolean,
): ModelRef {
    val graph = files.singleOrNull()?.takeIf { it.name.endsWith(".tflite") }
    if (graph == null && files.map { it.name }.sorted() != BUNDLE.sorted()) {
        throw BundleException(
            "expected ${BUNDLE.joinToString()} or one .tflite file, " +
                "found ${files.joinToString { it.name }.take(80)}: choose them together",
        )
    }
    val begun = begin()
    try {
        val all = files.sumOf { it.bytes ?: 0 }
        if (all > begun.usableSpace) {
            throw BundleException(
                "the model has ${all / MB} MB, and the phone has room for " +
                    "${begun.usableSpace / MB} MB: free some",
            )
        }
        var done = 0L
        for (file in files) {
            copy(file, File(begun, file.name), cancelled) {
                done += it
                if (all > 0) progress((done.toFloat() / all * COPYING).coerceAtMost(COPYING))
            }
        }
        if (graph != null) return finish(File(begun, graph.name), graph.name)
        val bundle = Bundle.open(begun)
        if (!bundle.verify(cancelled) { progress(COPYING + (1 - COPYING) * it / maxOf(all, it)) }) {
            throw BundleException("the import was cancelled")
        }
        progress(1f)
        val manifest = bundle.manifest
        return finish(begun, "${manifest.source.substringAfterLast('/')} ${manifest.recipe}")
    } catch (error: IOException) {
        throw BundleException("the model could not be copied: ${reasonOf(error)}")
    } finally {
        begun.deleteRecursively()
    }
}

private fun copy(from: ChosenFile, to: File, cancelled: () -> Boolean, copied: (Int) -> Unit) {
    from.open().use { input ->
        to.outputStream().use { output ->
            val piece = ByteArray(PIECE_BYTES)
            while (true) {
                if (cancelled()) throw BundleException("the import was cancelled")
                val count = input.read(piece)
                if (count < 0) break
                output.write(piece, 0, count)
                copied(count)
            }
        }
    }
}

private fun chosen(resolver: ContentResolver, address: Uri): ChosenFile {
    val columns = arrayOf(OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE)
    val found = resolver.query(address, columns, null, null, null)?.use { row ->
        if (!row.moveToFirst()) null
        else row.getString(0) to (if (row.isNull(1)) null else row.getLong(1))
    }
    // A name is a name, whatever another app says.
    val name = (found?.first ?: address.lastPathSegment ?: "file").substringAfterLast('/')
    return ChosenFile(name, found?.second) {
        resolver.openInputStream(address) ?: throw IOException("$name cannot be opened")
    }
}

private val BUNDLE = listOf(Manifest.NAME, Manifest.MODEL, Manifest.TOKENIZER)
private const val PIECE_BYTES = 1 shl 18
private const val COPYING = 0.8f
private const val MB = 1_000_000
