"""No violations that axe knows of, in every look; keyboard order and quiet motion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from desk import Desk
from page_server import Served

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"
DESKTOP, PHONE = (1280, 800), (390, 760)
# Best practices too, and targets large enough for a thumb.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "ko"])
def test_axe_finds_nothing(
    chromium: Browser,
    served: Served,
    size: tuple[int, int],
    scheme: Literal["light", "dark"],
    language: str,
) -> None:
    context = chromium.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        locale=language,
        has_touch=size is PHONE,
    )
    desk = Desk(context.new_page(), served.address)
    assert violations(desk) == [], "an empty page"
    desk.write("Thank you")
    desk.shows(" very much for the")
    assert violations(desk) == [], "a suggestion"
    desk.press("Tab")
    desk.write(" darn")
    desk.page.locator("#notice").wait_for()
    assert violations(desk) == [], "a refusal, and a mark"
    served.api_key = "right"
    desk.write(" ")
    desk.page.locator("#key").wait_for()
    assert violations(desk) == [], "a question for the key"
    desk.settings()
    assert violations(desk) == [], "the settings"
    context.close()


def violations(desk: Desk) -> list[str]:
    """What axe finds, one line each."""
    if not AXE.exists():
        pytest.fail("these tests need axe-core: run scripts/page first")
    desk.page.evaluate(AXE.read_text())
    # A colour on its way to another is neither.
    desk.page.evaluate(
        """() => Promise.all(document.getAnimations()
          .filter((one) => one instanceof CSSTransition)
          .map((one) => one.finished.catch(() => {})))"""
    )
    found = desk.page.evaluate("rules => axe.run({ runOnly: rules })", RULES)
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


def test_the_keyboard_goes_through_the_page_in_the_order_of_reading(desk: Desk) -> None:
    desk.write("Thank you")
    desk.shows(" very much for the")
    desk.page.locator("header button").first.focus()
    order = []
    for _ in range(10):
        order.append(
            desk.page.evaluate(
                "document.activeElement.id || document.activeElement.dataset.do || ''"
            )
        )
        if order[-1] == "text":
            desk.press("Escape")
            desk.page.evaluate(
                "document.querySelectorAll('[data-do]').forEach(b => b.disabled = 0)"
            )
        desk.press("Tab")
    tools = ["undo", "redo", "copy", "clear", "open-settings"]
    assert order == [*tools, "text", "accept", "word", "next", "dismiss"]


def test_reduced_motion_leaves_nothing_that_moves(chromium: Browser, served: Served) -> None:
    context = chromium.new_context(reduced_motion="reduce")
    desk = Desk(context.new_page(), served.address)
    desk.write("Thank you")
    desk.shows(" very much for the")
    desk.press("Tab")
    timing = "getComputedStyle(document.querySelector('mark')).animationTimingFunction"
    assert desk.page.evaluate(timing) == "steps(1)"
    context.close()


def test_a_phone_has_targets_of_a_thumb_s_size_above_the_keyboard(
    chromium: Browser, served: Served
) -> None:
    context = chromium.new_context(
        viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True
    )
    desk = Desk(context.new_page(), served.address)
    desk.write("Thank you")
    desk.shows(" very much for the")
    for button in desk.page.locator("header button, .actions button").all():
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
    desk.page.tap("[data-do=accept]")
    assert desk.text == "Thank you very much for the"
    assert desk.page.evaluate("document.activeElement.id") == "text"
    # What a keyboard leaves of the page is what the page fits into.
    desk.page.set_viewport_size({"width": 360, "height": 320})
    assert desk.page.evaluate(
        "document.querySelector('footer').getBoundingClientRect().bottom"
    ) <= (320)
    context.close()
