"""The page and the server that gives it, together: nothing here is a stand-in but the model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from book_model import BookModel, tiny_tokenizer
from browser_site import STATIC
from desk import Desk
from foreword.bundle.store import open_bundle
from foreword.export import export_browser
from foreword.server.guards import Access
from serving import Serving, opens, serving
from tiny import load_tiny, write_tiny_bundle

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

pytestmark = pytest.mark.browser

BOOK = {"Thank you very much for the letter.": 1.0, "감사합니다 여러분": 1.0}
KEY = "a long secret"


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> BookModel:
    return BookModel(tiny_tokenizer(tmp_path_factory.mktemp("tiny")), BOOK)


@pytest.fixture(scope="module")
def server(book: BookModel) -> Iterator[Serving]:
    with serving(opens(book)) as server:
        yield server


@pytest.fixture
def desk(page: Page, server: Serving) -> Desk:
    return Desk(page, server.url)


def test_a_suggestion_is_taken_word_by_word_and_whole(desk: Desk) -> None:
    desk.write("Thank you")
    desk.shows(" very much for the")
    desk.says(r"% sure · \d+ ms")
    desk.press("Control+ArrowRight")
    assert desk.text == "Thank you very"
    desk.shows(" much for the")
    desk.press("Tab")
    assert desk.text == "Thank you very much for the"
    desk.shows(" letter.")
    desk.press("Escape")
    desk.shows("")
    desk.press("Control+z", "Control+z")
    assert desk.text == "Thank you"


def test_a_word_begun_is_gone_on_with(desk: Desk) -> None:
    desk.write("Thank you very mu")
    desk.shows("ch for the letter")


def test_bad_language_is_told(desk: Desk) -> None:
    desk.write("a bitch of a thing")
    notice = desk.notices("Mind your language!")
    assert notice.is_visible()
    desk.shows("")


def test_the_length_is_the_server_s_too(desk: Desk) -> None:
    desk.settings()
    desk.slide("Length", 2)
    desk.page.keyboard.press("Escape")
    desk.page.locator("#text").focus()
    desk.write("Thank you")
    desk.shows(" very much")


def test_a_key_is_asked_for_and_kept(page: Page, book: BookModel) -> None:
    with serving(opens(book), access=Access(KEY)) as locked:
        page.goto(locked.url)
        key = page.locator("#notice input")
        key.fill(KEY)
        key.press("Enter")
        page.locator("#text").focus()
        page.keyboard.insert_text("Thank you")
        page.locator(".ghost", has_text="very much for the").wait_for()


def test_a_server_that_ends_is_told(page: Page, book: BookModel) -> None:
    with serving(opens(book)) as server:
        desk = Desk(page, server.url)
        desk.write("Thank you")
        desk.shows(" very much for the")
    desk.type(" all")
    page.locator("#notice").wait_for()
    assert desk.text == "Thank you all"


def test_on_the_device_nothing_written_reaches_the_server_nor_needs_it(
    page: Page, context: BrowserContext, tmp_path: Path
) -> None:
    if not (STATIC / "device" / "worker.js").is_file():
        pytest.fail("tests of the device need the built worker: run scripts/page")
    bundle = write_tiny_bundle(tmp_path)[1]
    made = export_browser(open_bundle(bundle), tmp_path / "browser").path
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    with serving(lambda: load_tiny(bundle), device={"first": lambda: made}) as server:
        desk = Desk(page, server.url)
        desk.settings()
        desk.choose("device")
        page.click("#device-download")
        page.locator("#device-note", has_text="Ready on this device").wait_for()
        page.wait_for_function("() => navigator.serviceWorker.controller?.state === 'activated'")
        page.keyboard.press("Escape")
        page.locator("#text").focus()
        asked.clear()
        desk.type("the cat sat")
        desk.says(r"\d ms")
        assert not [line for line in asked if "/v1/" in line or line.startswith("POST")]
    context.set_offline(True)
    page.reload()
    page.wait_for_function("() => document.activeElement.id === 'text'")
    desk.type(" on the mat")
    desk.says(r"\d ms")
