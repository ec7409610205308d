package dev.foreword.app

import dev.foreword.core.EngineException
import dev.foreword.core.Refusal
import dev.foreword.core.Suggestions
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertSame
import org.junit.Assert.assertTrue
import org.junit.Test

class EditorViewModelTest {
    private val scenes = ArrayList<Scene>()

    private fun scene(make: () -> Scene) = make().also(scenes::add)

    @After
    fun close() = scenes.forEach { it.model.close() }

    @Test
    fun `without a model every tap says that there is none`() {
        val scene = scene { Scene(FakeLibrary()) }
        assertEquals(ModelState.Missing, scene.state.model)
        scene.model.typed("The ", "")
        assertNull(scene.state.notice)
        scene.model.generate()
        assertEquals(Notice.NoModel, scene.state.notice)
    }

    @Test
    fun `progress is shown while a model loads, and Generate says that it is not ready`() {
        val go = CountDownLatch(1)
        val scene = scene {
            Scene(FakeLibrary(FIRST to { progress ->
                progress(0.5f)
                go.await()
                ScriptedSuggester()
            }))
        }
        scene.main.until("half") { scene.state.model == ModelState.Loading("first", 0.5f) }
        scene.model.typed("The ", "")
        scene.model.generate()
        assertEquals(Notice.NotReady, scene.state.notice)
        go.countDown()
        scene.ready()
        assertEquals(ModelState.Ready("first"), scene.state.model)
    }

    @Test
    fun `what was typed while the model loaded is completed when it is ready`() {
        val go = CountDownLatch(1)
        val suggester = ScriptedSuggester { _, _ -> found("end") }
        val scene = scene { Scene(FakeLibrary(FIRST to { _ -> suggester.also { go.await() } })) }
        scene.model.typed("The ", "")
        go.countDown()
        scene.main.until("a suggestion") { scene.state.hasSuggestion }
        assertEquals("The ", suggester.asked.single().before)
    }

    @Test
    fun `a model that fails to load is named with its reason`() {
        val scene = scene {
            Scene(FakeLibrary(FIRST to { _ -> throw EngineException("it is\n damaged") }))
        }
        scene.main.until("failed") { scene.state.model is ModelState.Failed }
        assertEquals(ModelState.Failed("first", "it is damaged"), scene.state.model)
        scene.model.typed("The ", "")
        scene.model.generate()
        assertEquals(Notice.Failed("it is damaged"), scene.state.notice)
    }

    @Test
    fun `a model too large for memory is a failure, not the end`() {
        val scene = scene { Scene(FakeLibrary(FIRST to { _ -> throw OutOfMemoryError() })) }
        scene.main.until("failed") { scene.state.model is ModelState.Failed }
        assertEquals(ModelState.Failed("first", "OutOfMemoryError"), scene.state.model)
    }

    @Test
    fun `a suggestion grows word by word, then stands`() {
        val scene = scene {
            Scene { _, onWords ->
                onWords("quick")
                onWords("quick brown")
                found("quick brown fox")
            }
        }.ready()
        scene.model.typed("The ", "")
        assertEquals(Work.TYPED, scene.state.work)
        scene.answered()
        val shown = scene.states.map { it.suggestion }.distinct()
        assertEquals(listOf("", "quick", "quick brown", "quick brown fox"), shown)
    }

    @Test
    fun `letters that agree shorten what is shown at once, others take it away`() {
        val scene = scene { Scene { _, _ -> found("quick brown") } }.ready()
        scene.model.typed("The ", "")
        scene.answered()
        scene.model.typed("The q", "")
        assertEquals("uick brown", scene.state.suggestion)
        scene.model.typed("The qx", "")
        assertEquals("", scene.state.suggestion)
    }

    @Test
    fun `silence while typing is no news, after Generate it is`() {
        val scene = scene { Scene { _, _ -> found() } }.ready()
        scene.model.typed("The ", "")
        assertNull(scene.answered().notice)
        scene.model.generate()
        assertEquals(Work.ASKED, scene.state.work)
        assertEquals(Notice.NoSuggestion, scene.answered().notice)
        scene.model.closeNotice()
        assertNull(scene.state.notice)
    }

    @Test
    fun `nothing is asked of an empty text or a selection`() {
        val suggester = ScriptedSuggester()
        val scene = scene { Scene(suggester) }.ready()
        scene.model.typed("  ", "")
        scene.model.generate()
        assertEquals(Notice.NoText, scene.state.notice)
        scene.model.typed("The ", "", selecting = true)
        scene.model.generate()
        assertEquals(Notice.NoText, scene.state.notice)
        assertTrue(suggester.asked.isEmpty())
    }

