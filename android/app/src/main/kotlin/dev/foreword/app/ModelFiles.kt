package dev.foreword.app

import android.content.res.AssetManager
import dev.foreword.core.BundleException
import dev.foreword.core.Files
import java.io.File
import java.io.FileInputStream
import java.io.FileNotFoundException
import java.io.IOException
import java.io.InputStream
import java.nio.ByteBuffer
import java.nio.channels.FileChannel

/** The files of a model, wherever they are; the name of a model that is one file is empty. */
interface ModelFiles : Files {
    /** The names there are; none where the model itself is one file. */
    val names: List<String>

    /** Maps a file into memory: it costs none until it is read, and can be dropped again. */
    fun map(name: String): ByteBuffer
}

/** Files in a directory, or one file. */
class DirectoryFiles(private val root: File) : ModelFiles {
    override val names get() = root.list().orEmpty().toList()

    override fun open(name: String): InputStream = FileInputStream(at(name))

    override fun size(name: String) = at(name).length()

    override fun map(name: String): ByteBuffer = FileInputStream(at(name)).use {
        it.channel.map(FileChannel.MapMode.READ_ONLY, 0, it.channel.size())
    }

    private fun at(name: String) = if (name.isEmpty()) root else File(root, name)
}

/** The same in the app's assets. */
class AssetFiles(private val assets: AssetManager, private val root: String) : ModelFiles {
    override val names get() = assets.list(root).orEmpty().toList()

    override fun open(name: String): InputStream = assets.open(at(name))

    // Compressed files have no descriptor; a manifest is short, and counted by reading it.
    override fun size(name: String): Long = try {
        assets.openFd(at(name)).use { it.length }
    } catch (_: FileNotFoundException) {
        open(name).use { it.readBytes().size.toLong() }
    }

    override fun map(name: String): ByteBuffer = try {
        assets.openFd(at(name)).use { file ->
            FileInputStream(file.fileDescriptor).channel
                .map(FileChannel.MapMode.READ_ONLY, file.startOffset, file.length)
        }
    } catch (error: FileNotFoundException) {
        // One that is compressed has no descriptor.
        throw BundleException("'${at(name)}' cannot be mapped from the app: build it uncompressed")
            .initCause(error)
    } catch (error: IOException) {
        throw BundleException("'${at(name)}' cannot be read: ${error.message}").initCause(error)
    }

    private fun at(name: String) = if (name.isEmpty()) root else "$root/$name"
}
