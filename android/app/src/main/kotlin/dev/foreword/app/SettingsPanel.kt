package dev.foreword.app

import android.view.View
import android.widget.Button
import android.widget.RadioButton
import android.widget.RadioGroup
import android.widget.RadioGroup.LayoutParams
import android.widget.SeekBar
import android.widget.Switch
import android.widget.TextView

/** How far back the model looks, when it suggests, and which model it is. */
class SettingsPanel(root: View, private val model: EditorViewModel, importFiles: () -> Unit) {
    private val context = root.context
    private val panel: View = root.findViewById(R.id.panel)
    private val value: TextView = root.findViewById(R.id.window_value)
    private val window: SeekBar = root.findViewById(R.id.window)
    private val words: RadioButton = root.findViewById(R.id.unit_words)
    private val tokens: RadioButton = root.findViewById(R.id.unit_tokens)
    private val whileTyping: Switch = root.findViewById(R.id.while_typing)
    private val models: RadioGroup = root.findViewById(R.id.models)
    private val importing: Button = root.findViewById(R.id.import_model)
    private val delete: Button = root.findViewById(R.id.delete)
    private var listed = emptyList<ModelRef>()

    init {
        val least = Options.WINDOWS.first // a bar begins at 0 before API 26
        window.max = Options.WINDOWS.last - least
        window.setOnSeekBarChangeListener(object : SeekBar.OnSeekBarChangeListener {
            override fun onProgressChanged(bar: SeekBar, progress: Int, byPerson: Boolean) {
                if (byPerson) change { it.copy(window = progress + least) }
            }

            override fun onStartTrackingTouch(bar: SeekBar) = Unit

            override fun onStopTrackingTouch(bar: SeekBar) = Unit
        })
        words.setOnClickListener { change { it.copy(unit = WindowUnit.WORDS) } }
        tokens.setOnClickListener { change { it.copy(unit = WindowUnit.TOKENS) } }
        whileTyping.setOnClickListener {
            change { it.copy(whileTyping = whileTyping.isChecked) }
        }
        importing.setOnClickListener {
            if (model.state.importing == null) importFiles() else model.cancelImport()
        }
        delete.setOnClickListener { model.state.options.model?.let(model::delete) }
    }

    fun render(state: UiState, open: Boolean) {
        panel.visibility = shown(open)
        if (!open) return
        val options = state.options
        val inWords = options.unit == WindowUnit.WORDS
        val counted = if (inWords) R.plurals.window_words else R.plurals.window_tokens
        value.text = context.resources.getQuantityString(counted, options.window, options.window)
        window.progress = options.window - Options.WINDOWS.first
        words.isChecked = inWords
        tokens.isChecked = !inWords
        whileTyping.isChecked = options.whileTyping
        list(state.models)
        for (at in listed.indices) {
            (models.getChildAt(at) as RadioButton).isChecked = listed[at] == options.model
        }
        importing.text = state.importing?.let { context.getString(R.string.importing, percent(it)) }
            ?: context.getString(R.string.import_model)
        importing.contentDescription =
            if (state.importing == null) null else context.getString(R.string.cancel_import)
        delete.visibility = shown(options.model?.place == ModelRef.Place.IMPORTED)
    }

    private fun list(found: List<ModelRef>) {
        if (found == listed) return
        listed = found
        models.removeAllViews()
        for (ref in found) {
            val button = RadioButton(context, null, 0, R.style.ModelChoice)
            button.text =
                if (ref.place == ModelRef.Place.IMPORTED) ref.name
                else context.getString(R.string.built_in, ref.name)
            button.setOnClickListener { if (ref != model.state.options.model) model.choose(ref) }
            models.addView(button, LayoutParams.MATCH_PARENT, LayoutParams.WRAP_CONTENT)
        }
    }

    private fun change(how: (Options) -> Options) = model.setOptions(how(model.state.options))
}
