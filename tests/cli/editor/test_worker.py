"""The model's thread: the newest text alone is answered, and no asking waits."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

import pytest

from foreword.cli.editor.worker import Answer, Failed, Message, Opened, Ready, Worker
from foreword.engine.engine import Cancel
from foreword.errors import BundleError, EngineError
from suggesters import Gated, found

ANSWER = found(" and so on")


class Running:
    """A worker that runs, its suggester and what it told."""

    def __init__(self) -> None:
        self.suggester = Gated()
        self.closed = threading.Event()
        self.warmed: queue.Queue[Cancel] = queue.Queue()
        self.messages: queue.Queue[Message] = queue.Queue()
        opened = Opened(self.suggester, 256, self.warmed.put, self.closed.set)
        self.worker = Worker(lambda: opened, self.messages.put)
        self.worker.start()

    def told(self) -> Message:
        return self.messages.get(timeout=60)


@pytest.fixture
def running() -> Iterator[Running]:
    started = Running()
    assert started.told() == Ready(256)
    yield started
    started.suggester.gate.set()
    started.worker.close()
    assert started.closed.wait(60)


def test_only_the_newest_of_many_texts_is_answered(running: Running) -> None:
    running.worker.ask("a")
    assert running.suggester.begun.wait(60)
    for text in ("ab", "abc", "abcd"):
        running.worker.ask(text)
    running.suggester.gate.set()
    assert running.told() == Answer("abcd", ANSWER)
    asked = [text for what, text in running.suggester.asked if what == "suggest"]
    assert asked == ["a", "abcd"]


def test_what_was_asked_can_be_taken_back(running: Running) -> None:
    running.worker.ask("a")
    assert running.suggester.begun.wait(60)
    running.worker.cancel()
    running.suggester.gate.set()
    running.worker.ask("b")
    assert running.told() == Answer("b", ANSWER)


def test_after_an_answer_what_follows_it_is_prepared(running: Running) -> None:
    running.suggester.gate.set()
    running.worker.ask("a", another=True)
    assert running.told() == Answer("a", ANSWER)
    assert running.suggester.prepared.wait(60)
    assert running.suggester.asked == [("next", "a"), ("prefetch", "a")]


def test_a_dismissal_is_told_before_the_next_text_is_asked(running: Running) -> None:
    running.suggester.gate.set()
    running.worker.dismiss()
    running.worker.ask("a")
    assert running.told() == Answer("a", ANSWER)
    assert running.suggester.asked[:2] == [("dismiss", ""), ("suggest", "a")]


def test_an_error_is_told_in_one_line_and_the_next_text_is_answered(running: Running) -> None:
    running.suggester.gate.set()
    for failure, said in {
        EngineError("not\na number"): "not a number",
        RuntimeError(): "RuntimeError",
    }.items():
        running.suggester.failure = failure
        running.worker.ask("a")
        assert running.told() == Failed(said, final=False)
    running.suggester.failure = None
    running.worker.ask("b")
    assert running.told() == Answer("b", ANSWER)


def test_a_model_that_cannot_be_loaded_is_told_once_and_asking_goes_on() -> None:
    def damaged() -> Opened:
        raise BundleError("it is damaged")

    messages: queue.Queue[Message] = queue.Queue()
    worker = Worker(damaged, messages.put)
    worker.ask("before")
    worker.start()
    assert messages.get(timeout=60) == Failed("it is damaged", final=True)
    worker.ask("after")
    worker.close()
    assert messages.empty()


def test_what_is_asked_while_the_model_is_loading_is_answered_then() -> None:
    suggester, loaded = Gated(), threading.Event()
    suggester.gate.set()
    messages: queue.Queue[Message] = queue.Queue()

    def slow() -> Opened:
        assert loaded.wait(60)
        return Opened(suggester, 256, lambda _: None, lambda: None)

    worker = Worker(slow, messages.put)
    worker.start()
    for text in ("a", "ab"):
        worker.ask(text)
    assert messages.empty()
    loaded.set()
    assert messages.get(timeout=60) == Ready(256)
    assert messages.get(timeout=60) == Answer("ab", ANSWER)
    worker.close()


def warming(warm: Callable[[Cancel], None]) -> tuple[Worker, queue.Queue[Message]]:
    """A worker that was told to be ready and now warms its model."""
    suggester = Gated()
    suggester.gate.set()
    messages: queue.Queue[Message] = queue.Queue()
    worker = Worker(lambda: Opened(suggester, 256, warm, lambda: None), messages.put)
    worker.start()
    assert messages.get(timeout=60) == Ready(256)
    return worker, messages


def test_a_model_is_warmed_once_and_until_something_is_asked(running: Running) -> None:
    cancel = running.warmed.get(timeout=60)
    assert not cancel.is_set()
    running.worker.cancel()
    assert not cancel.is_set()
    running.suggester.gate.set()
    running.worker.ask("a")
    assert cancel.is_set()
    assert running.told() == Answer("a", ANSWER)
    assert running.warmed.empty()


def test_what_is_asked_while_the_model_is_warmed_is_answered_at_once() -> None:
    def warm(cancel: Cancel) -> None:
        assert isinstance(cancel, threading.Event)
        assert cancel.wait(60)

    worker, messages = warming(warm)
    worker.ask("a")
    assert messages.get(timeout=60) == Answer("a", ANSWER)
    worker.close()


def test_leaving_ends_the_warming() -> None:
    ended = threading.Event()

    def warm(cancel: Cancel) -> None:
        assert isinstance(cancel, threading.Event)
        assert cancel.wait(60)
        ended.set()

    worker, _ = warming(warm)
    worker.close()
    assert ended.wait(60)


def test_a_model_that_fails_while_it_is_warmed_is_asked_all_the_same() -> None:
    def warm(_: Cancel) -> None:
        raise EngineError("not a number")

    worker, messages = warming(warm)
    assert messages.get(timeout=60) == Failed("not a number", final=False)
    worker.ask("a")
    assert messages.get(timeout=60) == Answer("a", ANSWER)
    worker.close()
