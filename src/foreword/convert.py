"""From a source to a bundle: the build side's one front door."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path

import numpy as np

from foreword.bundle.home import downloads_dir
from foreword.bundle.manifest import (
    MAX_CONTEXT,
    MODEL_NAME,
    TOKENIZER_NAME,
    Manifest,
    Provenance,
    Shape,
    SpecialTokens,
)
from foreword.bundle.store import Bundle, write_bundle
from foreword.errors import UsageError
from foreword.evaluation import gate
from foreword.graph.builder import ModelBuilder
from foreword.graph.decoder import GraphShape, build
from foreword.graph.spec import DecoderSpec, Learned, weight_shapes
from foreword.quantize.recipes import encoder
from foreword.sources.model import SourceModel
from foreword.sources.resolve import Source, open_source

Progress = Callable[[str, int, int], None]

_REFERENCE = "float32"
_SHORTEST_CONTEXT = 16
_SHORTEST_CACHE = 8  # slots
_WIDEST_CHUNK = 1024


def convert(
    source: Source,
    output: str | Path,
    *,
    recipe: str = "int8",
    context: int = 512,
    prefill: Sequence[int] = (8, 32, 128),
    check: bool | None = None,
    allow_degraded: bool = False,
    replace: bool = False,
    progress: Progress | None = None,
) -> Bundle:
    """Turn a model source into a bundle at `output`, which appears only when complete.

    `source` is a known name, `keras:PRESET`, `hf:ORG/NAME`, the path of a GGUF file, a
    `.keras` file, a KerasHub preset directory or a Hugging Face checkpoint folder, or a live
    KerasHub CausalLM, whose adapters are merged. `context` is the number of cache slots,
    `prefill` the chunk widths. `check` scores the result beside float32 on a built-in text,
    by default for models of up to 500 million parameters, and refuses one that is broken or
    lost too much; `allow_degraded` writes the latter all the same. Meanwhile float32 takes 4
    bytes a parameter, in memory and beside `output`. `progress(stage, done, total)` is called
    as work goes on. Raises UsageError, SourceError, OutputError, QualityError.
    """
    weights = encoder(recipe)
    shape = _graph_shape(context, prefill)
    named = str(source) if isinstance(source, Path) else source
    with open_source(named, downloads_dir(), progress) as model:
        _check_context(model.decoder.spec, shape)
        checked = _is_checked(check, _parameters(model.decoder.spec))
        graph = build(model.decoder, shape, weights)

        def fill(directory: Path) -> Manifest:
            _write(graph, model, directory, "convert", progress)
            manifest = _manifest(model, shape, recipe)
            if not checked:
                return manifest
            found = gate.examine(
                directory,
                manifest,
                None if recipe == _REFERENCE else partial(_fill_reference, model, shape, progress),
                allow_degraded=allow_degraded,
                progress=progress,
            )
            return dataclasses.replace(manifest, check=found)

        return write_bundle(Path(output), fill, replace=replace)


def _write(
    graph: ModelBuilder,
    model: SourceModel,
    directory: Path,
    stage: str,
    progress: Progress | None,
) -> None:
    with (directory / MODEL_NAME).open("wb") as file:
        graph.write(file, progress and (lambda done, total: progress(stage, done, total)))
    (directory / TOKENIZER_NAME).write_text(model.tokenizer.json, encoding="utf-8")


def _fill_reference(
    model: SourceModel, shape: GraphShape, progress: Progress | None, directory: Path
) -> Manifest:
    """Write the model in float32, in the shape the check likes, and return its manifest."""
    context = min(shape.context, gate.REFERENCE_CONTEXT)
    # What the longer context decides about positions stays so.
    decoder = dataclasses.replace(model.decoder, spec=model.decoder.spec.within(shape.context))
    narrow = GraphShape(context, prefill=(), verify=(min(gate.REFERENCE_WIDTH, context),))
    graph = build(decoder, narrow, encoder(_REFERENCE))
    _write(graph, model, directory, "reference", progress)
    return _manifest(model, narrow, _REFERENCE)


def _is_checked(check: bool | None, parameters: int) -> bool:
    fits = parameters <= gate.LARGEST_PARAMETERS
    if check and not fits:
        raise UsageError(
            f"check: expected a model of at most {gate.LARGEST_PARAMETERS / 1e6:.0f} million "
            f"parameters, found {parameters / 1e6:.0f} million: leave the check out"
        )
    return fits if check is None else check


def _graph_shape(context: int, prefill: Sequence[int]) -> GraphShape:
    if not _SHORTEST_CONTEXT <= context <= MAX_CONTEXT:
        raise UsageError(
            f"context: expected from {_SHORTEST_CONTEXT} to {MAX_CONTEXT} tokens, found {context}"
        )
    widths = tuple(sorted(set(prefill)))
    if not widths or not 2 <= widths[0] <= widths[-1] <= _WIDEST_CHUNK:
        found = ",".join(map(str, prefill)) or "nothing"
        raise UsageError(f"prefill: expected widths from 2 to {_WIDEST_CHUNK}, found {found}")
    # A chunk wider than the cache would only ever be padding.
    fitting = tuple(width for width in widths if width <= context)
    if not fitting:
        raise UsageError(f"prefill: no width fits the context of {context} tokens: {widths}")
    return GraphShape(context, prefill=fitting, shorter=_shorter(context))


def _shorter(context: int) -> tuple[int, ...]:
    """Return a quarter and a half of the context: few lengths, as each takes time to load."""
    return tuple(slots for slots in (context // 4, context // 2) if slots >= _SHORTEST_CACHE)


def _check_context(spec: DecoderSpec, shape: GraphShape) -> None:
    if spec.max_positions is None or shape.context <= spec.max_positions:
        return
    limit = "has learned" if isinstance(spec.positions, Learned) else "was trained for"
    raise UsageError(
        f"context: this model {limit} {spec.max_positions} positions, {shape.context} were asked "
        f"for: choose --context {spec.max_positions} or less"
    )


def _manifest(model: SourceModel, shape: GraphShape, recipe: str) -> Manifest:
    spec, tokenizer = model.decoder.spec, model.tokenizer
    return Manifest(
        shape=Shape(
            family=model.family,
            parameters=_parameters(spec),
            layers=len(spec.layers),
            kv_heads=spec.attention.kv_heads,
            head_dim=spec.attention.head_dim,
            vocabulary=spec.embedding.vocabulary,
            context=shape.context,
            cache_dtype="float32",
        ),
        recipe=recipe,
        signatures=tuple(signature.name for signature in shape.signatures),
        special_tokens=SpecialTokens(tokenizer.start, tokenizer.end, tokenizer.prepend_start),
        provenance=Provenance(_printable(model.name), model.license, model.sha256),
        versions={name: metadata.version(name) for name in ("foreword", "ai-edge-litert", "gguf")},
        files={},
    )


def _parameters(spec: DecoderSpec) -> int:
    return sum(int(np.prod(shape)) for shape in weight_shapes(spec).values())


def _printable(name: str) -> str:
    """Return a file's name as a manifest may hold it: one short printable line."""
    return "".join(c if c.isprintable() else "?" for c in name)[:255] or "unnamed"
