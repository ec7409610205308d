package dev.foreword.core

/**
 * Returns what a text model goes on with, cut to whole words; null for nothing.
 *
 * `scan` has read the text before. What comes before a bad word is shown, if it is whole words;
 * throws [Called], and [Refused] for a bad word before which there is nothing to show.
 */
internal fun completed(model: TextModel, scan: Scan, request: Request): Suggestion? {
    val before = request.before
    if (request.cancel?.isSet() == true) throw Called()
    val whole = model.complete(before, request.cancel) ?: throw Called()
    val fresh = if (whole.startsWith(before)) whole.substring(before.length) else ""
    val text = wholeWords(fresh, request, null)
    if (text.isEmpty() || !Graphemes.divides(before, text)) return null
    val match = verdict(scan, text) ?: return Suggestion(text).also {
        request.onWords?.invoke(text)
    }
    val points = before.codePointCount(0, before.length)
    val reading = scan.copy().also { it.feed(fresh) }
    val safe = wholeWords(fresh, request, unitsIn(fresh, maxOf(reading.safe - points, 0)))
    if (safe.isEmpty() || verdict(scan, safe) != null) throw Refused(match.end <= points)
    request.onWords?.invoke(safe)
    return Suggestion(safe)
}

/** The words of a text to be shown; where `safe` is given, those settled up to there. */
private fun wholeWords(fresh: String, request: Request, safe: Int?): String {
    val line = fresh.substringBefore('\n')
    val end = Words.sentenceEnd(line)
    val text = if (end >= 0) line.take(end) else line
    val parts = if (safe == null) {
        Words.partsOf(text)
    } else {
        Words.settledParts(text).filter { it.end <= safe }
    }
    val ends = parts.filter { it.isWord }.take(request.policy.maxWords).map { it.end }
    val words = text.take(ends.lastOrNull() ?: 0)
    val kept = words.take(Words.repeatsFrom(words, request.suffix))
    return if (ends.any { it <= kept.length }) kept else ""
}

private fun verdict(scan: Scan, text: String): Match? =
    scan.copy().let { it.feed(text) ?: it.end() }
