package dev.foreword.app

import android.content.SharedPreferences

/** Options in the app's preferences; what is not understood there is as it was at first. */
class Preferences(private val kept: SharedPreferences) : Memory {
    override fun recall(): Options {
        val usual = Options()
        return Options(
            window = number("window")?.takeIf { it in Options.WINDOWS } ?: usual.window,
            unit = named<WindowUnit>("unit") ?: usual.unit,
            whileTyping = kept.all["whileTyping"] as? Boolean ?: usual.whileTyping,
            model = named<ModelRef.Place>("place")?.let { place ->
                (kept.all["model"] as? String)?.let { ModelRef(place, it) }
            },
        )
    }

    override fun remember(options: Options) {
        kept.edit()
            .putInt("window", options.window)
            .putString("unit", options.unit.name)
            .putBoolean("whileTyping", options.whileTyping)
            .putString("place", options.model?.place?.name)
            .putString("model", options.model?.name)
            .apply()
    }

    private fun number(key: String) = kept.all[key] as? Int

    private inline fun <reified E : Enum<E>> named(key: String): E? =
        enumValues<E>().find { it.name == kept.all[key] }
}
