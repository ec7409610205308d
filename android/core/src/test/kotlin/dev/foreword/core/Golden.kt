package dev.foreword.core

import java.io.File

/** The repository's committed cases, and values of JSON without ceremony. */
internal object Golden {
    private val root = File(System.getProperty("foreword.root") ?: "../..")

    /** Returns a file of the repository. */
    fun file(path: String): File = File(root, path)

    /** Returns what a JSON file of the repository holds. */
    fun read(path: String): Value = Value(Json.parse(file(path).readText()))
}

/** A value of JSON; asking it for what it is not fails the test. */
internal class Value(val raw: Any?) {
    val text: String get() = raw as String
    val number: Double get() = (raw as Number).toDouble()
    val int: Int get() = (raw as Long).toInt()
    val list: List<Value> get() = (raw as List<*>).map(::Value)
    val ints: IntArray get() = list.map { it.int }.toIntArray()
    val texts: List<String> get() = list.map { it.text }
    val keys: List<String> get() = (raw as Map<*, *>).keys.map { it as String }
    val isNull: Boolean get() = raw == null

    operator fun get(key: String): Value = Value((raw as Map<*, *>)[key])

    operator fun contains(key: String): Boolean = (raw as Map<*, *>).containsKey(key)

    /** Writes the value as JSON again. */
    fun json(): String = when (raw) {
        is Map<*, *> -> keys.joinToString(",", "{", "}") { quoted(it) + ":" + this[it].json() }
        is List<*> -> list.joinToString(",", "[", "]") { it.json() }
        is String -> quoted(raw)
        else -> raw.toString()
    }

    private fun quoted(text: String): String = text.map {
        if (it == '"' || it == '\\' || it < ' ') "\\u%04x".format(it.code) else "$it"
    }.joinToString("", "\"", "\"")
}

/** Returns how many code points a text has up to a place in code units. */
internal fun pointsTo(text: String, end: Int): Int = text.codePointCount(0, end)
