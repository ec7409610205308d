"""`foreword serve`: that it starts, tells where it is, and ends; and what it refuses."""

from __future__ import annotations

import re
import shutil
import signal
import socket
from pathlib import Path

import httpx
import pytest

from command import finish, refusal, run, start
from tiny import write_tiny_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("tiny"))[1]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_asked_to_end(bundle: Path, stop: signal.Signals) -> None:
    process = start("serve", "--port", "0", "--model", bundle)
    assert process.stderr is not None
    told = process.stderr.readline()
    address = re.search(r"http://127\.0\.0\.1:\d+", told)
    assert address is not None, told
    assert process.stderr.readline() == f"foreword: {bundle.name} is loaded\n"
    with httpx.Client(base_url=address[0], trust_env=False) as client:
        assert client.post("/v1/suggest", json={"text": "secret"}).status_code == 200
        assert client.get("/").status_code == 200
    process.send_signal(stop)
    result = finish(process)
    assert result.status == 128 + stop
    assert "POST /v1/suggest 200" in result.err
    assert "secret" not in result.err
    assert "Traceback" not in result.err


def test_a_model_that_does_not_load_ends_it_with_one_line(bundle: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(bundle, tmp_path / "broken")
    model = broken / "model.tflite"
    model.write_bytes(bytes(model.stat().st_size))
    result = finish(start("serve", "--port", "0", "--quiet", "--model", broken))
    assert "the bundle is damaged, convert the model again" in refusal(result)


def test_a_port_that_is_taken_is_one_line(bundle: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refusal(run("serve", "--port", str(port), "--model", bundle), 2)
    assert said.startswith(f"--port: 127.0.0.1:{port} cannot be had")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--host", "0.0.0.0"), "--host: '0.0.0.0' is open to other machines"),
        (("--host", "::"), "--host: '::' is open to other machines"),
        (("--host", "example.org"), "--host: 'example.org' is open to other machines"),
        (("--host", "nowhere.invalid", "--insecure"), "--host: 'nowhere.invalid' is no address"),
        (("--api-key", "short"), "--api-key: expected 8 characters"),
        (("--api-key", "ünsicherer Schlüssel"), "--api-key: expected letters"),
        (("--safety", "none"), "safety level: expected off"),
        (("--allow-origin", "example.org"), "--allow-origin: expected a site"),
        (("--confidence", "2"), "--confidence: expected 0 to 1"),
        (("--threads", "0"), "--threads: expected"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    bundle: Path, options: tuple[str, ...], says: str
) -> None:
    result = run("serve", "--port", "0", "--model", bundle, *options)
    assert refusal(result, 2).startswith(says)


def test_two_models_of_one_name_are_refused(bundle: Path) -> None:
    said = refusal(run("serve", "--port", "0", "--model", bundle, "--model", bundle), 2)
    assert said.startswith("--model: two are named")
