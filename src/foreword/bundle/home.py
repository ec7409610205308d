"""Where Foreword keeps its files on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path


def home() -> Path:
    """Return the root of all stored files: $FOREWORD_HOME, else the user's cache directory.

    Neither this function nor those below create anything.
    """
    chosen = os.environ.get("FOREWORD_HOME")
    # Absolute, so that a later change of directory does not move it.
    return Path(chosen).absolute() if chosen else user_cache_path("foreword", appauthor=False)


def bundles_dir() -> Path:
    """Return the directory whose subdirectories are the bundles that have a name."""
    return home() / "bundles"


def downloads_dir() -> Path:
    """Return the directory of pulled model sources."""
    return home() / "downloads"


def weight_cache_dir() -> Path:
    """Return the directory of the runtime's packed weights, which may be deleted at any time."""
    return home() / "weights"


def device_dir() -> Path:
    """Return the directory of bundles in the form for browsers; it may be deleted at any time."""
    return home() / "device"
