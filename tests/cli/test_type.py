"""`foreword type`, driven through a real terminal; and what it refuses."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

import foreword
from command import refusal, run
from foreword.completion.completer import Completer
from foreword.completion.suggestion import Policy
from terminal import ALT_BRACKET, CTRL_RIGHT, ENTER, ESC, TAB, Terminal, ctrl, pasted, terminal
from tiny import CONTEXT, PREFILL, load_tiny
from tune_models import write_bigram

TEXT = "the cat and the "
ALWAYS = ("--confidence", "0", "--alternatives", "3", "--threads", "1")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model whose continuations are not all the same."""
    directory = tmp_path_factory.mktemp("bigram")
    return foreword.convert(
        write_bigram(directory),
        directory / "bigram",
        recipe="float32",
        context=CONTEXT,
        prefill=PREFILL,
        check=False,
    ).path


@pytest.fixture(scope="module")
def suggested(bundle: Path) -> list[str]:
    """What may follow the text, the likeliest first."""
    engine = load_tiny(bundle)
    answer = Completer(engine).suggest(TEXT, Policy(alternatives=3, confidence=0))
    engine.close()
    texts = [item.text for item in answer.items]
    assert len(texts) > 1
    return texts


def sees(opened: Terminal, text: str, ghost: str) -> None:
    """Wait until the first line is a text, the cursor, and a ghost."""
    opened.until(lambda: (opened.typed, opened.text) == (text, (text + ghost).rstrip()))


