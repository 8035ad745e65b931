"""Matchers: what each spelling asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate.api.grammar import matcher
from loadgate.api.grammar.errors import GrammarError
from loadgate.api.grammar.matcher import Op, Unit, number_of
from loadgate.api.grammar.regex import Regex
from loadgate.api.grammar.template import Name, Template

X = Template((Name(("x",)),))


@pytest.mark.parametrize(
    ("value", "op", "operand", "described"),
    [
        (200, Op.EQUAL, 200, "is 200"),
        (1.5, Op.EQUAL, 1.5, "is 1.5"),
        (True, Op.EQUAL, True, "is true"),
        (None, Op.EQUAL, None, "is null"),
        ("", Op.EQUAL, "", "is "),
        ("Alice", Op.EQUAL, "Alice", "is Alice"),
        ("${x}", Op.EQUAL, X, "is ${x}"),
        ("exists", Op.EXISTS, None, "exists"),
        ("absent", Op.ABSENT, None, "absent"),
        ("<5", Op.LESS, 5.0, "<5"),
        ("<= 5", Op.LESS_EQUAL, 5.0, "<= 5"),
        (">5e2", Op.GREATER, 500.0, ">5e2"),
        (">=-1", Op.GREATER_EQUAL, -1.0, ">=-1"),
        ("<${x}", Op.LESS, X, "<${x}"),
        ("==exists", Op.SAME_TEXT, "exists", "is exists"),
        ("==", Op.SAME_TEXT, "", "is "),
        ("!=", Op.OTHER_TEXT, "", "is not "),
        ("!=a", Op.OTHER_TEXT, "a", "is not a"),
        ("~^a+$", Op.MATCHES, Regex("^a+$"), "matches ^a+$"),
        ("*part", Op.CONTAINS, "part", "contains part"),
        ("*$${x}", Op.CONTAINS, "${x}", "contains $${x}"),
    ],
)
def test_a_value_asks_for_this(value, op, operand, described):
    """The grammar by example, with how it reads in a check's name."""
    found = matcher.parse(value)
    assert (found.op, found.operand) == (op, operand)
    assert type(found.operand) is type(operand)
    assert matcher.describe(found) == described.strip()


@pytest.mark.parametrize(
    ("value", "unit", "op", "operand"),
    [
        ("<500ms", Unit.DURATION, Op.LESS, 0.5),
        (">= 1m30s", Unit.DURATION, Op.GREATER_EQUAL, 90.0),
        ("<64KiB", Unit.SIZE, Op.LESS, 65536.0),
        (">0", Unit.SIZE, Op.GREATER, 0.0),
        ("1.5MB", Unit.SIZE, Op.EQUAL, 1_500_000.0),
        ("==12 B", Unit.SIZE, Op.EQUAL, 12.0),
        (512, Unit.SIZE, Op.EQUAL, 512),
    ],
)
def test_amounts_are_in_seconds_and_bytes(value, unit, op, operand):
    """Where durations or sizes are meant, operands are in base units."""
    found = matcher.parse(value, unit=unit)
    assert (found.op, found.operand) == (op, operand)


@pytest.mark.parametrize(
    ("value", "unit", "hint"),
    [
        ("<html>", Unit.NUMBER, "==<"),
        ("<", Unit.NUMBER, "<500"),
        ("<nan", Unit.NUMBER, "<500"),
        ("*", Unit.NUMBER, "exists"),
        ("~", Unit.NUMBER, "exists"),
        ("~(", Unit.NUMBER, "RE2"),
        ("~(?=a)", Unit.NUMBER, "RE2"),
        ("${", Unit.NUMBER, "$${"),
        ([1], Unit.NUMBER, "42"),
        ({"a": 1}, Unit.NUMBER, "42"),
        ("500ms", Unit.DURATION, "<500ms"),
        ("<500", Unit.DURATION, "500ms"),
        (500, Unit.DURATION, "<500ms"),
        ("exists", Unit.DURATION, "<500ms"),
        ("big", Unit.SIZE, "64KiB"),
        (None, Unit.SIZE, "<64KiB"),
        (True, Unit.SIZE, "<64KiB"),
    ],
)
def test_what_asks_for_nothing_sensible_is_refused(value, unit, hint):
    """Each fault says what would be right."""
    with pytest.raises(GrammarError) as raised:
        matcher.parse(value, unit=unit)
    assert hint in raised.value.hint


@given(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text())
def test_any_scalar_parses_or_is_refused(value):
    """No value makes the parser fail in another way, and every description is one short line."""
    try:
        found = matcher.parse(value)
    except GrammarError:
        return
    described = matcher.describe(found)
    assert len(described) <= 100
    assert "\n" not in described


@pytest.mark.parametrize(("length", "described"), [(97, "is " + "x" * 97), (98, "is " + "x" * 96 + "…")])
def test_a_long_operand_is_cut_in_the_description(length, described):
    """To a hundred characters in all."""
    assert matcher.describe(matcher.parse("x" * length)) == described


def test_names_are_those_of_the_operand():
    """Validation sees the variables that a matcher reads."""
    assert matcher.parse("${x}-${y.z}").names() == {("x",), ("y", "z")}
    assert matcher.parse("x").names() == set()


@pytest.mark.parametrize(
    ("text", "number"),
    [("5", 5.0), ("-1.5", -1.5), ("2e3", 2000.0), ("", None), ("a", None), ("1_0", None), ("nan", None), ("inf", None)],
)
def test_a_text_is_a_number_or_it_is_not(text, number):
    """Only finite numbers as JSON writes them count."""
    assert number_of(text) == number


def test_numbers_beyond_json_are_refused_not_crashed_on():
    """An integer that JSON libraries can't hold still has a description."""
    assert matcher.describe(matcher.parse(10**30)) == f"is {10**30}"
