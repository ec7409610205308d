"""One suggestion as it grows, token by token: when it is right to go on, back up or stop."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from foreword.completion.confidence import calibrated
from foreword.completion.healing import Healed, Pieces
from foreword.completion.safety import Match, Scan
from foreword.completion.suggestion import OnWords, Request, Suggestion
from foreword.completion.words import (
    divides,
    parts_of,
    repeats_from,
    sentence_end,
    settled_parts,
)
from foreword.engine.cache import FloatArray
from foreword.engine.engine import Cancel, LanguageModel
from foreword.engine.sampling import LEAST_TEMPERATURE

TRIES = 3
"""How often a bad word is avoided before there is no suggestion."""

Bans = Mapping[int, frozenset[int]]
"""Tokens not to be taken, by their place in a draft."""


@runtime_checkable
class TokenModel(LanguageModel, Protocol):
    """A language model that says how likely every next token is."""

    @property
    def end_tokens(self) -> Sequence[int]:
        """Tokens with which the model ends a text."""
        ...

    def checked(self, token_ids: Sequence[int]) -> list[int]:
        """Return a prompt as the model takes it; raises PromptError where it does not."""
        ...

    def logits(
        self, token_ids: Sequence[int], cancel: Cancel | None = None, guesses: int = 0
    ) -> FloatArray | None:
        """Return the scores of what follows, [V]; None when called off.

        The next calls are likely to be for what is likeliest to follow, for `guesses` tokens.
        """
        ...


class Called(Exception):  # noqa: N818 - no error: the caller asked for it
    """The request was called off."""


class Refused(Exception):  # noqa: N818 - no error: there is just nothing to suggest
    """Every try ended in a bad word; `typed` tells whether it was there before."""

    def __init__(self, typed: bool) -> None:
        super().__init__()
        self.typed = typed


class Scores:
    """What a model says of the next token, remembered for the `kept` prompts asked for last."""

    def __init__(self, model: TokenModel, kept: int = 32) -> None:
        self._model, self._kept = model, kept
        self._known: OrderedDict[tuple[int, ...], FloatArray] = OrderedDict()
        self.computed_tokens = 0

    @property
    def size_bytes(self) -> int:
        """Memory of what is remembered."""
        return sum(logits.nbytes for logits in self._known.values())

    def after(self, token_ids: Sequence[int], cancel: Cancel | None, guesses: int) -> FloatArray:
        """Return logits [V], not to be changed; raises Called. See `TokenModel.logits`."""
        key = tuple(token_ids)
        if key not in self._known:
            found = self._model.logits(token_ids, cancel, guesses)
            self.computed_tokens += self._model.stats.computed_tokens
            if found is None:
                raise Called
            self._known[key] = found.copy()
            if len(self._known) > self._kept:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]


@dataclass
class Draft:
    """Tokens after a prompt, the logarithms of their probabilities, and their text so far.

    `shown` is what of it was fit to be shown already; that is not taken back.
    """

    typed: bytes
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)  # of each token in the text
    raw: bytes = b""
    text: str = ""
    ended: bool = False
    shown: Suggestion | None = None

    def add(self, token_id: int, logprob: float, piece: bytes) -> str | None:
        """Add a token and return the text it brings, None where its bytes make none."""
        text = _text((self.raw + piece)[len(self.typed) :])
        if text is None:
            return None
        new = text[len(self.text) :]
        self.token_ids.append(token_id)
        self.logprobs.append(logprob)
        self.offsets.append(len(self.text))
        self.raw, self.text = self.raw + piece, text
        return new

    def back_to(self, place: int, sizes: Sequence[int]) -> None:
        """Take back the tokens from `place` on; `sizes` are the bytes of all."""
        self.raw = self.raw[: sum(sizes[:place])]
        self.text = _text(self.raw[len(self.typed) :]) or ""
        del self.token_ids[place:], self.logprobs[place:], self.offsets[place:]
        self.ended = False

    def agreed(self, suggestion: Suggestion | None) -> Suggestion | None:
        """Return a suggestion if it says more than is shown already, else what is shown."""
        if self.shown is None or suggestion is None:
            return self.shown or suggestion
        shown, text = self.shown.text, suggestion.text
        more = text.startswith(shown) and text != shown and divides(shown, text[len(shown) :])
        return suggestion if more else self.shown

    def sums(self, ends: Sequence[int]) -> list[float]:
        """Return the logarithms of the probabilities of the parts that end there, and the rest."""
        found = [0.0] * (len(ends) + 1)
        for offset, logprob in zip(self.offsets, self.logprobs, strict=True):
            found[bisect_right(ends, offset)] += logprob
        return found


class Drafts:
    """Drafts after one healed prompt, whose text the `scan` has read."""

    def __init__(
        self, scores: Scores, pieces: Pieces, healed: Healed, scan: Scan, request: Request
    ) -> None:
        self._scores, self._pieces, self._healed = scores, pieces, healed
        self._scan, self._request, self._policy = scan, request, request.policy
        seed, drawn = self._policy.seed, self._policy.temperature > 0
        self._random = np.random.default_rng(seed) if drawn else None

    def grow(
        self, bans: Bans, threshold: float, on_words: OnWords | None = None
    ) -> tuple[Draft, Suggestion | None]:
        """Return a draft, and what of it is fit to be shown; `on_words` is told while it grows.

        None where the first word is less sure than `threshold`. Raises Called, and Refused
        where bad words are all there is: the token that ends one is banned, at the third try the
        one that begins it. What was shown before a bad word remains.
        """
        draft, scans = Draft(self._healed.typed), [self._scan]
        taken = {place: set(tokens) for place, tokens in bans.items()}
        for tries in range(TRIES, -1, -1):
            match = self._extend(draft, scans, taken, threshold, on_words)
            if match is None:
                suggestion = self._fit(draft, threshold)
                if suggestion is None or not divides(self._request.before, suggestion.text):
                    return draft, draft.shown
                match = self._verdict(suggestion)
                if match is None:
                    return draft, draft.agreed(suggestion)
            typed_already = match.end <= len(self._request.before)
            # Another end for the word; at last another word.
            at = (match.end - 1 if tries > 1 else match.start) - len(self._request.before)
            place = max(bisect_right(draft.offsets, at) - 1, 0)
            taken.setdefault(place, set()).add(draft.token_ids[place])
            draft.back_to(place, [len(self._pieces.of[i]) for i in draft.token_ids])
            del scans[place + 1 :]
        if draft.shown is None:
            raise Refused(typed_already)
        return draft, draft.shown

    def _extend(
        self,
        draft: Draft,
        scans: list[Scan],
        taken: Mapping[int, set[int]],
        threshold: float,
        on_words: OnWords | None,
    ) -> Match | None:
        """Add tokens until there is enough, or until a bad word is certain."""
        room = self._policy.max_tokens + len(draft.typed)
        while (
            not draft.ended and len(draft.token_ids) < room and self._wants_more(draft, threshold)
        ):
            token_id, logprob = self._next(draft, taken.get(len(draft.token_ids), set()))
            piece = self._pieces.of[token_id] if token_id is not None else b""
            new = draft.add(token_id, logprob, piece) if token_id is not None and piece else None
            if new is None:
                draft.ended = True  # by a control token, or by what is no text
                return None
            scans.append(scans[-1].copy())
            match = scans[-1].feed(new)
            if match is not None:
                return match
            self._show(draft, scans[-1].safe, threshold, on_words)
        return None

    def _show(self, draft: Draft, safe: int, threshold: float, on_words: OnWords | None) -> None:
        """Note what is fit to be shown whatever comes, if that is more than before."""
        before = self._request.before
        fit = self._fit(draft, threshold, safe - len(before))
        if fit is None or draft.agreed(fit) is not fit:
            return
        if divides(before, fit.text) and self._verdict(fit) is None:
            draft.shown = fit
            if on_words:
                on_words(fit.text)

    def _verdict(self, suggestion: Suggestion) -> Match | None:
        scan = self._scan.copy()
        return scan.feed(suggestion.text) or scan.end()

    def _next(self, draft: Draft, banned: set[int]) -> tuple[int | None, float]:
        """Return a token, the likeliest or one drawn, and the logarithm of its probability.

        That is its probability among the tokens allowed.
        """
        prompt = [*self._healed.token_ids, *draft.token_ids]
        rest = draft.typed[len(draft.raw) :]
        logits = self._scores.after(prompt, self._request.cancel, self._guessable(draft, rest))
        ids = self._pieces.fitting(rest) if rest else None
        scores = logits if ids is None else logits[ids]
        if banned:
            places = list(banned) if ids is None else np.flatnonzero(np.isin(ids, list(banned)))
            scores = scores.copy()
            scores[places] = -np.inf
        best = int(scores.argmax()) if scores.size else 0
        if not scores.size or not np.isfinite(scores[best]):
            return None, 0.0
        chosen = scores[best]
        total = float(np.log(np.exp(scores - chosen).sum()))
        if self._random is not None:
            with np.errstate(over="ignore"):
                weights = np.exp(
                    (scores - chosen).astype(float)
                    / max(self._policy.temperature, LEAST_TEMPERATURE)
                )
            best = int(self._random.choice(weights.size, p=weights / weights.sum()))
        logprob = float(scores[best] - chosen) - total
        return (best if ids is None else int(ids[best])), logprob

    def _guessable(self, draft: Draft, rest: bytes) -> int:
        """Return how many tokens after the next are worth guessing."""
        if self._random is not None or rest.strip():
            return 0  # what is drawn, or fits what is typed, is seldom what is likeliest
        # Most drafts end soon, for want of confidence.
        return self._policy.max_tokens if draft.shown or not self._policy.confidence else 1

    def _wants_more(self, draft: Draft, threshold: float) -> bool:
        text = draft.text
        if "\n" in text or sentence_end(text) is not None:
            return False
        parts = parts_of(text)
        growing = bool(parts) and parts[-1].end == len(text)
        words = sum(part.is_word for part in parts)
        if words > self._policy.max_words:
            return False
        if words == self._policy.max_words and not (growing and parts[-1].is_word):
            return False
        # A word grows less likely with every token: what is below the bar stays there.
        ends = [part.end for part in parts]
        logprobs = draft.sums(ends[:-1] if growing else ends)
        return all(self._sure(i, logprob, threshold) for i, logprob in enumerate(logprobs))

    def _sure(self, word: int, logprob: float, threshold: float) -> bool:
        bar = self._policy.confidence if word else threshold
        return calibrated(logprob) >= bar

    def _fit(self, draft: Draft, threshold: float, safe: int | None = None) -> Suggestion | None:
        """Return the whole words of a draft that are sure enough, None where there are none.

        Where `safe` is given: of its characters up to there, those that no more text changes.
        """
        text = draft.text.partition("\n")[0]
        end = sentence_end(draft.text)
        whole = draft.ended or text != draft.text or end is not None
        if end is not None:
            text = text[:end]
        parts = parts_of(text)
        if safe is not None:
            parts = [part for part in settled_parts(text) if part.end <= safe]
        elif parts and parts[-1].end == len(text) and not whole:
            parts.pop()
        logprobs = draft.sums([part.end for part in parts])
        count = words = 0
        for i, part in enumerate(parts):
            words += part.is_word
            if words > self._policy.max_words or not self._sure(i, logprobs[i], threshold):
                break
            count += 1
        text = text[: parts[count - 1].end] if count else ""
        text = text[: repeats_from(text, self._request.suffix)]
        parts = [part for part in parts if part.end <= len(text)]
        if not any(part.is_word for part in parts):
            return None
        by_part = tuple(round(calibrated(logprob), 4) for logprob in logprobs[: len(parts)])
        tokens = sum(offset < parts[-1].end for offset in draft.offsets)
        logprob = sum(draft.logprobs[:tokens])
        return Suggestion(text, logprob, tokens, by_part[0], by_part)


def _text(raw: bytes) -> str | None:
    """Return the whole characters of bytes, None where they are no UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data":
            return None
        return raw[: error.start].decode()