def test_a_suggestion_is_seen_accepted_and_saved(
    bundle: Path, suggested: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(b"\r\nbelow\r\n")
    with terminal("type", path, "--model", bundle, *ALWAYS) as opened:
        opened.until(lambda: opened.rows[1] == "below")
        opened.type("\x1b[A\x1b[A", pasted(TEXT))
        sees(opened, TEXT, suggested[0])
        opened.until(lambda: "sure" in opened.status)
        assert f"{bundle.name} | " in opened.status
        assert f"/{CONTEXT // 2}, " in opened.status
        assert "0;2m" + suggested[0][:3] in opened.raw  # dim

        typed = TEXT + suggested[0][:1]
        opened.type(suggested[0][:1])
        sees(opened, typed, suggested[0][1:])
        opened.says("typed through")

        word = TEXT + suggested[0].split(" ")[0]
        opened.type(CTRL_RIGHT)
        sees(opened, word, (TEXT + suggested[0]).removeprefix(word))
        opened.type(TAB)
        opened.until(lambda: opened.typed == TEXT + suggested[0])
        opened.type(ctrl("s"))
        opened.says("saved letter.txt")
        opened.type(ctrl("q"))
        assert opened.ends() == 0
    assert path.read_bytes().decode() == f"{TEXT}{suggested[0]}\r\nbelow\r\n"


def test_a_suggestion_is_changed_and_dismissed_and_a_name_is_asked_for(
    bundle: Path, suggested: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "new.txt"
    with terminal("type", "--model", bundle, *ALWAYS, NO_COLOR="1") as opened:
        opened.says("Tab all")
        opened.type(pasted(TEXT))
        sees(opened, TEXT, suggested[0])
        opened.type(ALT_BRACKET)
        opened.until(lambda: opened.text not in (TEXT.rstrip(), TEXT + suggested[0]))
        other = opened.text.removeprefix(TEXT)
        assert other in suggested[1:]
        opened.type(ESC)
        sees(opened, TEXT, "")
        opened.type(ctrl("s"))
        opened.says("Save as:")
        opened.type(str(path), ENTER)
        opened.says("saved new.txt")
        opened.type("x", ctrl("c"))
        opened.says("Save the changes first?")
        opened.type("n")
        assert opened.ends() == 0
        assert not {"38;", "48;"} & {opened.raw[i : i + 3] for i in range(len(opened.raw))}
    assert path.read_text() == TEXT


def test_a_bad_word_is_answered_in_helpful_words(bundle: Path) -> None:
    with terminal("type", "--model", bundle, *ALWAYS) as opened:
        opened.says("Tab all")
        opened.type("what a shit ")
        opened.says("mind your language")
        opened.type(ctrl("q"), "n")
        assert opened.ends() == 0


def test_more_context_than_the_model_holds_is_told_before_anything_is_typed(bundle: Path) -> None:
    with terminal("type", "--model", bundle, "--context-tokens", str(CONTEXT + 1)) as opened:
        opened.says(f"no suggestions: context_tokens: this model holds {CONTEXT}")
        opened.type(ctrl("q"))
        assert opened.ends() == 0


def test_a_damaged_model_leaves_an_editor(bundle: Path, tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(bundle, tmp_path / "damaged"))
    model = bytearray((damaged / "model.tflite").read_bytes())
    model[len(model) // 2] ^= 0xFF
    (damaged / "model.tflite").write_bytes(model)
    path = tmp_path / "letter.txt"
    with terminal("type", path, "--model", damaged, *ALWAYS) as opened:
        opened.says("no suggestions: ")
        opened.type("still here", ctrl("s"))
        opened.says("saved letter.txt")
        opened.type(ctrl("q"))
        assert opened.ends() == 0
        assert "Traceback" not in opened.raw
    assert path.read_text() == "still here"


def test_what_was_not_saved_is_rescued_when_the_editor_is_ended(
    bundle: Path, tmp_path: Path
) -> None:
    path, rescued = tmp_path / "letter.txt", tmp_path / "letter.txt.rescued"
    path.write_text("saved\n")
    rescued.write_text("of another day")
    with terminal("type", path, "--model", bundle, *ALWAYS) as opened:
        opened.says("Tab all")
        opened.type("lost")
        opened.until(lambda: opened.rows[1] == "lost")
        opened.end(signal.SIGHUP)
        opened.until(lambda: any("what was not saved is in" in row for row in opened.rows))
        assert opened.ends() == 128 + signal.SIGHUP
    assert path.read_text() == "saved\n"
    assert rescued.read_text() == "of another day"
    assert (tmp_path / "letter.txt.rescued1").read_text() == "saved\nlost"


def test_a_pipe_is_no_place_to_edit_in(bundle: Path) -> None:
    assert "expected a terminal" in refusal(run("type", "--model", bundle), 2)


@pytest.mark.parametrize(
    ("options", "said", "status"),
    [
        (("--safety", "lax"), "expected off, default, strict", 2),
        (("--max-words", "0"), "--max-words: expected 1", 2),
        (("--confidence", "2"), "--confidence: expected 0 to 1", 2),
        (("--threads", "0"), "--threads: expected", 2),
    ],
)
def test_options_out_of_range_are_refused(
    bundle: Path, options: tuple[str, ...], said: str, status: int
) -> None:
    assert said in refusal(run("type", "--model", bundle, *options), status)


@pytest.mark.parametrize(
    ("arguments", "said", "status"),
    [
        (("--model", "no-such-model"), "no-such-model", 1),
        (("/dev/null/letter.txt",), "could not be opened", 2),
        (("/",), "found a directory", 2),
    ],
)
def test_what_cannot_be_opened_is_told_before_the_screen_is_taken(
    arguments: tuple[str, ...], said: str, status: int
) -> None:
    with terminal("type", *arguments) as opened:
        opened.until(lambda: any(said in row for row in opened.rows))
        assert opened.ends() == status
        assert "\x1b[?1049h" not in opened.raw


def test_a_terminal_that_cannot_move_its_cursor_is_refused(bundle: Path) -> None:
    with terminal("type", "--model", bundle, TERM="dumb") as opened:
        opened.until(lambda: any("TERM=dumb" in row for row in opened.rows))
        assert opened.ends() == 2
