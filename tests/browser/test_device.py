from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from browser_site import Site

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def test_a_page_with_the_servers_headers_is_isolated(page: Page, site: Site) -> None:
    site.routes["GET /"] = lambda _: (200, b"<!doctype html><title>t</title>", "text/html")
    page.goto(site.address)
    assert page.evaluate("crossOriginIsolated")
