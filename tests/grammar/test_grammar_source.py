"""Where connections come from, as it is written."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate.api.grammar.errors import GrammarError
from loadgate.api.grammar.source import MOST_ADDRESSES, parse_source


@pytest.mark.parametrize(
    ("text", "size"), [("10.0.0.1", 1), (" 10.0.0.0/28 ", 16), ("fd00::/112", MOST_ADDRESSES), ("::1", 1)]
)
def test_an_address_is_a_network_of_one(text, size):
    """Networks have all of their addresses."""
    assert parse_source(text).num_addresses == size


@pytest.mark.parametrize("text", ["", "a", "10.0.0.1/8", "10.0.0.0/8", "::/0", "224.0.0.1", "0.0.0.0", "fe80::1%lo"])
def test_what_is_none_is_refused(text):
    """With words for what would be right."""
    with pytest.raises(GrammarError) as raised:
        parse_source(text)
    assert "10.1.2.3" in raised.value.hint


@given(st.text(max_size=30))
def test_any_text_is_one_or_refused(text):
    """No other error comes of any."""
    with contextlib.suppress(GrammarError):
        assert parse_source(text).num_addresses <= MOST_ADDRESSES
