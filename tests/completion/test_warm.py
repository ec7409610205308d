"""A model that was warmed answers as one that was not, wherever the warming ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from book_model import BookModel, StreamModel
from foreword.bundle.tokenizer import Tokenizer
from foreword.completion.completer import Completer
from foreword.completion.safety import load_filter
from foreword.completion.suggestion import Policy, Suggestion
from foreword.completion.warm import warm
from foreword.engine.cache import FloatArray
from foreword.engine.engine import Engine
from foreword.engine.graph import TokenGraph
from foreword.engine.shared import SharedModel
from tiny import load_tiny, write_tiny_bundle

FILTER = load_filter()
TEXTS = ("The", "The cat sat on the mat and", "an orange", "an orange and a pear, or two of them")
STEPS = (0, 1, 2, 3, 5, 8)


class After:
    """Calls off once it was asked `count` times."""

    def __init__(self, count: int) -> None:
        self.left = count

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # In int8, where what was computed in other chunks would round otherwise.
    return write_tiny_bundle(tmp_path_factory.mktemp("tiny"), recipe="int8")[1]


@pytest.fixture
def engine(bundle: Path) -> Iterator[Engine]:
    with load_tiny(bundle) as engine:
        yield engine


def answers(completer: Completer) -> list[tuple[tuple[Suggestion, ...], int]]:
    found = [completer.suggest(text, Policy(confidence=0, alternatives=2)) for text in TEXTS]
    return [(each.items, each.computed_tokens) for each in found]


@pytest.fixture(scope="module")
def unwarmed(bundle: Path) -> list[tuple[tuple[Suggestion, ...], int]]:
    with load_tiny(bundle) as engine:
        return answers(Completer(engine, FILTER))


@pytest.mark.parametrize("steps", [*STEPS, None])
def test_a_warmed_model_answers_as_another(
    engine: Engine, unwarmed: list[tuple[tuple[Suggestion, ...], int]], steps: int | None
) -> None:
    completer = Completer(engine, FILTER)
    warm(completer, None if steps is None else After(steps))
    assert completer.remembered_bytes == 0
    assert answers(completer) == unwarmed


class Recording:
    """A graph that notes the signatures that are run."""

    def __init__(self, graph: TokenGraph) -> None:
        self._graph = graph
        self.ran: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._graph, name)

    def run(self, signature: str, token_ids: Sequence[int], position: int) -> FloatArray | None:
        self.ran.append(signature)
        return self._graph.run(signature, token_ids, position)


def recorded(engine: Engine) -> list[str]:
    graph = Recording(engine.graph)
    engine._graph = graph  # type: ignore[assignment]
    return graph.ran


def test_every_signature_is_run(tmp_path: Path) -> None:
    with load_tiny(write_tiny_bundle(tmp_path, prefill=(4, 16, 32))[1]) as engine:
        ran = recorded(engine)
        warm(Completer(engine, FILTER))
        # Those over shorter caches have a prefix; the graph chooses among them.
        chunks = {name for name in engine.manifest.signatures if not name.startswith("s")}
        assert set(ran) == chunks


@pytest.mark.parametrize("steps", STEPS)
def test_it_is_called_off_between_two_runs(engine: Engine, steps: int) -> None:
    ran = recorded(engine)
    warm(Completer(engine, FILTER), After(steps))
    assert len(ran) <= steps


def test_a_text_of_its_own_is_forgotten_too(engine: Engine) -> None:
    model = SharedModel.of(engine)
    assert model is not None
    mine, other = model.text(), model.text()
    warm(Completer(mine, FILTER))
    Completer(other, FILTER).suggest("The cat", Policy(confidence=0))
    assert mine.kept_bytes == 0


@pytest.mark.parametrize("kind", [BookModel, StreamModel])
def test_any_model_is_warmed_by_a_suggestion(tiny: Tokenizer, kind: type[BookModel]) -> None:
    model = kind(tiny, {"The cat sat.": 1.0})
    completer = Completer(model, FILTER)
    warm(completer)
    assert model.calls
    assert completer.remembered_bytes == 0
