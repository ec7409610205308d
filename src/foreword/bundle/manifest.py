"""What `bundle.json` says of a bundle, and the checks it must pass before anyone believes it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from foreword.errors import BundleError

FORMAT_VERSION = 1
MODEL_NAME = "model.tflite"
TOKENIZER_NAME = "tokenizer.json"

# Ceilings sit far above any model that runs on a device, and far below what would harm one.
MAX_MANIFEST_BYTES = 1 << 20
MAX_FILE_BYTES = {MODEL_NAME: 1 << 37, TOKENIZER_NAME: 1 << 29}
MAX_PARAMETERS = 10**11
MAX_LAYERS = 1024
MAX_KV_HEADS = 1024
MAX_HEAD_DIM = 4096
MAX_VOCABULARY = 1 << 22
MAX_CONTEXT = 1 << 20
MAX_CACHE_BYTES = 1 << 37
MAX_ENTRIES = 256
MAX_TEXT = 255

CACHE_DTYPES = ("float32",)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SIGNATURE = re.compile(r"(?:s([1-9][0-9]{0,6})_)?(decode|(?:prefill|verify)_([1-9][0-9]{0,6}))")


@dataclass(frozen=True)
class FileEntry:
    """A file of the bundle: its size, and its SHA-256 in lower-case hexadecimal."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class SpecialTokens:
    """The tokens that start and end a text; `prepend_start` says that a prompt begins with one."""

    start: int | None
    end: tuple[int, ...]
    prepend_start: bool


@dataclass(frozen=True)
class Provenance:
    """Where the weights came from: a known name or a file's name, never a path; its licence."""

    source: str
    license: str
    sha256: str | None


@dataclass(frozen=True)
class Shape:
    """The numbers a program needs to run the model; `context` is the cache's length in tokens."""

    family: str
    parameters: int
    layers: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    context: int
    cache_dtype: str = "float32"


