"""The report card: quality, speed and size of a bundle put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from foreword.bundle.card import FIGURES, ReportCard
from foreword.bundle.home import bundles_dir
from foreword.bundle.store import (
    Bundle,
    find_bundle,
    list_bundles,
    open_bundle,
    remove_bundle,
    rewrite_manifest,
)
from foreword.engine.engine import Engine
from foreword.engine.load import check_threads, drop_weight_cache, load
from foreword.engine.threads import default_threads
from foreword.errors import UsageError
from foreword.evaluation import greedy, latency
from foreword.evaluation.parts import size_by_part
from foreword.evaluation.quality import Progress, Subject, perplexity, score
from foreword.evaluation.text import Text, read

DEFAULT_TOKENS = 2000
_LEAST_TOKENS, _MOST_TOKENS = 32, 10**7


@dataclass(frozen=True)
class Point:
    """A bundle in the plot of size against quality."""

    name: str
    recipe: str
    size_bytes: int
    perplexity: float


@dataclass(frozen=True)
class Findings:
    """What no figure says: KL along the window, NaN, loops, greedy continuations.

    `nonfinite_at` is the token at which the output held NaN or infinity, None for none.
    `loops` counts greedy continuations that end in a cycle, of `greedy.PROMPTS`; `divergence`
    has the first position at which each leaves the reference's.
    """

    kl_by_position: Sequence[tuple[int, float]] = ()
    nonfinite_at: int | None = None
    loops: int | None = None
    reference_loops: int | None = None
    divergence: Sequence[int] = ()


@dataclass(frozen=True)
class Report:
    """A bundle's report card with all that is shown of it."""

    bundle: Bundle
    card: ReportCard
    parts: Mapping[str, int]
    findings: Findings
    reference: Point | None
    peers: Sequence[Point]

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form: every figure has its key, null where it was not measured."""
        shape, card, found = self.bundle.manifest.shape, self.card, self.findings
        against = self.reference and vars(self.reference)
        return {
            "path": str(self.bundle.path),
            "model": self.bundle.manifest.provenance.source,
            "recipe": self.bundle.manifest.recipe,
            "parameters": shape.parameters,
            "context": shape.context,
            "threads": card.threads,
            "size_bytes": self.bundle.size_bytes,
            "size_by_part": dict(self.parts),
            "text": card.text,
            "text_sha256": card.text_sha256,
            "tokens": card.tokens,
            "against": against,
            **{name: card.figures.get(name) for name in FIGURES},
            "nonfinite_at": found.nonfinite_at,
            "looping_continuations": found.loops,
            "looping_continuations_reference": found.reference_loops,
            "greedy_divergences": list(found.divergence),
            "kl_by_position": [list(pair) for pair in found.kl_by_position],
        }


def make_report(
    name_or_path: str | Path,
    against: str | Path | None = None,
    text: Path | None = None,
    tokens: int = DEFAULT_TOKENS,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Score and measure a bundle, beside a reference bundle where one is given.

    At most `tokens` tokens of the text in a UTF-8 file, by default the built-in one, are
    scored, in windows of the context. `progress(stage, done, total)` is called as work goes
    on. Raises BundleError, EngineError, and UsageError for a text that cannot be scored or
    bundles that cannot be compared.
    """
    check_threads(threads)
    if not _LEAST_TOKENS <= tokens <= _MOST_TOKENS:
        raise UsageError(f"tokens: expected from {_LEAST_TOKENS} to {_MOST_TOKENS}, found {tokens}")
    content = read(text, tokens)
    bundle = open_bundle(find_bundle(name_or_path))
    other = None if against is None else open_bundle(find_bundle(against))
    _check_comparable(bundle, other)
    with load(bundle.path, threads) as engine:
        if other is None:
            figures, findings, scored = _quality(engine, None, content, tokens, progress)
        else:
            with load(other.path, threads) as reference:
                figures, findings, scored = _quality(engine, reference, content, tokens, progress)
    if findings.nonfinite_at is None:  # an engine refuses to go on from NaN
        if progress is not None:
            progress("speed", 0, 1)
        figures |= latency.measure(bundle.path, threads)
        if progress is not None:
            progress("speed", 1, 1)
    point = None
    if other is not None:
        point = _point(other, figures.pop("reference_perplexity", None))
    card = ReportCard(
        text=content.name,
        text_sha256=content.sha256,
        tokens=scored,
        threads=threads or default_threads(),
        against=None if other is None else _name(other),
        figures=figures,
    )
    return Report(bundle, card, size_by_part(bundle), findings, point, _peers(bundle, card))


