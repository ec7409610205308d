from __future__ import annotations

import pkgutil
from collections import Counter
from importlib import import_module

import pytest

from foreword import families
from foreword.errors import UnsupportedModelError
from foreword.families import find
from foreword.families.find import Origin, find_family

ORIGINS: tuple[Origin, ...] = ("gguf", "hugging_face", "keras")
MODULES = [info.name for info in pkgutil.iter_modules(families.__path__)]
DECLARED = [
    (module, origin, name)
    for module in MODULES
    for origin, name in getattr(import_module(f"foreword.families.{module}"), "READERS", {})
]
REFUSED = [(name, why) for why, names in find._WHY.items() for name in names]


@pytest.mark.parametrize(("module", "origin", "name"), DECLARED)
def test_what_a_family_declares_is_found(module: str, origin: Origin, name: str) -> None:
    family, read = find_family(origin, name)
    assert family == module
    assert callable(read)


def test_no_two_families_declare_the_same() -> None:
    counts = Counter((origin, name) for _, origin, name in DECLARED)
    assert [key for key, count in counts.items() if count > 1] == []


def test_no_name_is_both_read_and_refused() -> None:
    assert {name for _, _, name in DECLARED} & {name for name, _ in REFUSED} == set()
    counts = Counter(name for name, _ in REFUSED)
    assert [name for name, count in counts.items() if count > 1] == []


@pytest.mark.parametrize(("name", "why"), REFUSED)
def test_a_known_name_is_refused_with_its_reason(name: str, why: str) -> None:
    for origin in ORIGINS:
        with pytest.raises(UnsupportedModelError) as caught:
            find_family(origin, name)
        message = str(caught.value)
        assert repr(name) in message
        assert why in message
        assert "\n" not in message


@pytest.mark.parametrize("origin", ORIGINS)
def test_an_unknown_name_is_told_what_is_read_and_how_to_add_it(origin: Origin) -> None:
    with pytest.raises(UnsupportedModelError, match="unknown here") as caught:
        find_family(origin, "no-such-model\n" * 20)
    message = str(caught.value)
    assert "\n" not in message
    assert find.GUIDE in message
    for _, there, name in DECLARED:
        assert (f" {name}," in message) or there != origin
    assert len(message) < 1000


def test_origins_do_not_share_names() -> None:
    with pytest.raises(UnsupportedModelError):
        find_family("keras", "llama")
