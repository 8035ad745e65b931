"""Thresholds: each metric's samples are selected by tags and put together as k6 would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verdict_samples import checks, iterations, measured, requests, thresholds

from loadgate.api.grammar.threshold import parse_expression, parse_metric
from loadgate.metrics import CheckStats, Histogram, Measurement, tags_of
from loadgate.metrics.measurement import CounterStats, GaugeStats, TrendStats
from loadgate.verdict import judge_threshold, judge_thresholds
from loadgate.verdict.thresholds import measure


def everything() -> Measurement:
    """Ten seconds in which something of each kind was measured."""
    out = measured(10.0, login=[100, 200, 300, 400], products=[10] * 16)
    requests(out, "login", [1000], failed=True)
    stats = out.requests[tags_of(name="login", method="GET", status="200", expected_response="true", scenario="main")]
    stats.phases["waiting"] = Histogram([90_000, 190_000])
    stats.service = Histogram([50_000])
    iterations(out, "main", completed=40, failed=2, interrupted=3, dropped=5)
    iterations(out, "other", completed=8)
    checks(out, "status is 200", 19, 1, scenario="main")
    checks(out, "has a body", 10, 0, scenario="other")
    out.counters["sold", tags_of(kind="book")] = CounterStats(30.0)
    out.counters["sold", tags_of(kind="pen")] = CounterStats(12.0)
    out.rates["paid", ()] = CheckStats(3, 1)
    out.gauges["depth", tags_of(shard="a")] = GaugeStats(5.0, 100.0, 1.0, 9.0)
    out.gauges["depth", tags_of(shard="b")] = GaugeStats(7.0, 101.0, 2.0, 8.0)
    out.trends["basket", tags_of(kind="book")] = TrendStats(Histogram([2_000, 4_000]))
    out.counters["sse_events", tags_of(name="prices")] = CounterStats(20.0)
    out.trends["sse_event_gap", tags_of(name="prices")] = TrendStats(Histogram([20_000, 40_000]))
    out.vus, out.vus_max = 3, 10
    return out


@pytest.mark.parametrize(
    ("metric", "expression", "value"),
    [
        ("http_req_duration", "max<1", 1000.0),
        ("http_req_duration", "min<1", 10.0),
        ("http_req_duration", "count>1", 21.0),
        ("http_req_duration", "avg<1", (100 + 200 + 300 + 400 + 1000 + 160) / 21),
        ("http_req_duration{name:login}", "avg<1", 400.0),
        ("http_req_duration{name:login,expected_response:true}", "avg<1", 250.0),
        ("http_req_duration{name:products}", "med<1", 10.0),
        ("http_req_duration{name:products}", "p(99)<1", 10.0),
        ("http_req_waiting", "max<1", 190.0),
        ("http_req_waiting{name:login}", "count<1", 2.0),
        ("http_req_connecting", "max<1", None),
        ("http_req_service_time{name:login,status:200}", "max<1", 50.0),
        ("http_req_service_time{name:products}", "max<1", 10.0),
        ("http_req_service_time{name:products}", "count<1", 16.0),
        ("iteration_duration", "max<1", 1000.0),
        ("iteration_duration{scenario:other}", "count<1", 8.0),
        ("http_reqs", "count>1", 21.0),
        ("http_reqs", "rate>1", 2.1),
        ("http_reqs{name:products}", "rate>1", 1.6),
        ("http_reqs{name:nothing}", "rate>1", None),
        ("http_req_failed", "rate<1", 1 / 21),
        ("http_req_failed{name:login}", "rate<1", 0.2),
        ("http_req_failed{name:products}", "rate<1", 0.0),
        ("http_req_failed{name:nothing}", "rate<1", None),
        ("checks", "rate>0", 29 / 30),
        ("checks{check:status is 200}", "rate>0", 0.95),
        ("checks{scenario:other}", "rate>0", 1.0),
        ("checks{check:nothing}", "rate>0", None),
        ("iterations", "count>1", 50.0),
        ("iterations", "rate>1", 5.0),
        ("iterations{scenario:main}", "count>1", 42.0),
        ("dropped_iterations", "count<1", 5.0),
        ("dropped_iterations{scenario:other}", "count<1", 0.0),
        ("dropped_iterations{scenario:nothing}", "count<1", None),
        ("data_sent", "count<1", 2100.0),
        ("data_sent{name:login}", "count<1", 500.0),
        ("data_received", "rate<1", 2100.0),
        ("vus", "value>1", 3.0),
        ("vus_max", "value>1", 10.0),
        ("vus{scenario:main}", "value>1", None),
        ("sold", "count>1", 42.0),
        ("sold", "rate>1", 4.2),
        ("sold{kind:pen}", "count>1", 12.0),
        ("sold{kind:cup}", "count>1", None),
        ("paid", "rate>0", 0.75),
        ("paid{kind:pen}", "rate>0", None),
        ("depth", "value<1", 7.0),
        ("depth{shard:a}", "value<1", 5.0),
        ("depth{shard:c}", "value<1", None),
        ("basket", "max<1", 4.0),
        ("basket", "avg<1", 3.0),
        ("basket{kind:pen}", "max<1", None),
        ("sse_events", "rate>1", 2.0),
        ("sse_event_gap{name:prices}", "max<1", 40.0),
        ("sse_event_gap{name:none}", "max<1", None),
        ("sse_session_duration", "max<1", None),
        ("unheard_of", "count>1", None),
    ],
)
def test_each_metric_is_measured_as_k6_would(metric, expression, value):
    """A metric's samples with the wanted tags come down to the number that k6 would compare."""
    found = measure(everything(), parse_metric(metric), parse_expression(expression))
    assert found is None if value is None else found == pytest.approx(value, rel=0.005)


