"""Whether the libraries a text graph needs are here, asked before anything is imported."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import metadata

from foreword.errors import UsageError

# 2.20 and later have no Flex delegate in Python, and TensorFlow Text has to match.
_TENSORFLOW = "2.19."
_KERAS_HUB = (0, 31)
_REMEDY = "pip install 'foreword[keras]'"

Installed = Callable[[str], str | None]


def installed(package: str) -> str | None:
    """Return the version of an installed package, None where there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def check_runs(version_of: Installed = installed) -> None:
    """Raise UsageError unless the TensorFlow here can run a text graph."""
    for package in ("tensorflow", "tensorflow-text"):
        found = version_of(package)
        if found is None or not found.startswith(_TENSORFLOW):
            raise UsageError(
                f"a text graph needs {package} {_TENSORFLOW}x, whose interpreter has the Select TF "
                f"operators; found {found or 'none'}: {_remedy()}"
            )


def check_converts(version_of: Installed = installed) -> None:
    """Raise UsageError unless the libraries here can make a text graph too."""
    check_runs(version_of)
    found = version_of("keras-hub")
    if found is None or _numbers(found) < _KERAS_HUB:
        wanted = ".".join(map(str, _KERAS_HUB))
        raise UsageError(
            f"making a text graph needs keras-hub {wanted} or later, found {found or 'none'}: "
            f"{_remedy()}"
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())


def _remedy() -> str:
    if sys.version_info >= (3, 13):
        return f"with Python 3.11 or 3.12, for which it exists, {_REMEDY}"
    return _REMEDY
