"""`foreword benchmark`: speed and memory of a bundle, beside llama.cpp or another bundle."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foreword.cli.console import (
    JsonOption,
    QuietOption,
    Report,
    guarded,
    harmless,
    progress,
    writable,
    write_file,
)
from foreword.cli.models import ready
from foreword.errors import BundleError, UsageError

if TYPE_CHECKING:
    from foreword.bundle.store import Bundle
    from foreword.evaluation.benchmark.contender import Entry


@guarded
def benchmark(
    bundle: Annotated[
        str | None, typer.Argument(help="A bundle's path or its name; the default model.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="llama.cpp: the same weights there; or a .gguf file for it; or a bundle."
        ),
    ] = None,
    text: Annotated[
        list[Path] | None, typer.Option(help="A UTF-8 text to type, repeatable; one is built in.")
    ] = None,
    rounds: Annotated[int, typer.Option(help="How often each figure is taken.")] = 5,
    keystrokes: Annotated[int, typer.Option(help="Characters of each text to type.")] = 200,
    threads: Annotated[
        int | None, typer.Option(help="The most threads, one is measured too; by default chosen.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the JSON there as well.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure speed, waits and memory of BUNDLE, in turn with another model in the same run."""
    from foreword.bundle.store import open_bundle
    from foreword.engine.load import check_threads
    from foreword.engine.threads import default_threads
    from foreword.evaluation.benchmark.contender import entry_of
    from foreword.evaluation.benchmark.figures import document
    from foreword.evaluation.benchmark.schedule import Options, measure
    from foreword.evaluation.benchmark.table import lines
    from foreword.evaluation.replay import read_texts
    from foreword.evaluation.text import built_in

    check_threads(threads)
    options = Options(threads or default_threads(), rounds, keystrokes)
    writable(output)
    texts = read_texts(text, "text") if text else [built_in()]
    opened = open_bundle(ready(bundle, quiet))
    entries = [entry_of(opened)]
    with (
        tempfile.TemporaryDirectory(prefix="foreword-bench-") as scratch,
        progress(quiet) as report,
    ):
        if against is not None:
            entries.append(_other(against, opened, Path(scratch), report))
        measured = measure(entries, texts, options, report)
    found = document(measured, entries, texts, options)
    if output is not None:
        write_file(output, json.dumps(found, ensure_ascii=False, indent=2) + "\n")
    if not as_json:
        for line in lines(found):
            print(harmless(line))
    print(json.dumps(found, ensure_ascii=False))


def _other(against: str, bundle: Bundle, scratch: Path, report: Report) -> Entry:
    """Return the other contender.

    Raises UsageError for what is none, and for a missing llama-cpp-python; SourceError and
    BundleError for a file that cannot be read.
    """
    from foreword.bundle.store import find_bundle, open_bundle
    from foreword.evaluation.benchmark.contender import LLAMA_CPP, entry_of
    from foreword.evaluation.benchmark.llama import check_installed

    if against == LLAMA_CPP:
        check_installed()
        return _same_weights(bundle, scratch, report)
    if against.lower().endswith(".gguf") and not Path(against).is_dir():
        check_installed()
        return _gguf(Path(against), bundle, scratch)
    try:
        path = find_bundle(against)
    except BundleError:
        path = None
    if path is None or not path.is_dir():
        raise UsageError(
            f"against: expected {LLAMA_CPP}, a .gguf file, or a bundle by its path or the name in "
            f"'foreword list', found {against!r:.100}"
        )
    return entry_of(open_bundle(path))


def _same_weights(bundle: Bundle, scratch: Path, report: Report) -> Entry:
    """Return llama.cpp on the weights a bundle was made of, in the type nearest to its recipe."""
    from foreword.bundle.home import downloads_dir
    from foreword.evaluation.benchmark.contender import LLAMA_CPP, Entry
    from foreword.sources.known import KNOWN, pull
    from foreword.sources.requantize import requantize

    manifest = bundle.manifest
    source = manifest.provenance.source
    if source not in KNOWN or manifest.provenance.sha256 != KNOWN[source].file_sha256:
        raise UsageError(
            f"against: {LLAMA_CPP} is given the weights of a known model ({', '.join(KNOWN)}), "
            f"found a bundle made of {source!r:.100}: give the model as a .gguf file instead"
        )
    kind = "Q4_0" if manifest.recipe.startswith("int4") else "Q8_0"
    path = scratch / f"{kind}.gguf"
    checkpoint = pull(source, downloads_dir(), report)
    report("requantize", 0, 1)
    requantize(checkpoint, path, kind)
    report("requantize", 1, 1)
    special = manifest.special_tokens
    return Entry(
        LLAMA_CPP,
        path,
        manifest.shape.context,
        manifest.shape.vocabulary,
        path.stat().st_size,
        kind,
        bundle.tokenizer_path.resolve(),
        special.start if special.prepend_start else None,
    )


def _gguf(path: Path, bundle: Bundle, scratch: Path) -> Entry:
    """Return llama.cpp on a file as it is, with the context of a bundle."""
    from foreword.bundle.tokenizer import Tokenizer
    from foreword.evaluation.benchmark.contender import Entry
    from foreword.sources.requantize import tokenizer_of

    found = tokenizer_of(path)
    tokenizer = scratch / "tokenizer.json"
    tokenizer.write_text(found.json, encoding="utf-8")
    return Entry(
        path.name,
        path.resolve(),
        bundle.manifest.shape.context,
        Tokenizer.from_file(tokenizer).vocabulary_size,
        path.stat().st_size,
        "as in the file",
        tokenizer,
        found.start if found.prepend_start else None,
    )
