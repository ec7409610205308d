package dev.foreword.app

import dev.foreword.core.Refusal
import dev.foreword.core.Suggestions
import dev.foreword.core.Words
import java.io.Closeable

/**
 * What the screen shows and does, whatever draws it. It outlives a rotation.
 *
 * For the main thread alone: [main] runs there what other threads have to tell, [background] runs
 * what takes long elsewhere.
 */
class EditorViewModel(
    private val library: Library,
    private val memory: Memory,
    private val main: (() -> Unit) -> Unit,
    private val background: (() -> Unit) -> Unit,
) : Closeable {
    /** Told every new state, the present one first. */
    var observer: ((UiState) -> Unit)? = null
        set(value) {
            field = value
            value?.invoke(state)
        }

    var state = UiState(options = memory.recall())
        private set(value) {
            if (value == field) return
            field = value
            observer?.invoke(value)
        }

    private val worker = Worker { message -> main { received(message) } }
    private var before = ""
    private var after = ""
    private var selecting = false
    private var request: Request? = null
    private var opener: Opener? = null
    private var closed = false

    @Volatile private var importing: Any? = null

    init {
        worker.start()
        refresh()
        val models = state.models
        (models.find { it == state.options.model } ?: models.firstOrNull())?.let(::choose)
    }

    /** Takes note of the text and the cursor in it; [selecting] where there is no cursor. */
    fun typed(before: String, after: String, selecting: Boolean = false) {
        if (before == this.before && after == this.after && selecting == this.selecting) return
        val grown = !selecting && after == this.after && before.startsWith(this.before)
        val letters = if (grown) before.substring(this.before.length) else ""
        val left = if (grown) state.suggestion.withoutPrefix(letters) else ""
        this.before = before
        this.after = after
        this.selecting = selecting
        state = state.copy(suggestion = left, notice = null)
        if (mayAskUnasked()) ask(asked = false) else cancel()
    }

    /** Asks for a suggestion, however unsure, and says so where there is none. */
    fun generate() {
        if (state.work == Work.ASKED) return
        val obstacle = obstacle()
        if (obstacle != null) state = state.copy(notice = obstacle) else ask(asked = true)
    }

    /** Asks for another suggestion than the one shown. */
    fun another() {
        if (state.hasSuggestion && state.work != Work.ASKED) ask(asked = true, another = true)
    }

    /** Returns what is to be put in at the cursor: the suggestion, or its next word. */
    fun accept(wordOnly: Boolean): String =
        if (wordOnly) Words.firstWord(state.suggestion) else state.suggestion

    /** Takes the suggestion away until the text is another. */
    fun dismiss() {
        request = null
        worker.dismiss()
        state = state.copy(suggestion = "", work = Work.NONE, notice = null)
    }

    /** Stops the model; what it has suggested stays. */
    fun cancel() {
        request = null
        worker.cancel()
        state = state.copy(work = Work.NONE)
    }

    fun closeNotice() {
        state = state.copy(notice = null)
    }

    /** Says what the field alone knows. */
    fun notice(notice: Notice) {
        state = state.copy(notice = notice)
    }

    fun setOptions(options: Options) {
        if (options == state.options) return
        memory.remember(options)
        state = state.copy(options = options)
        dismiss()
        if (mayAskUnasked()) ask(asked = false)
    }

    /** Loads a model in place of the one there is. */
    fun choose(model: ModelRef) {
        memory.remember(state.options.copy(model = model))
        request = null
        state = state.copy(
            options = state.options.copy(model = model),
            model = ModelState.Loading(model.name, 0f),
            suggestion = "",
            work = Work.NONE,
            notice = null,
        )
        worker.load(library.opener(model).also { opener = it })
    }

    /** Deletes an imported model; another is loaded in its place. */
    fun delete(model: ModelRef) {
        library.delete(model)
        refresh()
        if (model != state.options.model) return
        val other = state.models.firstOrNull()
        if (other != null) return choose(other)
        request = null
        opener = null
        worker.load(null)
        state = state.copy(model = ModelState.Missing, suggestion = "", work = Work.NONE)
    }

    /** Imports a model beside the main thread, and loads it. */
    fun import(copy: Importer) {
        if (importing != null) return
        val turn = Any()
        importing = turn
        state = state.copy(importing = 0f, notice = null)
        fun inTurn(change: () -> Unit) = main { if (importing === turn) change() }
        background {
            try {
                val progress = { done: Float -> inTurn { state = state.copy(importing = done) } }
                val model = copy(progress) { importing !== turn }
                inTurn { imported(model) }
            } catch (error: Exception) {
                inTurn {
                    cancelImport()
                    state = state.copy(notice = Notice.Failed(reasonOf(error)))
                }
            }
        }
    }

    fun cancelImport() {
        importing = null
        state = state.copy(importing = null)
    }

    override fun close() {
        closed = true
        observer = null
        importing = null
        worker.close()
    }

    private fun imported(model: ModelRef) {
        cancelImport()
        refresh()
        choose(model)
        state = state.copy(notice = Notice.Imported(model.name))
    }

    private fun refresh() {
        state = state.copy(models = library.list())
    }

    /** Returns why there can be no suggestion, null where there can. */
    private fun obstacle(): Notice? = when (val model = state.model) {
        is ModelState.Missing -> Notice.NoModel
        is ModelState.Loading -> Notice.NotReady
        is ModelState.Failed -> Notice.Failed(model.reason)
        is ModelState.Ready -> if (before.isBlank() || selecting) Notice.NoText else null
    }

    private fun mayAskUnasked() = state.options.whileTyping && obstacle() == null

    private fun ask(asked: Boolean, another: Boolean = false) {
        val next = Request(before, after, state.options, asked, another)
        request = next
        state = state.copy(work = if (asked) Work.ASKED else Work.TYPED, notice = null)
        worker.ask(next)
    }

    private fun received(message: Message) {
        if (closed) return
        when (message) {
            is Message.Progress -> loading(message.of) { it.copy(done = message.done) }
            is Message.Ready -> {
                loading(message.of) { ModelState.Ready(it.name) }
                if (mayAskUnasked()) ask(asked = false) // of what was typed meanwhile
            }
            is Message.LoadFailed ->
                loading(message.of) { ModelState.Failed(it.name, message.reason) }
            is Message.Words ->
                if (message.request === request) state = state.copy(suggestion = message.text)
            is Message.Answer -> if (message.request === request) answered(message)
            is Message.Failed -> if (message.request === request) {
                request = null
                val failed = Notice.Failed(message.reason)
                state = state.copy(suggestion = "", work = Work.NONE, notice = failed)
            }
        }
    }

    private fun loading(of: Opener, change: (ModelState.Loading) -> ModelState) {
        val model = state.model as? ModelState.Loading ?: return
        if (of !== opener) return // one that was chosen before
        state = state.copy(model = change(model))
    }

    private fun answered(answer: Message.Answer) {
        val text = answer.found.items.firstOrNull()?.text.orEmpty()
        val same = answer.request.another && text == state.suggestion
        request = null
        state = state.copy(
            suggestion = text,
            work = Work.NONE,
            notice = when {
                answer.found.refused != null -> badLanguage(answer.found)
                same -> Notice.NoOther
                text.isEmpty() && answer.request.asked -> Notice.NoSuggestion
                else -> null
            },
        )
    }

    private fun badLanguage(found: Suggestions) =
        Notice.BadLanguage(typed = found.refused == Refusal.INPUT)
}

/** Returns what is left of a suggestion after letters that agree with it, nothing otherwise. */
private fun String.withoutPrefix(letters: String) =
    if (startsWith(letters)) substring(letters.length) else ""