    @Test
    fun `bad language is refused, and says where it is`() {
        for ((refusal, typed) in listOf(Refusal.INPUT to true, Refusal.OUTPUT to false)) {
            val scene = scene { Scene { _, _ -> Suggestions(refused = refusal) } }.ready()
            scene.model.typed("The ", "")
            assertEquals(Notice.BadLanguage(typed), scene.answered().notice)
            scene.model.typed("Other ", "")
            assertNull(scene.state.notice)
        }
    }

    @Test
    fun `a failure while running is told, and the next request runs`() {
        var fails = true
        val scene = scene {
            Scene { _, _ -> if (fails) throw EngineException("broken") else found("end") }
        }.ready()
        scene.model.typed("The ", "")
        assertEquals(Notice.Failed("broken"), scene.answered().notice)
        fails = false
        scene.model.generate()
        assertEquals("end", scene.answered().suggestion)
        assertNull(scene.state.notice)
    }

    @Test
    fun `ten taps on Generate ask once`() {
        val go = CountDownLatch(1)
        val suggester = ScriptedSuggester { request, _ ->
            if (request.asked) go.await()
            found("end")
        }
        val scene = scene { Scene(suggester) }.ready()
        scene.model.typed("The ", "")
        scene.answered()
        repeat(10) { scene.model.generate() }
        go.countDown()
        scene.answered()
        assertEquals(1, suggester.asked.count { it.asked })
    }

    @Test
    fun `Cancel stops the model and keeps what came`() {
        val begun = CountDownLatch(1)
        val ended = CountDownLatch(1)
        val scene = scene {
            Scene { request, onWords ->
                onWords("quick")
                begun.countDown()
                while (!request.isSet()) Thread.yield()
                ended.countDown()
                Suggestions(cancelled = true)
            }
        }.ready()
        scene.model.typed("The ", "")
        begun.await()
        scene.main.until("a word") { scene.state.hasSuggestion }
        scene.model.cancel()
        assertTrue(ended.await(20, TimeUnit.SECONDS))
        assertEquals(Work.NONE, scene.state.work)
        assertEquals("quick", scene.state.suggestion)
    }

    @Test
    fun `typing calls off what was asked before, and only the newest is answered`() {
        val begun = CountDownLatch(1)
        val suggester = ScriptedSuggester { request, _ ->
            begun.countDown()
            if (request.before == "A ") while (!request.isSet()) Thread.yield()
            if (request.isSet()) Suggestions(cancelled = true) else found("after " + request.before)
        }
        val scene = scene { Scene(suggester) }.ready()
        scene.model.typed("A ", "")
        begun.await()
        for (text in listOf("B ", "C ", "D ")) scene.model.typed(text, "")
        scene.main.until("the newest") { scene.state.suggestion == "after D " }
        assertTrue(scene.states.none { it.suggestion.startsWith("after A") })
    }

    @Test
    fun `accepting gives all, or the next word, and what follows was found ahead`() {
        val suggester = ScriptedSuggester { _, _ -> found("quick, brown fox") }
        val scene = scene { Scene(suggester) }.ready()
        scene.model.typed("The ", "")
        scene.answered()
        assertEquals("quick,", scene.model.accept(wordOnly = true))
        assertEquals("quick, brown fox", scene.model.accept(wordOnly = false))
        assertEquals("The ", suggester.prefetched.poll(20, TimeUnit.SECONDS)?.before)
    }

    @Test
    fun `another suggestion takes the place of the one shown, or there is none`() {
        val texts = ArrayDeque(listOf("one", "two", "two"))
        val scene = scene { Scene { _, _ -> found(texts.removeFirst()) } }.ready()
        scene.model.typed("The ", "")
        scene.answered()
        scene.model.another()
        assertEquals("two", scene.answered().suggestion)
        scene.model.another()
        assertEquals(Notice.NoOther, scene.answered().notice)
        assertEquals("two", scene.state.suggestion)
    }

    @Test
    fun `Dismiss takes the suggestion away and tells the model`() {
        val suggester = ScriptedSuggester { _, _ -> found("end") }
        val scene = scene { Scene(suggester) }.ready()
        scene.model.typed("The ", "")
        scene.answered()
        scene.model.dismiss()
        assertFalse(scene.state.hasSuggestion)
        assertEquals(Unit, suggester.dismissals.poll(20, TimeUnit.SECONDS))
    }

