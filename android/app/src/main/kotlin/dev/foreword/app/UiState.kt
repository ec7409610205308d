package dev.foreword.app

/** Everything the screen shows beside the text itself, which the field owns. */
data class UiState(
    val model: ModelState = ModelState.Missing,
    val models: List<ModelRef> = emptyList(),
    val suggestion: String = "",
    val work: Work = Work.NONE,
    val notice: Notice? = null,
    val options: Options = Options(),
    val importing: Float? = null,
) {
    /** Whether there is something to accept, dismiss or trade for another. */
    val hasSuggestion get() = suggestion.isNotEmpty()
}

/** What became of the model. */
sealed class ModelState {
    /** There is none to load. */
    object Missing : ModelState()

    /** It is being loaded; [done] goes from 0 to 1. */
    data class Loading(val name: String, val done: Float) : ModelState()

    /** It can be asked. */
    data class Ready(val name: String) : ModelState()

    /** It could not be loaded, for a [reason] in one line. */
    data class Failed(val name: String, val reason: String) : ModelState()
}

/** A model that can be chosen: where it is, and the name to show. */
data class ModelRef(val place: Place, val name: String) {
    enum class Place { BUILT_IN, IMPORTED }
}

/** Whether the model is at work, and for whom. */
enum class Work { NONE, TYPED, ASKED }

/** What the person is told until something else happens. */
sealed class Notice {
    /** There is no model on the phone. */
    object NoModel : Notice()

    /** The model is not loaded yet. */
    object NotReady : Notice()

    /** The text is empty: there is nothing to go on from. */
    object NoText : Notice()

    /** The model has nothing to suggest. */
    object NoSuggestion : Notice()

    /** There is no suggestion beside the one shown. */
    object NoOther : Notice()

    /** A bad word, in the text ([typed]) or in all that came to mind. */
    data class BadLanguage(val typed: Boolean) : Notice()

    /** The text was cleared, and can be brought back. */
    object Cleared : Notice()

    /** More was pasted than the field takes; the rest was left out. */
    object TooLong : Notice()

    /** A model was imported. */
    data class Imported(val name: String) : Notice()

    /** Something failed, for a [reason] in one line. */
    data class Failed(val reason: String) : Notice()
}

/** What a person sets, and the app remembers. */
data class Options(
    val window: Int = DEFAULT_WINDOW,
    val unit: WindowUnit = WindowUnit.WORDS,
    val whileTyping: Boolean = true,
    val model: ModelRef? = null,
) {
    companion object {
        /** How far back the model may look, in words or tokens. */
        val WINDOWS = 5..50
        const val DEFAULT_WINDOW = 25
    }
}

/** What the window is counted in. */
enum class WindowUnit { WORDS, TOKENS }
