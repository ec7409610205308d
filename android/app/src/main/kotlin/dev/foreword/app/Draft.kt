package dev.foreword.app

import android.util.AtomicFile
import java.io.DataInputStream
import java.io.DataOutputStream
import java.io.File
import java.io.IOException

/** A text, the cursor in it, and the parts that were suggested and accepted. */
data class Draft(val text: String, val cursor: Int, val accepted: List<IntRange>)

/**
 * Keeps the draft in a file. The state that Android saves of a screen has no room for a long text,
 * and is gone when the app is closed.
 */
class DraftFile(file: File) {
    private val file = AtomicFile(file)

    /** Returns what was kept last, null where there is nothing to be read. */
    fun read(): Draft? = try {
        DataInputStream(file.openRead().buffered()).use { input ->
            require(input.readInt() == VERSION)
            val text = ByteArray(input.readInt()).also(input::readFully).toString(Charsets.UTF_8)
            val cursor = input.readInt()
            Draft(text, cursor, List(input.readInt()) { input.readInt()..input.readInt() })
        }
    } catch (_: IOException) {
        null
    } catch (_: IllegalArgumentException) {
        null
    }

    /** Keeps a draft in place of the last; a phone without room keeps the last. */
    fun write(draft: Draft) {
        val stream = try {
            file.startWrite()
        } catch (_: IOException) {
            return
        }
        try {
            val output = DataOutputStream(stream.buffered())
            val text = draft.text.toByteArray()
            output.writeInt(VERSION)
            output.writeInt(text.size)
            output.write(text)
            output.writeInt(draft.cursor)
            output.writeInt(draft.accepted.size)
            for (range in draft.accepted) {
                output.writeInt(range.first)
                output.writeInt(range.last)
            }
            output.flush()
            file.finishWrite(stream)
        } catch (_: IOException) {
            file.failWrite(stream)
        }
    }

    private companion object {
        const val VERSION = 1
    }
}
