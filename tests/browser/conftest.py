"""Chromium, and a site for it. Tests here say `pytestmark = pytest.mark.browser`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from browser_site import Site, serving
from desk import Desk
from page_server import Served, served_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

# No sandbox: CI runs as root. No traffic of Chromium's own.
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser, $FOREWORD_CHROMIUM or the system's."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("FOREWORD_CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.fail("tests in a browser need Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A profile of the test's own: no storage, no service worker of another test."""
    context = chromium.new_context()
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """An empty page; what it throws and nobody catches fails the test."""
    page = context.new_page()
    thrown: list[str] = []
    page.on("pageerror", lambda error: thrown.append(str(error)))
    yield page
    assert thrown == []


@pytest.fixture
def site() -> Iterator[Site]:
    """The page's files with the server's headers; see browser_site.Site for fakes."""
    with serving() as site:
        yield site


@pytest.fixture
def served() -> Iterator[Served]:
    """The server behind the page: here a stand-in, whose answers are scripted."""
    with served_page() as served:
        yield served


@pytest.fixture
def desk(page: Page, served: Served) -> Desk:
    """The page, open and ready to be written on."""
    return Desk(page, served.address)
