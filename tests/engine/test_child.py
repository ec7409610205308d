from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from foreword.engine.child import Child, default_memory_limit_bytes
from foreword.errors import ConversionError, PromptError

TESTS = Path(__file__).parents[1]
GB = 1_000_000_000


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


def start(limit: int = 4 * GB) -> Child:
    return Child("fake_child", "the model as a text graph", ConversionError, limit)


@pytest.fixture
def child() -> Iterator[Child]:
    child = start()
    yield child
    child.close()


def test_requests_are_answered_in_turn_by_one_process(child: Child) -> None:
    answers = [child.ask({"do": "echo", "text": text}) for text in ("a\nb", "오늘 🎉", "")]
    assert [answer["text"] for answer in answers] == ["a\nb", "오늘 🎉", ""]
    assert len({answer["pid"] for answer in answers}) == 1


def test_progress_is_reported_on_the_way(child: Child) -> None:
    said: list[tuple[str, int, int]] = []
    child.ask({"do": "echo", "text": ""}, lambda *stage: said.append(stage))
    assert said == [("load", 0, 1), ("load", 1, 1)]


def test_what_libraries_print_is_no_answer(child: Child) -> None:
    assert child.ask({"do": "print"}) == {}


def test_an_error_of_ours_keeps_its_kind_and_its_words(child: Child) -> None:
    with pytest.raises(PromptError, match=r"^expected this, found that$"):
        child.ask({"do": "refuse"})
    assert child.ask({"do": "echo", "text": "on"})["text"] == "on"


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("exit", r"ended with status 3; its last words: the last straw$"),
        ("crash", r"crashed \(SIGSEGV\)"),
        ("killed", r"was killed, probably by the system for want of memory"),
    ],
)
def test_whatever_ends_it_is_one_line(child: Child, what: str, says: str) -> None:
    with pytest.raises(ConversionError, match=says) as caught:
        child.ask({"do": what})
    assert str(caught.value).startswith("the model as a text graph: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 450
    with pytest.raises(ConversionError, match="open it anew"):
        child.ask({"do": "echo", "text": ""})


def test_an_error_of_a_library_is_one_line_that_ends_with_its_cause(child: Child) -> None:
    with pytest.raises(ConversionError, match=r"then the cause$") as caught:
        child.ask({"do": "fail"})
    assert str(caught.value).startswith("the model as a text graph: ValueError: …")
    assert len(str(caught.value)) < 450


def test_one_that_takes_too_much_memory_is_stopped() -> None:
    child = start(limit=200_000_000)
    pid = child.ask({"do": "echo", "text": ""})["pid"]
    with pytest.raises(ConversionError, match=r"more than the 0\.2 GB .*--memory-limit-gb"):
        child.ask({"do": "hoard", "size_bytes": 400_000_000})
    assert not Path(f"/proc/{pid}").exists()


def test_one_without_a_limit_is_left_alone_and_has_the_environment_it_was_given() -> None:
    child = Child("fake_child", "x", ConversionError, environment={"FAKE_CHILD_SAYS": "so"})
    assert child.ask({"do": "echo", "text": ""})["says"] == "so"
    child.close()


def test_closing_ends_it_and_may_be_repeated(child: Child) -> None:
    pid = child.ask({"do": "echo", "text": ""})["pid"]
    child.close()
    child.close()
    assert not Path(f"/proc/{pid}").exists()


def test_it_ends_with_its_parent() -> None:
    parent = (
        "from foreword.engine.child import Child\n"
        "from foreword.errors import EngineError\n"
        "child = Child('fake_child', 'x', EngineError, 10**10)\n"
        "print(child.ask({'do': 'echo', 'text': ''})['pid'], flush=True)\n"
        "import os; os._exit(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", parent], capture_output=True, text=True, check=True, timeout=60
    )
    pid = int(done.stdout)
    for _ in range(500):
        if not _runs(pid):
            return
        select.select([], [], [], 0.02)
    pytest.fail("the child outlived its parent")


def test_a_module_that_cannot_start_is_one_line() -> None:
    child = Child("no_such_module_here", "what", ConversionError, GB)
    with pytest.raises(ConversionError, match="No module named"):
        child.ask({})


def test_the_usual_limit_is_below_what_the_machine_has() -> None:
    assert 0 < default_memory_limit_bytes() < 2**60


def _runs(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be looked at does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
