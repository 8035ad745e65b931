"""JSONPaths: RFC 9535 as a library has it, linear regular expressions, bounds."""

import pytest

from loadgate.api.grammar import jsonpath
from loadgate.api.grammar.errors import GrammarError
from loadgate.api.grammar.jsonpath import EVERY

DOCUMENT = {"user": {"id": 7, "a b": None}, "items": [{"id": 1, "t": "ab"}, {"id": 2, "t": "xab"}], "": 0}


@pytest.mark.parametrize(
    ("text", "singular", "values"),
    [
        ("$", (), [DOCUMENT]),
        ("$.user.id", ("user", "id"), [7]),
        ("$['user'][\"a b\"]", ("user", "a b"), [None]),
        ("$.items[0].id", ("items", 0, "id"), [1]),
        ("$.items[-1].id", ("items", -1, "id"), [2]),
        ("$['']", ("",), [0]),
        ("$['\\u0075ser'].id", ("user", "id"), [7]),
        ("$.items[2]", ("items", 2), []),
        ("$.items[*].id", None, [1, 2]),
        ("$..id", None, [7, 1, 2]),
        ("$.items[?@.id > 1].t", None, ["xab"]),
        ("$.items[0:1].id", None, [1]),
        ("$.items[0, 1].id", None, [1, 2]),
        ("$.items[?match(@.t, 'a|ab')].id", None, [1]),
        ("$.items[?match(@.t, 'a.')].id", None, [1]),
        ("$.items[?search(@.t, 'ab')].id", None, [1, 2]),
        ("$.items[?search(@.id, '1')].id", None, []),
        ("$.items[?search(@.t, '(')].id", None, []),
        ("$.items[?length(@.t) == 2].id", None, [1]),
    ],
)
def test_a_path_selects_this(text, singular, values):
    """Singular paths are told apart, and all are evaluated as RFC 9535 says."""
    path = jsonpath.parse(text)
    assert path.singular == singular
    assert path.find(DOCUMENT) == values
    assert path.first(DOCUMENT, "none") == (values[0] if values else "none")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("$", ()),
        ("$.a[0]['b']", ("a", 0, "b")),
        ("$.items[*].id", ("items", EVERY, "id")),
        ("$.*[*]", (EVERY, EVERY)),
        ("$..id", None),
        ("$.a..b", None),
        ("$[0, 1]", None),
        ("$[0:1]", None),
        ("$[?@.a]", None),
        ("$['*']", ("*",)),
    ],
)
def test_a_plain_path_is_names_indexes_and_wildcards(text, plain):
    """All others are left to the library."""
    assert jsonpath.parse(text).plain == plain


@pytest.mark.parametrize(
    "text",
    [
        "",
        "user",
        "$.",
        "$[",
        "$[01]",
        "$.a[?nope(@)]",
        "$.a[?length(@)]",
        "$..",
        "$ .a ",
        "$[99999999999999999999]",
        "$.a[?@.b ==]",
    ],
)
def test_a_wrong_path_is_refused(text):
    """Each fault shows how paths are written."""
    with pytest.raises(GrammarError) as raised:
        jsonpath.parse(text)
    assert "RFC 9535" in raised.value.hint


@pytest.mark.parametrize(
    "text", ["$" + ".a" * 600, "$[?" + "(" * 40 + "@.a" + ")" * 40 + "]", "$[?" + "!" * 40 + "@.a]"]
)
def test_a_path_is_bounded(text):
    """Neither a long nor a deeply nested path is taken."""
    with pytest.raises(GrammarError, match="longer"):
        jsonpath.parse(text)


def test_values_are_bounded_in_number():
    """A response can't make a query hold more than so many values."""
    path = jsonpath.parse("$[*]")
    assert len(path.find(list(range(jsonpath.MOST_VALUES + 5)))) == jsonpath.MOST_VALUES


def test_a_document_deeper_than_can_be_descended_gives_what_was_found():
    """A response can't make a query fail."""
    document = 1
    for _ in range(300):
        document = {"a": document}
    assert 50 < len(jsonpath.parse("$..a").find(document)) < 300


@pytest.mark.timeout(60)
def test_a_pattern_in_a_path_takes_linear_time():
    """A response can't make a regular expression hang."""
    path = jsonpath.parse("$[?match(@, '(a+)+b')]")
    assert path.find(["a" * 100_000]) == []
