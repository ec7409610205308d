"""A language model that any programming language computes to the last bit, and how it is asked.

Token 0 is a control token, token 1 + b is the byte b, and the rest stand in a list. A text is cut
into the longest tokens from left to right. After tokens p, q the score of a token v is
-(12 + (31 q + 17 p + 7 v mod 8) / 8); but a sentence of the book whose first k bytes, as many as
possible, the text ends with, gives the longest token that its rest begins with, or the control
token after its last byte, weight + k / 4 if that is more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from book_model import BookModel
from foreword.completion.completer import Completer
from foreword.completion.safety import load_filter
from foreword.completion.session import Session
from foreword.completion.suggestion import Policy, Suggestions
from foreword.engine.cache import FloatArray
from foreword.engine.engine import Cancel
from foreword.engine.forward import StreamStats

Json = dict[str, Any]


class FixedTokenizer:
    """The longest token first."""

    def __init__(self, tokens: Sequence[str]) -> None:
        longer = [bytes.fromhex(token) for token in tokens]
        self.pieces = [b"", *(bytes([byte]) for byte in range(256)), *longer]
        self.vocabulary_size = len(self.pieces)
        self._ids = {piece: i for i, piece in enumerate(self.pieces) if piece}
        self._longest = max(map(len, self.pieces))

    def next_of(self, raw: bytes) -> int:
        """Return the longest token that bytes begin with."""
        sizes = range(min(self._longest, len(raw)), 0, -1)
        return next(self._ids[raw[:size]] for size in sizes if raw[:size] in self._ids)

    def encode(self, text: str) -> list[int]:
        raw, ids = text.encode(), list[int]()
        while raw:
            ids.append(self.next_of(raw))
            raw = raw[len(self.pieces[ids[-1]]) :]
        return ids

    def token_bytes(self, token_id: int) -> bytes:
        return self.pieces[token_id]


class FixedModel(BookModel):
    """The model above; `about` has its `book`, `context` and `first_token`."""

    def __init__(self, tokenizer: FixedTokenizer, about: Mapping[str, Any]) -> None:
        super().__init__(tokenizer, {}, about["context"])  # type: ignore[arg-type]
        self.first_token = about["first_token"]
        self._sentences = [(sentence.encode(), weight) for sentence, weight in about["book"]]

    def encode(self, text: str) -> list[int]:
        head = [] if self.first_token is None else [self.first_token]
        return [*head, *self.tokenizer.encode(text)]

    def logits(
        self, token_ids: Sequence[int], cancel: Cancel | None = None, guesses: int = 0
    ) -> FloatArray | None:
        self.stats = StreamStats(len(token_ids), computed_tokens=1)
        if cancel is not None and cancel.is_set():
            return None
        before, last = [0, 0, *token_ids][-2:]
        places = np.arange(self.tokenizer.vocabulary_size)
        scores = -(12 + (31 * last + 17 * before + 7 * places) % 8 / 8)
        seen = b"".join(map(self.tokenizer.token_bytes, token_ids))
        for sentence, weight in self._sentences:
            sizes = range(len(sentence), 0, -1)
            size = next((size for size in sizes if seen.endswith(sentence[:size])), 0)
            if size:
                rest = sentence[size:]
                token_id = self.tokenizer.next_of(rest) if rest else 0
                scores[token_id] = max(scores[token_id], weight + size / 4)
        return scores.astype(np.float32)


def answer_of(found: Suggestions) -> Json:
    """Return an answer as /v1/suggest has it, without the latency."""
    return {
        "items": [
            {
                "text": item.text,
                "confidence": item.confidence,
                "logprob": None if item.logprob is None else round(item.logprob, 4),
                "tokens": item.tokens,
                "by_part": list(item.by_part),
            }
            for item in found.items
        ],
        "refused": found.refused,
        "context_tokens": found.context_tokens,
        "dropped_tokens": found.dropped_tokens,
        "computed_tokens": found.computed_tokens,
    }


class Bench:
    """Runs the cases of a document with `tokens` and `models`."""

    def __init__(self, document: Json) -> None:
        self._tokenizer = FixedTokenizer(document["tokens"])
        self._models: Json = document["models"]
        self._filters = {level: load_filter(level) for level in ("off", "default", "strict")}

    def completer(self, case: Json) -> Completer:
        """Return a completer that knows nothing yet."""
        model: Any = FixedModel(self._tokenizer, self._models[case["model"]])
        return Completer(model, self._filters[case.get("safety", "default")])

    def asked(self, case: Json) -> Json:
        """Return the answer to a case, and what was told of it, where it is to be."""
        told: list[str] = []
        found = self.completer(case).suggest(
            case["text"],
            Policy(**case.get("policy", {})),
            suffix=case.get("suffix", ""),
            on_words=told.append if case.get("stream") else None,
        )
        return {"answer": answer_of(found)} | ({"told": told} if case.get("stream") else {})

    def session(self, case: Json) -> list[Any]:
        """Return what a session answers to each step: a text where it is accepted."""
        session = Session(self.completer(case), Policy(**case.get("policy", {})))
        return [_step(session, **step) for step in case["steps"]]


def _step(session: Session, do: str, text: str = "", suffix: str = "") -> Any:
    if do == "suggest":
        return answer_of(session.suggest(text, suffix=suffix))
    if do == "next":
        return answer_of(session.next(text, suffix=suffix))
    if do == "prefetch":
        return session.prefetch(text, suffix=suffix)
    if do == "dismiss":
        return session.dismiss()
    return session.accept(text, "word" if do == "accept_word" else "all")
