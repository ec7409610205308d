package dev.foreword.core

/**
 * What the core throws on purpose; a message says in one line what was expected, what was found
 * and what to do next.
 */
sealed class ForewordException(message: String) : Exception(message)

/** A request that can never work, whatever the files say. */
class UsageException(message: String) : ForewordException(message)

/** A bundle is missing, damaged, hostile or of another format version. */
class BundleException(message: String) : ForewordException(message)

/** A tokenizer that is sound, but not of a kind that can be followed here. */
class UnsupportedTokenizer(found: String) :
    ForewordException("this tokenizer is beyond the app: $found; choose another model")

/** The model could not be loaded or run. */
open class EngineException(message: String) : ForewordException(message)

/** The prompt cannot be given to this model. */
class PromptException(message: String) : ForewordException(message)
