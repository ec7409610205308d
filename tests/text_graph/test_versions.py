from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

import pytest

from foreword.errors import UsageError
from foreword.text_graph import versions
from foreword.text_graph.versions import check_converts, check_runs

GOOD = {"tensorflow": "2.19.1", "tensorflow-text": "2.19.0", "keras-hub": "0.31.0"}


def those(found: Mapping[str, str | None]) -> Callable[[str], str | None]:
    return lambda package: {**GOOD, **found}[package]


def test_the_versions_of_the_extra_pass() -> None:
    check_runs(those({"keras-hub": None}))
    check_converts(those({}))
    check_converts(those({"keras-hub": "1.0.2"}))


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({"tensorflow": None}, "needs tensorflow 2.19.x.*found none"),
        ({"tensorflow": "2.20.0"}, "needs tensorflow 2.19.x.*found 2.20.0"),
        ({"tensorflow": "2.21.0"}, "has the Select TF operators; found 2.21.0"),
        ({"tensorflow-text": None}, "needs tensorflow-text 2.19.x.*found none"),
        ({"tensorflow-text": "2.20.1"}, "needs tensorflow-text"),
        ({"keras-hub": None}, "needs keras-hub 0.31 or later, found none"),
        ({"keras-hub": "0.18.1"}, "needs keras-hub 0.31 or later, found 0.18.1"),
    ],
)
def test_others_are_named_in_one_line_with_the_remedy(
    found: dict[str, str | None], says: str
) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        check_converts(those(found))
    assert "\n" not in str(caught.value)
    assert "pip install 'foreword[keras]'" in str(caught.value)


def test_where_python_is_too_new_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    with pytest.raises(UsageError, match=r"with Python 3\.11 or 3\.12"):
        check_runs(those({"tensorflow": "2.21.0"}))


def test_a_package_that_is_not_there_has_no_version() -> None:
    assert versions.installed("no-such-package-here") is None
    assert versions.installed("numpy")
