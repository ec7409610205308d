package dev.foreword.app

import dev.foreword.core.Suggestion
import dev.foreword.core.Suggestions
import java.util.concurrent.CountDownLatch
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit

/** The main thread of a test: what other threads have to tell is run here, when it is asked for. */
class MainQueue {
    private val waiting = LinkedBlockingQueue<() -> Unit>()

    fun post(task: () -> Unit) {
        waiting.put(task)
    }

    /** Runs what comes until a condition holds. */
    fun until(what: String, holds: () -> Boolean) {
        while (!holds()) {
            val task = waiting.poll(20, TimeUnit.SECONDS) ?: throw AssertionError("never: $what")
            task()
        }
    }
}

fun found(vararg texts: String) = Suggestions(texts.map { Suggestion(it) })

/** A model that answers as it is told, and keeps what it was asked. */
class ScriptedSuggester(
    private val answer: (Request, (String) -> Unit) -> Suggestions = { _, _ -> found() },
) : Suggester {
    val asked = LinkedBlockingQueue<Request>()
    val prefetched = LinkedBlockingQueue<Request>()
    val dismissals = LinkedBlockingQueue<Unit>()
    val closed = CountDownLatch(1)

    override fun suggest(request: Request, onWords: (String) -> Unit): Suggestions {
        asked.put(request)
        return answer(request, onWords)
    }

    override fun next(request: Request): Suggestions = suggest(request) {}

    override fun dismiss() = dismissals.put(Unit)

    override fun prefetch(request: Request) = prefetched.put(request)

    override fun close() = closed.countDown()
}

class FakeMemory(private var kept: Options = Options()) : Memory {
    override fun recall() = kept

    override fun remember(options: Options) {
        kept = options
    }
}

val FIRST = ModelRef(ModelRef.Place.BUILT_IN, "first")
val SECOND = ModelRef(ModelRef.Place.IMPORTED, "second")

class FakeLibrary(private val openers: MutableMap<ModelRef, Opener>) : Library {
    constructor(vararg openers: Pair<ModelRef, Opener>) : this(mutableMapOf(*openers))

    override fun list() = openers.keys.toList()

    override fun opener(model: ModelRef) = openers.getValue(model)

    override fun delete(model: ModelRef) {
        openers.remove(model)
    }

    fun add(model: ModelRef, opener: Opener) {
        openers[model] = opener
    }
}

/** A view model over a script, its main thread in hand. */
class Scene(val library: FakeLibrary, val memory: FakeMemory = FakeMemory()) {
    val main = MainQueue()
    val states = ArrayList<UiState>()
    val model = EditorViewModel(library, memory, main::post) { Thread(it).start() }
    val state get() = model.state

    constructor(suggester: Suggester) : this(FakeLibrary(FIRST to { _ -> suggester }))

    constructor(answer: (Request, (String) -> Unit) -> Suggestions) :
        this(ScriptedSuggester(answer))

    init {
        model.observer = { states.add(it) }
    }

    fun ready(): Scene {
        main.until("ready") { state.model is ModelState.Ready }
        return this
    }

    fun answered(): UiState {
        main.until("answered") { state.work == Work.NONE }
        return state
    }
}
