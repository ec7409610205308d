"""A text graph as a language model: the same faces drive it as drive a token model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from foreword.bundle.tokenizer import Tokenizer
from foreword.engine.child import default_memory_limit_bytes
from foreword.engine.engine import Cancel
from foreword.engine.forward import StreamStats
from foreword.engine.generation import FinishReason, Step
from foreword.engine.load import check_threads
from foreword.engine.sampling import SamplingParams
from foreword.engine.threads import default_threads
from foreword.errors import EngineError, ForewordError, PromptError, UsageError
from foreword.text_graph import archive
from foreword.text_graph.child import tensorflow_child
from foreword.text_graph.versions import check_runs

_FIXED = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed")


class TextGraph:
    """An opened text graph; TensorFlow runs it in a process of its own.

    It answers in one piece when a run is over, and a run cannot be stopped but by closing it.
    How tokens are chosen is part of the file.
    """

    def __init__(
        self,
        path: str | Path,
        threads: int | None = None,
        *,
        memory_limit_bytes: int | None = None,
        failure: type[ForewordError] = EngineError,
    ) -> None:
        """Open the file at `path`.

        Raises BundleError for a file that is missing, damaged or not a text graph, UsageError
        for a missing TensorFlow, and `failure` where it cannot be run.
        """
        started = time.perf_counter()
        check_threads(threads)
        self.path = Path(path)
        about = archive.read(self.path)
        check_runs()
        self.about, self.options = about.document, about.options
        self.tokenizer = Tokenizer.from_text(about.tokenizer, self.path)
        # SentencePiece begins every text with a space of its own.
        self._adds_space = self.tokenizer.decode(self.tokenizer.encode("a")) == " a"
        self.stats = StreamStats(0)
        self.peak_rss_bytes = 0
        limit = memory_limit_bytes or default_memory_limit_bytes()
        module = "foreword.text_graph.interpret"
        self._child = tensorflow_child(module, self.path.name, failure, limit)
        self._child.ask(
            {"model": str(self.path.absolute()), "threads": threads or default_threads()}
        )
        self.load_ms = (time.perf_counter() - started) * 1e3

    def __enter__(self) -> TextGraph:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """What the model is called: its file's name."""
        return self.path.name

    @property
    def recipe(self) -> str:
        """How weights are stored."""
        return self.options.recipe

    @property
    def context(self) -> int:
        """Tokens that prompt and continuation have together, at most."""
        return self.options.max_length

    @property
    def first_token(self) -> int | None:
        """The token that every prompt begins with, None where there is none."""
        token: int | None = self.about["start_token"]
        return token

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, with the start token where there is one.

        They are counted and cut here; inside the graph KerasHub's tokenizer is at work, which
        may cut unusual text otherwise.
        """
        head = [] if self.first_token is None else [self.first_token]
        return [*head, *self.tokenizer.encode(text)]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of the tokens that `encode` gave."""
        text = self.tokenizer.decode(token_ids)
        return text.removeprefix(" ") if self._adds_space else text

    def close(self) -> None:
        """End the process and give its memory back."""
        self._child.close()

    def complete(self, prompt: str) -> str:
        """Return the prompt continued, as the file returns it: the prompt comes first.

        A prompt of as many tokens as the file was made for comes back cut and not continued.
        Raises PromptError for an empty prompt where the model has no start token.
        """
        if "\0" in prompt:
            raise PromptError("the prompt has a NUL character, where a text graph's text ends")
        if not prompt and self.first_token is None:
            raise PromptError(
                "the prompt is empty and this model has no start token: give it some text"
            )
        self.tokenizer.encode(prompt)  # refuses what is no text
        answer = self._child.ask({"prompt": prompt})
        self.peak_rss_bytes = answer["peak_rss_bytes"]
        text: str = answer["text"]
        return text

    def stream(
        self,
        token_ids: Sequence[int],
        params: SamplingParams | None = None,
        cancel: Cancel | None = None,
    ) -> Iterator[Step]:
        """Continue a prompt in one step, which comes when the whole run is over.

        `cancel` is heeded before the run alone. Raises UsageError for `params` that would
        choose tokens otherwise than the file does, PromptError for a prompt that leaves no
        room, EngineError where the run fails.
        """
        params = params or SamplingParams(max_new_tokens=self.context)
        self._check(params)
        if len(token_ids) >= self.context:
            raise PromptError(
                f"the prompt has {len(token_ids)} tokens, the text graph {self.context} for prompt "
                "and continuation: keep the end of the prompt"
            )
        self.stats = StreamStats(len(token_ids), computed_tokens=len(token_ids))
        return self._generate(list(token_ids), params, cancel)

    def _check(self, params: SamplingParams) -> None:
        usual = SamplingParams()
        for field in _FIXED:
            if getattr(params, field) != getattr(usual, field):
                raise UsageError(
                    f"{field}: how a text graph chooses tokens is part of its file "
                    f"({self.options.sampling.kind} here): convert it anew, or take the token model"
                )
        if params.logprobs or params.top_logprobs or params.ignore_eos:
            raise UsageError(
                "logprobs and ignore_eos: a text graph gives text alone; take the token model"
            )

    def _generate(
        self, prompt: list[int], params: SamplingParams, cancel: Cancel | None
    ) -> Iterator[Step]:
        if cancel is not None and cancel.is_set():
            yield Step(None, "", finish_reason="cancelled")
            return
        started = time.perf_counter()
        text = self.decode(prompt)
        new = _after(self.complete(text), text)
        self.stats.ttft_ms = (time.perf_counter() - started) * 1e3
        ids = self.tokenizer.encode(new)
        reason: FinishReason = "length" if len(prompt) + len(ids) >= self.context else "stop"
        if len(ids) > params.max_new_tokens:
            ids, reason = ids[: params.max_new_tokens], "length"
            new = self.decode(ids).rstrip("\ufffd")  # half a character
        ends = [at for stop in params.stop if (at := new.find(stop)) >= 0]
        if ends:
            new, reason = new[: min(ends)], "stop"
        self.stats.generated_tokens = len(ids)
        yield Step(None, new, finish_reason=reason)


def run(model: str | Path | TextGraph, prompt: str) -> str:
    """Return `prompt` continued by a text graph: its path, or one that is open and stays so.

    Raises what opening and completing raise.
    """
    if isinstance(model, TextGraph):
        return model.complete(prompt)
    with TextGraph(model) as graph:
        return graph.complete(prompt)


def _after(text: str, prompt: str) -> str:
    """Return what follows the prompt; SentencePiece tidies the white space in it."""
    if text.startswith(prompt):
        return text[len(prompt) :]
    at = 0
    for word in prompt.split():
        at = text.find(word, at)
        if at < 0:
            raise EngineError(
                f"the text graph's text does not begin with the prompt (found '{text[:40]}'): the "
                "prompt has characters its tokenizer drops; leave them out"
            )
        at += len(word)
    return text[at:]
