"""Ctrl-C in every long step: status 130, one line, nothing half-written."""

from __future__ import annotations

import array
import contextlib
import fcntl
import json
import os
import signal
import socket
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

import foreword
from command import PROGRAM, Result, finish, start, tree
from tiny_gguf import write_tiny_gguf

INTERRUPTED = Result(130, "", "foreword: interrupted\n")

# A real signal at the first report of a stage, as if the stage took long.
AT_STAGE = """
import contextlib, signal
from foreword.cli import console, convert, models
@contextlib.contextmanager
def progress(quiet):
    def report(stage, done, total):
        if done > total // 2:
            signal.raise_signal(signal.SIGINT)
    yield report
convert.progress = models.progress = progress
"""


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def longer(metadata: dict[str, object], _: object) -> None:
        metadata["llama.context_length"] = 1 << 14

    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", mutate=longer).path


@pytest.fixture
def silent_index() -> Iterator[socket.socket]:
    """A package index that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server


@pytest.mark.parametrize("whole_group", [True, False], ids=["from-a-terminal", "alone"])
@pytest.mark.parametrize("command", [("pull",), ("complete", "text", "--quiet")], ids=" ".join)
def test_a_download(
    silent_index: socket.socket, tmp_path: Path, command: tuple[str, ...], whole_group: bool
) -> None:
    home = tmp_path / "home"
    port = silent_index.getsockname()[1]
    settings = {
        "FOREWORD_HOME": str(home),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": f"http://127.0.0.1:{port}/simple",
        "PIP_RETRIES": "0",
        "PIP_NO_INDEX": "",
        "PIP_FIND_LINKS": "",
        "NO_PROXY": "127.0.0.1",
    }
    process = start(*command, env=settings)
    connection, _ = silent_index.accept()
    with connection:
        if whole_group:
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGINT)
        assert finish(process) == INTERRUPTED
        # pip is gone as well: its end of the connection is closed.
        connection.settimeout(60)
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(4096):
                pass
    assert tree(home) == ["downloads", "downloads/.lock"]


def test_a_conversion(gguf: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "bundle"
    process = start(*("convert", gguf, "--context", "64", "-o", output), program=AT_STAGE + PROGRAM)
    assert finish(process) == INTERRUPTED
    assert tree(tmp_path) == []


def test_a_replacement_leaves_the_bundle_that_was_there(gguf: Path, tmp_path: Path) -> None:
    bundle = foreword.convert(gguf, tmp_path / "bundle", context=32)
    before = {path.name: path.read_bytes() for path in bundle.path.iterdir()}
    process = start(
        *("convert", gguf, "--context", "64", "-o", bundle.path, "--replace"),
        program=AT_STAGE + PROGRAM,
    )
    assert finish(process) == INTERRUPTED
    assert {path.name: path.read_bytes() for path in bundle.path.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_conversion_that_is_asked_to_end_leaves_nothing_either(
    gguf: Path, tmp_path: Path
) -> None:
    ended = AT_STAGE.replace("SIGINT", "SIGTERM") + PROGRAM
    command = ("convert", gguf, "--context", "64", "-o", tmp_path / "bundle")
    assert finish(start(*command, program=ended)).status == 128 + signal.SIGTERM
    assert tree(tmp_path) == []


def test_a_stream(gguf: Path, tmp_path: Path) -> None:
    bundle = foreword.convert(gguf, tmp_path / "bundle", context=1 << 14)
    manifest = bundle.path / "bundle.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"end_tokens": []}))
    process = start(
        *("complete", "the cat", "--max-new-tokens", "16000", "--threads", "1"),
        *("--model", bundle.path),
    )
    assert process.stdout is not None
    first = process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert (result.status, result.err) == (130, "foreword: interrupted\n")
    assert (first + result.out).endswith("\n")


def test_text_that_never_comes(gguf: Path, tmp_path: Path) -> None:
    bundle = foreword.convert(gguf, tmp_path / "bundle", context=32)
    reader, writer = os.pipe()
    process = start("complete", "-", "--model", bundle.path, stdin=reader)
    os.close(reader)
    # Reading has begun when what was written is gone from the pipe.
    os.write(writer, b"the")
    while unread(writer):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    result = finish(process)
    os.close(writer)
    assert result == INTERRUPTED


def unread(pipe: int) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]