@dataclass(frozen=True)
class Manifest:
    """All that a bundle says of itself; `files` is empty until the bundle is written.

    `quantization` tells, in words, what the recipe did to this model; it may say nothing.
    """

    shape: Shape
    recipe: str
    signatures: tuple[str, ...]
    special_tokens: SpecialTokens
    provenance: Provenance
    versions: Mapping[str, str]
    files: Mapping[str, FileEntry]
    quantization: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the text of `bundle.json`, ending in a newline."""
        shape, special, provenance = self.shape, self.special_tokens, self.provenance
        document = {
            "format_version": FORMAT_VERSION,
            "family": shape.family,
            "parameters": shape.parameters,
            "layers": shape.layers,
            "kv_heads": shape.kv_heads,
            "head_dim": shape.head_dim,
            "vocabulary": shape.vocabulary,
            "context": shape.context,
            "cache_dtype": shape.cache_dtype,
            "recipe": self.recipe,
            "quantization": dict(self.quantization),
            "signatures": self.signatures,
            "start_token": special.start,
            "end_tokens": special.end,
            "prepend_start": special.prepend_start,
            "source": provenance.source,
            "license": provenance.license,
            "source_sha256": provenance.sha256,
            "versions": dict(self.versions),
            "files": {
                name: {"size_bytes": entry.size_bytes, "sha256": entry.sha256}
                for name, entry in self.files.items()
            },
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, path: Path) -> Manifest:
        """Read and check the text of the `bundle.json` at `path`, which is only named in errors.

        Unknown keys are ignored. Raises BundleError for anything else that is not as
        `to_json` writes it, a newer format version first of all.
        """
        fields = _Fields(path, _parse(text, path))
        _check_version(fields)
        shape = _read_shape(fields)
        return cls(
            shape=shape,
            recipe=fields.text("recipe"),
            quantization=_read_texts(fields, "quantization", optional=True),
            signatures=_read_signatures(fields, shape.context),
            special_tokens=_read_special_tokens(fields, shape.vocabulary),
            provenance=Provenance(
                source=fields.text("source"),
                license=fields.text("license", least=0),
                sha256=None if fields.is_null("source_sha256") else fields.sha256("source_sha256"),
            ),
            versions=_read_texts(fields, "versions"),
            files=_read_files(fields),
        )


def shown(path: Path) -> str:
    """Return a path as one line that cannot upset a terminal: as it is, or with escapes."""
    text = str(path)
    return text if text.isprintable() else ascii(text)


@dataclass(frozen=True)
class _Fields:
    """A JSON object under examination: each getter returns a sound value or refuses the file."""

    path: Path
    values: Mapping[str, object]
    prefix: str = ""

    def refuse(self, key: str, expected: str) -> NoReturn:
        found = _describe(self.values[key]) if key in self.values else "nothing"
        raise BundleError(
            f"{shown(self.path)}: '{self.prefix}{key}' should be {expected}, found {found}; "
            "the bundle is damaged: convert the model again"
        )

    def is_null(self, key: str) -> bool:
        return key in self.values and self.values[key] is None

    def integer(self, key: str, low: int, high: int) -> int:
        value = self.values.get(key)
        # bool is an int to isinstance, and never one to us.
        if type(value) is not int or not low <= value <= high:
            self.refuse(key, f"a whole number from {low} to {high}")
        return value

    def boolean(self, key: str) -> bool:
        value = self.values.get(key)
        if not isinstance(value, bool):
            self.refuse(key, "true or false")
        return value

    def text(self, key: str, least: int = 1) -> str:
        value = self.values.get(key)
        # Printable only: these strings reach terminals, where an escape sequence is a command.
        if not isinstance(value, str) or not value.isprintable():
            self.refuse(key, "one line of printable text")
        if not least <= len(value) <= MAX_TEXT:
            self.refuse(key, f"a text of {least} to {MAX_TEXT} characters")
        return value

    def sha256(self, key: str) -> str:
        value = self.values.get(key)
        if not isinstance(value, str) or not _SHA256.fullmatch(value):
            self.refuse(key, "a SHA-256 of 64 lower-case hexadecimal digits")
        return value

    def array(self, key: str) -> _Fields:
        """Return an array as an object whose keys are the indices."""
        value = self.values.get(key)
        if not isinstance(value, list) or len(value) > MAX_ENTRIES:
            self.refuse(key, f"a list of at most {MAX_ENTRIES} entries")
        items = {str(index): item for index, item in enumerate(value)}
        return _Fields(self.path, items, f"{self.prefix}{key}.")

    def object(self, key: str) -> _Fields:
        value = self.values.get(key)
        if not isinstance(value, dict) or len(value) > MAX_ENTRIES:
            self.refuse(key, f"an object of at most {MAX_ENTRIES} entries")
        return _Fields(self.path, value, f"{self.prefix}{key}.")


def _parse(text: str, path: Path) -> dict[str, object]:
    if len(text) > MAX_MANIFEST_BYTES:
        raise BundleError(
            f"{shown(path)}: expected at most {MAX_MANIFEST_BYTES} bytes, found more: "
            "this is not a bundle's manifest, convert the model again"
        )
    try:
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        problem = "nesting too deep to read"
    except ValueError as error:
        problem = str(error)
    else:
        if isinstance(document, dict):
            return document
        problem = _describe(document)
    raise BundleError(
        f"{shown(path)}: expected a JSON object, found {problem}; "
        "the bundle is damaged: convert the model again"
    )


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # Two readers may choose differently between two values of one key.
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a key given twice")
    return result


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is not JSON")


def _describe(value: object) -> str:
    """Show a hostile value in a few safe ASCII characters."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    shown = ascii(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _check_version(fields: _Fields) -> None:
    version = fields.values.get("format_version")
    if type(version) is int and version > FORMAT_VERSION:
        raise BundleError(
            f"{shown(fields.path)}: expected format version {FORMAT_VERSION}, found "
            f"{_describe(version)}, made by a newer Foreword: upgrade, or convert the model again"
        )
    fields.integer("format_version", FORMAT_VERSION, FORMAT_VERSION)


