"""Which hosts need no proxy."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate.api.grammar.errors import GrammarError
from loadgate.api.grammar.noproxy import NoProxy, parse_no_proxy


@pytest.mark.parametrize(
    ("entry", "covered", "others"),
    [
        ("shop.test", ["shop.test", "a.shop.test", "a.b.shop.test", "shop.test."], ["shop.tes", "workshop.test"]),
        (".shop.test", ["a.shop.test"], ["shop.test", "ashop.test"]),
        ("*.Shop.Test.", ["a.shop.test"], ["shop.test"]),
        ("localhost", ["localhost"], ["localhost.test"]),
        ("10.0.0.1", ["10.0.0.1"], ["10.0.0.10", "a.10.0.0.1"]),
        ("10.0.0.0/8", ["10.9.9.9"], ["11.0.0.1", "ten.test"]),
        ("fd00::/8", ["fd12::1", "fd12::1%eth0"], ["fe80::1", "10.0.0.1"]),
    ],
)
def test_an_entry_covers_what_it_covers_elsewhere(entry, covered, others):
    """A name also covers what is below it, a domain only that, a network only addresses that are written out."""
    without = NoProxy([entry])
    assert [host for host in covered + others if without.covers(host)] == covered
    assert not any(NoProxy().covers(host) for host in covered + others)


@pytest.mark.parametrize("entry", ["", "*", ".", "a b", "a..b", "http://a", "a:80", "10.0.0.1/8", "1.2.3", "a/b", 5])
def test_what_is_no_host_is_refused(entry):
    """With words for what would be right."""
    with pytest.raises(GrammarError) as raised:
        parse_no_proxy(entry)
    assert "10.0.0.0/8" in raised.value.hint


@given(st.ip_addresses())
def test_an_address_covers_itself(address):
    """And no other."""
    without = NoProxy([str(address)])
    assert without.covers(str(address))
    assert not without.covers(str(type(address)(int(address) ^ 1)))


@given(st.text(max_size=20))
def test_any_text_is_an_entry_or_refused(text):
    """Nothing else comes of one."""
    with contextlib.suppress(GrammarError):
        NoProxy([text]).covers(text)
