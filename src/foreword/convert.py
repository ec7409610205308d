"""From a source, or a float bundle, to a bundle: the build side's one front door."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foreword.bundle.home import downloads_dir
from foreword.bundle.manifest import (
    CACHE_DTYPES,
    MAX_CONTEXT,
    MODEL_NAME,
    TOKENIZER_NAME,
    Manifest,
    Provenance,
    Shape,
    SpecialTokens,
)
from foreword.bundle.store import Bundle, find_bundle, open_bundle, write_bundle
from foreword.bundle.tokenizer import Tokenizer
from foreword.errors import UsageError
from foreword.evaluation import gate
from foreword.graph.decoder import build
from foreword.graph.description import GraphShape
from foreword.graph.spec import Decoder, DecoderSpec, Learned, weight_shapes
from foreword.graph.stored import read_model
from foreword.quantize.calibrate import (
    CACHE_TOKENS,
    cache_scales,
    calibration_text,
    sequences,
)
from foreword.quantize.prepare import prepare
from foreword.quantize.recipes import RECIPES, Recipe, find_recipe
from foreword.sources.model import SourceModel
from foreword.sources.resolve import Source, open_source

Progress = Callable[[str, int, int], None]

_REFERENCE = "float32"
_SHORTEST_CONTEXT = 16
_WIDEST_CHUNK = 1024


def convert(
    source: Source,
    output: str | Path,
    *,
    recipe: str | Recipe = "int8",
    context: int = 512,
    prefill: Sequence[int] = (8, 32, 128),
    cache_dtype: str = "float32",
    check: bool | None = None,
    allow_degraded: bool = False,
    replace: bool = False,
    progress: Progress | None = None,
) -> Bundle:
    """Turn a model source into a bundle at `output`, which appears only when complete.

    `source` is a known name, `keras:PRESET`, `hf:ORG/NAME`, the path of a GGUF file, a
    `.keras` file, a KerasHub preset directory or a Hugging Face checkpoint folder, or a live
    KerasHub CausalLM, whose adapters are merged. `recipe` is a name, the path of a .toml file
    or a `Recipe`. `context` is the number of cache slots, `prefill` the chunk widths;
    `cache_dtype` "int8" keeps keys and values in a quarter of the memory, by steps found on a
    built-in text. `check` scores the result beside float32 on another, by default for models of
    up to 500 million parameters, and refuses one that is broken or lost too much;
    `allow_degraded` writes the latter all the same. Meanwhile float32 takes 4 bytes a parameter,
    in memory and beside `output`. `progress(stage, done, total)` is called as work goes on.
    Raises UsageError, SourceError, OutputError, QualityError.
    """
    chosen = find_recipe(recipe)
    shape = _graph_shape(context, prefill)
    _check_cache_dtype(cache_dtype)
    named = str(source) if isinstance(source, Path) else source
    with open_source(named, downloads_dir(), progress) as model:
        _check_context(model.decoder.spec, shape)
        described = _manifest(model, shape, cache_dtype)
        plan = _Plan(model.decoder, shape, chosen, described, model.tokenizer.json)
        fill = _filler(plan, check, allow_degraded, progress)
        return write_bundle(Path(output), fill, replace=replace)


def quantize(
    bundle: str | Path,
    output: str | Path,
    *,
    recipe: str | Recipe = "int8",
    cache_dtype: str | None = None,
    check: bool | None = None,
    allow_degraded: bool = False,
    replace: bool = False,
    progress: Progress | None = None,
) -> Bundle:
    """Store the weights of a float bundle by another recipe, as a bundle at `output`.

    `bundle` is a path or a name in `foreword list`. From a float32 bundle `model.tflite` has
    the bytes that `convert` would have given; from a float16 one it does not, and the manifest
    says so. `cache_dtype` None leaves the cache's type as it is. `check` and `allow_degraded` are
    those of `convert`. Raises UsageError, BundleError, OutputError, QualityError.
    """
    chosen = find_recipe(recipe)
    if cache_dtype is not None:
        _check_cache_dtype(cache_dtype)
    opened = open_bundle(find_bundle(str(bundle)), verify=True)
    before = opened.manifest
    held = before.shape.cache_dtype if cache_dtype is None else cache_dtype
    stored = read_model(opened.model_path)
    details = {} if before.recipe == _REFERENCE else {"from": before.recipe}
    described = dataclasses.replace(
        before,
        shape=dataclasses.replace(before.shape, cache_dtype=held),
        quantization=details,
        versions=versions(),
        check=None,
        report=None,
    )
    text = opened.tokenizer_path.read_text(encoding="utf-8")
    plan = _Plan(stored.decoder, stored.shape, chosen, described, text)
    fill = _filler(plan, check, allow_degraded, progress)
    return write_bundle(Path(output), fill, replace=replace)


def fingerprint(source: Source) -> str:
    """Return the SHA-256 of a source's decoder, weights and tokenizer.

    What the file is called and where it lies makes no difference. Raises what `convert` raises
    for a source.
    """
    with open_source(source, downloads_dir()) as model:
        spec = model.decoder.spec
        digest = hashlib.sha256(f"{spec}\n{model.tokenizer}\n".encode())
        for name in sorted(weight_shapes(spec)):
            digest.update(np.ascontiguousarray(model.decoder.load(name), np.float32).data)
        return digest.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of what makes a bundle, as its manifest holds them."""
    return {name: metadata.version(name) for name in ("foreword", "ai-edge-litert", "gguf")}


