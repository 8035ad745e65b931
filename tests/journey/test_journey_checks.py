"""Checks: what each matcher holds of, under which laws, and what a check looks at."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journey_samples import an_answer, json_answer, scope_of, state_of

from loadgate.api.grammar.matcher import Unit
from loadgate.api.steps import Check, check_names
from loadgate_runner.journey.checks import compile_check, compile_matcher, parse_matcher, parse_status
from loadgate_runner.journey.errors import JourneyError
from loadgate_runner.journey.extract import MISSING, parse_json

SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=4)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
)
PLAIN_TEXTS = st.text(alphabet="abc 12", max_size=4)
MATCHERS = st.sampled_from(
    [
        "exists",
        "absent",
        "<5",
        "<=5",
        ">5",
        ">=5",
        "==5",
        "==a",
        "!=a",
        "!=5",
        "~a",
        "*a",
        "a",
        5,
        1.5,
        True,
        None,
        "${x}",
        "<${x}",
        "*${x}",
    ]
)


def holds(matcher, actual, *, loose=False, **variables):
    """Whether a matcher holds of a value."""
    return compile_matcher(parse_matcher(matcher), scope_of(), loose=loose)(state_of(**variables), actual)


@given(MATCHERS, st.booleans())
def test_nothing_but_absence_holds_of_what_is_not_there(matcher, loose):
    """A gate must not pass for want of a value."""
    assert holds(matcher, MISSING, loose=loose, x=1) is (matcher == "absent")


@given(VALUES, st.booleans())
def test_what_is_there_exists_and_is_not_absent(actual, loose):
    """Null too."""
    assert holds("exists", actual, loose=loose)
    assert not holds("absent", actual, loose=loose)


@given(VALUES, PLAIN_TEXTS, st.booleans())
def test_the_same_text_and_another_text_are_opposites(actual, text, loose):
    """Of any value that is there."""
    assert holds(f"=={text}", actual, loose=loose) is not holds(f"!={text}", actual, loose=loose)


@given(st.floats(-100, 100), st.floats(-100, 100))
def test_comparisons_are_those_of_numbers(actual, limit):
    """Each with its opposite."""
    assert holds(f"<{limit}", actual) is (actual < limit)
    assert holds(f">={limit}", actual) is not holds(f"<{limit}", actual)
    assert holds(f"<={limit}", actual) is not holds(f">{limit}", actual)
    assert holds(f"<{limit}", str(actual), loose=True) is (actual < limit)
    assert not holds(f"<{limit}", str(actual))


@given(SCALARS)
def test_a_value_is_itself(value):
    """A matcher that is a number, a boolean or null holds of that very value."""
    if not isinstance(value, str):
        assert holds(value, value)
        assert holds("${x}", value, x=value) or value is None


@given(VALUES, MATCHERS, st.booleans())
def test_every_matcher_says_yes_or_no_of_any_value(actual, matcher, loose):
    """No value that a target sends makes one fail."""
    assert holds(matcher, actual, loose=loose, x="a") in {True, False}


@pytest.mark.parametrize(
    ("matcher", "actual", "strict", "loose"),
    [
        (5, 5, True, True),
        (5, 5.0, True, True),
        (5, "5", False, True),
        (5, "5.0", False, True),
        (1, True, False, False),
        (True, True, True, True),
        (True, 1, False, False),
        (True, "true", False, True),
        (None, None, True, True),
        (None, 0, False, False),
        ("5", "5", True, True),
        ("5", 5, False, True),
        ("==5", 5, True, True),
        ("==5", "5", True, True),
        ("==5", 5.0, True, True),
        ("==05", "5", False, False),
        ("==true", True, True, True),
        ("!=5", 5, False, False),
        ("!=5", [5], True, True),
        ("==[1,2]", [1, 2], True, True),
        ("<5", "4", False, True),
        ("<5", True, False, False),
        ("<5", "many", False, False),
        ("<5", [1], False, False),
        ("*b", "abc", True, True),
        ("*b", ["a", "b"], True, True),
        ("*b", ["ab"], False, False),
        ("*2", 123, True, True),
        ("~^a+$", "aaa", True, True),
        ("~^a+$", "aab", False, False),
        ("~1", 10, True, True),
        ("", "", True, True),
    ],
)
def test_a_matcher_holds_of_this(matcher, actual, strict, loose):
    """JSON's values by type, headers and the like by their text."""
    assert holds(matcher, actual) is strict
    assert holds(matcher, actual, loose=True) is loose


@pytest.mark.parametrize(
    ("matcher", "actual", "x", "expected"),
    [
        ("${x}", 5, 5, True),
        ("${x}", 5, "5", True),
        ("${x}", "5", 5, True),
        ("id-${x}", "id-5", 5, True),
        ("${x}", 6, 5, False),
        ("<${x}", 4, "5", True),
        ("<${x}", 4, "many", False),
        ("!=${x}", 4, 4, False),
        ("*${x}", "abc", "b", True),
    ],
)
def test_an_operand_may_be_made_each_time(matcher, actual, x, expected):
    """What it is equal to is decided by its text."""
    assert holds(matcher, actual, x=x) is expected


