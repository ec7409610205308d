"""The plot shows every trial, joins the best and marks the choice."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from foreword.tune.plot import TEXT_COLUMNS, in_characters, page, svg
from tune_models import ALL, MIDDLE, SMALL


def test_an_svg_file_has_all_points_the_front_and_the_choice() -> None:
    root = ElementTree.fromstring(svg(ALL, MIDDLE))
    space = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{space}svg"
    circles = [circle.get("class") for circle in root.iter(f"{space}circle")]
    assert sorted(map(str, circles)) == ["mark", "mark", "mark", "other"]
    [line] = root.iter(f"{space}polyline")
    assert len(str(line.get("points")).split()) == 3
    assert "--accent" in str(root.findtext(f"{space}style"))
    assert "middle, 32, 8 (chosen): 100.0 MB" in str(root.findtext(f"{space}desc"))


def test_a_page_tells_all_trials_and_fetches_nothing() -> None:
    html = page("<source>", ALL, None)
    assert html.count("<tr>") == 5
    assert "&lt;source&gt;: tune" in html
    assert "failed, 32, 8: it broke" in html
    assert "http" not in html
    assert "(chosen)" not in html


def test_the_plot_in_characters_is_small_and_plain() -> None:
    drawn = in_characters(ALL, MIDDLE)
    *grid, _rule, _ends, key = drawn.splitlines()
    assert drawn.isascii()
    assert max(map(len, drawn.splitlines())) <= TEXT_COLUMNS
    marks = "".join(line.partition("|")[2] for line in grid)
    assert (marks.count("*"), marks.count("o"), marks.count(".")) == (1, 2, 1)
    assert grid[0].startswith("       15 |o")
    assert grid[-1].endswith("o")
    assert "* choice" in key


def test_one_trial_alone_and_equal_ones_can_be_drawn() -> None:
    for outcomes in ([SMALL], [SMALL, SMALL]):
        assert "*" in in_characters(outcomes, SMALL)
        assert "<circle" in svg(outcomes, SMALL)
