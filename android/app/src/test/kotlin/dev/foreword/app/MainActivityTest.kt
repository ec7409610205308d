package dev.foreword.app

import android.os.Looper
import android.view.View
import android.widget.TextView
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config

/** The app as it is, without a model, on the oldest Android it runs on and a new one. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [24, 35])
class MainActivityTest {
    private fun MainActivity.editor() = findViewById<GhostEditText>(R.id.editor)

    private fun MainActivity.tap(id: Int) {
        findViewById<View>(id).performClick()
        shadowOf(Looper.getMainLooper()).idle()
    }

    @Test
    fun `without a model it starts, and says so when it is asked`() {
        val activity = Robolectric.buildActivity(MainActivity::class.java).setup().get()
        activity.editor().append("Some text")
        shadowOf(Looper.getMainLooper()).idle()
        activity.tap(R.id.generate)
        val title = activity.findViewById<TextView>(R.id.notice_title)
        assertEquals("There is no model yet", title.text.toString())
        activity.tap(R.id.notice_action)
        assertTrue(activity.findViewById<View>(R.id.panel).isShown)
    }

    @Test
    fun `text, marks and settings outlive a rotation`() {
        val controller = Robolectric.buildActivity(MainActivity::class.java).setup()
        controller.get().editor().append("It is ")
        controller.get().editor().accept("a truth")
        val draft = controller.get().editor().draft()
        controller.get().tap(R.id.settings)
        controller.recreate()
        assertEquals(draft, controller.get().editor().draft())
        assertTrue(controller.get().findViewById<View>(R.id.panel).isShown)
    }

    @Test
    fun `text and marks outlive the end of the process`() {
        val first = Robolectric.buildActivity(MainActivity::class.java).setup()
        first.get().editor().append("It is ")
        first.get().editor().accept("a truth \uD83D\uDE00 한국어")
        val draft = first.get().editor().draft()
        first.pause().stop().destroy()
        val second = Robolectric.buildActivity(MainActivity::class.java).setup()
        assertEquals(draft, second.get().editor().draft())
    }
}
