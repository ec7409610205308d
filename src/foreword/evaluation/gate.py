"""The gate of a conversion: a bundle that lost too much of its model is not written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from foreword.bundle.card import Check
from foreword.bundle.manifest import MODEL_NAME, TOKENIZER_NAME, Manifest
from foreword.bundle.store import Bundle
from foreword.bundle.tokenizer import Tokenizer
from foreword.engine.engine import Engine
from foreword.engine.litert_graph import LiteRtGraph
from foreword.engine.load import load
from foreword.engine.runtime import IN_MEMORY
from foreword.engine.threads import default_threads
from foreword.errors import QualityError
from foreword.evaluation import greedy
from foreword.evaluation.quality import Progress, Subject, score, unigram_perplexity
from foreword.evaluation.text import built_in
from foreword.quantize.recipes import Recipe

REFERENCE_CONTEXT = 512
REFERENCE_WIDTH = 64
"""The longest window of the check, and the `verify` width that a reference is best built with."""

LARGEST_PARAMETERS = 500_000_000
"""Models up to this size are checked unless told otherwise: float32 fits a `.tflite` file."""

_TOKENS = 768
_TOKENS_TO_TELL = 128
# A limit counts as passed when the excess is this many standard errors: one text is a sample.
_STANDARD_ERRORS = 2
_OVERRIDE = "write it all the same with --allow-degraded (allow_degraded=True)"


def limit(recipe: Recipe) -> float:
    """Return the share by which a recipe may raise perplexity: 10 % for int4, 3 % for others."""
    return 0.10 if recipe.matrices == "int4" else 0.03


def examine(
    directory: Path,
    manifest: Manifest,
    make_reference: Callable[[Path], Manifest] | None,
    *,
    allowed: float,
    allow_degraded: bool = False,
    progress: Progress | None = None,
) -> Check:
    """Judge the model and tokenizer in `directory`, which is not sealed as a bundle yet.

    `make_reference` fills another directory with the same model in float32; it is called with
    one inside `directory`, which is gone afterwards. None: the model is float32 itself, and only
    checked for NaN. `allowed` is the share by which perplexity may rise. Raises QualityError for
    a model that is refused: one whose output is not finite always, one that lost too much unless
    `allow_degraded`.
    """
    text = built_in()
    with _engine(directory, manifest) as engine:
        if make_reference is None:
            check = _judge_alone(engine, text.content)
        else:
            # Inside: whatever removes an unfinished bundle removes this too.
            inner = directory / "reference"
            inner.mkdir()
            try:
                with _engine(inner, make_reference(inner)) as reference:
                    check = judge(engine, reference, text.content, allowed, progress)
            finally:
                shutil.rmtree(inner, ignore_errors=True)
    if check.verdict == "degraded" and not allow_degraded:
        raise QualityError(f"{check.reason}: choose another recipe, or {_OVERRIDE}")
    return check


def judge_bundle(
    bundle: Bundle, reference: Bundle, recipe: Recipe, progress: Progress | None = None
) -> Check | None:
    """Return what the conversion of a bundle with `recipe` says of it unless told otherwise.

    `reference` is the same model in float32. None where a conversion does not judge. Raises
    QualityError when its output is not finite.
    """
    if bundle.manifest.shape.parameters > LARGEST_PARAMETERS:
        return None
    with load(bundle.path) as engine, load(reference.path) as truth:
        return judge(engine, truth, built_in().content, limit(recipe), progress)


def judge(
    candidate: Engine,
    reference: Engine,
    text: str,
    allowed: float,
    progress: Progress | None = None,
) -> Check:
    """Return what is to be thought of a model beside the same one in float32.

    It is `degraded` when perplexity rises by more than the share `allowed`, beyond doubt (two
    standard errors of the ratio), or when more than half of its greedy continuations loop where
    the reference's do not; `unjudged` when even the reference tells the text no better than the
    text's own token counts do, as with random weights, or a language the model does not know.
    Raises QualityError when its output is not finite.
    """
    recipe = candidate.manifest.recipe
    token_ids = candidate.tokenizer.encode(text)
    context = min(candidate.context, reference.context, REFERENCE_CONTEXT)
    subject, truth = Subject.of(candidate), Subject.of(reference)
    first = score(truth, token_ids[:_TOKENS_TO_TELL], context)
    if first.nonfinite_at is not None:
        raise _not_finite("the source's weights overflow or are damaged, in float32 too")
    if first.figures()["perplexity"] >= unigram_perplexity(token_ids):
        _check_finite(subject, token_ids, context)
        return Check("unjudged", "its float32 form makes no sense of the built-in text")
    scores = score(subject, token_ids[:_TOKENS], context, truth, progress)
    if scores.nonfinite_at is not None:
        raise _not_finite(f"recipe {recipe} cannot hold these weights, choose another")
    figures = scores.figures()
    ratio, doubt = figures["perplexity_ratio"], figures["perplexity_ratio_stderr"]
    found = f"{recipe}: perplexity {_percent(ratio - 1)} against float32"
    if ratio - 1 - _STANDARD_ERRORS * doubt > allowed:
        return Check("degraded", f"{found}, {_percent(allowed)} is accepted")
    prompts = greedy.prompts(token_ids, context, subject.start)
    looping = greedy.loops_alone(
        [greedy.continuation(candidate, prompt) for prompt in prompts],
        lambda i: greedy.continuation(reference, prompts[i]),
    )
    if looping > len(prompts) // 2:
        return Check(
            "degraded",
            f"{recipe}: {looping} of {len(prompts)} texts end in a loop, and none with float32",
        )
    return Check("passed", f"{found}, on {len(scores.loss)} tokens of built-in text")


def _judge_alone(engine: Engine, text: str) -> Check:
    _check_finite(Subject.of(engine), engine.tokenizer.encode(text), engine.context)
    return Check("passed", "its output is finite")


def _check_finite(subject: Subject, token_ids: list[int], context: int) -> None:
    scores = score(subject, token_ids[: min(_TOKENS_TO_TELL, context)], context)
    if scores.nonfinite_at is not None:
        raise _not_finite("the weights overflow in this recipe or are damaged")


def _not_finite(why: str) -> QualityError:
    return QualityError(f"the converted model's output is not a finite number: {why}")


def _percent(share: float) -> str:
    return f"{'+' if share >= 0 else '-'} {abs(share) * 100:.3g} %"


def _engine(directory: Path, manifest: Manifest) -> Engine:
    """Load a model that is not a bundle yet; its packed weights stay in memory."""
    graph = LiteRtGraph(
        directory / MODEL_NAME,
        manifest.shape,
        manifest.signatures,
        default_threads(),
        IN_MEMORY,
    )
    return Engine(graph, Tokenizer.from_file(directory / TOKENIZER_NAME), manifest)
