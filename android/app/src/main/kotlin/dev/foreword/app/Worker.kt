package dev.foreword.app

import dev.foreword.core.Cancel
import dev.foreword.core.Suggestions
import java.io.Closeable

/** What the worker needs of a model: [SessionSuggester], or a script in tests. */
interface Suggester : Closeable {
    /** Returns what may follow [request]'s text; [onWords] is told the first one as it grows. */
    fun suggest(request: Request, onWords: (String) -> Unit): Suggestions

    /** Returns the same with another suggestion first. */
    fun next(request: Request): Suggestions

    /** Suggests no more what was suggested last. */
    fun dismiss()

    /** Finds what follows the suggestion, in case it is accepted. */
    fun prefetch(request: Request)
}

/** Opens a model, telling how far it is, from 0 to 1. */
typealias Opener = (progress: (Float) -> Unit) -> Suggester

/** What is asked at a place in the text; [asked] by a tap, or by typing. */
class Request(
    val before: String,
    val after: String,
    val options: Options,
    val asked: Boolean,
    val another: Boolean = false,
) : Cancel {
    @Volatile private var called = false

    override fun isSet() = called

    /** Calls the request off; the model stops at its next step. */
    fun cancel() {
        called = true
    }
}

/** What the worker tells, from its own thread. */
sealed class Message {
    data class Progress(val of: Opener, val done: Float) : Message()

    data class Ready(val of: Opener) : Message()

    data class LoadFailed(val of: Opener, val reason: String) : Message()

    data class Words(val request: Request, val text: String) : Message()

    data class Answer(val request: Request, val found: Suggestions) : Message()

    data class Failed(val request: Request, val reason: String) : Message()
}

/**
 * The thread that runs the model. It is asked for the newest thing only: its mailbox has one
 * place, and what is put there takes the place, and calls off, what was there before.
 */
class Worker(private val deliver: (Message) -> Unit) {
    private val lock = Object()
    private var swap: Swap? = null
    private var waiting: Request? = null
    private var newest: Request? = null
    private var dismissed = false
    private var closing = false
    private val thread = Thread(::run, "model").apply { isDaemon = true }

    fun start() = thread.start()

    /** Loads a model in place of the one there is; null gives its memory back. */
    fun load(open: Opener?) = put(null) { swap = Swap(open) }

    fun ask(request: Request) = put(request)

    /** Takes back what was asked. */
    fun cancel() = put(null)

    /** Takes back what was asked, and suggests no more what was suggested last. */
    fun dismiss() = put(null) { dismissed = true }

    /** Ends the thread and gives the model's memory back, when the step it is in is over. */
    fun close() = put(null) { closing = true }

    private fun put(request: Request?, also: () -> Unit = {}) = synchronized(lock) {
        newest?.cancel()
        newest = request
        waiting = request
        also()
        lock.notifyAll()
    }

    private class Swap(val open: Opener?)

    private class Turn(val swap: Swap?, val request: Request?, val dismiss: Boolean)

    /** Waits for something to do; null when there will be no more. */
    private fun take(): Turn? = synchronized(lock) {
        while (!closing && swap == null && waiting == null && !dismissed) lock.wait()
        val turn = Turn(swap, waiting, dismissed)
        swap = null
        waiting = null
        dismissed = false
        if (closing) null else turn
    }

    private fun run() {
        var model: Suggester? = null
        while (true) {
            val turn = take() ?: break
            if (turn.swap != null) {
                model?.close() // before the next one is opened: there is memory for one
                model = turn.swap.open?.let(::open)
            }
            if (turn.dismiss) model?.dismiss()
            if (turn.request != null && model != null) answer(model, turn.request)
        }
        model?.close()
    }

    private fun open(open: Opener): Suggester? = try {
        open { deliver(Message.Progress(open, it)) }.also { deliver(Message.Ready(open)) }
    } catch (error: Exception) {
        deliver(Message.LoadFailed(open, reasonOf(error)))
        null
    } catch (error: OutOfMemoryError) {
        deliver(Message.LoadFailed(open, reasonOf(error)))
        null
    }

    private fun answer(model: Suggester, request: Request) {
        try {
            val found =
                if (request.another) model.next(request)
                else model.suggest(request) { deliver(Message.Words(request, it)) }
            if (found.cancelled) return
            deliver(Message.Answer(request, found))
            if (found.items.isNotEmpty() && !request.isSet()) model.prefetch(request)
        } catch (error: Exception) {
            deliver(Message.Failed(request, reasonOf(error)))
        } catch (error: OutOfMemoryError) {
            deliver(Message.Failed(request, reasonOf(error)))
        }
    }
}

/** Returns what went wrong, in one line. */
internal fun reasonOf(error: Throwable): String =
    error.message.orEmpty().split(Regex("\\s+")).joinToString(" ").trim().take(300)
        .ifEmpty { error.javaClass.simpleName }
