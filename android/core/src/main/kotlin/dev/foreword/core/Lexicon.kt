package dev.foreword.core

import java.security.MessageDigest

/** What `lexicon.json` holds (completion/lexicon.py says what that is), read with distrust. */
internal class LexiconFile(text: String) {
    private val values: Map<*, *> = try {
        Json.parse(text) as? Map<*, *> ?: refuse("no object")
    } catch (error: NotJson) {
        refuse(error.message.orEmpty())
    }

    init {
        if (values["version"] != VERSION) refuse("version ${values["version"].toString().take(9)}")
    }

    fun text(key: String): String = values[key] as? String ?: refuse("no $key")

    fun texts(key: String): Map<String, String> = map(key).entries.associate { (name, value) ->
        (name as? String ?: refuse(key)) to (value as? String ?: refuse(key))
    }

    fun list(key: String): List<String> = listOf(values[key], key)

    /** Returns ranges of code points, `width` numbers each, one after the other. */
    fun ranges(key: String, width: Int): IntArray {
        val rows = values[key] as? List<*> ?: refuse("no $key")
        return rows.flatMap { row ->
            val numbers = (row as? List<*>)?.filterIsInstance<Long>() ?: emptyList()
            if (numbers.size != width) refuse("$key of another kind")
            numbers.map { it.toInt() }
        }.toIntArray()
    }

    /** Returns the endings of a kind of match, none for a kind without. */
    fun endings(match: String): List<String> =
        map("endings")[match]?.let { listOf(it, "endings") } ?: emptyList()

    /** Returns the groups of words, each as language, severity, match and texts. */
    fun groups(): List<Group> = (values["words"] as? List<*> ?: refuse("no words")).map { group ->
        val fields = group as? Map<*, *> ?: refuse("words of another kind")
        fun field(key: String) = fields[key] as? String ?: refuse("words without $key")
        val texts = listOf(fields["texts"], "words")
        Group(field("language"), field("severity"), field("match"), texts)
    }

    private fun map(key: String) = values[key] as? Map<*, *> ?: refuse("no $key")

    private fun listOf(value: Any?, key: String): List<String> =
        (value as? List<*> ?: refuse("no $key")).map { it as? String ?: refuse(key) }

    private fun refuse(found: String): Nothing = throw BundleException(
        "lexicon.json: expected a lexicon of version $VERSION, found $found; install the app again",
    )

    class Group(val language: String, val severity: String, val match: String, val texts: List<String>)

    private companion object {
        const val VERSION = 1L
    }
}

/** Words in tries: `begin` is searched where a word begins, `inside` where none does. */
internal class Lexicon(val tables: Tables) {
    val begin = Node()
    val inside = Node()
    val allow = Node()

    /** Puts in words of some severities. */
    fun addAll(document: LexiconFile, severities: Collection<String>) {
        for (text in document.list("allow")) allow(text)
        for (group in document.groups()) {
            if (group.severity !in severities) continue
            val endings = document.endings(group.match).map(tables::letters)
            for (text in group.texts) {
                val entry = Entry(wordId(group.language, text), group.severity)
                add(tables.letters(text), group.match, entry, endings)
            }
        }
    }

    /** Puts in a text in which a bad word is none. */
    fun allow(text: String) {
        allow.add(tables.letters(text), Entry("allow", "none"))
    }

    /** Puts in a word of a user's list, by its line. */
    fun addOwn(line: Int, text: String) {
        val letters = tables.letters(text)
        val match = if (tables.isUnspaced(letters)) "inside" else "word"
        add(letters, match, Entry("user-$line", "user"), emptyList())
    }

    private fun add(letters: String, match: String, entry: Entry, endings: List<String>) {
        if (match == "inside") inside.add(letters, entry, isWhole = false)
        if (match == "inside" || match == "start") {
            begin.add(letters, entry, isWhole = false)
            begin.add(letters, entry) // whole in single letters with spaces between
        } else {
            val stem = begin.add(letters, entry)
            for (ending in endings) stem.add(ending, entry)
        }
    }

    /** The id of a word, which stays the same whatever else is in the lexicon. */
    private fun wordId(language: String, text: String): String {
        val digest = MessageDigest.getInstance("SHA-256").digest(Utf8.bytes(text))
        return digest.take(4).joinToString("", "$language-") { "%02x".format(it) }
    }
}
