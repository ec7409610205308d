"""What `bundle.json` says of a bundle, and the checks it must pass before anyone believes it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from foreword.bundle.card import Check, ReportCard, read_check, read_report
from foreword.bundle.fields import (
    MAX_TEXT,
    Fields,
    describe,
    parse_object,
    shown,
)
from foreword.errors import BundleError

FORMAT_VERSION = 1
MODEL_NAME = "model.tflite"
TOKENIZER_NAME = "tokenizer.json"

# Ceilings sit far above any model that runs on a device, and far below what would harm one.
MAX_FILE_BYTES = {MODEL_NAME: 1 << 37, TOKENIZER_NAME: 1 << 29}
MAX_PARAMETERS = 10**11
MAX_LAYERS = 1024
MAX_KV_HEADS = 1024
MAX_HEAD_DIM = 4096
MAX_VOCABULARY = 1 << 22
MAX_CONTEXT = 1 << 20
MAX_CACHE_BYTES = 1 << 37

CACHE_DTYPES = ("float32", "int8")

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
    """The numbers a program needs to run the model; `context` is the cache's length in tokens.

    `resizable`: a runtime may give every signature a shorter cache.
    """

    family: str
    parameters: int
    layers: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    context: int
    cache_dtype: str = "float32"
    resizable: bool = False


@dataclass(frozen=True)
class Manifest:
    """All that a bundle says of itself; `files` is empty until the bundle is written.

    `quantization` tells, in words, what the recipe did to this model; it may say nothing.
    `check` and `report` are None where none was made.
    """

    shape: Shape
    recipe: str
    signatures: tuple[str, ...]
    special_tokens: SpecialTokens
    provenance: Provenance
    versions: Mapping[str, str]
    files: Mapping[str, FileEntry]
    quantization: Mapping[str, str] = field(default_factory=dict)
    check: Check | None = None
    report: ReportCard | None = None

    def to_json(self) -> str:
        """Return the text of `bundle.json`, ending in a newline."""
        shape, special, provenance = self.shape, self.special_tokens, self.provenance
        document: dict[str, object] = {
            "format_version": FORMAT_VERSION,
            "family": shape.family,
            "parameters": shape.parameters,
            "layers": shape.layers,
            "kv_heads": shape.kv_heads,
            "head_dim": shape.head_dim,
            "vocabulary": shape.vocabulary,
            "context": shape.context,
            "cache_dtype": shape.cache_dtype,
            "resizable": shape.resizable,
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
        for key, found in (("check", self.check), ("report", self.report)):
            if found is not None:
                document[key] = found.as_json()
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, path: Path) -> Manifest:
        """Read and check the text of the `bundle.json` at `path`, which is only named in errors.

        Unknown keys are ignored. Raises BundleError for anything else that is not as
        `to_json` writes it, a newer format version first of all.
        """
        fields = Fields(path, parse_object(text, path))
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
            check=read_check(fields),
            report=read_report(fields),
        )


def _check_version(fields: Fields) -> None:
    version = fields.values.get("format_version")
    if type(version) is int and version > FORMAT_VERSION:
        raise BundleError(
            f"{shown(fields.path)}: expected format version {FORMAT_VERSION}, found "
            f"{describe(version)}, made by a newer Foreword: upgrade, or convert the model again"
        )
    fields.integer("format_version", FORMAT_VERSION, FORMAT_VERSION)


def _read_shape(fields: Fields) -> Shape:
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
        # Not in bundles of version 0.1.
        resizable=not fields.is_absent("resizable") and fields.boolean("resizable"),
    )
    # Each number may be sane and their product not: keys and values, float32.
    per_token = 2 * 4 * shape.layers * shape.kv_heads * shape.head_dim
    if per_token * shape.context > MAX_CACHE_BYTES:
        fields.refuse("context", f"at most {MAX_CACHE_BYTES // per_token} for such a model")
    return shape


def _read_signatures(fields: Fields, context: int) -> tuple[str, ...]:
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


def _read_special_tokens(fields: Fields, vocabulary: int) -> SpecialTokens:
    start = None
    if not fields.is_null("start_token"):
        start = fields.integer("start_token", 0, vocabulary - 1)
    ends = fields.array("end_tokens")
    end = tuple(ends.integer(key, 0, vocabulary - 1) for key in ends.values)
    prepend_start = fields.boolean("prepend_start")
    if prepend_start and start is None:
        fields.refuse("prepend_start", "false where 'start_token' is null")
    return SpecialTokens(start, end, prepend_start)


def _read_texts(fields: Fields, key: str, optional: bool = False) -> dict[str, str]:
    if optional and key not in fields.values:  # a bundle older than the key
        return {}
    texts = fields.object(key)
    names = [name for name in texts.values if name.isprintable() and len(name) <= MAX_TEXT]
    if len(names) < len(texts.values):
        fields.refuse(key, "an object with printable keys")
    return {name: texts.text(name) for name in names}


def _read_files(fields: Fields) -> dict[str, FileEntry]:
    files = fields.object("files")
    # The names are compared, never joined to a path: nothing outside the bundle can be named.
    for name in files.values:
        if name not in MAX_FILE_BYTES:
            raise BundleError(
                f"{shown(fields.path)}: 'files' should name {MODEL_NAME} and {TOKENIZER_NAME} "
                f"alone, found {describe(name)}; the bundle is not safe to open: "
                "convert the model again"
            )
    entries = {}
    for name, most in MAX_FILE_BYTES.items():
        entry = files.object(name)
        entries[name] = FileEntry(entry.integer("size_bytes", 1, most), entry.sha256("sha256"))
    return entries
