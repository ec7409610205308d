"""What the writer chooses is asked for at once, kept, and said in their language."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from browser_site import Site
from desk import Desk
from page_server import MODEL, Served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


def asked(desk: Desk, served: Served, **fields: object) -> None:
    """Wait until the newest request has these fields."""
    before = len(served.requests)
    desk.write("!")
    desk.says("not sure enough")
    newest = served.requests[before:][-1]
    assert {name: newest[name] for name in fields} == fields


def test_the_sliders_change_what_is_asked(desk: Desk, served: Served) -> None:
    asked(desk, served, context_tokens=None, context_words=None, max_words=4, temperature=0)
    desk.settings()
    assert desk.page.locator("#context-value").inner_text() == "256 tokens"
    desk.slide("Looks back", 128)
    desk.slide("Length", 9)
    desk.slide("Temperature", 0.7)
    desk.slide("Shown when", 0.2)
    desk.page.focus("#text")
    fields = {"context_tokens": 128, "max_words": 9, "temperature": 0.7, "confidence": 0.2}
    asked(desk, served, **fields, context_words=None)


def test_the_window_can_be_counted_in_words(desk: Desk, served: Served) -> None:
    desk.settings()
    desk.choose("words")
    slider = desk.page.get_by_label("Looks back")
    assert (slider.get_attribute("min"), slider.get_attribute("max")) == ("5", "50")
    desk.slide("Looks back", 40)
    assert slider.get_attribute("aria-valuetext") == "40 words"
    desk.page.focus("#text")
    asked(desk, served, context_tokens=None, context_words=40)
    desk.page.get_by_role("button", name="Back to the defaults").click()
    desk.page.focus("#text")
    asked(desk, served, context_tokens=None, context_words=None)


def test_a_changed_setting_shows_in_the_suggestion_at_once(desk: Desk) -> None:
    desk.write("Thank you")
    desk.shows(" very much for the")
    desk.settings()
    desk.slide("Length", 2)
    desk.shows(" very much")


def test_choices_are_kept(desk: Desk) -> None:
    desk.settings()
    desk.choose("dark")
    desk.slide("Length", 7)
    desk.page.reload()
    assert desk.page.evaluate("document.documentElement.dataset.theme") == "dark"
    desk.settings()
    assert desk.page.locator("#max_words-value").inner_text() == "up to 7 words"


def test_nonsense_in_storage_is_as_good_as_nothing(desk: Desk) -> None:
    for stored in ("no json", "[]", "null", '{"max_words": "x", "theme": 3, "place": "moon"}'):
        desk.page.evaluate("stored => localStorage.setItem('foreword', stored)", stored)
        desk.page.reload()
        desk.settings()
        assert desk.page.locator("#max_words-value").inner_text() == "up to 4 words"


def test_settings_open_and_close_by_keyboard(desk: Desk) -> None:
    desk.page.focus("#open-settings")
    desk.press("Enter")
    assert desk.page.evaluate("document.activeElement.id") == "settings-title"
    desk.press("Tab", "Tab", "ArrowRight")
    assert desk.page.locator("#context-value").inner_text() == "272 tokens"
    desk.press("Escape")
    assert desk.page.locator("#settings").is_hidden()
    assert desk.page.evaluate("document.activeElement.id") == "open-settings"


def test_a_korean_reader_is_met_in_korean(chromium: Browser, served: Served) -> None:
    context = chromium.new_context(locale="ko-KR")
    desk = Desk(context.new_page(), served.address)
    assert desk.page.evaluate("document.documentElement.lang") == "ko"
    desk.write("darn")
    desk.notices("고운 말을 써 주세요!")
    desk.settings()
    desk.page.get_by_label("언어").select_option("en")
    desk.notices("Mind your language!")
    desk.page.reload()
    assert desk.page.evaluate("document.documentElement.lang") == "en"
    context.close()


def test_suggestions_are_read_out_unless_switched_off(desk: Desk) -> None:
    desk.write("Thank you")
    said = desk.page.locator("#said", has_text="Suggestion: very much for the")
    said.wait_for(state="attached")
    desk.press("Tab")
    desk.page.locator("#said", has_text="flowers.").wait_for(state="attached")
    desk.settings()
    desk.page.uncheck("[name=announce]")
    desk.page.focus("#text")
    desk.press("Control+z")
    desk.shows(" very much for the")
    assert desk.page.locator("#said").text_content() == ""


def test_marks_can_be_kept_or_left_out(desk: Desk) -> None:
    desk.settings()
    desk.choose("off")
    desk.page.focus("#text")
    desk.write("Thank you")
    desk.shows(" very much for the")
    desk.press("Tab")
    assert desk.mark.count() == 0
    desk.shows(" flowers.")
    desk.choose("stay")
    desk.page.focus("#text")
    desk.press("Tab")
    assert desk.mark.all_text_contents() == ["flowers."]
    assert desk.page.evaluate("getComputedStyle(document.querySelector('mark')).animationName") == (
        "none"
    )


def test_another_model_can_be_chosen(page: Page, served: Served) -> None:
    served.models = [dict(MODEL), {**MODEL, "id": "other", "context": 1024}]
    desk = Desk(page, served.address)
    desk.settings()
    desk.page.get_by_label("Model").select_option("other")
    assert desk.page.locator("#context-value").inner_text() == "512 tokens"
    desk.page.focus("#text")
    asked(desk, served, model="other")


def test_where_the_device_s_files_are_missing_it_says_so_and_stays(
    desk: Desk, served: Served
) -> None:
    desk.page.route("**/static/device/worker.js", lambda route: route.fulfill(status=404))
    desk.settings()
    desk.choose("device")
    desk.page.locator("#device-note", has_text="without the files for it").wait_for()
    assert desk.page.locator("[name=place][value=server]").is_checked()
    desk.page.focus("#text")
    desk.write("Thank you")
    desk.shows(" very much for the")


def test_who_has_chosen_the_device_sends_nothing_to_the_server(page: Page, site: Site) -> None:
    site.json("GET /v1/models", {"object": "list", "data": [{**MODEL, "device": True}]})
    site.json("GET /health", {})
    site.routes["GET /static/device/worker.js"] = lambda _: (200, WORKER, "text/javascript")
    parts = [{"name": "model.tflite", "size_bytes": 140_000_000}]
    site.json("GET /device/tiny-model/device.json", {"files": parts})
    desk = Desk(page, site.address)
    desk.settings()
    desk.choose("device")
    desk.notices("The model is not on this device yet")
    desk.write("Thank you")
    page.reload()
    desk.notices("The model is not on this device yet")
    desk.settings()
    page.get_by_role("button", name="Download 140 MB").click()
    page.locator("#device-note", has_text="Fetching: 35 of 140 MB").wait_for()
    desk.notices("Getting ready")
    assert page.locator("#device-progress").get_attribute("value") == "0.25"
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Download 140 MB").wait_for()
    assert "POST /v1/suggest" not in site.requests
    desk.notices("The model is not").get_by_role("button", name="Run on the server").click()
    desk.notices("There is no such model")
    assert "POST /v1/suggest" in site.requests


WORKER = b"""
onmessage = ({ data }) => {
  if (data.type === "stored") postMessage({ id: data.id, result: [] });
  if (data.type === "start") {
    const status = { state: "downloading", done_bytes: 35e6, total_bytes: 140e6 };
    postMessage({ id: data.id, status });
  }
};
"""
"""A worker whose download never ends."""
