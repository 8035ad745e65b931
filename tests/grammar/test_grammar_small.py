"""Regular expressions, statuses, pauses, sizes, and hints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate.api.grammar import regex
from loadgate.api.grammar.amounts import parse_duration, parse_size
from loadgate.api.grammar.errors import GrammarError, did_you_mean
from loadgate.api.grammar.status import describe_status, parse_status, status_tag
from loadgate.api.grammar.think import parse_think


@pytest.mark.parametrize(
    ("value", "statuses", "described"),
    [
        (200, {200}, "200"),
        ("201", {201}, "201"),
        (" 2xx ", set(range(200, 300)), "2xx"),
        ("5XX", set(range(500, 600)), "5XX"),
        ("200..204", {200, 201, 202, 203, 204}, "200..204"),
        ([200, "304", "401..402"], {200, 304, 401, 402}, "200 or 304 or 401..402"),
        (999, {999}, "999"),
        (100, {100}, "100"),
        ("OK", {1000}, "OK"),
        (["NOT_FOUND", " UNAUTHENTICATED"], {1005, 1016}, "NOT_FOUND or UNAUTHENTICATED"),
    ],
)
def test_a_status_accepts_these(value, statuses, described):
    """The grammar by example, with how it reads in a check's name."""
    assert parse_status(value) == statuses
    assert describe_status(value) == described


@pytest.mark.parametrize(
    ("status", "tag"), [(0, "0"), (200, "200"), (999, "999"), (1000, "OK"), (1014, "UNAVAILABLE"), (1017, "1017")]
)
def test_a_sample_carries_its_status_as_this(status, tag):
    """HTTP's statuses are numbers, gRPC's are names."""
    assert status_tag(status) == tag


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        99,
        1000,
        "20",
        "0xx",
        "6xx",
        "204..200",
        "200-204",
        "",
        [],
        [[200]],
        ["nope"],
        "\u0662xx",
        "\u0662\u0660\u0660",
        2.5,
        {"a": 1},
    ],
)
def test_what_is_no_status_is_refused(value):
    """Each fault shows how statuses are written."""
    with pytest.raises(GrammarError) as raised:
        parse_status(value)
    assert "2xx" in raised.value.hint


@pytest.mark.parametrize(
    ("text", "pause"),
    [
        ("1s", (1.0, 1.0)),
        ("1s..3s", (1.0, 3.0)),
        ("500ms .. 1m", (0.5, 60.0)),
        ("1s..1s", (1.0, 1.0)),
        ("0s", (0.0, 0.0)),
    ],
)
def test_a_pause_is_this_long(text, pause):
    """One duration, or a range."""
    assert parse_think(text) == pause


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "500ms"),
        ("3", "500ms"),
        ("1s..", "500ms"),
        ("..3s", "500ms"),
        ("3s..1s", "1s..3s"),
        ("1s..2s..3s", "500ms"),
        ("1" * 99 + "s", "500ms"),
    ],
)
def test_a_wrong_pause_is_refused(text, hint):
    """Each fault says what would be right."""
    with pytest.raises(GrammarError) as raised:
        parse_think(text)
    assert hint in raised.value.hint


