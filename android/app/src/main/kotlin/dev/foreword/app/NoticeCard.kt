package dev.foreword.app

import android.view.View
import android.widget.Button
import android.widget.TextView
import java.text.NumberFormat

/** The card that tells a person what happened, and what can be done. */
class NoticeCard(root: View, model: EditorViewModel, private val act: (Notice) -> Unit) {
    private val context = root.context
    private val card: View = root.findViewById(R.id.notice)
    private val title: TextView = root.findViewById(R.id.notice_title)
    private val text: TextView = root.findViewById(R.id.notice_text)
    private val action: Button = root.findViewById(R.id.notice_action)
    private var notice: Notice? = null

    init {
        root.findViewById<View>(R.id.notice_close).setOnClickListener { model.closeNotice() }
        action.setOnClickListener {
            val told = notice ?: return@setOnClickListener
            model.closeNotice()
            act(told)
        }
    }

    fun render(notice: Notice?) {
        if (notice == this.notice) return // a screen reader would read it once more
        this.notice = notice
        card.visibility = shown(notice != null)
        if (notice == null) return
        val (head, body) = wordsOf(notice)
        title.text = head
        text.text = body
        text.visibility = shown(body.isNotEmpty())
        val label = when (notice) {
            is Notice.NoModel -> R.string.choose_model
            is Notice.Cleared -> R.string.undo
            else -> null
        }
        action.visibility = shown(label != null)
        label?.let(action::setText)
    }

    private fun wordsOf(notice: Notice): Pair<String, String> = when (notice) {
        is Notice.NoModel -> said(R.string.no_model_title, R.string.no_model_text)
        is Notice.NotReady -> said(R.string.not_ready_title, R.string.not_ready_text)
        is Notice.NoText -> said(R.string.no_text_title, R.string.no_text_text)
        is Notice.NoSuggestion -> said(R.string.no_suggestion_title, R.string.no_suggestion_text)
        is Notice.NoOther -> said(R.string.no_other_title, R.string.no_other_text)
        is Notice.BadLanguage -> said(
            R.string.bad_language_title,
            if (notice.typed) R.string.bad_language_typed else R.string.bad_language_found,
        )
        is Notice.Cleared -> context.getString(R.string.cleared_title) to ""
        is Notice.TooLong -> {
            val most = NumberFormat.getIntegerInstance().format(GhostEditText.MOST)
            context.getString(R.string.too_long_title) to
                context.getString(R.string.too_long_text, most)
        }
        is Notice.Imported -> context.getString(R.string.imported_title, notice.name) to ""
        is Notice.Failed -> context.getString(R.string.failed_title) to notice.reason
    }

    private fun said(title: Int, text: Int) = context.getString(title) to context.getString(text)
}
