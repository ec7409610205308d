package dev.foreword.core

import java.io.File
import java.io.IOException
import java.io.InputStream
import java.security.MessageDigest

/** Where a bundle's files are: a directory, or assets. */
interface Files {
    /** Opens a file; throws IOException where it is missing. */
    fun open(name: String): InputStream

    /** Returns the bytes that a file has; throws IOException where it is missing. */
    fun size(name: String): Long
}

/** The files of a directory. */
class Directory(private val path: File) : Files {
    override fun open(name: String): InputStream = File(path, name).inputStream()

    override fun size(name: String): Long {
        val file = File(path, name)
        if (!file.isFile) throw IOException("no file")
        return file.length()
    }
}

/** An opened bundle: its files, and a manifest that has been checked against them. */
class Bundle private constructor(private val files: Files, val manifest: Manifest) {
    /** Reads the tokenizer; throws [BundleException] and [UnsupportedTokenizer]. */
    fun tokenizer(): Tokenizer = BpeTokenizer.read(reading(Manifest.TOKENIZER) {
        files.open(Manifest.TOKENIZER).use { Utf8.text(it.readBytes()) }
    })

    /**
     * Compares the SHA-256 of every file, which reads all of them; `cancel` ends it early.
     *
     * Throws [BundleException] where one differs; returns false when it was called off.
     */
    fun verify(cancel: Cancel? = null, onBytes: (Long) -> Unit = {}): Boolean {
        var done = 0L
        for ((name, entry) in manifest.files) {
            val found = reading(name) {
                digest(name, cancel) { count ->
                    done += count
                    onBytes(done)
                }
            } ?: return false
            if (found != entry.sha256) throw damaged(name, "SHA-256 ${entry.sha256}", found)
        }
        return true
    }

    private fun digest(name: String, cancel: Cancel?, onBytes: (Int) -> Unit): String? {
        val digest = MessageDigest.getInstance("SHA-256")
        val buffer = ByteArray(BUFFER)
        files.open(name).use { stream ->
            while (true) {
                if (cancel?.isSet() == true) return null
                val count = stream.read(buffer)
                if (count < 0) break
                digest.update(buffer, 0, count)
                onBytes(count)
            }
        }
        return digest.digest().joinToString("") { "%02x".format(it) }
    }

    companion object {
        private const val BUFFER = 1 shl 16

        /** Opens the bundle in a directory. */
        fun open(directory: File): Bundle = open(Directory(directory))

        /**
         * Opens a bundle; throws [BundleException] when it is missing, damaged, of another format
         * version, or its files are not as large as they should be.
         */
        fun open(files: Files): Bundle {
            val text = reading(Manifest.NAME) { files.open(Manifest.NAME).use(::head) }
            if (text.size > Manifest.MAX_BYTES) {
                throw damaged(Manifest.NAME, "at most ${Manifest.MAX_BYTES} bytes", "more")
            }
            val manifest = Manifest.read(Utf8.text(text))
            for ((name, entry) in manifest.files) {
                val size = reading(name) { files.size(name) }
                if (size != entry.sizeBytes) {
                    throw damaged(name, "${entry.sizeBytes} bytes", "$size")
                }
            }
            return Bundle(files, manifest)
        }

        /** One byte more than a manifest may have, at most. */
        private fun head(stream: InputStream): ByteArray {
            val bytes = ByteArray(Manifest.MAX_BYTES + 1)
            var size = 0
            while (size < bytes.size) {
                val count = stream.read(bytes, size, bytes.size - size)
                if (count < 0) break
                size += count
            }
            return bytes.copyOf(size)
        }

        private fun damaged(name: String, expected: String, found: String) = BundleException(
            "$name: expected $expected, found $found: the bundle is damaged, convert the model again",
        )

        private inline fun <T> reading(name: String, read: () -> T): T = try {
            read()
        } catch (_: IOException) {
            throw BundleException(
                "$name: expected a bundle's file, found none that can be read: choose another model",
            )
        }
    }
}