def keep(report: Report) -> None:
    """Put a report into its bundle's manifest; raises OutputError where that cannot be written."""
    # Opened again: the report took a while, and somebody else may have written meanwhile.
    bundle = open_bundle(report.bundle.path)
    rewrite_manifest(bundle, replace(bundle.manifest, report=report.card))


def discard(bundle: Bundle) -> None:
    """Delete a bundle that was made only to be reported on, and its packed weights."""
    drop_weight_cache(bundle)
    remove_bundle(bundle.path)


def _check_comparable(bundle: Bundle, other: Bundle | None) -> None:
    if other is None:
        return
    mine, theirs = (b.manifest.shape.vocabulary for b in (bundle, other))
    if mine != theirs:
        raise UsageError(
            f"against: expected a bundle with the same vocabulary of {mine} tokens, found "
            f"{theirs}: give one made of the same model"
        )


def _quality(
    engine: Engine,
    reference: Engine | None,
    text: Text,
    tokens: int,
    progress: Progress | None,
) -> tuple[dict[str, float], Findings, int]:
    """Return the figures of quality, the findings, and the number of tokens scored."""
    token_ids = engine.tokenizer.encode(text.content)
    if len(token_ids) < _LEAST_TOKENS:
        raise UsageError(
            f"text: expected at least {_LEAST_TOKENS} tokens, found {len(token_ids)}: "
            "give a longer one"
        )
    if reference is not None and reference.tokenizer.encode(text.content) != token_ids:
        raise UsageError(
            "against: that bundle cuts the text into other tokens: give one made of the same model"
        )
    context = min(engine.context, reference.context if reference else engine.context)
    subject = Subject.of(engine)
    # One more than is scored: without a start token nothing tells the first.
    token_ids = token_ids[: tokens + (subject.start is None)]
    other = None if reference is None else Subject.of(reference)
    scores = score(subject, token_ids, context, other, progress)
    figures = scores.figures()
    if scores.nonfinite_at is not None:
        return figures, Findings(nonfinite_at=scores.nonfinite_at), max(len(scores.loss), 1)
    prompts = greedy.prompts(token_ids, context, subject.start)
    mine = [greedy.continuation(engine, prompt) for prompt in prompts]
    findings = Findings(scores.kl_by_position(), loops=sum(map(greedy.loops, mine)))
    if reference is not None:
        theirs = [greedy.continuation(reference, prompt) for prompt in prompts]
        figures["reference_perplexity"] = perplexity(scores.reference_loss)
        figures["greedy_divergence"] = greedy.median_divergence(mine, theirs)
        findings = replace(
            findings,
            reference_loops=sum(map(greedy.loops, theirs)),
            divergence=[greedy.first_divergence(*pair) for pair in zip(mine, theirs, strict=True)],
        )
    return figures, findings, len(scores.loss)


def _name(bundle: Bundle) -> str:
    """Return a bundle's name as a manifest may hold it."""
    name = bundle.path.resolve().name
    return "".join(c if c.isprintable() else "?" for c in name)[:255] or "unnamed"


def _point(bundle: Bundle, found: float | None) -> Point | None:
    if found is None:
        return None
    return Point(_name(bundle), bundle.manifest.recipe, bundle.size_bytes, found)


def _peers(bundle: Bundle, card: ReportCard) -> list[Point]:
    """Return stored bundles of the same weights whose kept report is on the same tokens."""
    points = []
    for listed in list_bundles(bundles_dir()):
        found = listed.found
        if not isinstance(found, Bundle) or found.path.resolve() == bundle.path.resolve():
            continue
        manifest, kept = found.manifest, found.manifest.report
        same_weights = (
            manifest.provenance.sha256 is not None
            and manifest.provenance.sha256 == bundle.manifest.provenance.sha256
        )
        if kept is None or not same_weights or "perplexity" not in kept.figures:
            continue
        if (kept.text_sha256, kept.tokens) == (card.text_sha256, card.tokens):
            points.append(
                Point(_name(found), manifest.recipe, found.size_bytes, kept.figures["perplexity"])
            )
    return points
