"""Real texts replayed as typing: a model beside a baseline, in turn, over the same stretches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from foreword.completion.completer import Completer
from foreword.completion.session import Session
from foreword.completion.suggestion import Policy, Suggestions
from foreword.engine.engine import Cancel, LanguageModel
from foreword.errors import UsageError
from foreword.evaluation.ngram import NGram
from foreword.evaluation.quality import Progress
from foreword.evaluation.text import Text, read
from foreword.evaluation.typing import Keystroke, Stretch, Suggester, stretches, type_stretch
from foreword.evaluation.usefulness import Figures, Letter, Point, curve, figures, record

DEFAULT_KEYSTROKES = 2000
MODEL, BASELINE = "foreword", "ngram"
_LEAST_CHARACTERS = 200
_LEAST_KEYSTROKES, _MOST_KEYSTROKES = 100, 100_000
_ELSEWHERE = "Quite another text"
_TOKENS = 1 << 17  # of a text, more than is replayed


@dataclass(frozen=True)
class Contender:
    """A suggester as people have it, and as one that is never silent, where it says how sure it is.

    The latter has to answer for a text by itself, whatever it was asked before.
    """

    suggester: Suggester
    unsilenced: Suggester | None = None


@dataclass(frozen=True)
class Outcome:
    """Stretches as they were typed with one contender, and what it said after every letter."""

    typed: Sequence[Sequence[Keystroke]]
    recordings: Sequence[Sequence[Letter]]

    def as_json(self) -> Figures:
        """Return the figures, and as `curve` the points of all thresholds."""
        return {**figures(self.typed), "curve": [vars(point) for point in self.points()]}

    def points(self) -> list[Point]:
        """Return the points of all thresholds, none where nothing was recorded."""
        return curve(self.recordings) if self.recordings else []


@dataclass(frozen=True)
class Replay:
    """One text, or several together: what each contender came to, `foreword` among them."""

    name: str
    outcomes: Mapping[str, Outcome]

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form: the model's figures, and those of the others as `baselines`."""
        found = {name: outcome.as_json() for name, outcome in self.outcomes.items()}
        return {"text": self.name, **found.pop(MODEL), "baselines": found}


def together(replays: Sequence[Replay]) -> Replay:
    """Put texts together, as if they were one; there is one at least."""
    outcomes = {
        name: Outcome(
            [typed for replay in replays for typed in replay.outcomes[name].typed],
            [record for replay in replays for record in replay.outcomes[name].recordings],
        )
        for name in replays[0].outcomes
    }
    return Replay(", ".join(replay.name for replay in replays), outcomes)


def read_texts(paths: Iterable[Path], parameter: str = "TEXTS") -> list[Text]:
    """Read the texts of files, with line ends of one kind; raises UsageError."""
    texts = []
    for path in paths:
        text = read(path, _TOKENS, parameter)
        content = text.content.replace("\r\n", "\n")
        if len(content) < _LEAST_CHARACTERS:
            raise UsageError(
                f"{parameter}: expected at least {_LEAST_CHARACTERS} characters, found "
                f"{len(content)} in {str(path)!r:.100}: give a longer text"
            )
        texts.append(replace(text, content=content))
    return texts


def replay(
    model: LanguageModel,
    texts: Sequence[Text],
    train: Text | None = None,
    keystrokes: int = DEFAULT_KEYSTROKES,
    policy: Policy | None = None,
    progress: Progress | None = None,
) -> list[Replay]:
    """Type up to `keystrokes` characters of each text, beside the n-gram baseline, in order.

    The baseline learns from `train`; without it from the first half of each text, of which then
    only the second half is typed. `progress(stage, done, total)` is called as work goes on.
    Raises UsageError for a number out of range, EngineError.
    """
    if not _LEAST_KEYSTROKES <= keystrokes <= _MOST_KEYSTROKES:
        raise UsageError(
            f"keystrokes: expected {_LEAST_KEYSTROKES} to {_MOST_KEYSTROKES}, found {keystrokes}"
        )
    policy = policy or Policy()
    baseline = NGram(train.content, policy) if train else None
    completer, found = Completer(model), list[Replay]()
    for number, text in enumerate(texts):
        half = 0 if train else len(text.content) // 2
        contenders = {
            MODEL: of_model(completer, policy),
            BASELINE: of_ngram(baseline or NGram(text.content[:half], policy), policy),
        }
        chosen = stretches(text.content, keystrokes, half)
        outcomes = compete(chosen, contenders, progress, number, len(texts))
        found.append(Replay(text.name, outcomes))
    return found


def of_model(completer: Completer, policy: Policy) -> Contender:
    """Return a language model as a contender: what it shows stays while it is typed."""
    return Contender(Session(completer, policy), _Each(completer, replace(policy, confidence=0.0)))


def of_ngram(baseline: NGram, policy: Policy) -> Contender:
    """Return the baseline as a contender."""
    unsilenced = baseline.with_policy(replace(policy, confidence=0.0))
    return Contender(baseline.with_policy(policy), unsilenced)


class _Each:
    """A completer asked for every text anew."""

    def __init__(self, completer: Completer, policy: Policy) -> None:
        self._completer, self._policy = completer, policy

    def suggest(self, text: str, cancel: Cancel | None = None) -> Suggestions:
        return self._completer.suggest(text, self._policy, cancel)


def compete(
    chosen: Sequence[Stretch],
    contenders: Mapping[str, Contender],
    progress: Progress | None = None,
    part: int = 0,
    parts: int = 1,
) -> dict[str, Outcome]:
    """Type stretches with all contenders in turn, a stretch each.

    Then ask those that can be for what they would say after every letter. `progress` is told as
    for part number `part` of `parts`.
    """
    count = 0
    total = sum(
        len(stretch.text) * (1 + (contender.unsilenced is not None))
        for stretch in chosen
        for contender in contenders.values()
    )

    def advance(characters: int) -> None:
        nonlocal count
        count = min(count + characters, total)
        if progress is not None:
            progress("replay", 100 * (part * total + count) // total, 100 * parts)

    typed: dict[str, list[list[Keystroke]]] = {name: [] for name in contenders}
    for stretch in chosen:
        for name, contender in contenders.items():
            # A warm-up, after which nothing of the stretch is in any cache.
            contender.suggester.suggest(_ELSEWHERE)
            typed[name].append([])
            for key in type_stretch(stretch, contender.suggester):
                typed[name][-1].append(key)
                advance(key.characters)
    recordings: dict[str, list[list[Letter]]] = {name: [] for name in contenders}
    for name, contender in contenders.items():
        if contender.unsilenced is None:
            continue
        for stretch in chosen:
            recordings[name].append([])
            for letter in record(stretch, contender.unsilenced):
                recordings[name][-1].append(letter)
                advance(1)
    return {name: Outcome(typed[name], recordings[name]) for name in contenders}
