"""Extraction: where a value comes from, which of several it is, and what there is when there is none."""

import jsonpath_rfc9535
import pytest
from hypothesis import given
from hypothesis import strategies as st
from journey_samples import Bench, an_answer, json_answer, state_of

from loadgate.api.grammar import jsonpath
from loadgate.api.steps import Extract
from loadgate_runner.http import Failure
from loadgate_runner.journey.errors import JourneyError
from loadgate_runner.journey.extract import LARGEST_VALUE, MISSING, Extraction, cookie_of, every, parse_json, singular

KEYS = st.sampled_from(["a", "b", "", "0", "é"])
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "a", "abc"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)
STEPS = st.lists(KEYS | st.integers(-3, 3), max_size=4)


@given(DOCUMENTS, STEPS)
def test_a_singular_path_finds_what_rfc_9535_says(document, steps):
    """Our closure and the library agree on any document, also on what isn't there."""
    text = "$" + "".join(f"['{step}']" if isinstance(step, str) else f"[{step}]" for step in steps)
    path = jsonpath.parse(text)
    assert path.singular == tuple(steps)
    found = singular(path.singular)(document)
    assert ([] if found is MISSING else [found]) == jsonpath_rfc9535.find(text, document).values()


@given(DOCUMENTS, st.lists(KEYS | st.integers(-3, 3) | st.just("*"), max_size=4))
def test_a_plain_path_finds_what_rfc_9535_says(document, steps):
    """Wildcards among names and indexes too, in the same order."""
    text = "$" + "".join(
        "[*]" if step == "*" else f"['{step}']" if isinstance(step, str) else f"[{step}]" for step in steps
    )
    path = jsonpath.parse(text)
    assert path.plain is not None
    assert every(path)(document) == jsonpath_rfc9535.find(text, document).values()
    assert every(path)(MISSING) == []


def test_values_of_a_plain_path_are_bounded_in_number():
    """As those of any other."""
    assert len(every(jsonpath.parse("$[*]"))(list(range(20_000)))) == jsonpath.MOST_VALUES


@pytest.mark.parametrize("path", [(), ("a",), ("a", "b"), (0,), ("a", 0)])
def test_nothing_is_found_in_no_document(path):
    """Whatever the path."""
    assert singular(path)(MISSING) is MISSING


def take(extract, answer, state=None):
    """The value, as a step takes it."""
    extraction = Extraction("v", Extract.model_validate(extract))
    state = state or state_of()
    found = extraction.apply(state, answer, parse_json(answer.body))
    return found, state.vars["v"]


ITEMS = json_answer({"items": [{"id": 1}, {"id": 2}, {"id": 3}], "token": "t", "none": None})
PAGE = an_answer(body=b'<a href="/1"><a href="/2">', head={"Link": "a", "X-Id": "9"}, cookies={"sid": "s1"})


@pytest.mark.parametrize(
    ("extract", "answer", "value"),
    [
        ({"json": "$.token"}, ITEMS, "t"),
        ({"json": "$.none"}, ITEMS, None),
        ({"json": "$.items[-1].id"}, ITEMS, 3),
        ({"json": "$.items[0]"}, ITEMS, {"id": 1}),
        ({"json": "$.token", "pick": "all"}, ITEMS, ["t"]),
        ({"json": "$.items[*].id"}, ITEMS, 1),
        ({"json": "$.items[*].id", "pick": "last"}, ITEMS, 3),
        ({"json": "$.items[*].id", "pick": "all"}, ITEMS, [1, 2, 3]),
        ({"json": "$.items[?@.id > 1].id"}, ITEMS, 2),
        ({"header": "x-id"}, PAGE, "9"),
        ({"cookie": "sid"}, PAGE, "s1"),
        ({"regex": 'href="(.+?)"'}, PAGE, "/1"),
        ({"regex": 'href="(.+?)"', "pick": "last"}, PAGE, "/2"),
        ({"regex": 'href="(.+?)"', "pick": "all"}, PAGE, ["/1", "/2"]),
        ({"regex": "h(re)f", "group": 0}, PAGE, "href"),
        ({"regex": "(h)(re)f", "group": 2}, PAGE, "re"),
        ({"regex": "hre."}, PAGE, "href"),
    ],
)
def test_a_value_is_taken_from_here(extract, answer, value):
    """Each source and each pick."""
    assert take(extract, answer) == (True, value)


def test_a_random_pick_gives_each_value():
    """Drawn by the virtual user's own generator."""
    state = state_of()
    assert {take({"json": "$.items[*].id", "pick": "random"}, ITEMS, state)[1] for _ in range(100)} == {1, 2, 3}
    assert {take({"regex": '"(.+?)"', "pick": "random"}, PAGE, state)[1] for _ in range(100)} == {"/1", "/2"}