def _read_shape(fields: _Fields) -> Shape:
    if fields.text("cache_dtype") not in CACHE_DTYPES:
        fields.refuse("cache_dtype", " or ".join(CACHE_DTYPES))
    shape = Shape(
        family=fields.text("family"),
        parameters=fields.integer("parameters", 1, MAX_PARAMETERS),
        layers=fields.integer("layers", 1, MAX_LAYERS),
        kv_heads=fields.integer("kv_heads", 1, MAX_KV_HEADS),
        head_dim=fields.integer("head_dim", 1, MAX_HEAD_DIM),
        vocabulary=fields.integer("vocabulary", 1, MAX_VOCABULARY),
        context=fields.integer("context", 1, MAX_CONTEXT),
        cache_dtype=fields.text("cache_dtype"),
    )
    # Each number may be sane and their product not: keys and values, float32.
    per_token = 2 * 4 * shape.layers * shape.kv_heads * shape.head_dim
    if per_token * shape.context > MAX_CACHE_BYTES:
        fields.refuse("context", f"at most {MAX_CACHE_BYTES // per_token} for such a model")
    return shape


def _read_signatures(fields: _Fields, context: int) -> tuple[str, ...]:
    listed = fields.array("signatures")
    names: list[str] = []
    for key in listed.values:
        name = listed.text(key)
        match = _SIGNATURE.fullmatch(name)
        if not match or max(int(match[1] or 1), int(match[3] or 1)) > MAX_CONTEXT:
            listed.refuse(key, "decode, prefill_<width> or verify_<width>, or s<slots>_ before one")
        if match[1] and int(match[1]) >= context:
            listed.refuse(key, f"a cache shorter than the context of {context}")
        if name in names:
            listed.refuse(key, "a signature not named before")
        names.append(name)
    if "decode" not in names:
        fields.refuse("signatures", "a list with decode in it")
    return tuple(names)


def split_signature(name: str, context: int) -> tuple[int, str]:
    """Split a signature's name into the length of its cache and the rest.

    "s128_prefill_8" gives (128, "prefill_8"), "decode" (context, "decode"). `name` is one
    that a manifest may hold.
    """
    match = _SIGNATURE.fullmatch(name)
    assert match is not None, name
    return int(match[1] or context), match[2]


def _read_special_tokens(fields: _Fields, vocabulary: int) -> SpecialTokens:
    start = None
    if not fields.is_null("start_token"):
        start = fields.integer("start_token", 0, vocabulary - 1)
    ends = fields.array("end_tokens")
    end = tuple(ends.integer(key, 0, vocabulary - 1) for key in ends.values)
    prepend_start = fields.boolean("prepend_start")
    if prepend_start and start is None:
        fields.refuse("prepend_start", "false where 'start_token' is null")
    return SpecialTokens(start, end, prepend_start)


def _read_texts(fields: _Fields, key: str, optional: bool = False) -> dict[str, str]:
    if optional and key not in fields.values:  # a bundle older than the key
        return {}
    texts = fields.object(key)
    names = [name for name in texts.values if name.isprintable() and len(name) <= MAX_TEXT]
    if len(names) < len(texts.values):
        fields.refuse(key, "an object with printable keys")
    return {name: texts.text(name) for name in names}


def _read_files(fields: _Fields) -> dict[str, FileEntry]:
    files = fields.object("files")
    # The names are compared, never joined to a path: nothing outside the bundle can be named.
    for name in files.values:
        if name not in MAX_FILE_BYTES:
            raise BundleError(
                f"{shown(fields.path)}: 'files' should name {MODEL_NAME} and {TOKENIZER_NAME} "
                f"alone, found {_describe(name)}; the bundle is not safe to open: "
                "convert the model again"
            )
    entries = {}
    for name, most in MAX_FILE_BYTES.items():
        entry = files.object(name)
        entries[name] = FileEntry(entry.integer("size_bytes", 1, most), entry.sha256("sha256"))
    return entries
