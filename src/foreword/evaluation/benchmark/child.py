"""A contender in a process of its own, which gives one figure whenever it is asked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from foreword.bundle.tokenizer import Tokenizer
from foreword.completion.completer import Completer
from foreword.completion.session import Session
from foreword.completion.suggestion import Policy
from foreword.engine.child import Child, Message, Report, serve
from foreword.engine.engine import LanguageModel
from foreword.engine.load import load
from foreword.engine.memory import peak_rss_bytes
from foreword.engine.threads import default_threads
from foreword.errors import EngineError
from foreword.evaluation.benchmark import contender
from foreword.evaluation.benchmark.contender import Entry
from foreword.evaluation.benchmark.llama import LlamaCpp
from foreword.evaluation.typing import Stretch, Suggester


class Runner:
    """A contender that runs; `load_ms` is how long its runtime took to open the model."""

    def __init__(self, entry: Entry, threads: int, home: Path) -> None:
        """Start and load it, with packed weights kept under `home`.

        Raises what loading raises, or EngineError for a process that dies.
        """
        self.entry = entry
        self._child = Child(
            __name__,
            f"{entry.name} ({entry.runtime})",
            EngineError,
            environment={"FOREWORD_HOME": str(home)},
        )
        request = {name: _plain(value) for name, value in asdict(entry).items()}
        try:
            about = self.ask({"open": request, "threads": threads})
        except BaseException:
            self.close()
            raise
        self.load_ms: float = about["load_ms"]
        self.versions: dict[str, str] = about["versions"]

    def ask(self, request: Mapping[str, Any]) -> Any:
        """Return what `Asked.handle` answers to a request."""
        return self._child.ask(request)["value"]

    def close(self) -> None:
        """End it."""
        self._child.close()

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Asked:
    """The child's side: a model once it is opened, and its answers."""

    def __init__(self) -> None:
        self._model: LanguageModel | None = None

    def handle(self, request: Message, report: Report) -> Message:
        """Answer with one `value`: a number, or a document."""
        return {"value": self._value(request)}

    def _value(self, request: Message) -> object:
        if "open" in request:
            return self._open(request["open"], request["threads"])
        model = self._model
        assert model is not None, "opened first"
        match request["figure"]:
            case "first_token_ms":
                return contender.first_token_ms(model, request["prompt"], request.get("cached"))
            case "decode_tokens_per_s":
                return contender.decode_tokens_per_s(model, request["prompt"], request["count"])
            case "continue_tokens_per_s":
                return contender.continue_tokens_per_s(model, request["text"], request["count"])
            case "keystrokes":
                policy = Policy(**request["policy"])
                return contender.typed(_suggester(model, policy), Stretch(**request["stretch"]))
            case "peak_rss_bytes":
                return peak_rss_bytes()
        raise EngineError(f"there is no figure {request['figure']!r}")

    def _open(self, entry: Mapping[str, Any], threads: int) -> Message:
        if entry["tokenizer"] is None:
            # As people have it, where that is what they have.
            chosen = threads == default_threads()
            self._model = load(entry["path"], None if chosen else threads)
            return {"load_ms": self._model.load_ms, "versions": {}}
        tokenizer = Tokenizer.from_file(Path(entry["tokenizer"]))
        model = LlamaCpp(
            Path(entry["path"]), tokenizer, entry["first_token"], entry["context"], threads
        )
        self._model = model
        return {"load_ms": model.load_ms, "versions": {"llama-cpp-python": model.version}}


def _suggester(model: LanguageModel, policy: Policy) -> Suggester:
    """Return one that remembers nothing of the texts before."""
    if isinstance(model, LlamaCpp):
        return model.suggester(policy)
    return Session(Completer(model), policy)


def _plain(value: object) -> object:
    return os.fspath(value) if isinstance(value, Path) else value


if __name__ == "__main__":
    serve(Asked().handle)
