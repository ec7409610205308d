package dev.foreword.core

import java.text.Normalizer

/** A value of a tokenizer.json, read with distrust. */
internal class Rule(private val values: Map<*, *>) {
    val type: String get() = text("type") ?: ""

    fun text(key: String): String? = values[key] as? String

    fun flag(key: String, missing: Boolean = false): Boolean = values[key] as? Boolean ?: missing

    fun integer(key: String): Int? = (values[key] as? Long)?.takeIf { it in 0..MOST }?.toInt()

    fun rule(key: String): Rule? = (values[key] as? Map<*, *>)?.let(::Rule)

    fun map(key: String): Map<*, *> = values[key] as? Map<*, *> ?: emptyMap<Any, Any>()

    fun list(key: String): List<*> = values[key] as? List<*> ?: emptyList<Any>()

    fun rules(key: String): List<Rule> = list(key).mapNotNull { (it as? Map<*, *>)?.let(::Rule) }

    /** Returns the steps of a rule, those of sequences in it too. */
    fun steps(key: String): List<Rule> =
        if (type == "Sequence") rules(key).flatMap { it.steps(key) } else listOf(this)

    /** Returns the pattern under `pattern`. */
    fun pattern(): Pattern {
        val pattern = rule("pattern") ?: throw UnsupportedTokenizer("a rule without a pattern")
        return Pattern(pattern.text("Regex") ?: escaped(pattern.text("String") ?: ""))
    }

    private fun escaped(text: String): String =
        text.map { if (it in "\\^$.*+?()[]{}|") "\\$it" else "$it" }.joinToString("")

    private companion object {
        const val MOST = 1L shl 22
    }
}

/** What is done to a text before it is cut. */
internal class TextRules(rule: Rule?) {
    private val steps: List<(String) -> String> =
        rule?.steps("normalizers")?.map(::stepOf) ?: emptyList()

    /** Returns a text as the rules write it. */
    fun apply(text: String): String = steps.fold(text) { changed, step -> step(changed) }

    private fun stepOf(rule: Rule): (String) -> String = when (rule.type) {
        "Prepend" -> rule.text("prepend").orEmpty().let { head ->
            { text -> if (text.isEmpty()) text else head + text }
        }
        "Replace" -> replacing(rule)
        "NFC", "NFD", "NFKC", "NFKD" -> Normalizer.Form.valueOf(rule.type).let { form ->
            { text -> Normalizer.normalize(text, form) }
        }
        "Lowercase" -> { text -> text.lowercase() }
        "Strip" -> stripping(rule.flag("strip_left"), rule.flag("strip_right"))
        else -> throw UnsupportedTokenizer(rule.type)
    }

    private fun replacing(rule: Rule): (String) -> String {
        val content = rule.text("content").orEmpty()
        val plain = rule.rule("pattern")?.text("String")
        if (!plain.isNullOrEmpty()) return { text -> text.replace(plain, content) }
        val pattern = rule.pattern()
        return { text ->
            val changed = StringBuilder(text.length)
            var done = 0
            pattern.eachMatch(text, 0, text.length) { first, end ->
                changed.append(text, done, first).append(content)
                done = end
            }
            changed.append(text, done, text.length).toString()
        }
    }

    private fun stripping(left: Boolean, right: Boolean): (String) -> String = { text ->
        val from = if (left) text.indexOfFirst { !Unicode.isWhite(it.code) } else 0
        val last = if (right) text.indexOfLast { !Unicode.isWhite(it.code) } else text.length - 1
        if (from < 0 || last < from) "" else text.substring(from, last + 1)
    }
}

/** The steps that cut a text: those before bytes are written as letters, and those after. */
internal class Cuts(rule: Rule?, spread: Boolean) {
    val before = ArrayList<Cut>()
    val after = ArrayList<Cut>()
    private var steps = before

    init {
        for (step in rule?.steps("pretokenizers") ?: emptyList()) add(step)
        if (spread) steps.add(Split(Pattern("$SPACE+[^$SPACE]*"), "Isolated", false))
    }

    private fun add(rule: Rule) {
        when (rule.type) {
            "Split" -> steps.add(
                Split(rule.pattern(), rule.text("behavior").orEmpty(), rule.flag("invert")),
            )
            "Digits" -> isolate(if (rule.flag("individual_digits")) "\\p{N}" else "\\p{N}+")
            "Punctuation" -> steps.add(
                Split(Pattern(PUNCTUATION), rule.text("behavior") ?: "Isolated", false),
            )
            "ByteLevel" -> {
                if (rule.flag("add_prefix_space")) steps.add(SpaceBefore())
                if (rule.flag("use_regex", true)) isolate(GPT2)
                steps = after
                steps.add(ByteLevel())
            }
            "Metaspace" -> addMetaspace(rule)
            else -> throw UnsupportedTokenizer(rule.type)
        }
    }

    private fun addMetaspace(rule: Rule) {
        val mark = rule.text("replacement") ?: SPACE
        val prefix = if (rule.flag("add_prefix_space", true)) "always" else "never"
        steps.add(Metaspace(mark, rule.text("prepend_scheme") ?: prefix))
        if (rule.flag("split", true)) steps.add(Split(Pattern(mark), "MergedWithNext", false))
    }

    private fun isolate(source: String) {
        steps.add(Split(Pattern(source), "Isolated", false))
    }

    companion object {
        const val SPACE = "▁"
        private const val PUNCTUATION = "[\\p{P}!-/:-@\\[-`{-~]"
        private const val GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+|" +
            " ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
    }
}
