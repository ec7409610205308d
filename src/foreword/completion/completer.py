"""From a text to its continuation, whatever model is behind it."""

from __future__ import annotations

from collections.abc import Iterator

from foreword.completion.window import Window, keep_end
from foreword.engine.engine import Cancel, LanguageModel, Step
from foreword.engine.sampling import SamplingParams
from foreword.errors import UsageError


class Completer:
    """Completes texts with a language model: an engine, or a text graph."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model

    def window(self, text: str, context_tokens: int | None = None) -> Window:
        """Return the end of a text that the model is given, by default half of its context.

        Raises UsageError for more tokens than the model holds, PromptError for what is no text.
        """
        limit = self.model.context // 2 if context_tokens is None else context_tokens
        if limit < 1:
            raise UsageError(f"context_tokens: expected 1 or more, found {limit}")
        if limit > self.model.context:
            raise UsageError(
                f"context_tokens: this model holds {self.model.context}, found {limit}"
            )
        token_ids = self.model.encode(text)
        return keep_end(token_ids, limit, self.model.tokenizer, self.model.first_token)

    def stream(
        self, window: Window, params: SamplingParams | None = None, cancel: Cancel | None = None
    ) -> Iterator[Step]:
        """Continue what `window` gave; raises what the model's `stream` raises."""
        return self.model.stream(window.token_ids, params, cancel)
