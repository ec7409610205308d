"""Draws the page's icons in the sizes that an installed page needs, from icon.svg, in Chromium.

python scripts/make_icons.py
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

ICONS = Path(__file__).parent.parent / "src/foreword/server/static/icons"
# Name, size in pixels, and whether it fills its square: those are cut to shape by the system.
SIZES = [
    ("icon-180.png", 180, True),
    ("icon-192.png", 192, False),
    ("icon-512.png", 512, False),
    ("icon-maskable-512.png", 512, True),
]


def main() -> None:
    """Write every size."""
    svg = (ICONS / "icon.svg").read_text()
    path = os.environ.get("FOREWORD_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for name, size, full in SIZES:
            page = browser.new_page(viewport={"width": size, "height": size})
            # What a mask leaves is a circle of four fifths: the drawing keeps well inside it.
            drawing = svg.replace('rx="14"', "") if full else svg
            page.set_content(f"<style>*{{margin:0}}svg{{display:block}}</style>{drawing}")
            page.screenshot(path=ICONS / name, omit_background=True)
        browser.close()


if __name__ == "__main__":
    main()
