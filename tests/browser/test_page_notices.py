"""What stands in the way of a suggestion is said where the writer looks, and how to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from desk import Desk
from page_server import Served

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def test_bad_language_is_said_below_the_text_until_it_is_gone(desk: Desk) -> None:
    desk.write("It is so darn quiet")
    notice = desk.notices("Mind your language!")
    assert "Change it" in notice.inner_text()
    top, bottom = desk.page.evaluate(
        "[notice.getBoundingClientRect().top, text.getBoundingClientRect().bottom]"
    )
    assert 0 <= top - bottom < 50
    desk.press("Control+a")
    desk.write("Thank you")
    desk.shows(" very much for the")
    assert notice.is_hidden()


def test_bad_words_that_only_the_model_had_are_told_from_the_writers(desk: Desk) -> None:
    desk.write("The rude ")
    assert "came to mind" in desk.notices("Mind your language!").inner_text()


def test_a_notice_stays_in_sight_of_a_writer_in_the_middle_of_a_long_text(desk: Desk) -> None:
    desk.write("A line.\n" * 200)
    desk.press("Control+Home", "End")
    desk.write(" darn")
    desk.notices("Mind your language!")
    assert desk.page.evaluate("notice.getBoundingClientRect().bottom <= innerHeight")


def test_a_model_that_loads_is_waited_for(page: Page, served: Served) -> None:
    served.health = 503, {"error": {"message": "Loading model", "code": "loading"}}
    desk = Desk(page, served.address)
    notice = desk.notices("The model is loading")
    desk.write("Thank you")
    served.health = 200, {}
    desk.shows(" very much for the")
    assert notice.is_hidden()


def test_a_model_that_cannot_be_loaded_says_why_and_is_tried_again(
    page: Page, served: Served
) -> None:
    served.fail(503, "the bundle is broken: convert it anew", "failed")
    desk = Desk(page, served.address)
    notice = desk.notices("The model could not be loaded")
    assert "convert it anew" in notice.inner_text()
    desk.write("Thank you")
    assert served.requests == []
    served.failure = None
    notice.get_by_role("button", name="Try again").click()
    desk.shows(" very much for the")


def test_a_busy_server_is_left_alone_for_as_long_as_it_says(page: Page, served: Served) -> None:
    page.clock.install()
    desk = Desk(page, served.address)
    served.fail(429, "Too many requests", Retry_After="7")
    desk.write("Thank")
    notice = desk.notices("Many are writing just now")
    assert "7 s" in notice.inner_text()
    served.failure = None
    desk.write(" you")
    desk.shows("")
    assert served.requests == []
    page.clock.run_for(7100)
    desk.shows(" very much for the")
    assert served.texts[0] == "Thank you"
    assert notice.is_hidden()


def test_offline_the_text_stays_and_suggestions_come_back(desk: Desk) -> None:
    desk.page.context.set_offline(True)
    desk.write("Thank you")
    notice = desk.notices("The server does not answer")
    assert desk.text == "Thank you"
    desk.page.context.set_offline(False)
    desk.shows(" very much for the")
    assert notice.is_hidden()


def test_an_answer_that_breaks_off_is_as_good_as_none(desk: Desk, served: Served) -> None:
    def broken(_: object) -> dict[str, object]:
        raise ValueError

    whole, served.answer = served.answer, broken  # type: ignore[assignment]
    desk.write("Thank you")
    desk.notices("The server does not answer")
    served.answer = whole
    desk.page.get_by_role("button", name="Try again").click()
    desk.shows(" very much for the")


def test_a_key_is_asked_for_until_it_is_right_and_kept_for_the_tab(
    page: Page, served: Served
) -> None:
    served.api_key = "right"
    page.goto(served.address)
    field = page.get_by_label("API key")
    field.wait_for()
    page.wait_for_function("() => document.activeElement.id === 'key'")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    page.locator("#notice", has_text="not accepted").wait_for()
    field.fill("right")
    page.keyboard.press("Enter")
    field.wait_for(state="hidden")
    desk = Desk(page, served.address)
    desk.write("Thank you")
    desk.shows(" very much for the")
    assert "right" not in page.evaluate("JSON.stringify({...localStorage})")


def test_a_model_that_is_gone_leads_to_the_settings(desk: Desk, served: Served) -> None:
    served.fail(404, "there is no model 'other'", "model_not_found")
    desk.write("Thank you")
    desk.notices("There is no such model").get_by_role("button").click()
    assert desk.page.locator("#settings").is_visible()


def test_a_request_that_is_refused_shows_the_servers_words(desk: Desk, served: Served) -> None:
    served.fail(400, "context_tokens: this model holds 512, found 999")
    desk.write("Thank you")
    assert "this model holds 512" in desk.notices("No suggestion").inner_text()
    served.failure = None
    desk.write(" ")
    desk.shows("very much for the")