MISSES = [
    ({"json": "$.gone"}, ITEMS),
    ({"json": "$.items[*].gone"}, ITEMS),
    ({"json": "$.items[*].gone", "pick": "random"}, ITEMS),
    ({"json": "$.items[*].gone", "pick": "all"}, ITEMS),
    ({"json": "$.token"}, PAGE),
    ({"json": "$..token"}, PAGE),
    ({"header": "x-gone"}, PAGE),
    ({"cookie": "gone"}, PAGE),
    ({"regex": "(nope)"}, PAGE),
    ({"regex": "(nope)", "pick": "last"}, PAGE),
]


@pytest.mark.parametrize(("extract", "answer"), MISSES)
def test_what_is_not_there_is_empty_or_the_default(extract, answer):
    """Without a default the variable is empty; null is a default too."""
    assert take(extract, answer) == (False, "")
    assert take(extract | {"default": 5}, answer) == (False, 5)
    assert take(extract | {"default": None}, answer) == (False, None)


def test_only_an_extraction_without_a_default_is_a_check():
    """Named after its variable."""
    required = Extraction("token", Extract.model_validate({"json": "$.a"}))
    assert required.required
    assert required.check_name == "extract token"
    assert not Extraction("token", Extract.model_validate({"json": "$.a", "default": None})).required


@pytest.mark.parametrize(
    ("extract", "make"),
    [
        ({"json": "$.v"}, lambda text: json_answer({"v": text})),
        ({"json": "$"}, lambda text: json_answer({"v": text})),
        ({"header": "v"}, lambda text: an_answer(head={"v": text})),
        ({"regex": "(x+)"}, lambda text: an_answer(body=text.encode())),
        ({"regex": "(x+)", "pick": "all"}, lambda text: an_answer(body=text.encode())),
    ],
)
def test_a_huge_value_counts_as_missing(extract, make):
    """A virtual user keeps no more than so much of a response."""
    assert take(extract, make("x" * (LARGEST_VALUE - 20)))[0]
    assert not take(extract, make("x" * (LARGEST_VALUE + 1)))[0]


def test_a_value_that_nests_too_deep_counts_as_missing():
    """It couldn't be written into a request."""
    deep = b"[" * 500 + b"]" * 500
    assert not take({"json": "$"}, an_answer(body=deep))[0]
    assert not take({"json": "$[*]", "pick": "all"}, an_answer(body=deep))[0]


def test_a_cookie_may_come_from_a_redirect():
    """The latest answer that sets it wins."""
    first, second = an_answer(cookies={"a": "1", "b": "1"}), an_answer(cookies={"a": "2"})
    last = an_answer(cookies={"c": "3"}, hops=(first, second))
    assert [cookie_of(last, name) for name in "abc"] == ["2", "1", "3"]
    assert cookie_of(last, "d") is MISSING


@pytest.mark.parametrize("extract", [{"json": "nope"}, {"regex": "("}, {"regex": "a", "group": 1}])
def test_a_source_that_does_not_parse_is_refused(extract):
    """When it is compiled."""
    with pytest.raises(JourneyError):
        Extraction("v", Extract.model_validate(extract))


def test_missing_is_told_from_null():
    """In failures' texts too."""
    assert parse_json(b"null") is None
    assert parse_json(b"{") is MISSING
    assert repr(MISSING) == "MISSING"
    assert Failure.RESET  # a failed request has no body: what is extracted from it is missing


async def test_trailers_are_checked_and_taken():
    """By name without regard to case, first or all; what isn't there is missing, and a header isn't one."""
    answer = an_answer(head={"x-sum": "head"})
    answer.trail(b"X-Sum: 1\r\nX-Sum: 2\r\n")
    step = {
        "request": {"url": "/"},
        "check": {"trailers": {"x-sum": "*1", "X-Gone": "absent", "x-other": "exists"}},
        "extract": {
            "one": {"trailer": "x-sum"}, "all": {"trailer": "X-Sum", "pick": "all"}, "none": {"trailer": "y"},
        },
    }  # fmt: skip
    bench = Bench.steps(step, answers=(answer,))
    assert await bench.vu.iterate(0) == "completed", bench.log
    assert bench.client.sent[0].prepared.needs_trailers
    taken = bench.client.sent[0].prepared.needs_trailers, bench.recorder.checks()
    assert taken[0]
    assert list(taken[1].values()) == [[True], [True], [False], [True], [True], [False]]
    assert [name.split(" ")[0] for name in taken[1]] == ["trailer"] * 3 + ["extract"] * 3


@pytest.mark.parametrize(("pick", "found"), [("first", "1"), ("last", "2"), ("all", ["1", "2"])])
def test_a_trailer_is_taken_by_its_name(pick, found):
    """Of several values that which is picked; a header of the name isn't one."""
    answer = an_answer(head={"x-sum": "head"})
    answer.trail(b"X-Sum: 1\r\nx-sum: 2\r\n")
    state = state_of()
    assert Extraction("v", Extract(trailer="X-SUM", pick=pick)).apply(state, answer, MISSING)
    assert state.vars["v"] == found
    assert not Extraction("v", Extract(trailer="x-sum")).apply(state, an_answer(head={"x-sum": "1"}), MISSING)
