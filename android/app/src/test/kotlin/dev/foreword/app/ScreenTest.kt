package dev.foreword.app

import android.app.Activity
import android.content.ClipboardManager
import android.graphics.Bitmap
import android.graphics.Canvas
import android.os.Looper
import android.view.View
import android.view.View.MeasureSpec
import android.widget.Button
import android.widget.SeekBar
import android.widget.TextView
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config

/** The screen over a scripted model; its pictures are in build/pictures, to be looked at. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [35])
class ScreenTest {
    private lateinit var scene: Scene
    private lateinit var activity: Activity
    private lateinit var root: View
    private lateinit var screen: Screen
    private val editor get() = screen.editor

    private fun show(scene: Scene, qualifiers: String = USUAL, scale: Float = 1f) {
        RuntimeEnvironment.setQualifiers(qualifiers)
        RuntimeEnvironment.setFontScale(scale)
        this.scene = scene
        val controller = Robolectric.buildActivity(Activity::class.java).create()
        activity = controller.get()
        activity.setTheme(R.style.Theme_Autocomplete)
        activity.setContentView(R.layout.screen)
        root = activity.findViewById(R.id.root)
        screen = Screen(root, scene.model) {}
        scene.model.observer = screen::render
        controller.start().resume().visible()
        lay()
    }

    private fun lay(height: Int = activity.resources.displayMetrics.heightPixels) {
        shadowOf(Looper.getMainLooper()).idle()
        val width = activity.resources.displayMetrics.widthPixels
        root.measure(
            MeasureSpec.makeMeasureSpec(width, MeasureSpec.EXACTLY),
            MeasureSpec.makeMeasureSpec(height, MeasureSpec.EXACTLY),
        )
        root.layout(0, 0, width, height)
        screen.render(scene.state)
    }

    private fun type(text: String, cursor: Int = text.length) {
        editor.setText(text)
        editor.setSelection(cursor)
        shadowOf(Looper.getMainLooper()).idle()
        scene.answered()
        lay()
    }

    private fun tap(id: Int) {
        root.findViewById<View>(id).performClick()
        shadowOf(Looper.getMainLooper()).idle()
    }

    private fun visible(id: Int) = root.findViewById<View>(id).visibility == View.VISIBLE

    private fun text(id: Int) = root.findViewById<TextView>(id).text.toString()

    private fun picture(name: String) {
        lay()
        root.jumpDrawablesToCurrentState()
        val drawn = Bitmap.createBitmap(root.width, root.height, Bitmap.Config.ARGB_8888)
        root.draw(Canvas(drawn))
        val file = File("build/pictures/$name.png")
        file.parentFile?.mkdirs()
        file.outputStream().use { drawn.compress(Bitmap.CompressFormat.PNG, 100, it) }
    }

    @Test
    fun `a suggestion stands behind the cursor and is not part of the text`() {
        show(Scene { _, _ -> found("a truth universally acknowledged") }.ready())
        type("It is ")
        assertEquals("It is ", editor.text.toString())
        assertEquals("a truth universally acknowledged", editor.ghost)
        assertTrue(editor.ghostFits)
        assertFalse(visible(R.id.suggestion))
        for (id in listOf(R.id.accept, R.id.accept_word, R.id.another, R.id.dismiss)) {
            assertTrue(visible(id))
        }
        picture("suggestion")
    }

    @Test
    fun `accepted text is put in at the cursor and marked`() {
        show(Scene { _, _ -> found("a truth universally acknowledged") }.ready())
        type("It is ")
        tap(R.id.accept_word)
        assertEquals("It is a", editor.text.toString())
        assertEquals(listOf(6..6), editor.draft().accepted)
        scene.answered()
        editor.accept(" truth")
        assertEquals(listOf(6..6, 7..12), editor.draft().accepted)
        picture("accepted")
    }

    @Test
    fun `where text follows the cursor the suggestion stands below`() {
        show(Scene { _, _ -> found("universally") }.ready())
        type("It is a truth acknowledged", cursor = 14)
        assertFalse(editor.ghostFits)
        assertTrue(visible(R.id.suggestion))
        assertEquals("Suggestion: universally", text(R.id.suggestion))
        picture("within")
    }

    @Test
    fun `Clear can be undone, and Copy copies all`() {
        show(Scene { _, _ -> found() }.ready())
        type("Some text")
        tap(R.id.copy)
        val clipboard = activity.getSystemService(ClipboardManager::class.java)
        assertEquals("Some text", clipboard.primaryClip!!.getItemAt(0).text)
        tap(R.id.clear)
        assertEquals("", editor.text.toString())
        assertEquals("The text was cleared", text(R.id.notice_title))
        picture("cleared")
        tap(R.id.notice_action)
        assertEquals("Some text", editor.text.toString())
    }

    @Test
    fun `a megabyte is cut where the field ends, and says so`() {
        show(Scene { request, _ -> found(request.before.takeLast(3)) }.ready())
        val pasted = "Wide 한국어 \uD83D\uDE00 ".repeat(80_000)
        editor.text.insert(0, pasted)
        assertTrue(editor.length() in GhostEditText.MOST - 1..GhostEditText.MOST)
        assertFalse(Character.isHighSurrogate(editor.text.last()))
        assertEquals(Notice.TooLong, scene.state.notice)
    }

    @Test
    fun `emoji and Korean are marked where they stand`() {
        show(Scene { _, _ -> found("세계 \uD83C\uDF0D") }.ready())
        type("안녕 \uD83D\uDC4B ")
        tap(R.id.accept)
        val draft = editor.draft()
        assertEquals("안녕 \uD83D\uDC4B 세계 \uD83C\uDF0D", draft.text)
        assertEquals("세계 \uD83C\uDF0D", draft.text.substring(draft.accepted.single()))
        editor.restore(Draft("", 0, emptyList()))
        editor.restore(draft)
        assertEquals(draft, editor.draft())
        picture("korean")
    }

    @Test
    fun `every notice has words`() {
        show(Scene { _, _ -> found() }.ready())
        val notices = listOf(
            Notice.NoModel, Notice.NotReady, Notice.NoText, Notice.NoSuggestion, Notice.NoOther,
            Notice.BadLanguage(true), Notice.BadLanguage(false), Notice.Cleared, Notice.TooLong,
            Notice.Imported("m"), Notice.Failed("why"),
        )
        val said = notices.map { notice ->
            scene.model.notice(notice)
            assertTrue(visible(R.id.notice))
            text(R.id.notice_title) + text(R.id.notice_text)
        }
        assertEquals(notices.size, said.toSet().size)
        scene.model.notice(Notice.BadLanguage(true))
        assertEquals("Mind your language!", text(R.id.notice_title))
        picture("language")
    }

    @Test
    fun `settings show and set what is remembered`() {
        val library = FakeLibrary(
            FIRST to { _ -> ScriptedSuggester() },
            SECOND to { _ -> ScriptedSuggester() },
        )
        show(Scene(library).ready())
        tap(R.id.settings)
        assertFalse(visible(R.id.editor))
        assertEquals("25 words", text(R.id.window_value))
        assertEquals(45, root.findViewById<SeekBar>(R.id.window).max)
        tap(R.id.unit_tokens)
        tap(R.id.while_typing)
        assertEquals(WindowUnit.TOKENS, scene.memory.recall().unit)
        assertFalse(scene.memory.recall().whileTyping)
        assertEquals("25 tokens", text(R.id.window_value))
        picture("settings")
        tap(R.id.settings)
        assertTrue(visible(R.id.editor))
    }

    @Test
    fun `whatever can be tapped is large enough and has a name`() {
        show(Scene { _, _ -> found("end") }.ready())
        type("The ")
        val least = (48 * activity.resources.displayMetrics.density).toInt()
        val tapped = views(root).filter { it.isClickable && it.isShown && it !is GhostEditText }
        assertTrue(tapped.size >= 6)
        for (view in tapped) {
            val name = view.contentDescription ?: (view as? Button)?.text
            assertFalse("$view has no name", name.isNullOrBlank())
            assertTrue("$name is small", view.height >= least && view.width >= least)
        }
    }

    @Test
    fun `the text keeps room in the dark, with large letters, sideways and over a keyboard`() {
        for ((name, qualifiers, scale) in listOf(
            Triple("night", "+w411dp-h731dp-night-420dpi", 1f),
            Triple("large", "+w360dp-h640dp-notnight-320dpi", 2f),
            Triple("sideways", "+w731dp-h411dp-land-notnight-420dpi", 1f),
            Triple("korean-night", "+ko-w360dp-h640dp-port-night-320dpi", 1f),
        )) {
            val scene = Scene { _, _ -> found("a truth universally acknowledged") }
            show(scene.ready(), qualifiers, scale)
            type("It is ")
            picture(name)
            // What a keyboard leaves.
            lay((root.height * 0.56).toInt())
            val letters = editor.lineHeight + editor.paddingTop
            assertTrue("$name: ${editor.height}", editor.height >= letters)
            scene.model.close()
        }
    }

    private companion object {
        const val USUAL = "+w411dp-h731dp-420dpi"
    }

    private fun views(view: View): List<View> =
        listOf(view) + ((view as? android.view.ViewGroup)?.let { group ->
            (0 until group.childCount).flatMap { views(group.getChildAt(it)) }
        } ?: emptyList())
}
