package dev.foreword.app

/** Where options are kept between runs of the app. */
interface Memory {
    fun recall(): Options

    fun remember(options: Options)
}

/** Where models come from. */
interface Library {
    /** The models there are, built-in ones first. */
    fun list(): List<ModelRef>

    fun opener(model: ModelRef): Opener

    /** Deletes an imported model. */
    fun delete(model: ModelRef)
}

/** Copies a model into the library, telling how far it is; returns what it is called there. */
typealias Importer = (progress: (Float) -> Unit, cancelled: () -> Boolean) -> ModelRef