@pytest.mark.parametrize(
    ("metric", "expression"), [("http_reqs", "p(95)<1"), ("checks", "count>1"), ("vus", "rate>1"), ("basket", "rate<1")]
)
def test_an_aggregate_that_a_metric_has_not_measures_nothing(metric, expression):
    """A percentile of a counter is no number at all."""
    assert measure(everything(), parse_metric(metric), parse_expression(expression)) is None


@pytest.mark.parametrize(
    ("percentile", "rank"), [("p(10)", 10), ("p(50)", 50), ("med", 50), ("p(95)", 95), ("p(99)", 99)]
)
def test_a_percentile_is_of_its_own_rank(percentile, rank):
    """Of a hundred different times, percentile N is the Nth: each argument gives its own value."""
    measurement = measured(1.0, a=[0.001 * n for n in range(1, 101)])
    found = measure(measurement, parse_metric("http_req_duration"), parse_expression(f"{percentile}<1"))
    assert found == rank / 1000


def test_a_single_time_is_measured_exactly():
    """Of one sample every percentile is that sample, not the middle of its bucket."""
    measurement = measured(1.0, a=[123.457])
    assert measure(measurement, parse_metric("http_req_duration"), parse_expression("p(95)<1")) == 123.457


def test_a_rate_is_per_second_also_of_less_than_a_second():
    """Half a second with one request is two requests per second."""
    assert measure(measured(0.5, a=[1]), parse_metric("http_reqs"), parse_expression("rate>1")) == 2.0


def test_a_rate_per_second_needs_time():
    """Before any time is judged, a counter has no rate."""
    assert measure(measured(0.0, login=[1]), parse_metric("http_reqs"), parse_expression("rate>1")) is None


