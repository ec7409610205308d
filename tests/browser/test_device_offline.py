"""The page without its server, and the page of a server that has changed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from browser_site import STATIC, Site
from foreword.bundle.store import open_bundle
from foreword.export import export_browser
from tiny import write_tiny_bundle

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

pytestmark = pytest.mark.browser

INDEX = '<!doctype html><title>{}</title><script type="module" src="/static/test.js"></script>'
SCRIPT = """
import { DeviceBackend, keepPage } from "/static/page/device.js";
import { version } from "/static/version.js";
const device = new DeviceBackend();
Object.assign(globalThis, { DeviceBackend, device, version, keepPage });
"""
CONTROLLED = """
() => navigator.serviceWorker.controller?.state === "activated"
"""


@pytest.fixture
def site(site: Site, tmp_path: Path) -> Site:
    """A page of three small files around what there is of the device."""
    if not (STATIC / "device" / "worker.js").is_file():
        pytest.fail("tests of the device need the built worker: run scripts/page")
    static = tmp_path / "static"
    shutil.copytree(STATIC, static)
    (static / "manifest.webmanifest").write_text("{}")
    (static / "test.js").write_text(SCRIPT)
    site.static = static
    publish(site, 1)
    source = open_bundle(write_tiny_bundle(tmp_path)[1])
    site.bundles["tiny"] = export_browser(source, tmp_path / "browser").path
    return site


def publish(site: Site, version: int) -> None:
    (site.static / "index.html").write_text(INDEX.format(version))
    (site.static / "version.js").write_text(f"export const version = {version};")


def visit(page: Page, site: Site) -> None:
    page.goto(site.address)
    page.wait_for_function("() => Boolean(globalThis.device)")


def keep(page: Page, site: Site) -> None:
    """Visit, and wait until the page is kept."""
    visit(page, site)
    page.evaluate("keepPage()")
    page.wait_for_function(CONTROLLED)


def kept(page: Page) -> list[str]:
    return sorted(
        page.evaluate(
            """async () => {
              const [name] = (await caches.keys()).filter((n) => n.startsWith("foreword-page-"));
              const requests = await (await caches.open(name)).keys();
              return requests.map(({ url }) => new URL(url).pathname);
            }"""
        )
    )


def test_the_page_opens_and_the_model_runs_without_the_server(
    page: Page, context: BrowserContext, site: Site
) -> None:
    keep(page, site)
    page.evaluate("device.start('tiny')")
    before = page.evaluate("async () => [...(await device.logits([1, 2, 3]))]")
    page.wait_for_function(  # kept as it was used, behind the answer
        """async () => (await caches.match("/static/device/worker.js"))
             && (await caches.match("/static/device/litert_wasm_threaded_internal.wasm"))"""
    )

    site.down = True
    visit(page, site)
    assert page.evaluate("crossOriginIsolated")
    assert page.evaluate("DeviceBackend.support()")["ok"]
    assert [m["id"] for m in page.evaluate("device.models()")] == ["tiny"]
    page.evaluate("device.start('tiny')")
    assert page.evaluate("async () => [...(await device.logits([1, 2, 3]))]") == before


def test_all_of_the_page_is_kept_but_what_only_a_model_needs(page: Page, site: Site) -> None:
    keep(page, site)
    names = set(site.files()) - {"sw.js", "index.html", "manifest.webmanifest"}
    small = {f"/static/{name}" for name in names if not name.startswith("device/")}
    assert set(kept(page)) == small | {"/", "/manifest.webmanifest", "/static/files.json"}


def test_a_page_is_never_older_than_its_server(page: Page, site: Site) -> None:
    keep(page, site)
    publish(site, 2)
    visit(page, site)
    assert (page.title(), page.evaluate("version")) == ("2", 2)
    page.wait_for_function(
        "async () => (await (await caches.match('/')).text()).includes('<title>2<')"
    )
    site.down = True
    visit(page, site)
    assert (page.title(), page.evaluate("version")) == ("2", 2)


def test_a_page_that_changes_while_it_is_kept_is_not_kept_in_part(page: Page, site: Site) -> None:
    keep(page, site)
    files = site.files()
    publish(site, 2)
    # The list is of what will be there next: nothing fits it yet.
    files["version.js"] = "0" * 64
    site.json("GET /static/files.json", files)
    visit(page, site)
    site.down = True
    visit(page, site)
    assert (page.title(), page.evaluate("version")) == ("1", 1)


def test_what_is_asked_of_the_server_is_never_kept(page: Page, site: Site) -> None:
    keep(page, site)
    site.json("GET /v1/models", {"data": []})
    site.json("GET /health", {"status": "ok"})
    asked = "async (path) => (await fetch(path).catch(() => ({status: 0}))).status"
    for path in ("/v1/models", "/health"):
        assert page.evaluate(asked, path) == 200
    site.down = True
    for path in ("/v1/models", "/health"):
        assert page.evaluate(asked, path) == 0
    assert not [path for path in kept(page) if path in ("/v1/models", "/health")]
