"""Takes pictures of the page: `python scripts/page_pictures.py [ADDRESS] [-o DIRECTORY]`.

Without an address there is one for each look, of the tests' stand-in for the server; with the
address of a server that runs the default model there is the README's: `-o docs/images`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

LETTER = (
    "Dear Anna,\n\nThe rain stopped this morning, and for the first time in a week we could "
    "sit outside. The garden smells of wet earth and of the roses you planted in March. "
    "You would like it here. "
)
KOREAN = (
    "안나에게,\n\n아침에 비가 그쳐서 한 주 만에 밖에 앉을 수 있었어요. "
    "정원에서는 젖은 흙과 장미 냄새가 나요. "
)
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 760}
README = {"width": 1100, "height": 520}


def main() -> None:
    """Write one picture for each look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", nargs="?")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "build" / "pictures")
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    path = os.environ.get("FOREWORD_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        if chosen.address:
            _picture(
                browser, chosen.address, chosen.output / "page.png", _at_work, size=README, scale=1
            )
        else:
            _all(browser, chosen.output)
        browser.close()


def _all(browser: Browser, output: Path) -> None:
    from page_server import served_page

    def take(name: str, *steps: Callable[[Page], None], **options: object) -> None:
        def pose(page: Page) -> None:
            for step in steps:
                step(page)

        _picture(browser, served.address, output / f"{name}.png", pose, **options)  # type: ignore[arg-type]

    with served_page() as served:
        take("page", _writing, scale=1)
        take("dark", _writing, dark=True)
        take("settings", _writing, _settings)
        take("settings-dark", _writing, _settings, dark=True)
        take("phone", _writing, size=PHONE)
        take("phone-settings", _writing, _settings, size=PHONE)
        take("korean", _korean, _settings, language="ko")
        take("empty", lambda page: None)
        take("refused", _rude)
        take("refused-phone", _rude, size=PHONE, dark=True)
        take("between", _between)
        served.api_key = "secret"
        take("key", lambda page: page.wait_for_selector("#notice") and None)
        served.api_key = None
        served.health = 503, {"error": {"message": "Loading model", "code": "loading"}}
        take("loading", lambda page: page.wait_for_selector("#notice") and None)
        served.health = 200, {}
        served.fail(503, "tiny-model: expected 3 files, found 2: convert it anew", "failed")
        take("failed", lambda page: page.wait_for_selector("#notice") and None)
        take("failed-phone", lambda page: page.wait_for_selector("#notice") and None, size=PHONE)


def _picture(
    browser: Browser,
    address: str,
    file: Path,
    pose: Callable[[Page], None],
    *,
    size: dict[str, int] = DESKTOP,
    dark: bool = False,
    language: str = "en",
    scale: int = 2,
) -> None:
    with nullcontext(
        browser.new_context(
            viewport=size,  # type: ignore[arg-type]
            color_scheme="dark" if dark else "light",
            locale=language,
            device_scale_factor=scale,
            has_touch=size is PHONE,
            reduced_motion="reduce",
        )
    ) as context:
        page = context.new_page()
        page.goto(address)
        page.locator("#text").wait_for()
        pose(page)
        page.screenshot(path=file, animations="allow", caret="initial")
        context.close()


def _writing(page: Page) -> None:
    page.keyboard.insert_text(LETTER)
    page.keyboard.type("I'm enjoying a")
    page.locator(".ghost", has_text="cup of coffee with").wait_for()
    page.keyboard.press("Control+ArrowRight")
    page.locator("#status", has_text="ms").wait_for()


def _at_work(page: Page) -> None:
    """Write with a model of which only this is known: it goes on from here."""
    choices = '{"confidence": 0.3, "accepted": "stay"}'
    page.evaluate("choices => localStorage.setItem('foreword', choices)", choices)
    page.reload()
    page.keyboard.insert_text(LETTER.rpartition("The garden")[0])
    for words, key in (("Please come and vis", "Tab"), (" us. I can't wait to see", None)):
        page.keyboard.type(words)
        page.locator("[data-do=accept]:enabled").wait_for()
        page.locator("#status", has_text="ms").wait_for()
        if key:
            page.keyboard.press(key)


def _settings(page: Page) -> None:
    page.click("#open-settings")


def _korean(page: Page) -> None:
    page.keyboard.insert_text(KOREAN)
    page.keyboard.type("안녕하세요")
    page.locator("[data-do=accept]:enabled").wait_for()


def _rude(page: Page) -> None:
    page.keyboard.insert_text(LETTER)
    page.keyboard.type("It is so darn quiet")
    page.locator("#notice").wait_for()


def _between(page: Page) -> None:
    page.keyboard.insert_text(LETTER + "This is one more sentence for width. I'm enjoying")
    page.keyboard.insert_text("\nThe next line follows at once, as in a poem.")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("End")
    page.keyboard.type(" a")
    page.locator("[data-do=accept]:enabled").wait_for()


if __name__ == "__main__":
    main()
