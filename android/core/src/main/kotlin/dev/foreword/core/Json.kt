package dev.foreword.core

/** What is no JSON, and why; the caller says of which file. */
internal class NotJson(message: String) : Exception(message)

/**
 * A reader of JSON (RFC 8259), as neither Kotlin nor Android's class library has a strict one.
 *
 * Objects become maps in their order, arrays lists, whole numbers Long and others Double.
 */
internal class Json private constructor(private val text: String) {
    private var at = 0
    private var depth = 0

    private fun document(): Any? {
        val value = value()
        space()
        if (at < text.length) fail("text after its end")
        return value
    }

    private fun value(): Any? {
        space()
        return when (val first = peek()) {
            '{' -> nested { members() }
            '[' -> nested { elements() }
            '"' -> string()
            't' -> word("true", true)
            'f' -> word("false", false)
            'n' -> word("null", null)
            else -> if (first == '-' || first in '0'..'9') number() else fail("no value")
        }
    }

    private fun <T> nested(read: () -> T): T {
        if (++depth > MOST_DEPTH) fail("nesting too deep to read")
        at++
        return read().also { depth-- }
    }

    private fun members(): Map<String, Any?> {
        val found = LinkedHashMap<String, Any?>()
        space()
        if (peek() == '}') return found.also { at++ }
        while (true) {
            space()
            if (peek() != '"') fail("no key")
            val key = string()
            space()
            expect(':')
            // Two readers may choose differently between two values of one key.
            if (found.containsKey(key)) fail("a key given twice")
            found[key] = value()
            if (isLast('}')) return found
        }
    }

    private fun elements(): List<Any?> {
        val found = ArrayList<Any?>()
        space()
        if (peek() == ']') return found.also { at++ }
        while (true) {
            found.add(value())
            if (isLast(']')) return found
        }
    }

    private fun isLast(end: Char): Boolean {
        space()
        if (peek() == end) return true.also { at++ }
        expect(',')
        return false
    }

    private fun string(): String {
        val start = ++at
        while (at < text.length) {
            val character = text[at]
            if (character == '"') return text.substring(start, at++)
            if (character == '\\') return escaped(StringBuilder(text.substring(start, at)))
            if (character < ' ') fail("a control character in a string")
            at++
        }
        fail("a string without end")
    }

    private fun escaped(found: StringBuilder): String {
        while (at < text.length) {
            val character = text[at++]
            when {
                character == '"' -> return found.toString()
                character == '\\' -> found.append(escape())
                character < ' ' -> fail("a control character in a string")
                else -> found.append(character)
            }
        }
        fail("a string without end")
    }

    private fun escape(): Char {
        val letter = peek()
        at++
        val place = ESCAPES.indexOf(letter)
        if (place >= 0) return ESCAPED[place]
        if (letter != 'u' || at + 4 > text.length) fail("an unknown escape")
        var code = 0
        for (i in 0 until 4) {
            val digit = Character.digit(text[at++], 16)
            if (digit < 0) fail("an unknown escape")
            code = code * 16 + digit
        }
        return code.toChar()
    }

    private fun number(): Number {
        val start = at
        if (peek() == '-') at++
        val digits = at
        digits()
        if (text[digits] == '0' && at > digits + 1) fail("a number that begins with 0")
        var whole = true
        if (peek() == '.') {
            at++
            digits()
            whole = false
        }
        if (peek() == 'e' || peek() == 'E') {
            at++
            if (peek() == '+' || peek() == '-') at++
            digits()
            whole = false
        }
        val found = text.substring(start, at)
        return (if (whole) found.toLongOrNull() else null) ?: found.toDouble()
    }

    private fun digits() {
        val start = at
        while (peek() in '0'..'9') at++
        if (at == start) fail("a number without digits")
    }

    private fun <T> word(word: String, value: T): T {
        if (!text.startsWith(word, at)) fail("no value")
        at += word.length
        return value
    }

    private fun expect(character: Char) {
        if (peek() != character) fail("no '$character'")
        at++
    }

    private fun space() {
        while (at < text.length && text[at] in " \n\r\t") at++
    }

    private fun peek(): Char = if (at < text.length) text[at] else '\u0000'

    private fun fail(found: String): Nothing = throw NotJson("$found at character $at")

    companion object {
        private const val MOST_DEPTH = 100
        private const val ESCAPES = "\"\\/bfnrt"
        private const val ESCAPED = "\"\\/\b\u000c\n\r\t"

        /** Returns what a text holds; throws [NotJson]. */
        fun parse(text: String): Any? = Json(text).document()
    }
}
