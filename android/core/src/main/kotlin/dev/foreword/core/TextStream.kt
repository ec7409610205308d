package dev.foreword.core

/**
 * The text of one generation, token by token, never showing a broken character.
 *
 * Which text is given out does not depend on how the tokens cut it. The stop string that is
 * completed first ends the text; of several completed by the same character, the longest.
 */
class TextStream(private val tokenizer: Tokenizer, private val stop: List<String> = emptyList()) {
    var stopped = false
        private set
    private val decoder = Utf8Decoder()
    private val held = StringBuilder()

    /** Takes a token and returns the text that is now safe to show. */
    fun push(id: Int): String {
        if (stopped) return ""
        decoder.push(tokenizer.tokenBytes(id), held)
        val end = stopStart()
        stopped = end >= 0
        val shown = if (stopped) end else held.length - undecided()
        val text = held.substring(0, shown)
        held.delete(0, if (stopped) held.length else shown)
        return text
    }

    /** Returns the text held back so far; the bytes of an unfinished character are dropped. */
    fun finish(): String = held.toString().also { held.setLength(0) }

    /** Where the stop string begins that ends first, of several the longest; -1 for none. */
    private fun stopStart(): Int {
        var start = -1
        var least = Int.MAX_VALUE
        for (text in stop) {
            val at = held.indexOf(text)
            val end = at + text.length
            if (at < 0 || end > least || (end == least && at > start)) continue
            start = at
            least = end
        }
        return start
    }

    /** The length of the longest tail that may yet become a stop string. */
    private fun undecided(): Int {
        val longest = (stop.maxOfOrNull { it.length } ?: 1) - 1
        for (length in minOf(longest, held.length) downTo 1) {
            val tail = held.substring(held.length - length)
            if (stop.any { it.startsWith(tail) }) return length
        }
        return 0
    }
}
