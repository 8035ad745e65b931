"""Figures of limits: short, but never so short that a broken limit looks kept."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgate.verdict.figures import against, figure, precise, significant
from loadgate.verdict.limits import margin

UNITS = ["ms", "share", "/s", "B", "B/s", ""]


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0, 3, "0"),
        (1234.5, 3, "1234"),
        (0.0012345, 3, "0.00123"),
        (9.5, 3, "9.5"),
        (100.0, 3, "100"),
        (-2.25, 2, "-2.2"),
    ],
)
def test_significant_digits_keep_the_whole_part(value, digits, text):
    """Rounding is to significant digits, but digits before the point are never lost."""
    assert significant(value, digits) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (412.3, "ms", "412ms"),
        (1900, "ms", "1.9s"),
        (0.0002, "share", "0.02%"),
        (803.52, "/s", "803.5/s"),
        (48210, "", "48210"),
        (1200, "B", "1.2 kB"),
        (1200, "B/s", "1.2 kB/s"),
        (0.5, "", "0.5"),
    ],
)
def test_a_figure_is_short(value, unit, text):
    """A figure is what a person would say."""
    assert figure(value, unit) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (500, "ms", "500ms"),
        (1000, "ms", "1s"),
        (999.5, "ms", "999.5ms"),
        (0.001, "share", "0.1%"),
        (1e6, "B", "1000000B"),
    ],
)
def test_a_limit_reads_as_it_was_written(value, unit, text):
    """A limit is never rounded."""
    assert precise(value, unit) == text


@pytest.mark.parametrize(
    ("value", "limit", "unit", "text"),
    [
        (500.4, 500, "ms", "500.4ms"),
        (500.412345, 500, "ms", "500.4ms"),
        (500.0, 500, "ms", "500ms"),
        (500.0004, 500, "ms", "500.0004ms"),
        (1000.4, 1000, "ms", "1.0004s"),
        (1040, 1030, "ms", "1.04s"),
        (1040, 990, "ms", "1.04s"),
        (1040, 900, "ms", "1s"),
        (999.6, 1000, "ms", "999.6ms"),
        (0.010001, 0.01, "share", "1.0001%"),
        (503.4, 500, "ms", "503ms"),
        (0.01234567, 0.012, "share", "1.23%"),
        (0.9998, 0.99, "share", "99.98%"),
        (0.99996, 0.99, "share", "99.996%"),
        (1.0, 0.99, "share", "100%"),
        (0.00014, 0.00011, "share", "0.014%"),
        (99.9999, 100, "/s", "99.9999/s"),
        (700, 500, "ms", "700ms"),
        (0, 500, "ms", "0s"),
        (0, 0, "", "0"),
        (1050.9998949, 1051, "/s", "1050.9999/s"),
        (1050.9998949, 1051, "ms", "1.05s"),
        (1000000.5, 1000000, "ms", "1000.0005s"),
        (10.509998949, 10.51, "share", "1050.9999%"),
        (101.4, 100.9999999999, "ms", "101.4ms"),
        (500 + 1e-9, 500, "ms", "500.000000001ms"),
        (500 + 1e-12, 500, "ms", "500ms"),
    ],
)
def test_a_figure_beside_its_limit_has_the_digits_that_it_takes(value, limit, unit, text):
    """Far from the limit a figure is short; near it, it says on which side it is and by how much."""
    assert against(value, limit, unit) == text


@settings(max_examples=500)
@given(st.floats(0.001, 1e6), st.floats(1e-7, 0.5), st.booleans(), st.sampled_from(UNITS))
def test_what_breaks_a_limit_never_reads_like_the_limit(limit, by, above, unit):
    """A value that differs from its limit in the first seven digits doesn't look equal to it."""
    value = limit * (1 + by if above else 1 - by)
    assert against(value, limit, unit) != precise(limit, unit)


@pytest.mark.parametrize(
    ("op", "limit", "actual", "room"),
    [
        ("<", 500, 400, 0.2),
        ("<=", 500, 750, -0.5),
        (">", 100, 150, 0.5),
        (">=", 100, 90, -0.1),
        ("<", 0, 1, None),
        ("==", 5, 5, None),
        ("!=", 5, 6, None),
        ("<", -10, -15, 0.5),
    ],
)
def test_a_margin_is_the_room_left_as_a_share_of_the_limit(op, limit, actual, room):
    """Room is counted in the limit's own size; a limit of 0 or an equality has none."""
    assert margin(op, limit, actual) == room
