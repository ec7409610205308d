"""A model in the browser: the same logits as in Python, kept between visits, and offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import foreword
from browser_site import STATIC, Site, serving
from foreword.bundle.store import open_bundle
from foreword.completion.completer import Completer
from foreword.completion.safety import load_filter
from foreword.completion.suggestion import Policy
from foreword.export import export_browser
from tiny import load_tiny, write_tiny_bundle

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

DONE = {"value": None}
TOKENS = [1 + i % 60 for i in range(29)]
# The worker's own messages, and what the page sees of them.
PAGE = b"<!doctype html><title>t</title><script type=module src=/test.js></script>"
SCRIPT = b"""
import { DeviceBackend, keepPage } from "/static/page/device.js";
globalThis.keepPage = keepPage;
globalThis.DeviceBackend = DeviceBackend;
globalThis.states = [];
globalThis.begin = async (model) => {
  globalThis.device ??= new DeviceBackend();
  states.length = 0;
  await device.start(model, (status) => states.push(status));
};
globalThis.outcome = (promise) => promise.then(
  (value) => ({ value }), ({ name, code, reason }) => ({ name, code, reason }));
"""

PARTS_OF_AN_ANSWER = (
    "model",
    "items",
    "refused",
    "context_tokens",
    "dropped_tokens",
    "computed_tokens",
    "latency_ms",
    "superseded",
)
# Put before the worker: a browser that refuses the small modules with which features are tried.
OLDER_BROWSER = b"""
const instantiate = WebAssembly.instantiate;
WebAssembly.instantiate = (module, ...rest) =>
  module.byteLength < 100 ? Promise.reject(new Error()) : instantiate(module, ...rest);
