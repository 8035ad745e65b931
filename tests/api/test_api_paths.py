"""Paths as text, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate.api.paths import format_path, parse_path

PARTS = st.one_of(st.integers(min_value=0, max_value=10**6), st.text(max_size=20))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("spec", "scenarios", 0, "stages", 1, "duration"), "spec.scenarios[0].stages[1].duration"),
        (("spec", "thresholds", "http_reqs{a:b}", 0), 'spec.thresholds["http_reqs{a:b}"][0]'),
        (("a", "x-y"), "a.x-y"),
        (("*",), '["*"]'),
        ((0, "a"), "[0].a"),
        (("a", ""), 'a[""]'),
    ],
)
def test_paths_read_like_code(path, text):
    """Names are joined by dots, indexes and odd keys stand in brackets."""
    assert format_path(path) == text
    assert parse_path(text) == path


@given(st.lists(PARTS).map(tuple))
def test_every_path_survives_being_text(path):
    """A path that was written is read as the same path."""
    assert parse_path(format_path(path)) == path


@pytest.mark.parametrize("text", [".a", "a..b", "a.", "a[", "a[x]", "a b", "[0]a", 'a["x]'])
def test_other_texts_are_no_paths(text):
    """A text that no path is written as is refused."""
    with pytest.raises(ValueError, match="is not a path"):
        parse_path(text)
