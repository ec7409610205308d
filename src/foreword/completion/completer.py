"""From a text to what may follow it, whatever model is behind it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from foreword.completion.draft import Called, Draft, Drafts, Refused, Scores, TokenModel
from foreword.completion.guard import guarded
from foreword.completion.healing import Healed, Pieces, heal
from foreword.completion.safety import Filter, load_filter
from foreword.completion.streamed import streamed
from foreword.completion.suggestion import OnWords, Policy, Request, Suggestion, Suggestions
from foreword.completion.window import Window, keep_end, keep_steady, near_end
from foreword.completion.words import last_words, parts_of
from foreword.engine.engine import Cancel, LanguageModel
from foreword.engine.generation import Step
from foreword.engine.sampling import SamplingParams
from foreword.errors import UsageError


class Completer:
    """Completes texts with a language model: an engine, or a text graph."""

    def __init__(
        self, model: LanguageModel, safety: Filter | None = None, remembered: int = 32
    ) -> None:
        """`safety` keeps bad words out; the default filter where it is None.

        What the model said is `remembered` for so many prompts, 4 bytes for each of its tokens.
        """
        self.model = model
        self.safety = load_filter() if safety is None else safety
        self._scores = Scores(model, remembered) if isinstance(model, TokenModel) else None
        self._pieces: Pieces | None = None
        self._streamed_tokens = 0

    def beside(self, model: LanguageModel, remembered: int = 8) -> Completer:
        """Return a completer of another instance of the model, which shares all that it can.

        Raises UsageError for a model of another vocabulary.
        """
        mine, other = self.model.tokenizer.vocabulary_size, model.tokenizer.vocabulary_size
        if other != mine:
            raise UsageError(f"expected a model with {mine} tokens, found {other}; load it anew")
        completer = Completer(model, self.safety, remembered)
        completer._pieces = self._shared_pieces() if completer._scores is not None else None
        return completer

    @property
    def remembered_bytes(self) -> int:
        """Memory of what the model said."""
        return 0 if self._scores is None else self._scores.size_bytes

    def window(
        self, text: str, context_tokens: int | None = None, context_words: int | None = None
    ) -> Window:
        """Return the end of a text that the model is given, by default half of its context.

        At most `context_tokens` of it, and `context_words`. Raises UsageError for more tokens
        than the model holds or fewer than 1, PromptError for what is no text.
        """
        limit = self._limit(context_tokens)
        if context_words is not None and context_words < 1:
            raise UsageError(f"context_words: expected 1 or more, found {context_words}")
        token_ids = self.model.encode(text)
        window = keep_end(token_ids, limit, self.model.tokenizer, self.model.first_token)
        if context_words is None:
            return window
        few = self.window(last_words(text, context_words), limit)
        return replace(few, dropped=len(token_ids) - len(few.token_ids))

    def stream(
        self, window: Window, params: SamplingParams | None = None, cancel: Cancel | None = None
    ) -> Iterator[Step]:
        """Continue what `window` gave, without a bad word; see `guard.guarded`."""
        return guarded(self.model, window.token_ids, params, self.safety, cancel)

    def suggest(
        self,
        text: str,
        policy: Policy | None = None,
        cancel: Cancel | None = None,
        *,
        suffix: str = "",
        on_words: OnWords | None = None,
    ) -> Suggestions:
        """Return what may follow the cursor at the end of a text; no items where none is sure.

        A text in whose window there is a bad word is refused as input, and one after which
        nothing but bad words came as output. Where the model says how likely its tokens are,
        the word that the text ends in is healed and there are alternatives; a text graph gives
        one suggestion, of which it does not say how sure it is.

        A suggestion does not repeat `suffix`, the text after the cursor. `on_words` is told the
        first suggestion's text as it grows by words, each a beginning of the next and of the one
        returned, which then is first among alternatives. Raises UsageError for a window that the
        model does not hold, PromptError for what is no text, EngineError.
        """
        started = time.perf_counter()
        policy = policy or Policy()
        seen, window = self.seen(text, policy)
        answer = Suggestions((), None, len(window.token_ids), window.dropped)
        computed = self._computed()
        try:
            if seen.strip():
                request = Request(seen, suffix, policy, cancel, on_words)
                answer = replace(answer, items=self._items(window, request))
        except Called:
            answer = replace(answer, cancelled=True)
        except Refused as refused:
            answer = replace(answer, refused="input" if refused.typed else "output")
        latency_ms = (time.perf_counter() - started) * 1e3
        computed = self._computed() - computed
        return replace(answer, computed_tokens=computed, latency_ms=latency_ms)

    def _computed(self) -> int:
        """Return how many tokens were computed for suggestions so far."""
        return self._streamed_tokens if self._scores is None else self._scores.computed_tokens

    def _limit(self, context_tokens: int | None) -> int:
        limit = self.model.context // 2 if context_tokens is None else context_tokens
        if limit < 1:
            raise UsageError(f"context_tokens: expected 1 or more, found {limit}")
        if limit > self.model.context:
            raise UsageError(
                f"context_tokens: this model holds {self.model.context}, found {limit}"
            )
        return limit

    def seen(self, text: str, policy: Policy) -> tuple[str, Window]:
        """Return the end of a text that `suggest` looks at, and its tokens; raises what it does."""
        limit = self._limit(policy.context_tokens)
        seen = near_end(text, limit)
        if policy.context_words is not None:
            seen = last_words(seen, policy.context_words)
        token_ids = self.model.encode(seen)
        first = self.model.first_token
        window = keep_steady(token_ids, limit, self.model.tokenizer, first)
        if window.dropped:
            kept = window.token_ids[first is not None :]
            raw = b"".join(map(self.model.tokenizer.token_bytes, kept))
            seen = raw.decode("utf-8", "ignore")
        return seen, window

    def _shared_pieces(self) -> Pieces:
        if self._pieces is None:
            self._pieces = Pieces(self.model.tokenizer)
        return self._pieces

    def _items(self, window: Window, request: Request) -> tuple[Suggestion, ...]:
        scan = self.safety.scan()
        if scan.feed(request.before) is not None:
            raise Refused(typed=True)
        if self._scores is None:
            found = streamed(self.model, window.token_ids, scan, request)
            self._streamed_tokens += self.model.stats.computed_tokens
            return () if found is None else (found,)
        healed = heal(window.token_ids, self.model.tokenizer, self.model.first_token)
        pieces = self._shared_pieces()
        drafts = Drafts(self._scores, pieces, healed, scan, request)
        return _alternatives(drafts, pieces, healed, request)


def _alternatives(
    drafts: Drafts, pieces: Pieces, healed: Healed, request: Request
) -> tuple[Suggestion, ...]:
    """Return distinct suggestions, those likeliest by the token first.

    They share the tokens of what is typed and part at the first one beyond it. One of which
    `on_words` was told stays the first.
    """
    policy, on_words = request.policy, request.on_words
    threshold, found, firsts = policy.confidence, list[Suggestion](), set[str]()
    place, banned = 0, frozenset[int]()
    for _ in range(2 * policy.alternatives):
        try:
            draft, suggestion = drafts.grow({place: banned}, threshold, on_words)
        except Refused:
            if not found:
                raise
            break
        if suggestion is not None:
            if not found and on_words and suggestion is not draft.shown:
                on_words(suggestion.text)
            first = suggestion.text[: parts_of(suggestion.text)[0].end]
            if first not in firsts:
                firsts.add(first)
                found.append(suggestion)
        elif not found:
            return ()
        if len(found) == policy.alternatives:
            break
        if not banned:
            place = _parting(draft, pieces, len(healed.typed))
        if place >= len(draft.token_ids):
            break
        threshold, banned, on_words = 0.0, banned | {draft.token_ids[place]}, None
    kept = 1 if request.on_words else 0
    return (*found[:kept], *sorted(found[kept:], key=_mean_logprob, reverse=True))


def _parting(draft: Draft, pieces: Pieces, typed_bytes: int) -> int:
    """Return the place of the first token of a draft that goes beyond what is typed."""
    size = 0
    for place, token_id in enumerate(draft.token_ids):
        size += len(pieces.of[token_id])
        if size > typed_bytes:
            return place
    return len(draft.token_ids)


def _mean_logprob(suggestion: Suggestion) -> float:
    return (suggestion.logprob or 0.0) / max(suggestion.tokens, 1)
