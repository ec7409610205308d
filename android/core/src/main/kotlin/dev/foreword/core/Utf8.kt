package dev.foreword.core

/**
 * Reads UTF-8 that comes in pieces; a character is given out when it is whole.
 *
 * In the place of bytes that are none it gives `malformed`, once for each beginning of a character
 * that does not go on (as Python and the WHATWG's standard do), and counts them in [errors].
 */
internal class Utf8Decoder(private val malformed: String = "\ufffd") {
    var errors = 0
        private set
    private var point = 0
    private var needed = 0 // bytes that the character still wants
    private var low = 0x80
    private var high = 0xbf

    /** Takes bytes and adds their characters to a text. */
    fun push(bytes: ByteArray, out: StringBuilder, start: Int = 0) {
        for (i in start until bytes.size) take(bytes[i].toInt() and 0xff, out)
    }

    /** Says that there are no more bytes. */
    fun finish(out: StringBuilder) {
        if (needed > 0) fail(out)
    }

    private fun take(byte: Int, out: StringBuilder) {
        if (needed > 0) {
            if (byte in low..high) {
                point = (point shl 6) or (byte and 0x3f)
                needed--
                low = 0x80
                high = 0xbf
                if (needed == 0) out.appendCodePoint(point)
                return
            }
            fail(out)
        }
        when {
            byte < 0x80 -> out.append(byte.toChar())
            byte in 0xc2..0xdf -> begin(byte and 0x1f, 1)
            byte in 0xe0..0xef -> {
                begin(byte and 0x0f, 2)
                if (byte == 0xe0) low = 0xa0
                if (byte == 0xed) high = 0x9f
            }
            byte in 0xf0..0xf4 -> {
                begin(byte and 0x07, 3)
                if (byte == 0xf0) low = 0x90
                if (byte == 0xf4) high = 0x8f
            }
            else -> fail(out)
        }
    }

    private fun begin(bits: Int, more: Int) {
        point = bits
        needed = more
    }

    private fun fail(out: StringBuilder) {
        errors++
        needed = 0
        low = 0x80
        high = 0xbf
        out.append(malformed)
    }
}

/** Bytes and texts in UTF-8. */
internal object Utf8 {
    /** Returns the whole characters of bytes from a place on, null where they are no UTF-8. */
    fun wholeText(bytes: ByteArray, start: Int): String? {
        val decoder = Utf8Decoder()
        val text = StringBuilder().also { decoder.push(bytes, it, start) }
        return if (decoder.errors > 0) null else text.toString()
    }

    /** Returns the text of bytes, with `malformed` for what is none. */
    fun text(bytes: ByteArray, malformed: String = "\ufffd"): String {
        val decoder = Utf8Decoder(malformed)
        val text = StringBuilder(bytes.size)
        decoder.push(bytes, text)
        decoder.finish(text)
        return text.toString()
    }

    /** Writes a code point at a place, U+FFFD for half a pair; returns the place behind it. */
    fun put(point: Int, into: ByteArray, at: Int): Int {
        val sound = if (point in 0xd800..0xdfff) 0xfffd else point
        val more = if (sound < 0x80) 0 else if (sound < 0x800) 1 else if (sound < 0x10000) 2 else 3
        if (more == 0) {
            into[at] = sound.toByte()
        } else {
            into[at] = ((0xf00 shr more + 1) or (sound shr 6 * more)).toByte()
            for (i in 1..more) into[at + i] = (0x80 or (sound shr 6 * (more - i) and 0x3f)).toByte()
        }
        return at + 1 + more
    }

    /** Returns a text in UTF-8, U+FFFD for half a pair of surrogates. */
    fun bytes(text: CharSequence): ByteArray {
        val bytes = ByteArray(3 * text.length)
        var size = 0
        var at = 0
        while (at < text.length) {
            val point = Character.codePointAt(text, at)
            size = put(point, bytes, size)
            at += Character.charCount(point)
        }
        return bytes.copyOf(size)
    }
}

/** Returns pieces of bytes as one. */
internal fun joined(pieces: List<ByteArray>): ByteArray {
    val found = ByteArray(pieces.sumOf { it.size })
    var at = 0
    for (piece in pieces) {
        piece.copyInto(found, at)
        at += piece.size
    }
    return found
}
