package dev.foreword.core

/** A JSON object under examination: each getter returns a sound value or refuses the file. */
internal class Fields(private val values: Map<*, *>, private val prefix: String = "") {
    /** Throws the [BundleException] that names a key, what it should be, and what was found. */
    fun refuse(key: String, expected: String): Nothing = throw BundleException(
        "bundle.json: '$prefix$key' should be $expected, found ${found(key)}; the bundle is " +
            "damaged: convert the model again",
    )

    val names: List<String> get() = values.keys.filterIsInstance<String>()

    fun isNull(key: String): Boolean = values.containsKey(key) && values[key] == null

    /** Returns a whole number between two bounds, both allowed. */
    fun integer(key: String, low: Long, high: Long): Long {
        val value = values[key] as? Long
        if (value == null || value !in low..high) refuse(key, "a whole number from $low to $high")
        return value
    }

    /** Returns a whole number between two bounds, both allowed. */
    fun int(key: String, low: Int, high: Int): Int = integer(key, low.toLong(), high.toLong()).toInt()

    /** Returns true or false. */
    fun boolean(key: String): Boolean = values[key] as? Boolean ?: refuse(key, "true or false")

    /** Returns one printable line of `least` to [MAX_TEXT] characters. */
    fun text(key: String, least: Int = 1): String {
        val value = values[key] as? String
        if (value == null || !isPrintable(value)) refuse(key, "one line of printable text")
        if (value.codePointCount(0, value.length) !in least..MAX_TEXT) {
            refuse(key, "a text of $least to $MAX_TEXT characters")
        }
        return value
    }

    /** Returns a SHA-256 in lower-case hexadecimal. */
    fun sha256(key: String): String {
        val value = values[key] as? String
        if (value == null || value.length != 64 || value.any { it !in '0'..'9' && it !in 'a'..'f' }) {
            refuse(key, "a SHA-256 of 64 lower-case hexadecimal digits")
        }
        return value
    }

    /** Returns an array as an object whose keys are the indices. */
    fun array(key: String): Fields {
        val value = values[key] as? List<*>
        if (value == null || value.size > MAX_ENTRIES) {
            refuse(key, "a list of at most $MAX_ENTRIES entries")
        }
        return Fields(value.withIndex().associate { (i, item) -> "$i" to item }, "$prefix$key.")
    }

    /** Returns the object under a key. */
    fun child(key: String): Fields {
        val value = values[key] as? Map<*, *>
        if (value == null || value.size > MAX_ENTRIES) {
            refuse(key, "an object of at most $MAX_ENTRIES entries")
        }
        return Fields(value, "$prefix$key.")
    }

    /** Shows a hostile value in a few safe characters. */
    private fun found(key: String): String = when (val value = values[key]) {
        is Map<*, *> -> "an object"
        is List<*> -> "a list of ${value.size}"
        is String -> "'" + value.take(SHOWN).filter { it in ' '..'~' } + "'"
        null -> if (values.containsKey(key)) "null" else "nothing"
        else -> value.toString().take(SHOWN)
    }

    private fun isPrintable(text: String): Boolean = pointsOf(text).all {
        it == ' '.code || !Unicode.isOf(it, UNPRINTABLE)
    }

    companion object {
        const val MAX_ENTRIES = 256
        const val MAX_TEXT = 255
        private const val SHOWN = 57
        private val UNPRINTABLE = Unicode.categories("C") or Unicode.categories("Z")
    }
}