"""


@pytest.fixture(scope="session")
def built() -> None:
    if not (STATIC / "device" / "worker.js").is_file():
        pytest.fail("tests of the device need the built worker: run scripts/page")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("device")
    source = open_bundle(write_tiny_bundle(directory)[1])
    return export_browser(source, directory / "browser").path


@pytest.fixture
def site(site: Site, bundle: Path, built: None) -> Site:
    site.bundles["tiny"] = bundle
    site.routes["GET /"] = lambda _: (200, PAGE, "text/html")
    site.routes["GET /test.js"] = lambda _: (200, SCRIPT, "text/javascript")
    return site


@pytest.fixture
def page(page: Page, site: Site) -> Page:
    visit(page, site)
    return page


def visit(page: Page, site: Site) -> None:
    page.goto(site.address)
    page.wait_for_function("() => Boolean(globalThis.outcome)")


def start(page: Page, model: str = "tiny") -> Any:
    """Start a model; return how that ended, and the states that were told."""
    return page.evaluate("async (m) => [await outcome(begin(m)), states]", model)


def logits(page: Page, tokens: list[int]) -> np.ndarray:
    found = page.evaluate("async (ids) => [...(await device.logits(ids))]", tokens)
    return np.array(found, np.float32)


def expected(bundle: Path, tokens: list[int]) -> np.ndarray:
    with load_tiny(bundle) as engine:
        return np.array(engine.logits(tokens))


def test_a_model_gives_the_logits_that_it_gives_in_python(page: Page, bundle: Path) -> None:
    ended, states = start(page)
    assert ended == DONE
    assert [s["state"] for s in states if s["state"] != "checking"][-2:] == ["loading", "ready"]
    for tokens in (TOKENS, TOKENS[:9], [*TOKENS[:9], 50, 3], [*TOKENS, 9]):
        np.testing.assert_allclose(logits(page, tokens), expected(bundle, tokens), atol=1e-4)


@pytest.mark.parametrize(("isolated", "relaxed"), [(True, True), (False, True), (False, False)])
def test_every_build_of_the_runtime_agrees(
    page: Page, site: Site, bundle: Path, isolated: bool, relaxed: bool
) -> None:
    if not isolated:
        del site.headers["Cross-Origin-Opener-Policy"]
    if not relaxed:  # as in a browser that does not know relaxed SIMD
        script = OLDER_BROWSER + (STATIC / "device" / "worker.js").read_bytes()
        site.routes["GET /static/device/worker.js"] = lambda _: (200, script, "text/javascript")
    visit(page, site)
    assert page.evaluate("crossOriginIsolated") == isolated
    ended, states = start(page)
    assert ended == DONE
    assert (states[-1]["threads"] > 1) == isolated
    np.testing.assert_allclose(logits(page, TOKENS), expected(bundle, TOKENS), atol=1e-2)


def test_a_browser_that_can_is_told_from_one_that_lacks_something(page: Page, site: Site) -> None:
    support = "DeviceBackend.support()"
    found = page.evaluate(support)
    assert found["ok"]
    assert found["threads"] >= 1
    site.routes["GET /static/device/worker.js"] = lambda _: (404, b"", "text/plain")
    assert page.evaluate(support) == {"ok": False, "reason": "not-built"}
    page.evaluate("Object.defineProperty(globalThis, 'caches', {value: undefined})")
    assert page.evaluate(support) == {"ok": False, "reason": "storage"}
    page.evaluate("Object.defineProperty(globalThis, 'isSecureContext', {value: false})")
    assert page.evaluate(support) == {"ok": False, "reason": "insecure"}
    page.evaluate("WebAssembly.validate = () => false")
    assert page.evaluate(support) == {"ok": False, "reason": "wasm-simd"}


def test_a_call_is_called_off_while_it_runs(page: Page, bundle: Path) -> None:
    start(page)
    assert page.evaluate(
        """async (ids) => {
          const controller = new AbortController();
          const call = outcome(device.logits(ids, { signal: controller.signal }));
          controller.abort();
          const late = outcome(device.logits(ids, { signal: controller.signal }));
          return [(await call).name, (await late).name];
        }""",
        TOKENS,
    ) == ["AbortError", "AbortError"]
    np.testing.assert_allclose(logits(page, TOKENS), expected(bundle, TOKENS), atol=1e-4)


def test_a_prompt_the_model_cannot_take_leaves_it_well(page: Page, bundle: Path) -> None:
    start(page)
    for tokens in ([-1], [1] * 1000):
        assert page.evaluate("(ids) => outcome(device.logits(ids))", tokens)["reason"] == "prompt"
    np.testing.assert_allclose(logits(page, TOKENS), expected(bundle, TOKENS), atol=1e-4)


def test_an_interrupted_download_goes_on_at_the_next_start(
    page: Page, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("browser_site.PART_BYTES", 1 << 15)
    parts = -(-(site.bundles["tiny"] / "model.tflite").stat().st_size // (1 << 15))
    assert parts > 3
    find, model = site.find, "/device/tiny/model.tflite"
    asked = 0

    def find_twice(path: str) -> tuple[bytes, str] | None:
        nonlocal asked
        asked += path == model
        return None if path == model and asked > 2 else find(path)

    monkeypatch.setattr(site, "find", find_twice)
    ended, states = start(page)
    assert ended["reason"] == "model"
    assert states[-1] == {"state": "failed", "reason": "model"}
    (kept,) = page.evaluate("device.stored()")
    assert kept["size_bytes"] == 2 << 15
    assert not kept["complete"]

    monkeypatch.setattr(site, "find", find)
    site.requests.clear()
    assert start(page)[0] == DONE
    assert site.requests.count(f"GET {model}") == parts - 2


def test_a_model_is_kept_between_visits_until_it_is_removed(page: Page, site: Site) -> None:
    start(page)
    visit(page, site)
    site.requests.clear()
    assert start(page)[0] == DONE
    assert "GET /device/tiny/model.tflite" not in site.requests
    page.evaluate("device.remove('tiny')")
    assert page.evaluate("device.stored()") == []
    assert start(page)[0] == DONE
    assert "GET /device/tiny/model.tflite" in site.requests


def test_what_the_browser_spoilt_is_fetched_again(page: Page, site: Site, bundle: Path) -> None:
    start(page)
    page.evaluate(
        """async () => {
          const cache = await caches.open("foreword-models");
          for (const { url } of await cache.keys())
            if (url.includes("/parts/")) await cache.put(url, new Response("spoilt"));
        }"""
    )
    site.requests.clear()
    assert start(page)[0] == DONE
    assert "GET /device/tiny/model.tflite" in site.requests
    np.testing.assert_allclose(logits(page, TOKENS), expected(bundle, TOKENS), atol=1e-4)


def test_what_cannot_be_started_says_why(page: Page, site: Site) -> None:
    assert start(page, "other")[0]["reason"] == "model"
    site.json("GET /device/tiny/device.json", {"error": {"message": "key"}}, 401)
    assert start(page)[0]["code"] == "api_key"
    site.json("GET /device/tiny/device.json", {"model": "tiny"})
    assert start(page)[0] == {"name": "BackendError", "code": "device", "reason": "damaged"}
    site.routes["GET /static/device/worker.js"] = lambda _: (404, b"", "text/plain")
    assert start(page)[0]["reason"] == "not-built"


def test_the_worker_reaches_no_other_site(page: Page, site: Site) -> None:
    probe = b"""
    self.onmessage = async ({ data }) => {
      const tried = (does) => does().then(() => "reached", (error) => error.name);
      self.postMessage([
        await tried(() => fetch(data, { mode: "no-cors" })),
        await tried(async () => importScripts(data + "/x.js")),
        await tried(async () => new Function("1")()),
        await tried(() => fetch("/static/device/NOTICES.txt")),
      ]);
    };"""
    site.routes["GET /static/device/probe.js"] = lambda _: (200, probe, "text/javascript")
    with serving() as other:
        tried = page.evaluate(
            """(address) => new Promise((resolve) => {
              const worker = new Worker("/static/device/probe.js");
              worker.onmessage = ({ data }) => resolve(data);
              worker.postMessage(address);
            })""",
            other.address,
        )
        assert tried == ["TypeError", "NetworkError", "EvalError", "reached"]
        assert other.requests == []


def suggest(page: Page, request: dict[str, object]) -> Any:
    """Ask for a suggestion; return how that ended, and what was told of its growth."""
    return page.evaluate(
        """async (request) => {
          const told = [];
          const ended = await outcome(device.suggest(request, { onWords: (w) => told.push(w) }));
          return [ended, told];
        }""",
        request,
    )


def test_a_suggestion_has_what_the_servers_has(page: Page, bundle: Path) -> None:
    start(page)
    ended, told = suggest(page, {"text": "the cat", "confidence": 0, "max_words": 3})
    answer = ended["value"]
    assert set(answer) == {*PARTS_OF_AN_ANSWER}
    assert (answer["model"], answer["superseded"], answer["refused"]) == ("tiny", False, None)
    with load_tiny(bundle) as engine:
        ours = Completer(engine, load_filter("default")).suggest(
            "the cat", Policy(confidence=0, max_words=3)
        )
    assert answer["context_tokens"] == ours.context_tokens
    assert bool(answer["items"]) == bool(ours.items)
    for item, our in zip(answer["items"], ours.items, strict=True):
        assert item["logprob"] == pytest.approx(our.logprob, abs=1e-3)
        assert item["text"].startswith(told[-1])


def test_bad_language_is_refused_on_the_device(page: Page, site: Site) -> None:
    start(page)
    assert suggest(page, {"text": "what a shit "})[0]["value"]["refused"] == "input"


def test_a_request_that_can_never_work_ends_no_model(page: Page, site: Site) -> None:
    start(page)
    assert suggest(page, {"text": "the", "max_words": 0})[0]["code"] == "trouble"
    assert "value" in suggest(page, {"text": "the"})[0]


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.timeout(900)
def test_the_default_model_agrees_with_python(
    page: Page, site: Site, default_gguf: Path, tmp_path: Path
) -> None:
    source = foreword.convert(default_gguf, tmp_path / "int8", check=False)
    made = export_browser(source, tmp_path / "browser").path
    site.bundles["SmolLM2"] = made
    assert start(page, "SmolLM2")[0] == DONE
    with foreword.load(made) as engine:
        ours = Completer(engine, load_filter("default")).suggest("Thank you very much for your")
        (answer, _) = suggest(page, {"text": "Thank you very much for your", "confidence": 0})
        assert answer["value"]["items"]
        assert answer["value"]["context_tokens"] == ours.context_tokens
        for text in ("The quick brown fox jumps over the", "Dear Sir, I am writing to ask " * 6):
            tokens = engine.encode(text)
            found = engine.logits(tokens), logits(page, tokens)
            ours, theirs = (log_softmax(np.array(scores)) for scores in found)
            # Builds round in their own ways; float32 is about as far from either (0.01 to 0.1).
            assert np.sum(np.exp(ours) * (ours - theirs)) < 0.15
            assert np.argmax(theirs) in np.argsort(-ours)[:2]


def log_softmax(scores: np.ndarray) -> np.ndarray:
    shifted = scores.astype(np.float64) - scores.max()
    return shifted - np.log(np.exp(shifted).sum())
