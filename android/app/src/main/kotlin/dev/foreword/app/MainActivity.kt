package dev.foreword.app

import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.Intent
import android.net.Uri
import android.os.Bundle
import android.os.Handler
import android.os.Looper
import android.widget.Toast
import java.io.File

/** The one screen: it joins the model behind it to the views, and keeps the text. */
class MainActivity : Activity() {
    private lateinit var model: EditorViewModel
    private lateinit var screen: Screen
    private lateinit var drafts: DraftFile

    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        setContentView(R.layout.screen)
        drafts = DraftFile(File(filesDir, "draft"))
        @Suppress("DEPRECATION") // what there is without a library
        model = lastNonConfigurationInstance as? EditorViewModel ?: newModel()
        screen = Screen(findViewById(R.id.root), model, ::chooseFiles)
        drafts.read()?.let(screen.editor::restore)
        screen.inSettings = saved?.getBoolean(IN_SETTINGS) ?: false
        model.observer = screen::render
    }

    override fun onSaveInstanceState(out: Bundle) {
        super.onSaveInstanceState(out)
        out.putBoolean(IN_SETTINGS, screen.inSettings)
    }

    override fun onStop() {
        super.onStop()
        drafts.write(screen.editor.draft())
    }

    override fun onDestroy() {
        super.onDestroy()
        model.observer = null
        if (!isChangingConfigurations) model.close()
    }

    @Deprecated("what there is without a library")
    override fun onRetainNonConfigurationInstance(): Any = model

    @Deprecated("the way back that every version knows")
    override fun onBackPressed() {
        @Suppress("DEPRECATION")
        if (screen.inSettings) screen.inSettings = false else super.onBackPressed()
    }

    @Deprecated("what there is without a library")
    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        if (request != CHOOSE_FILES || result != RESULT_OK || data == null) return
        val clip = data.clipData
        val files: List<Uri> =
            if (clip != null) List(clip.itemCount) { clip.getItemAt(it).uri }
            else listOfNotNull(data.data)
        model.import(ImportedModels.of(this).importer(contentResolver, files))
    }

    private fun newModel(): EditorViewModel {
        val handler = Handler(Looper.getMainLooper())
        val preferences = getSharedPreferences("options", MODE_PRIVATE)
        return EditorViewModel(
            library = ModelLibrary(applicationContext),
            memory = Preferences(preferences),
            main = { handler.post(it) },
            background = { Thread(it, "import").start() },
        )
    }

    private fun chooseFiles() {
        val intent = Intent(Intent.ACTION_OPEN_DOCUMENT)
            .addCategory(Intent.CATEGORY_OPENABLE)
            .setType("*/*")
            .putExtra(Intent.EXTRA_ALLOW_MULTIPLE, true)
        try {
            @Suppress("DEPRECATION")
            startActivityForResult(intent, CHOOSE_FILES)
        } catch (_: ActivityNotFoundException) {
            Toast.makeText(this, R.string.no_file_app, Toast.LENGTH_LONG).show()
        }
    }

    private companion object {
        const val CHOOSE_FILES = 1
        const val IN_SETTINGS = "inSettings"
    }
}
