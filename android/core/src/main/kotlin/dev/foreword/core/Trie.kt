package dev.foreword.core

/** A word of the lexicon, or of a user's list: its id says which without repeating it. */
class Entry(val id: String, val severity: String)

/** A node of a trie: the letters up to it are the beginning of a word, or a word. */
internal class Node(val letter: Int = 0, val depth: Int = 0) {
    var whole: Entry? = null // bad where the word ends here
        private set
    var inner: Entry? = null // bad whatever follows
        private set
    private var letters = NO_LETTERS // of the children, ascending
    private var nodes = NO_NODES

    /** Returns the child for a letter. */
    fun child(letter: Int): Node? {
        val at = letters.binarySearch(letter)
        return if (at < 0) null else nodes[at]
    }

    /** Calls `found` with every child. */
    inline fun eachChild(found: (Node) -> Unit) {
        for (node in nodes) found(node)
    }

    /** Puts in a word and returns its node; what is there already stays. */
    fun add(word: String, entry: Entry, isWhole: Boolean = true): Node {
        var node = this
        var at = 0
        while (at < word.length) {
            val letter = word.codePointAt(at)
            node = node.child(letter) ?: node.grow(letter)
            at += Character.charCount(letter)
        }
        if (isWhole) node.whole = node.whole ?: entry else node.inner = node.inner ?: entry
        return node
    }

    private fun grow(letter: Int): Node {
        val at = -letters.binarySearch(letter) - 1
        val node = Node(letter, depth + 1)
        val grown = IntArray(letters.size + 1)
        letters.copyInto(grown, 0, 0, at)
        grown[at] = letter
        letters.copyInto(grown, at + 1, at)
        nodes = Array(grown.size) { if (it < at) nodes[it] else if (it == at) node else nodes[it - 1] }
        letters = grown
        return node
    }

    private companion object {
        val NO_LETTERS = IntArray(0)
        val NO_NODES = emptyArray<Node>()
    }
}
