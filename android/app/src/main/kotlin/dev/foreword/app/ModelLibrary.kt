package dev.foreword.app

import android.app.ActivityManager
import android.content.Context
import dev.foreword.core.BundleException
import java.io.File

/**
 * The models on the phone: those in the app's assets, and those imported.
 *
 * A model is a directory with a bundle's files, or one text graph, a `.tflite` file.
 */
class ModelLibrary(private val context: Context) : Library {
    private val imported = ImportedModels.of(context)

    override fun list(): List<ModelRef> {
        val builtIn = context.assets.list(ASSETS).orEmpty()
            .filterNot { it.startsWith(".") }
            .map { ModelRef(ModelRef.Place.BUILT_IN, it) }
        return builtIn + imported.list()
    }

    override fun opener(model: ModelRef): Opener {
        val files = when (model.place) {
            ModelRef.Place.BUILT_IN -> AssetFiles(context.assets, "$ASSETS/${model.name}")
            ModelRef.Place.IMPORTED -> DirectoryFiles(imported.file(model.name))
        }
        val loading = Loading(files, { context.assets.open(LEXICON) }, ::checkMemory)
        return loading::open
    }

    override fun delete(model: ModelRef) {
        if (model.place == ModelRef.Place.IMPORTED) imported.delete(model.name)
    }

    /** Refuses a model that would end the app, as a phone does with one that takes too much. */
    private fun checkMemory(neededBytes: Long) {
        val memory = ActivityManager.MemoryInfo()
        context.getSystemService(ActivityManager::class.java).getMemoryInfo(memory)
        val most = memory.totalMem / 10 * 6
        if (neededBytes > most) {
            throw BundleException(
                "this model needs ${neededBytes / MB} MB of memory, and this phone can give " +
                    "${most / MB} MB: choose a smaller one",
            )
        }
    }

    private companion object {
        const val ASSETS = "models"
        const val LEXICON = "lexicon.json"
        const val MB = 1_000_000
    }
}

/** What was imported, below the app's own files. */
class ImportedModels(private val directory: File) {
    fun list(): List<ModelRef> = directory.list().orEmpty()
        .filterNot { it.startsWith(".") }
        .sorted()
        .map { ModelRef(ModelRef.Place.IMPORTED, it) }

    fun file(name: String) = File(directory, name)

    fun delete(name: String) {
        file(name).deleteRecursively()
    }

    /** Returns a directory that is not a model yet; one left by an import that was ended goes. */
    fun begin(): File {
        val begun = File(directory, ".importing")
        begun.deleteRecursively()
        if (!begun.mkdirs()) throw BundleException("the phone has no room for a model: free some")
        return begun
    }

    /** Makes what was begun a model, under a name that is free. */
    fun finish(begun: File, wanted: String): ModelRef {
        val usual = wanted.replace(Regex("[^\\p{L}\\p{N}._ -]"), "-").trim('.', ' ').take(60)
        val base = usual.ifEmpty { "model" }
        val name = generateSequence(1) { it + 1 }
            .map { if (it == 1) base else "$base-$it" }
            .first { !file(it).exists() }
        if (!begun.renameTo(file(name))) throw BundleException("'$name' could not be kept")
        return ModelRef(ModelRef.Place.IMPORTED, name)
    }

    companion object {
        fun of(context: Context) = ImportedModels(File(context.noBackupFilesDir, "models"))
    }
}