@pytest.mark.parametrize(
    ("metric", "expression", "actual", "limit", "unit"),
    [
        ("http_req_duration{name:login}", "avg<500", "400ms", "500ms", "ms"),
        ("http_req_duration", "max<2500", "1s", "2.5s", "ms"),
        ("http_req_duration", "count>10", "21", "10", ""),
        ("http_req_failed", "rate<0.1", "4.76%", "10%", "share"),
        ("http_reqs", "rate>100", "2.1/s", "100/s", "/s"),
        ("data_sent", "count<1000", "2.1 kB", "1000B", "B"),
        ("data_received", "rate<5000", "2.1 kB/s", "5000B/s", "B/s"),
        ("basket", "max<5", "4", "5", ""),
        ("vus", "value>1", "3", "1", ""),
        ("sold", "count>1", "42", "1", ""),
    ],
)
def test_figures_are_said_in_the_metrics_unit(metric, expression, actual, limit, unit):
    """Times read as times, shares as percent, bytes as sizes, and the rest as plain numbers."""
    found = judge_threshold(everything(), metric, expression)
    assert (found.actual, found.limit, found.unit) == (actual, limit, unit)


def test_a_threshold_is_said_whole():
    """A judged threshold says what it is about, what was asked, what was measured and how much room was left."""
    found = judge_threshold(everything(), "http_req_duration{name:login}", "avg<500")
    assert found.source == "threshold"
    assert found.subject == "http_req_duration{name:login} avg"
    assert (found.expression, found.op, found.limit_value) == ("avg<500", "<", 500.0)
    assert found.actual_value == pytest.approx(400.0)
    assert found.margin == pytest.approx(0.2)
    assert found.passed is True
    assert found.enforced
    assert not found.volume
    assert not found.ended_run


def test_a_percentile_is_named_in_the_subject():
    """The subject tells p(95) from p(99.9)."""
    found = judge_threshold(everything(), "http_req_duration", "p(99.9)<1")
    assert found.subject == "http_req_duration p(99.9)"


@pytest.mark.parametrize(
    ("metric", "expression", "volume"),
    [
        ("http_reqs", "rate>1", True),
        ("http_reqs", "count>=1", True),
        ("http_reqs", "rate<1", False),
        ("http_reqs", "rate==1", False),
        ("vus", "value>1", True),
        ("checks", "rate>0.9", False),
        ("http_req_duration", "p(95)>1", False),
    ],
)
def test_only_a_least_amount_of_work_is_a_volume(metric, expression, volume):
    """Limits that ask for at least so much work are marked, since less load breaks them by itself."""
    assert judge_threshold(everything(), metric, expression).volume is volume


def test_without_a_sample_nothing_is_claimed():
    """A limit on what was never measured neither passes nor fails, and has no figure."""
    found = judge_threshold(everything(), "http_req_duration{name:wishlist}", "p(95)<500")
    assert (found.passed, found.actual, found.actual_value, found.margin) == (None, None, None, None)
    assert found.limit == "500ms"


def test_thresholds_are_judged_in_the_manifests_order():
    """The result lists limits as the manifest does."""
    found = judge_thresholds(everything(), thresholds(http_reqs=["rate>1", "count>1"], checks="rate>0.5"))
    assert [one.subject for one in found] == ["http_reqs rate", "http_reqs count", "checks rate"]
    assert [one.passed for one in found] == [True, True, True]


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=50), st.floats(0, 6000), st.floats(0, 1000))
def test_raising_a_limit_never_turns_a_pass_into_a_failure(samples, low, more):
    """Who keeps a limit keeps every laxer one, and the margin only grows."""
    measurement = measured(5.0, a=samples)
    strict = judge_threshold(measurement, "http_req_duration", f"p(95)<{low}")
    lax = judge_threshold(measurement, "http_req_duration", f"p(95)<{low + more}")
    assert not (strict.passed and not lax.passed)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=50), st.floats(1, 6000), st.sampled_from("<>"))
def test_a_margin_is_positive_exactly_when_there_is_room(samples, limit, op):
    """The sign of a margin and the judgement never contradict each other."""
    found = judge_threshold(measured(5.0, a=samples), "http_req_duration", f"avg{op}{limit}")
    assert found.margin is not None
    assert found.passed == (found.margin > 0)
