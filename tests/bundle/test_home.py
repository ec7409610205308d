from pathlib import Path

import pytest
from platformdirs import user_cache_path

from foreword.bundle import home


def test_the_variable_decides_where_home_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FOREWORD_HOME", str(tmp_path / "here"))
    assert home.home() == tmp_path / "here"


@pytest.mark.parametrize("value", [None, ""])
def test_without_the_variable_home_is_in_the_users_cache(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("FOREWORD_HOME", raising=False)
    if value is not None:
        monkeypatch.setenv("FOREWORD_HOME", value)
    assert home.home() == user_cache_path("foreword", appauthor=False)


def test_a_relative_home_does_not_move_with_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FOREWORD_HOME", "here")
    assert home.home() == tmp_path / "here"


def test_each_kind_of_file_has_a_place_of_its_own_and_none_is_created(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FOREWORD_HOME", str(tmp_path / "here"))
    places = [home.bundles_dir(), home.downloads_dir(), home.weight_cache_dir()]
    assert [place.name for place in places] == ["bundles", "downloads", "weights"]
    assert {place.parent for place in places} == {tmp_path / "here"}
    assert not (tmp_path / "here").exists()
