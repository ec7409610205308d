package dev.foreword.core

/** A file of the bundle: its size, and its SHA-256 in lower-case hexadecimal. */
data class FileEntry(val sizeBytes: Long, val sha256: String)

/** The tokens that start and end a text; `prependStart` says that a prompt begins with one. */
class SpecialTokens(val start: Int?, val end: IntArray, val prependStart: Boolean)

/** The numbers a program needs to run the model; `context` is the cache's length in tokens. */
data class Shape(
    val family: String,
    val parameters: Long,
    val layers: Int,
    val kvHeads: Int,
    val headDim: Int,
    val vocabulary: Int,
    val context: Int,
    val cacheDtype: String = "float32",
)

/** All that a bundle says of itself and the app asks. */
class Manifest(
    val shape: Shape,
    val recipe: String,
    val signatures: List<String>,
    val specialTokens: SpecialTokens,
    val source: String,
    val license: String,
    val files: Map<String, FileEntry>,
) {
    companion object {
        const val NAME = "bundle.json"
        const val MODEL = "model.tflite"
        const val TOKENIZER = "tokenizer.json"

        /** Ceilings sit far above any model of a device, and far below what would harm one. */
        const val MAX_BYTES = 1 shl 20
        private const val FORMAT_VERSION = 1
        private val MAX_FILE_BYTES = mapOf(MODEL to (1L shl 37), TOKENIZER to (1L shl 29))
        private const val MAX_PARAMETERS = 100_000_000_000L
        private const val MAX_CONTEXT = 1 shl 20
        private const val MAX_VOCABULARY = 1 shl 22
        private const val MAX_CACHE_BYTES = 1L shl 37
        private val CACHE_DTYPES = setOf("float32", "int8")

        /**
         * Reads and checks the text of a `bundle.json`.
         *
         * Unknown keys are ignored. Throws [BundleException] for what is not as Foreword writes
         * it, a newer format version first of all.
         */
        fun read(text: String): Manifest {
            val fields = Fields(parsed(text))
            checkVersion(fields)
            val shape = shape(fields)
            return Manifest(
                shape,
                fields.text("recipe"),
                signatures(fields, shape.context),
                specialTokens(fields, shape.vocabulary),
                fields.text("source"),
                fields.text("license", 0),
                files(fields),
            )
        }

        private fun parsed(text: String): Map<*, *> {
            val found = try {
                Json.parse(text) as? Map<*, *>
            } catch (error: NotJson) {
                throw BundleException(
                    "bundle.json: expected a JSON object, found ${error.message}; the bundle is " +
                        "damaged: convert the model again",
                )
            }
            return found ?: throw BundleException(
                "bundle.json: expected a JSON object, found another value; the bundle is damaged: " +
                    "convert the model again",
            )
        }

        private fun checkVersion(fields: Fields) {
            val version = fields.integer("format_version", 1, Long.MAX_VALUE)
            if (version > FORMAT_VERSION) {
                throw BundleException(
                    "bundle.json: expected format version $FORMAT_VERSION, found $version, made " +
                        "by a newer Foreword: upgrade, or convert the model again",
                )
            }
        }

        private fun shape(fields: Fields): Shape {
            val shape = Shape(
                fields.text("family"),
                fields.integer("parameters", 1, MAX_PARAMETERS),
                fields.int("layers", 1, 1024),
                fields.int("kv_heads", 1, 1024),
                fields.int("head_dim", 1, 4096),
                fields.int("vocabulary", 1, MAX_VOCABULARY),
                fields.int("context", 1, MAX_CONTEXT),
                fields.text("cache_dtype"),
            )
            if (shape.cacheDtype !in CACHE_DTYPES) fields.refuse("cache_dtype", "float32 or int8")
            // Each number may be sane and their product not: keys and values, float32.
            val perToken = 8L * shape.layers * shape.kvHeads * shape.headDim
            if (perToken * shape.context > MAX_CACHE_BYTES) {
                fields.refuse("context", "at most ${MAX_CACHE_BYTES / perToken} for such a model")
            }
            return shape
        }

        private fun signatures(fields: Fields, context: Int): List<String> {
            val listed = fields.array("signatures")
            val names = ArrayList<String>()
            for (key in listed.names) {
                val name = listed.text(key)
                val signature = Signature.parse(name, context)
                if (signature == null || maxOf(signature.slots, signature.width) > MAX_CONTEXT) {
                    listed.refuse(
                        key,
                        "decode, prefill_<width> or verify_<width>, or s<slots>_ before one",
                    )
                }
                if (name.startsWith("s") && signature.slots >= context) {
                    listed.refuse(key, "a cache shorter than the context of $context")
                }
                if (name in names) listed.refuse(key, "a signature not named before")
                names.add(name)
            }
            if ("decode" !in names) fields.refuse("signatures", "a list with decode in it")
            return names
        }

        private fun specialTokens(fields: Fields, vocabulary: Int): SpecialTokens {
            val isNull = fields.isNull("start_token")
            val start = if (isNull) null else fields.int("start_token", 0, vocabulary - 1)
            val ends = fields.array("end_tokens")
            val end = ends.names.map { ends.int(it, 0, vocabulary - 1) }.toIntArray()
            val prepend = fields.boolean("prepend_start")
            if (prepend && start == null) {
                fields.refuse("prepend_start", "false where 'start_token' is null")
            }
            return SpecialTokens(start, end, prepend)
        }

        private fun files(fields: Fields): Map<String, FileEntry> {
            val files = fields.child("files")
            // The names are compared, never joined to a path: nothing outside can be named.
            if (files.names.any { it !in MAX_FILE_BYTES }) {
                fields.refuse("files", "an object that names $MODEL and $TOKENIZER alone")
            }
            return MAX_FILE_BYTES.mapValues { (name, most) ->
                val entry = files.child(name)
                FileEntry(entry.integer("size_bytes", 1, most), entry.sha256("sha256"))
            }
        }
    }
}