@pytest.mark.parametrize(("text", "seconds"), [("1m30s", 90.0), ("250ms", 0.25), ("1.5h", 5400.0)])
def test_a_duration_is_in_seconds(text, seconds):
    """As everywhere in a manifest."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("512", 512), ("64KiB", 65536), ("1.5 MB", 1_500_000), ("1Gi", 2**30)]
)
def test_a_size_is_in_bytes(text, size):
    """Decimal and binary units."""
    assert parse_size(text) == size


@pytest.mark.parametrize(("prefix", "power"), [("k", 1), ("K", 1), ("M", 2), ("G", 3)])
def test_every_unit_of_size(prefix, power):
    """By a thousand, or with an `i` by 1024."""
    assert parse_size(f"3{prefix}B") == 3 * 1000**power
    if prefix != "k":
        assert parse_size(f"3{prefix}i") == parse_size(f"3{prefix}iB") == 3 * 1024**power


@pytest.mark.parametrize("text", ["", "-1", "1XB", "KiB", "1" * 100, "\u0661"])
def test_a_wrong_size_is_refused(text):
    """Only ASCII digits with a known unit."""
    with pytest.raises(GrammarError, match="is not a size"):
        parse_size(text)


def test_a_pattern_is_found_anywhere_in_a_text():
    """Search, first group and all matches."""
    found = regex.parse('id="(\\w+)"', group=1)
    data = '<a id="x1"/><b id="ü"/><b id="y2"/>'.encode()
    assert found.found_in(data)
    assert not found.found_in(b"nothing")
    assert found.first(data, 1) == "x1"
    assert found.first(data) == 'id="x1"'
    assert found.first(b"", 1) is None
    assert found.all(data, 1, limit=10) == ["x1", "y2"]
    assert found.all(data, 1, limit=1) == ["x1"]


def test_a_group_that_took_no_part_has_no_text():
    """Optional groups are skipped."""
    found = regex.parse("a(b)?", group=1)
    assert found.first(b"a", 1) is None
    assert found.all(b"a ab", 1, limit=10) == ["b"]


def test_only_the_first_mebibyte_is_searched():
    """What a huge body costs is bounded."""
    found = regex.parse("needle")
    assert found.found_in(b" " * (regex.SEARCHED_BYTES - 6) + b"needle")
    assert not found.found_in(b" " * regex.SEARCHED_BYTES + b"needle")


def test_bytes_that_are_no_utf8_are_replaced():
    """A body in another encoding doesn't fail an extraction."""
    assert regex.parse("=(.+)", group=1).first("a=é".encode(), 1) == "é"
    assert regex.Regex("=").first(b"\xff=\xff") == "="
    assert regex.Regex("a\\C").first(b"a\xff") == "a\ufffd"


@pytest.mark.parametrize(
    ("text", "group", "message"),
    [
        ("(", 0, "doesn't compile"),
        ("(?=a)", 0, "doesn't compile"),
        ("(a)\\1", 0, "doesn't compile"),
        ("((a{100}){100}){100}", 0, "doesn't compile"),
        ("a", 1, "has 0 groups"),
        ("(a)", 2, "has 1 groups"),
        ("a" * 2001, 0, "longer"),
        ("\ud800", 0, "surrogate"),
    ],
)
def test_a_wrong_pattern_is_refused(text, group, message):
    """Look-around, back-references, huge programs and missing groups."""
    with pytest.raises(GrammarError, match=message):
        regex.parse(text, group=group)


def test_patterns_are_equal_by_their_text():
    """So that matchers can be compared."""
    assert regex.Regex("a") == regex.Regex("a")
    assert regex.Regex("a") != regex.Regex("b")
    assert len({regex.Regex("a"), regex.Regex("a"), regex.Regex("b")}) == 2
    assert repr(regex.Regex("a")) == "Regex('a')"


@pytest.mark.timeout(60)
def test_a_nasty_pattern_takes_linear_time():
    """What makes a backtracking engine hang."""
    assert not regex.parse("^(a+)+$").found_in(b"a" * 500_000 + b"!")


@given(st.binary(max_size=200))
def test_any_bytes_can_be_searched(data):
    """No body makes a search fail."""
    found = regex.parse("(.)(x)?", group=2)
    found.all(data, 1, limit=5)
    found.first(data, 2)


def test_a_hint_names_the_closest_word_or_all():
    """What a fault offers."""
    assert did_you_mean("tokn", ["token", "user"]) == "did you mean 'token'?"
    assert did_you_mean("zzz", ["b", "a"]) == "known: a, b"
    assert did_you_mean("zzz", []) == ""