    @Test
    fun `options are remembered, and change what is asked`() {
        val suggester = ScriptedSuggester { _, _ -> found("end") }
        val scene = scene { Scene(suggester) }.ready()
        scene.model.typed("The ", "")
        scene.answered()
        scene.model.setOptions(scene.state.options.copy(window = 7, unit = WindowUnit.TOKENS))
        scene.answered()
        assertEquals(7, suggester.asked.last().options.window)
        assertEquals(7, scene.memory.recall().window)
        scene.model.setOptions(scene.state.options.copy(whileTyping = false))
        scene.model.typed("The other ", "")
        assertEquals(Work.NONE, scene.state.work)
        scene.model.generate()
        assertEquals("end", scene.answered().suggestion)
    }

    @Test
    fun `choosing a model closes the one before, and is remembered`() {
        val first = ScriptedSuggester()
        val scene = scene {
            Scene(FakeLibrary(FIRST to { _ -> first }, SECOND to { _ -> ScriptedSuggester() }))
        }.ready()
        scene.model.choose(SECOND)
        assertEquals(ModelState.Loading("second", 0f), scene.state.model)
        scene.ready()
        assertTrue(first.closed.await(20, TimeUnit.SECONDS))
        assertEquals(SECOND, scene.memory.recall().model)
        val again = scene { Scene(scene.library, scene.memory) }
        assertEquals(ModelState.Loading("second", 0f), again.state.model)
    }

    @Test
    fun `what an earlier choice has to tell is not taken for the later one's`() {
        val go = CountDownLatch(1)
        val late: Opener = { _ -> go.await(); throw EngineException("too late") }
        val library = FakeLibrary(FIRST to late, SECOND to { _ -> ScriptedSuggester() })
        val scene = scene { Scene(library) }
        scene.model.choose(SECOND)
        go.countDown()
        scene.ready()
        assertTrue(scene.states.none { it.model is ModelState.Failed })
    }

    @Test
    fun `an import shows how far it is, and loads what came`() {
        val scene = scene { Scene(FakeLibrary()) }
        scene.model.import { progress, _ ->
            progress(0.5f)
            SECOND.also { scene.library.add(it) { _ -> ScriptedSuggester() } }
        }
        scene.ready()
        assertTrue(scene.states.any { it.importing == 0.5f })
        assertEquals(listOf(SECOND), scene.state.models)
        assertNull(scene.state.importing)
    }

    @Test
    fun `an import that fails says why, one that is cancelled nothing`() {
        val scene = scene { Scene(FakeLibrary()) }
        scene.model.import { _, _ -> throw EngineException("no room") }
        scene.main.until("told") { scene.state.notice != null }
        assertEquals(Notice.Failed("no room"), scene.state.notice)
        val ended = CountDownLatch(1)
        scene.model.import { _, cancelled ->
            while (!cancelled()) Thread.yield()
            ended.countDown()
            throw EngineException("cancelled")
        }
        scene.model.cancelImport()
        assertTrue(ended.await(20, TimeUnit.SECONDS))
        assertNull(scene.state.importing)
        assertNull(scene.state.notice)
    }

    @Test
    fun `deleting the model in use goes on with another, or with none`() {
        val library = FakeLibrary(
            FIRST to { _ -> ScriptedSuggester() },
            SECOND to { _ -> ScriptedSuggester() },
        )
        val scene = scene { Scene(library) }.ready()
        scene.model.delete(FIRST)
        scene.ready()
        assertEquals(SECOND, scene.state.options.model)
        scene.model.delete(SECOND)
        assertEquals(ModelState.Missing, scene.state.model)
    }

    @Test
    fun `a rotation finds everything as it was`() {
        val go = CountDownLatch(1)
        val scene = scene { Scene { _, _ -> go.await(); found("end") } }.ready()
        scene.model.typed("The ", "")
        scene.model.observer = null // the screen is gone
        go.countDown()
        scene.answered()
        val seen = ArrayList<UiState>()
        scene.model.observer = { seen.add(it) }
        assertEquals("end", seen.single().suggestion)
        scene.model.typed("The ", "") // the field of the new screen tells what it holds
        assertSame(seen.single(), scene.state)
    }

    @Test
    fun `closing gives the model's memory back`() {
        val suggester = ScriptedSuggester()
        val scene = Scene(suggester).ready()
        scene.model.close()
        assertTrue(suggester.closed.await(20, TimeUnit.SECONDS))
    }
}
