package dev.foreword.app

import android.content.ClipData
import android.content.ClipboardManager
import android.os.Build
import android.view.View
import android.view.WindowInsets
import android.view.accessibility.AccessibilityManager
import android.widget.Button
import android.widget.ImageButton
import android.widget.ProgressBar
import android.widget.TextView
import android.widget.Toast

/** Draws a [UiState], and hands taps and text to the model behind it. */
class Screen(private val root: View, private val model: EditorViewModel, importFiles: () -> Unit) {
    val editor: GhostEditText = root.findViewById(R.id.editor)
    private val context = root.context
    private val title: TextView = root.findViewById(R.id.title)
    private val status: TextView = root.findViewById(R.id.status)
    private val copy: View = root.findViewById(R.id.copy)
    private val clear: View = root.findViewById(R.id.clear)
    private val toSettings: ImageButton = root.findViewById(R.id.settings)
    private val progress: ProgressBar = root.findViewById(R.id.progress)
    private val actions: View = root.findViewById(R.id.actions)
    private val suggestion: TextView = root.findViewById(R.id.suggestion)
    private val settings = SettingsPanel(root, model, importFiles)
    private val notices = NoticeCard(root, model, ::act)
    private var cleared: Draft? = null

    /** Whether settings are shown in place of the text. */
    var inSettings = false
        set(value) {
            field = value
            render(model.state)
        }

    init {
        root.setOnApplyWindowInsetsListener { view, insets -> insets.also { inset(view, it) } }
        editor.onPlace = model::typed
        editor.onTooLong = { model.notice(Notice.TooLong) }
        onTap(R.id.generate, model::generate)
        onTap(R.id.cancel, model::cancel)
        onTap(R.id.accept) { editor.accept(model.accept(wordOnly = false)) }
        onTap(R.id.accept_word) { editor.accept(model.accept(wordOnly = true)) }
        onTap(R.id.another, model::another)
        onTap(R.id.dismiss, model::dismiss)
        onTap(R.id.copy, ::copy)
        onTap(R.id.clear, ::clear)
        onTap(R.id.settings) { inSettings = !inSettings }
    }

    fun render(state: UiState) {
        val loading = state.model as? ModelState.Loading
        editor.ghost = state.suggestion
        editor.visibility = shown(!inSettings)
        actions.visibility = shown(!inSettings)
        title.setText(if (inSettings) R.string.settings else R.string.app_name)
        copy.visibility = shown(!inSettings)
        clear.visibility = shown(!inSettings)
        toSettings.setImageResource(if (inSettings) R.drawable.ic_back else R.drawable.ic_settings)
        toSettings.contentDescription =
            context.getString(if (inSettings) R.string.back else R.string.settings)
        status.text = statusOf(state.model)
        progress.visibility = shown(loading != null)
        progress.progress = percent(loading?.done ?: 0f)
        renderActions(state)
        notices.render(state.notice)
        settings.render(state, inSettings)
    }

    private fun renderActions(state: UiState) {
        for (id in listOf(R.id.accept, R.id.accept_word, R.id.another, R.id.dismiss)) {
            button(id).visibility = shown(state.hasSuggestion)
        }
        button(R.id.another).isEnabled = state.work != Work.ASKED
        button(R.id.generate).isEnabled = state.work != Work.ASKED
        button(R.id.generate).visibility = shown(!state.hasSuggestion)
        button(R.id.cancel).visibility = shown(state.work == Work.ASKED)
        // What the field cannot show, or a screen reader would not read, stands here.
        val spoken = context.getSystemService(AccessibilityManager::class.java).isEnabled
        val text = state.suggestion.trim()
        suggestion.visibility = shown(state.hasSuggestion && (spoken || !editor.ghostFits))
        suggestion.text = if (text.isEmpty()) "" else context.getString(R.string.suggested, text)
    }

    private fun statusOf(model: ModelState): String = when (model) {
        is ModelState.Missing -> context.getString(R.string.no_model)
        is ModelState.Loading ->
            context.getString(R.string.loading, model.name, percent(model.done))
        is ModelState.Ready -> model.name
        is ModelState.Failed -> context.getString(R.string.failed_model, model.name)
    }

    private fun act(notice: Notice) {
        if (notice == Notice.Cleared) cleared?.let(editor::restore) else inSettings = true
    }

    private fun copy() {
        val text = editor.text.toString()
        val clipboard = context.getSystemService(ClipboardManager::class.java)
        try {
            clipboard.setPrimaryClip(ClipData.newPlainText(null, text))
        } catch (error: RuntimeException) { // more than goes from one app to another
            return model.notice(Notice.Failed(reasonOf(error)))
        }
        // Later versions show what was copied.
        if (Build.VERSION.SDK_INT < 33) {
            Toast.makeText(context, R.string.copied, Toast.LENGTH_SHORT).show()
        }
    }

    private fun clear() {
        if (editor.length() == 0) return
        cleared = editor.draft()
        editor.restore(Draft("", 0, emptyList()))
        // Behind the change of the text, which takes notices away.
        editor.post { model.notice(Notice.Cleared) }
    }

    private fun onTap(id: Int, act: () -> Unit) =
        root.findViewById<View>(id).setOnClickListener { act() }

    private fun button(id: Int): Button = root.findViewById(id)

    /** Keeps clear of the system's bars, cut-outs and keyboard. */
    private fun inset(view: View, insets: WindowInsets) {
        if (Build.VERSION.SDK_INT >= 30) {
            val types = WindowInsets.Type.systemBars() or WindowInsets.Type.displayCutout() or
                WindowInsets.Type.ime()
            val edges = insets.getInsets(types)
            view.setPadding(edges.left, edges.top, edges.right, edges.bottom)
        } else {
            @Suppress("DEPRECATION")
            view.setPadding(
                insets.systemWindowInsetLeft, insets.systemWindowInsetTop,
                insets.systemWindowInsetRight, insets.systemWindowInsetBottom,
            )
        }
    }
}

internal fun shown(yes: Boolean) = if (yes) View.VISIBLE else View.GONE

internal fun percent(part: Float) = (part * 100).toInt().coerceIn(0, 100)
