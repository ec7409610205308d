"""Foreword: text autocomplete that runs wholly on the device, on small LiteRT models.

Names are loaded when first used: `import foreword` is instant.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foreword import text_graph
    from foreword.completion.completer import Completer
    from foreword.completion.session import Session
    from foreword.completion.suggestion import Policy
    from foreword.convert import convert
    from foreword.engine.engine import Engine
    from foreword.engine.generation import Step
    from foreword.engine.load import load
    from foreword.engine.sampling import SamplingParams
    from foreword.errors import ForewordError

__version__ = "0.1.0"

__all__ = [
    "Completer",
    "Engine",
    "ForewordError",
    "Policy",
    "SamplingParams",
    "Session",
    "Step",
    "__version__",
    "convert",
    "load",
    "text_graph",
]

_HOMES = {
    "Completer": "foreword.completion.completer",
    "Engine": "foreword.engine.engine",
    "ForewordError": "foreword.errors",
    "Policy": "foreword.completion.suggestion",
    "SamplingParams": "foreword.engine.sampling",
    "Session": "foreword.completion.session",
    "Step": "foreword.engine.generation",
    "convert": "foreword.convert",
    "load": "foreword.engine.load",
}


def __getattr__(name: str) -> Any:
    if name == "text_graph":
        return importlib.import_module("foreword.text_graph")
    if name not in _HOMES:
        raise AttributeError(f"module 'foreword' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


class _Package(ModuleType):
    """This package, in which a submodule never takes the place of a name in `__all__`."""

    def __setattr__(self, name: str, value: object) -> None:
        # Importing foreword.convert would bind the module here.
        if name not in _HOMES or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