@dataclass(frozen=True)
class _Plan:
    """What a bundle is made of; `manifest` is what it will say, as far as that is known."""

    decoder: Decoder
    shape: GraphShape
    recipe: Recipe
    manifest: Manifest
    tokenizer: str


def _filler(
    plan: _Plan, check: bool | None, allow_degraded: bool, progress: Progress | None
) -> Callable[[Path], Manifest]:
    """Return what fills a bundle's directory and judges it where it is to be judged."""
    judged = _is_judged(check, plan.manifest.shape.parameters)

    def fill(directory: Path) -> Manifest:
        made = _fill(directory, plan, progress)
        return _judged(directory, plan, made, allow_degraded, progress) if judged else made

    return fill


def _fill(
    directory: Path, plan: _Plan, progress: Progress | None, stage: str = "convert"
) -> Manifest:
    """Write a bundle's model and tokenizer, and return its manifest."""
    path = directory / TOKENIZER_NAME
    path.write_text(plan.tokenizer, encoding="utf-8")
    special = plan.manifest.special_tokens

    def tokens(count: int) -> NDArray[np.int64]:
        ids = Tokenizer.from_file(path).encode(calibration_text())
        start = special.start if special.prepend_start else None
        return sequences(ids, count, plan.shape.context, start)

    decoder = plan.decoder.within(plan.shape.context)
    prepared = prepare(plan.recipe, decoder, tokens, progress)
    scales = {}
    if plan.manifest.shape.cache_dtype == "int8":
        found = partial(progress, "calibrate") if progress else lambda done, total: None
        scales = cache_scales(prepared.decoder, tokens(CACHE_TOKENS), found)
    graph = build(prepared.decoder, plan.shape, prepared.encoder, prepared.ranges, scales)
    with (directory / MODEL_NAME).open("wb") as file:
        graph.write(file, progress and (lambda done, total: progress(stage, done, total)))
    details = {**plan.manifest.quantization, **prepared.details}
    return dataclasses.replace(
        plan.manifest, recipe=plan.recipe.name, quantization=details, files={}
    )


def _judged(
    directory: Path,
    plan: _Plan,
    made: Manifest,
    allow_degraded: bool,
    progress: Progress | None,
) -> Manifest:
    """Return the manifest with the gate's verdict; raises QualityError for what it refuses."""
    reference = None
    if plan.recipe.name != _REFERENCE or plan.manifest.shape.cache_dtype != _REFERENCE:
        reference = partial(_fill, plan=_reference(plan), progress=progress, stage="reference")
    found = gate.examine(
        directory,
        made,
        reference,
        allowed=gate.limit(plan.recipe),
        allow_degraded=allow_degraded,
        progress=progress,
    )
    return dataclasses.replace(made, check=found)


def _reference(plan: _Plan) -> _Plan:
    """Return the plan of the same model in float32, in the shape the check likes."""
    context = min(plan.shape.context, gate.REFERENCE_CONTEXT)
    narrow = GraphShape(context, prefill=(), verify=(min(gate.REFERENCE_WIDTH, context),))
    described = dataclasses.replace(
        plan.manifest,
        shape=dataclasses.replace(plan.manifest.shape, context=context, cache_dtype=_REFERENCE),
        signatures=tuple(signature.name for signature in narrow.signatures),
    )
    # What the longer context decides about positions stays so.
    decoder = plan.decoder.within(plan.shape.context)
    return dataclasses.replace(
        plan, decoder=decoder, shape=narrow, recipe=RECIPES[_REFERENCE], manifest=described
    )


def _is_judged(check: bool | None, parameters: int) -> bool:
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
    return GraphShape(context, prefill=fitting)


def _check_context(spec: DecoderSpec, shape: GraphShape) -> None:
    if spec.max_positions is None or shape.context <= spec.max_positions:
        return
    limit = "has learned" if isinstance(spec.positions, Learned) else "was trained for"
    raise UsageError(
        f"context: this model {limit} {spec.max_positions} positions, {shape.context} were asked "
        f"for: choose --context {spec.max_positions} or less"
    )


def _check_cache_dtype(cache_dtype: str) -> None:
    if cache_dtype not in CACHE_DTYPES:
        raise UsageError(
            f"cache_dtype: expected {' or '.join(CACHE_DTYPES)}, found "
            f"'{ascii(cache_dtype)[1:-1]:.40}'"
        )


def _manifest(model: SourceModel, shape: GraphShape, cache_dtype: str) -> Manifest:
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
            cache_dtype=cache_dtype,
            resizable=True,
        ),
        recipe="",
        signatures=tuple(signature.name for signature in shape.signatures),
        special_tokens=SpecialTokens(tokenizer.start, tokenizer.end, tokenizer.prepend_start),
        provenance=Provenance(_printable(model.name), model.license, model.sha256),
        versions=versions(),
        files={},
    )


def _parameters(spec: DecoderSpec) -> int:
    return sum(int(np.prod(shape)) for shape in weight_shapes(spec).values())


def _printable(name: str) -> str:
    """Return a file's name as a manifest may hold it: one short printable line."""
    return "".join(c if c.isprintable() else "?" for c in name)[:255] or "unnamed"
