"""Curves in a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate_cli.curves import axis, draw, number


def test_a_ramp_rises_from_left_to_right():
    """The chart of a line is a staircase, under its highest value and over its times."""
    assert draw(lambda moment: moment, 10, width=20, rows=2) == [
        " 9.94 ┤      ▁▂▃▄▆▇█",
        "      ┤▁▂▄▅▆▇███████",
        "      └─────────────",
        "       0s   5s   10s",
    ]


def test_nothing_is_drawn_as_nothing():
    """A test without load has an empty chart, not an error."""
    lines = draw(lambda _moment: 0.0, 10, width=40)
    assert not any("█" in line for line in lines)


def test_a_narrow_peak_shows():
    """What lasts for less than a column is seen all the same."""
    assert any("█" in line for line in draw(lambda moment: float(40.2 < moment < 40.8), 100, width=60))


@given(st.integers(20, 160), st.floats(0.001, 1e6), st.integers(1, 10))
def test_chart_keeps_to_its_width(width: int, seconds: float, rows: int):
    """No line is wider than the terminal."""
    lines = draw(lambda moment: moment % 7, seconds, width=width, rows=rows)
    assert max(map(len, lines)) <= max(width, 24)
    assert len(lines) == rows + 2


@pytest.mark.parametrize(
    ("seconds", "columns", "text"), [(60, 10, "0s      1m"), (60, 30, "0s            30s           1m")]
)
def test_axis_has_its_middle_where_there_is_room(seconds: float, columns: int, text: str):
    """Start and end always, the middle when it fits."""
    assert axis(seconds, columns) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1400, "1,400"), (2.5, "2.5"), (33.333, "33.3"), (1e6, "1,000,000")]
)
def test_numbers_are_short(value: float, text: str):
    """Few digits, with separators."""
    assert number(value) == text
