package dev.foreword.app

import android.content.Context
import android.graphics.Canvas
import android.text.InputFilter
import android.text.Layout
import android.text.SpannableString
import android.text.Spanned
import android.text.StaticLayout
import android.text.TextPaint
import android.text.TextUtils
import android.text.style.CharacterStyle
import android.text.style.LeadingMarginSpan
import android.text.style.UpdateAppearance
import android.util.AttributeSet
import android.view.inputmethod.InputMethodManager
import android.widget.EditText

/**
 * A text field with a suggestion drawn in grey behind its cursor.
 *
 * The suggestion is paint, not text: a keyboard that is composing a word never sees it.
 */
class GhostEditText(context: Context, attributes: AttributeSet?) : EditText(context, attributes) {
    /** Told the text before and after the cursor, once for every change. */
    var onPlace: ((before: String, after: String, selecting: Boolean) -> Unit)? = null

    /** Told that more came than the field takes. */
    var onTooLong: (() -> Unit)? = null

    /** What may follow the cursor. */
    var ghost = ""
        set(value) {
            if (value == field) return
            field = value
            invalidate()
        }

    /** Whether nothing but white space stands between the cursor and the end of its line. */
    val ghostFits: Boolean
        get() {
            val layout = layout ?: return false
            val end = layout.getLineEnd(layout.getLineForOffset(maxOf(selectionEnd, 0)))
            return text.subSequence(minOf(selectionEnd, end), end).isBlank()
        }

    private val ghostPaint = TextPaint()
    private val report = Runnable { reportPlace() }
    private var reporting = false

    init {
        filters = arrayOf(InputFilter(::limited))
    }

    /** Puts accepted text in at the cursor, and marks it. */
    fun accept(accepted: String) {
        val text = editableText
        val at = selectionEnd
        val long = text.length
        clearComposingText()
        text.replace(at, at, accepted)
        mark(at, at + text.length - long)
        restartInput()
    }

    /** Puts another text in place of this one. */
    fun restore(draft: Draft) {
        setText(draft.text)
        draft.accepted.forEach { mark(it.first, it.last + 1) }
        setSelection(draft.cursor.coerceIn(0, length()))
        restartInput()
    }

    /** The text as it stands, to be kept. */
    fun draft(): Draft {
        val text = editableText
        val accepted = text.getSpans(0, text.length, AcceptedSpan::class.java)
            .map { text.getSpanStart(it) until text.getSpanEnd(it) }
            .filterNot { it.isEmpty() }
            .sortedBy { it.first }
        return Draft(text.toString(), maxOf(selectionEnd, 0), accepted)
    }

    override fun onTextChanged(text: CharSequence?, start: Int, before: Int, after: Int) {
        super.onTextChanged(text, start, before, after)
        reportSoon()
    }

    override fun onSelectionChanged(start: Int, end: Int) {
        super.onSelectionChanged(start, end)
        reportSoon()
    }

    // Styles of another app's text would look like ours.
    override fun onTextContextMenuItem(id: Int): Boolean {
        val plain = if (id == android.R.id.paste) android.R.id.pasteAsPlainText else id
        return super.onTextContextMenuItem(plain)
    }

    override fun onDraw(canvas: Canvas) {
        super.onDraw(canvas)
        if (ghost.isNotEmpty() && !reporting && ghostFits) drawGhost(canvas, layout)
    }

    private fun drawGhost(canvas: Canvas, layout: Layout) {
        val line = layout.getLineForOffset(selectionEnd)
        val left = layout.getParagraphDirection(line) == Layout.DIR_LEFT_TO_RIGHT
        val x = layout.getPrimaryHorizontal(selectionEnd).toInt()
        val used = if (left) x else layout.width - x
        ghostPaint.set(paint)
        ghostPaint.color = context.getColor(R.color.ghost)
        // Under other lines it has the rest of its own alone.
        val room = (layout.width - used).toFloat()
        val shown =
            if (line == layout.lineCount - 1) ghost
            else TextUtils.ellipsize(ghost, ghostPaint, room, TextUtils.TruncateAt.END)
        val indented = SpannableString(shown)
        val margin = LeadingMarginSpan.Standard(used, 0)
        indented.setSpan(margin, 0, indented.length, Spanned.SPAN_INCLUSIVE_INCLUSIVE)
        val drawn = StaticLayout.Builder
            .obtain(indented, 0, indented.length, ghostPaint, layout.width)
            .setLineSpacing(lineSpacingExtra, lineSpacingMultiplier)
            .build()
        val offset = layout.getLineBaseline(line) - drawn.getLineBaseline(0)
        canvas.save()
        canvas.translate(totalPaddingLeft.toFloat(), (totalPaddingTop + offset).toFloat())
        drawn.draw(canvas)
        canvas.restore()
    }

    private fun mark(start: Int, end: Int) {
        if (start < end && end <= length()) {
            val span = AcceptedSpan(context.getColor(R.color.tint))
            editableText.setSpan(span, start, end, Spanned.SPAN_EXCLUSIVE_EXCLUSIVE)
        }
    }

    /** Tells the keyboard to read the text anew. */
    private fun restartInput() {
        context.getSystemService(InputMethodManager::class.java)?.restartInput(this)
    }

    // Text and cursor change one after the other; the superclass calls before there are fields.
    @Suppress("SENSELESS_COMPARISON")
    private fun reportSoon() {
        if (report == null) return
        reporting = true
        removeCallbacks(report)
        post(report)
    }

    private fun reportPlace() {
        reporting = false
        val cursor = maxOf(selectionEnd, 0)
        val text = text.toString()
        val place = text.substring(0, cursor) to text.substring(cursor)
        onPlace?.invoke(place.first, place.second, selectionStart != selectionEnd)
        invalidate()
    }

    private fun limited(
        source: CharSequence, start: Int, end: Int, into: Spanned, from: Int, to: Int,
    ): CharSequence? {
        val room = MOST - (into.length - (to - from))
        if (end - start <= room) return null
        onTooLong?.invoke()
        val cut = start + maxOf(room, 0)
        val halved = cut > start && cut < end && Character.isHighSurrogate(source[cut - 1])
        return source.subSequence(start, if (halved) cut - 1 else cut)
    }

    companion object {
        /** Characters of a text, at most: beyond, layout takes longer than a person waits. */
        const val MOST = 200_000
    }
}

/** Marks text that was suggested and accepted. */
class AcceptedSpan(private val color: Int) : CharacterStyle(), UpdateAppearance {
    override fun updateDrawState(paint: TextPaint) {
        paint.bgColor = color
    }
}
