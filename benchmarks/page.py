"""The page in Chromium: from a key to the ghost text that answers it, on loopback.

    python benchmarks/page.py [--keys 200] [--threads 2]

A text is typed key by key at a writer's pace, with confidence 0 so that every key has an answer. A
key counts from its input event to the frame after the ghost text that is new for it is drawn; keys
whose letter agreed with the ghost in sight need no model and are told apart. Writes
benchmarks/results/page.json and prints it as the last line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parent))

from serve import MODEL, started

from foreword.evaluation.text import built_in

ROOT = Path(__file__).parent.parent
PACE_MS = 180
WATCH = """
() => {
  window.keys = [];
  const over = document.getElementById("over");
  const status = document.getElementById("status");
  const ghost = () => (over.hidden ? "" : over.querySelector(".ghost").textContent);
  let key = null;
  document.getElementById("text").addEventListener("input", () => {
    key = { at: performance.now(), before: ghost() };
    keys.push(key);
    requestAnimationFrame(() => { if (key) key.typed_through = ghost() !== "" ; });
  }, true);
  const seen = () => {
    const one = key;
    if (!one || one.painted || ghost() === "" || ghost() === one.before) return;
    requestAnimationFrame(() => setTimeout(() => { one.painted ??= performance.now(); }));
  };
  const options = { subtree: true, childList: true, characterData: true, attributes: true };
  new MutationObserver(seen).observe(over, options);
  new MutationObserver(() => {
    const found = /(\\d+) ms/.exec(status.textContent);
    if (key && found) key.server_ms = Number(found[1]);
  }).observe(status, options);
}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/page.json")
    options = parser.parse_args()
    process, port = started(options.threads)
    try:
        with sync_playwright() as playwright:
            path = os.environ.get("FOREWORD_CHROMIUM") or shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            keys = typed(browser.new_page(), f"http://127.0.0.1:{port}", options.keys)
            version = browser.version
            browser.close()
    finally:
        process.terminate()
        process.communicate()
    results = {
        "command": f"python benchmarks/page.py --keys {options.keys} --threads {options.threads}",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "model": f"{MODEL}, int8, context 512, {options.threads} threads",
        "versions": {"foreword": metadata.version("foreword"), "chromium": version},
        **figures(keys),
    }
    options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results))


def typed(page: Page, address: str, count: int) -> list[dict[str, Any]]:
    """Type the built-in text after a beginning of it, and return what became of each key."""
    text = built_in().content.replace("\n", " ")
    page.goto(address)
    page.wait_for_function("() => document.activeElement.id === 'text'")
    page.click("#open-settings")
    page.get_by_label("Shown when", exact=True).fill("0")
    page.focus("#text")
    page.keyboard.press("Control+End")
    page.keyboard.insert_text(text[:400])
    page.locator(".ghost").wait_for()
    page.evaluate(WATCH)
    page.keyboard.type(text[400 : 400 + count], delay=PACE_MS)
    page.wait_for_timeout(1000)
    found: list[dict[str, Any]] = page.evaluate("keys")
    return found


def figures(keys: list[dict[str, Any]]) -> dict[str, Any]:
    asked = [key for key in keys if not key.get("typed_through")]
    answered = sorted(key["painted"] - key["at"] for key in asked if "painted" in key)
    agreed = sorted(
        key["painted"] - key["at"] for key in keys if key.get("typed_through") and "painted" in key
    )
    return {
        "keys": len(keys),
        "asked": len(asked),
        "answered_before_the_next_key": len(answered),
        "key_to_ghost_ms": quantiles(answered),
        "agreeing_key_to_ghost_ms": quantiles(agreed),
        "server_ms_p50": statistics.median(k["server_ms"] for k in asked if "server_ms" in k),
    }


def quantiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    return {
        f"p{q}": round(values[min(int(len(values) * q / 100), len(values) - 1)], 1)
        for q in (50, 90, 95)
    }


if __name__ == "__main__":
    main()
