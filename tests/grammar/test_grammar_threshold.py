"""Thresholds in k6's grammar."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate.api.grammar import threshold
from loadgate.api.grammar.errors import GrammarError
from loadgate.api.grammar.threshold import AGGREGATES, Expression, MetricSelector


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("p(95)<500", Expression("p", 95.0, "<", 500.0)),
        (" p( 99.9 ) <= 1.5e3 ", Expression("p", 99.9, "<=", 1500.0)),
        ("avg<200", Expression("avg", None, "<", 200.0)),
        ("med >= .5", Expression("med", None, ">=", 0.5)),
        ("min>-1", Expression("min", None, ">", -1.0)),
        ("count===3", Expression("count", None, "==", 3.0)),
        ("value!=0", Expression("value", None, "!=", 0.0)),
        ("rate!==0", Expression("rate", None, "!=", 0.0)),
        ("max==5.", Expression("max", None, "==", 5.0)),
        ("p(0)>0", Expression("p", 0.0, ">", 0.0)),
        ("p(100)<1", Expression("p", 100.0, "<", 1.0)),
    ],
)
def test_an_expression_means_this(text, expression):
    """The grammar by example."""
    assert threshold.parse_expression(text) == expression


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "p(95)<500"),
        ("p95<500", "p(95)<500"),
        ("p(101)<5", "p(95)<500"),
        ("p<5", "percentiles are written p(95)"),
        ("averge<5", "'avg'"),
        ("xyz<5", "known:"),
        ("avg<", "p(95)<500"),
        ("avg<5ms", "p(95)<500"),
        ("avg=5", "p(95)<500"),
        ("avg<5 or max<9", "p(95)<500"),
        ("avg<" + "9" * 600, "p(95)<500"),
    ],
)
def test_a_wrong_expression_is_refused(text, hint):
    """Each fault says what would be right."""
    with pytest.raises(GrammarError) as raised:
        threshold.parse_expression(text)
    assert hint in raised.value.hint


@given(
    st.sampled_from(["avg", "min", "max", "med", "count", "rate", "value"])
    | st.integers(0, 1000).map(lambda n: n / 10),
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_an_expression_written_down_reads_back_as_itself(aggregate, op, value):
    """str() and parse_expression() are each other's inverse."""
    found = (
        Expression("p", aggregate, op, value)
        if isinstance(aggregate, float)
        else Expression(aggregate, None, op, value)
    )
    assert threshold.parse_expression(str(found)) == found


@pytest.mark.parametrize(
    ("text", "actual", "holds"),
    [
        ("avg<5", 4, True), ("avg<5", 5, False), ("avg<=5", 5, True), ("avg<=5", 5.1, False),
        ("avg>5", 6, True), ("avg>5", 5, False), ("avg>=5", 5, True), ("avg>=5", 4.9, False),
        ("avg==5", 5, True), ("avg==5", 6, False), ("avg!=5", 6, True), ("avg!=5", 5, False),
    ],
)  # fmt: skip
def test_a_limit_holds_or_not(text, actual, holds):
    """Each operator at its edge."""
    assert threshold.parse_expression(text).holds(actual) is holds


@pytest.mark.parametrize(
    ("metric_type", "suits"),
    [
        ("trend", {"avg", "min", "max", "med", "p", "count"}),
        ("counter", {"count", "rate"}),
        ("rate", {"rate"}),
        ("gauge", {"value"}),
    ],
)
def test_an_aggregate_suits_a_type_of_metric(metric_type, suits):
    """As in k6."""
    assert AGGREGATES[metric_type] == suits
    for aggregate in ("avg", "min", "max", "med", "count", "rate", "value"):
        assert threshold.parse_expression(f"{aggregate}<1").suits(metric_type) is (aggregate in suits)
    assert threshold.parse_expression("p(95)<1").suits(metric_type) is ("p" in suits)


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        ("http_reqs", MetricSelector("http_reqs")),
        ("http_reqs{}", MetricSelector("http_reqs")),
        (" http_reqs { name : login } ", MetricSelector("http_reqs", (("name", "login"),))),
        ("a{z:1,b:2}", MetricSelector("a", (("b", "2"), ("z", "1")))),
        ("a{url:http://x/y?z={1}}", MetricSelector("a", (("url", "http://x/y?z={1}"),))),
        ("a{name:add to cart}", MetricSelector("a", (("name", "add to cart"),))),
        ("a{name:'x, y',group:\"\"}", MetricSelector("a", (("group", ""), ("name", "x, y")))),
        ("a{group:checkout::pay}", MetricSelector("a", (("group", "checkout::pay"),))),
        ("a{group:}", MetricSelector("a", (("group", ""),))),
    ],
)
def test_a_metric_with_tags_selects_this(text, selector):
    """The grammar by example; tags are sorted."""
    assert threshold.parse_metric(text) == selector


@pytest.mark.parametrize(
    "text", ["", "a b", "1a", "a{", "a}", "a{x}", "a{x:1", "a{x:1,x:2}", "a{:1}", "a{x:'1}", "a" * 600]
)
def test_a_wrong_metric_is_refused(text):
    """Each fault shows how metrics are written."""
    with pytest.raises(GrammarError) as raised:
        threshold.parse_metric(text)
    assert "http_req_duration" in raised.value.hint


VALUES = st.text(alphabet=st.characters(exclude_characters="\"'", exclude_categories=("Cs", "Cc")), max_size=12)


@given(
    st.from_regex(r"[a-z_]{1,10}", fullmatch=True),
    st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), VALUES, max_size=4),
)
def test_a_selector_written_down_reads_back_as_itself(metric, tags):
    """str() and parse_metric() are each other's inverse."""
    found = MetricSelector(metric, tuple(sorted(tags.items())))
    assert threshold.parse_metric(str(found)) == found


@pytest.mark.parametrize(
    "text",
    ["a", 'a{group:""}', "a{name:login}", 'a{name:"x, y"}', "a{name:' say \"hi\"'}", "a{name:add to cart,scenario:s}"],
)
def test_a_selector_is_written_without_needless_quotes(text):
    """It names limits in reports."""
    assert str(threshold.parse_metric(text)) == text


@pytest.mark.parametrize(
    "text", ["p(99.9)<=0.5", "avg<1500", "count>1000000000000000.0", "rate>0.1", "value==-3", "max<1e+20"]
)
def test_an_expression_is_written_as_people_do(text):
    """Whole numbers without a fraction, as far as they are exact."""
    assert str(threshold.parse_expression(text)) == text


def test_a_wrong_tag_is_pointed_at():
    """By its place in the whole text."""
    with pytest.raises(GrammarError) as raised:
        threshold.parse_metric("abc{x:1,y}")
    assert raised.value.position == 8


def test_a_value_with_a_double_quote_is_quoted_singly():
    """Either kind of quote can stand within the other."""
    found = MetricSelector("a", (("name", 'say "hi", all'),))
    assert threshold.parse_metric(str(found)) == found
