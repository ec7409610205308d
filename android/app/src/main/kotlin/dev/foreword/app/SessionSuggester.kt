package dev.foreword.app

import dev.foreword.core.Completer
import dev.foreword.core.Policy
import dev.foreword.core.Session
import dev.foreword.core.Suggestions
import java.io.Closeable

/**
 * Sessions over one model, which holds [context] tokens; [owner] gives its memory back.
 *
 * A tap on Generate is answered however unsure the model is, typing only where it is sure. So
 * there are two sessions, and the one that was asked goes on while what is typed agrees with it.
 */
class SessionSuggester(
    private val completer: Completer,
    private val context: Int,
    private val owner: Closeable,
) : Suggester {
    private var policy: Policy? = null
    private lateinit var typing: Session
    private lateinit var asking: Session
    private var shown = "" // the text with what was suggested when asked

    override fun suggest(request: Request, onWords: (String) -> Unit): Suggestions {
        adopt(request.options)
        val goesOn = !request.asked && request.before.isNotEmpty() &&
            shown.length > request.before.length && shown.startsWith(request.before)
        if (request.asked) asking = Session(completer, policy!!.copy(confidence = 0.0))
        val session = if (request.asked || goesOn) asking else typing
        val found = session.suggest(request.before, request, request.after, onWords)
        if (!found.cancelled && !goesOn) remember(request, found)
        return found
    }

    override fun next(request: Request): Suggestions {
        adopt(request.options)
        val session = if (shown.startsWith(request.before)) asking else typing
        val found = session.next(request.before, request, request.after)
        if (!found.cancelled && session === asking) remember(request, found)
        return found
    }

    override fun dismiss() {
        if (policy == null) return
        asking.dismiss()
        typing.dismiss()
        shown = ""
    }

    override fun prefetch(request: Request) {
        val session = if (shown.isNotEmpty()) asking else typing
        session.prefetch(request.before, request, request.after)
    }

    override fun close() = owner.close()

    private fun remember(request: Request, found: Suggestions) {
        val text = found.items.firstOrNull()?.text
        val asked = request.asked && text != null
        shown = if (asked) request.before + text else ""
    }

    private fun adopt(options: Options) {
        val wanted = policyFor(options)
        if (wanted == policy) return
        policy = wanted
        shown = ""
        typing = Session(completer, wanted)
        asking = Session(completer, wanted.copy(confidence = 0.0))
    }

    private fun policyFor(options: Options): Policy {
        // Room for the suggestion itself, and for the letters it begins anew.
        val most = maxOf(context * 3 / 4, 1)
        return when (options.unit) {
            WindowUnit.TOKENS -> Policy(contextTokens = minOf(options.window, most))
            WindowUnit.WORDS -> Policy(contextTokens = most, contextWords = options.window)
        }
    }
}