DOCUMENT = {"user": {"id": 7, "gone": None}, "items": [{"id": 1}, {"id": 2}], "state": "open"}
ANSWER = json_answer(
    DOCUMENT, head={"Content-Type": "text/html; charset=utf-8", "X-N": "5"}, cookies={"sid": "abc"}, duration=400_000
)


def results(check, answer, **variables):
    """Results by name."""
    found = Check.model_validate(check)
    tests = compile_check(found, scope_of())
    assert [name for name, _ in tests] == check_names(found)
    return {name: test(state_of(**variables), answer, parse_json(answer.body)) for name, test in tests}


@pytest.mark.parametrize(
    ("check", "name", "passes"),
    [
        ({"status": 200}, "status is 200", True),
        ({"status": ["3xx", "400..404"]}, "status is 3xx or 400..404", False),
        ({"duration": "<500ms"}, "duration <500ms", True),
        ({"duration": "<400ms"}, "duration <400ms", False),
        ({"size": "<1KiB"}, "size <1KiB", True),
        ({"size": 5}, "size is 5", False),
        ({"body": "*open"}, "body contains open", True),
        ({"body": '~"id":\\d'}, 'body matches "id":\\d', True),
        ({"body": "open"}, "body is open", False),
        ({"headers": {"content-type": "*html"}}, "header content-type contains html", True),
        ({"headers": {"X-N": ">=5"}}, "header X-N >=5", True),
        ({"headers": {"X-N": 5}}, "header X-N is 5", True),
        ({"headers": {"X-Gone": "absent"}}, "header X-Gone absent", True),
        ({"cookies": {"sid": "~^[a-c]+$"}}, "cookie sid matches ^[a-c]+$", True),
        ({"cookies": {"gone": "exists"}}, "cookie gone exists", False),
        ({"json": {"$.user.id": "exists"}}, "json $.user.id exists", True),
        ({"json": {"$.user.gone": None}}, "json $.user.gone is null", True),
        ({"json": {"$.user.none": "absent"}}, "json $.user.none absent", True),
        ({"json": {"$.items[1].id": 2}}, "json $.items[1].id is 2", True),
        ({"json": {"$.items[*].id": 2}}, "json $.items[*].id is 2", True),
        ({"json": {"$.items[*].id": ">2"}}, "json $.items[*].id >2", False),
        ({"json": {"$.items[*].id": "!=2"}}, "json $.items[*].id is not 2", False),
        ({"json": {"$.items[*].id": "!=3"}}, "json $.items[*].id is not 3", True),
        ({"json": {"$.items[*].no": "!=3"}}, "json $.items[*].no is not 3", False),
        ({"json": {"$.items[*].no": "absent"}}, "json $.items[*].no absent", True),
        ({"json": {"$.items[*].id": "absent"}}, "json $.items[*].id absent", False),
        ({"json": {"$.state": "${wanted}"}}, "json $.state is ${wanted}", True),
    ],
)
def test_a_check_looks_here_and_is_called_so(check, name, passes):
    """Each part of a check is counted under a name of its own."""
    assert results(check, ANSWER, wanted="open") == {name: passes}


@pytest.mark.parametrize(
    ("matcher", "passes"), [("exists", True), ("==a", False), ("!=a", True), ("*a", False), ("~a", False), (5, False)]
)
def test_a_value_that_nests_too_deep_to_be_written_has_no_text(matcher, passes):
    """A target can't make a check fail in another way."""
    document = b'{"v":' + b"[" * 500 + b"]" * 500 + b"}"
    assert list(results({"json": {"$.v": matcher}}, an_answer(body=document)).values()) == [passes]
    assert list(results({"json": {"$[*]": matcher}}, an_answer(body=document)).values()) == [passes]


@pytest.mark.parametrize("matcher", ["exists", "absent", "!=a", 5])
@pytest.mark.parametrize("path", ["$.a", "$..a"])
def test_nothing_holds_of_a_body_that_is_no_json(path, matcher):
    """Not even absence: it can't be known."""
    assert list(results({"json": {path: matcher}}, an_answer(body=b"<html>")).values()) == [False]


@pytest.mark.parametrize(("matcher", "passes"), [("exists", False), ("absent", True), ("~^$", True), ("!=a", False)])
def test_an_empty_body_is_not_there(matcher, passes):
    """For all but a pattern, which looks at the bytes."""
    assert list(results({"body": matcher}, an_answer()).values()) == [passes]


def test_all_parts_of_a_check_are_counted_in_order():
    """The order of its fields."""
    check = {
        "json": {"$.user.id": 7}, "cookies": {"sid": "abc"}, "headers": {"X-N": "5"},
        "body": "exists", "size": ">0", "duration": ">0s", "status": "2xx",
    }  # fmt: skip
    found = results(check, ANSWER)
    assert all(found.values())
    assert [name.split()[0] for name in found] == ["status", "duration", "size", "body", "header", "cookie", "json"]


@pytest.mark.parametrize(
    "make", [lambda: parse_matcher("<x"), lambda: parse_matcher("5", Unit.DURATION), lambda: parse_status("x")]
)
def test_what_does_not_parse_is_refused_when_compiled(make):
    """The compiler doesn't trust that it was validated."""
    with pytest.raises(JourneyError):
        make()
