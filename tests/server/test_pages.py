"""The page's files, and a model's for the browser."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from foreword.errors import BundleError
from serving import Serving, serving
from tiny import load_tiny


@pytest.fixture(scope="module")
def with_device(tiny_bundle: Path) -> Iterator[Serving]:
    with serving(lambda: load_tiny(tiny_bundle), device={"first": lambda: tiny_bundle}) as running:
        yield running


def test_every_listed_file_is_served_as_it_is_listed(client: httpx.Client) -> None:
    listed = client.get("/static/files.json").json()
    assert {"index.html", "text/lexicon.json"} <= set(listed)
    for name, digest in listed.items():
        answer = client.get(f"/static/{name}")
        assert answer.status_code == 200, name
        assert hashlib.sha256(answer.content).hexdigest() == digest, name


def test_a_page_asks_whether_it_is_still_the_same(client: httpx.Client) -> None:
    first = client.get("/")
    assert first.headers["cache-control"] == "no-cache"
    again = client.get("/", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code in (200, 304)


def test_a_browser_gets_the_bundle_in_parts_it_can_check(
    with_device: Serving, tiny_bundle: Path
) -> None:
    with with_device.client() as client:
        (card,) = client.get("/v1/models").json()["data"]
        assert card["device"] is True
        described = client.get(f"/device/{card['id']}/device.json").json()
        assert described["shape"]["layers"] > 0
        for file in described["files"]:
            data = client.get(f"/device/first/{file['name']}").content
            assert len(data) == file["size_bytes"]
            assert hashlib.sha256(data).hexdigest() == file["sha256"]
        model = next(file for file in described["files"] if file["name"] == "model.tflite")
        size = model["parts"]["size_bytes"]
        digests = model["parts"]["sha256"]
        data = (tiny_bundle / "model.tflite").read_bytes()
        parts = [data[at : at + size] for at in range(0, len(data), size)]
        assert [hashlib.sha256(part).hexdigest() for part in parts] == digests


def test_a_part_can_be_fetched_alone(with_device: Serving, tiny_bundle: Path) -> None:
    with with_device.client() as client:
        answer = client.get("/device/first/model.tflite", headers={"range": "bytes=100-199"})
    assert answer.status_code == 206
    assert answer.content == (tiny_bundle / "model.tflite").read_bytes()[100:200]


@pytest.mark.parametrize(
    "path",
    ["/device/first/bundle.exe", "/device/second/device.json", "/device/first/..%2fbundle.json"],
)
def test_nothing_else_of_a_model_is_there(with_device: Serving, path: str) -> None:
    with with_device.client() as client:
        assert client.get(path).status_code == 404


def test_a_bundle_that_cannot_be_made_says_why(tiny_bundle: Path) -> None:
    def broken() -> Path:
        raise BundleError("no room on the disk: free some")

    device = {"first": broken}
    with serving(lambda: load_tiny(tiny_bundle), device=device) as server, server.client() as c:
        answer = c.get("/device/first/device.json")
    assert answer.status_code == 503
    assert "free some" in answer.json()["error"]["message"]
