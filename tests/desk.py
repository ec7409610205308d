"""The page as a writer has it before them, for tests in a browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


class Desk:
    """A page that is open, with its cursor in the text; every wait is for what the page shows."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        page.set_default_timeout(10_000)
        page.goto(address)
        page.wait_for_function("() => document.activeElement.id === 'text'")

    @property
    def text(self) -> str:
        value = self.page.locator("#text").input_value()
        assert isinstance(value, str)
        return value

    @property
    def mark(self) -> Locator:
        return self.page.locator("mark")

    def write(self, text: str) -> None:
        """Put text in at once: the page sees one change."""
        self.page.keyboard.insert_text(text)

    def type(self, text: str) -> None:
        """Put text in key by key."""
        self.page.keyboard.type(text)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def shows(self, ghost: str) -> None:
        """Wait until a suggestion, or none where it is empty, stands behind the cursor."""
        self.page.wait_for_function(
            "ghost => (over.hidden ? '' : over.querySelector('.ghost').textContent) === ghost",
            arg=ghost,
        )

    def says(self, text: str) -> None:
        """Wait until the line below the text says what a pattern matches."""
        self.page.locator("#status", has_text=re.compile(text)).wait_for()

    def notices(self, title: str) -> Locator:
        """Wait for a notice below the text; returns it."""
        notice = self.page.locator("#notice", has=self.page.get_by_role("heading", name=title))
        notice.wait_for()
        return notice

    def settings(self) -> None:
        """Open the settings."""
        self.page.click("#open-settings")

    def slide(self, label: str, value: float) -> None:
        """Set a slider of the settings."""
        self.page.get_by_label(label, exact=True).fill(str(value))

    def choose(self, value: str) -> None:
        """Press a radio button of the settings by its value."""
        self.page.locator(f"[type=radio][value={value}]").check(force=True)
