"""How well a model tells a text: perplexity, and what it differs in from a reference.

Both models run in step and only scalars are kept of every token, so that a long text takes
no more memory than a short one. Sources: perplexity is exp of the mean negative log-likelihood
of the next token, its standard error by the delta method; KL(P || Q) is Kullback & Leibler
1951, in nats, with P the reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from foreword.engine.cache import FloatArray
from foreword.engine.engine import Engine
from foreword.engine.graph import TokenGraph
from foreword.errors import EngineError

Progress = Callable[[str, int, int], None]
Doubles = NDArray[np.float64]

# Weights of these recipes meet float32 activations: a token's logits are the same to 1e-5
# alone or among others, and several at once are several times quicker.
_FLOAT_RECIPES = ("float32", "float16")
_LARGEST = 1e18  # a ruined model's perplexity overflows anything


@dataclass(frozen=True)
class Subject:
    """A model to score; `exact` says that a chunk of tokens answers what single ones do."""

    graph: TokenGraph
    exact: bool
    start: int | None = None

    @classmethod
    def of(cls, engine: Engine) -> Subject:
        """Return a loaded bundle as a subject."""
        special = engine.manifest.special_tokens
        start = special.start if special.prepend_start else None
        return cls(engine.graph, engine.manifest.recipe in _FLOAT_RECIPES, start)

    def rows(self, token_ids: Sequence[int]) -> Iterator[FloatArray]:
        """Yield the logits [V] after each token of a text that starts at position 0.

        A row is overwritten when the next is asked for. What is not exact goes through
        `decode`, which is what generation uses.
        """
        widths = self.graph.widths["verify"] if self.exact else ()
        width = max(widths, default=1)
        signature = f"verify_{width}" if widths else "decode"
        for at in range(0, len(token_ids), width):
            logits = self.graph.run(signature, token_ids[at : at + width], at)
            assert logits is not None, signature
            yield from logits


@dataclass
class Scores:
    """What was found at each token: losses in nats, KL in nats, agreement as 0 or 1.

    `positions` are those in the window. The lists about the reference are empty without one.
    `nonfinite_at` is the token at which the logits held NaN or infinity, and scoring ended.
    """

    loss: list[float] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    reference_loss: list[float] = field(default_factory=list)
    kl: list[float] = field(default_factory=list)
    top1: list[bool] = field(default_factory=list)
    top5: list[bool] = field(default_factory=list)
    nonfinite_at: int | None = None

    def figures(self) -> dict[str, float]:
        """Return what the scores say, by the names of `bundle.card.FIGURES`.

        Empty where the output was not finite: a mean of what came before would flatter.
        """
        if self.nonfinite_at is not None or not self.loss:
            return {}
        found = {"perplexity": perplexity(self.loss), "perplexity_stderr": _stderr(self.loss)}
        if self.reference_loss:
            difference = np.subtract(self.loss, self.reference_loss)
            found |= {
                "perplexity_ratio": perplexity(difference),
                "perplexity_ratio_stderr": _stderr(difference),
                "kl_mean": float(np.mean(self.kl)),
                "kl_p99": float(np.percentile(self.kl, 99)),
                "kl_max": float(np.max(self.kl)),
                "top1_agreement": float(np.mean(self.top1)),
                "top5_agreement": float(np.mean(self.top5)),
            }
        return found

    def kl_by_position(self, bins: int = 32) -> list[tuple[int, float]]:
        """Return (first position, mean KL) of equal stretches of the window."""
        if not self.kl:
            return []
        width = max(1, math.ceil((max(self.positions) + 1) / bins))
        stretches = np.array(self.positions) // width
        kl = np.array(self.kl)
        return [(int(i) * width, float(kl[stretches == i].mean())) for i in np.unique(stretches)]


def score(
    subject: Subject,
    token_ids: Sequence[int],
    window: int,
    reference: Subject | None = None,
    progress: Progress | None = None,
) -> Scores:
    """Score how a model tells each token of a text, in windows of `window` tokens.

    Every window starts anew, with the start token where the model wants one; the first token
    of all, before which there is nothing, is only scored after a start token. With a reference
    both run in step. `progress("quality", done, total)` counts tokens. Raises EngineError when
    the reference's output is not finite.
    """
    scores = Scores()
    total = len(token_ids)
    for inputs, targets in windows(token_ids, window, subject.start):
        rows = subject.rows(inputs)
        others = reference.rows(inputs) if reference else None
        for position, (row, target) in enumerate(zip(rows, targets, strict=True)):
            if not np.isfinite(row).all():
                subject.graph.clear()
                scores.nonfinite_at = len(scores.loss)
                return scores
            mine = log_probabilities(row)
            scores.loss.append(-float(mine[target]))
            scores.positions.append(position)
            if others is not None:
                _compare(scores, mine, next(others), target)
            if progress is not None:
                progress("quality", len(scores.loss), total)
    if progress is not None:
        progress("quality", total, total)
    return scores


def windows(
    token_ids: Sequence[int], window: int, start: int | None
) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
    """Cut a text into what a model is given and, at each of these places, what comes next."""
    if start is None:
        for at in range(0, len(token_ids) - 1, window):
            targets = token_ids[at + 1 : at + window + 1]
            yield token_ids[at : at + len(targets)], targets
    else:
        for at in range(0, len(token_ids), window):
            targets = token_ids[at : at + window]
            yield [start, *targets[:-1]], targets


def log_probabilities(logits: FloatArray) -> Doubles:
    """Return the natural logarithms of the probabilities that logits [V] stand for."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max()
    shifted -= np.log(np.exp(shifted).sum())
    return shifted


def divergence(reference: Doubles, other: Doubles) -> float:
    """Return KL(reference || other) of two log-distributions [V], in nats."""
    found = np.exp(reference) @ (reference - other)
    return max(float(found), 0.0)  # rounding may leave -1e-17


def perplexity(loss: Sequence[float] | Doubles) -> float:
    """Return exp of the mean of losses in nats: the ratio of two, for their differences."""
    return math.exp(min(float(np.mean(loss)), math.log(_LARGEST)))


def unigram_perplexity(token_ids: Sequence[int]) -> float:
    """Return the perplexity of a text under its own counts: the best guess without context."""
    _, counts = np.unique(np.asarray(token_ids), return_counts=True)
    shares = counts / counts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _stderr(loss: Sequence[float] | Doubles) -> float:
    """Standard error of `perplexity`, by the delta method."""
    if len(loss) < 2:
        return 0.0
    relative = float(np.std(loss, ddof=1)) / math.sqrt(len(loss))
    return min(perplexity(loss) * relative, _LARGEST)


def _compare(scores: Scores, mine: Doubles, logits: FloatArray, target: int) -> None:
    if not np.isfinite(logits).all():
        raise EngineError(
            "the reference's output is not a finite number: check that bundle with "
            "'foreword inspect --verify'"
        )
    theirs = log_probabilities(logits)
    best = int(theirs.argmax())
    scores.reference_loss.append(-float(theirs[target]))
    scores.kl.append(divergence(theirs, mine))
    scores.top1.append(int(mine.argmax()) == best)
    scores.top5.append(int((mine > mine[best]).sum()) < 5)
