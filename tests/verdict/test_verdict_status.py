"""The figures of a run, and what of them a status says."""

from dataclasses import replace

import orjson
import pytest
from verdict_samples import budget, checks, iterations, limit, measured, requests, thresholds

from loadgate.api.conditions import DoubtReason
from loadgate.metrics import CheckStats, Measurement, RequestStats
from loadgate.verdict import (
    Doubt,
    by_check,
    by_endpoint,
    decide,
    doubts_of_verdict,
    judge,
    summarise,
    summarise_endpoints,
    totals,
    violations_of,
)
from loadgate.verdict.figures import cut
from loadgate.verdict.summary import completed


def shop():
    """Twenty seconds of a shop with two endpoints, checks and dropped iterations."""
    out = measured(20.0, products=[10 * n for n in range(1, 101)], login=[200] * 8)
    requests(out, "login", [900] * 2, failed=True)
    checks(out, "status is 200", 9, 1, name="login")
    checks(out, "has a body", 100, 0, name="products")
    return iterations(out, completed=50, dropped=4)


def test_a_summary_is_all_requests_together():
    """The status' summary counts and ranks all judged requests."""
    assert summarise(shop()).to_json() == {
        "requests": 110,
        "requestsPerSecond": 5.5,
        "failedRate": "1.82%",
        "p50": "470ms",
        "p95": "948ms",
        "p99": "989ms",
        "max": "1s",
        "dropped": 4,
        "checks": "99.09%",
    }


def test_a_summary_of_nothing_claims_nothing():
    """Without requests there are no times and no shares."""
    assert completed(shop()) == 50
    assert summarise(Measurement()).to_json() == {"requests": 0, "requestsPerSecond": 0.0, "dropped": 0}


def test_endpoints_are_the_busiest_first():
    """Each endpoint is summed up by itself, with its own checks."""
    found = summarise_endpoints(shop())
    assert [(one.name, one.requests, one.failed_rate, one.checks) for one in found] == [
        ("products", 100, "0%", "100%"),
        ("login", 10, "20%", "90%"),
    ]
    assert found[1].p50 == "200ms"
    assert found[1].requests_per_second == 0.5


def test_figures_tell_statuses_errors_and_methods():
    """An endpoint's figures count by status, by kind of error and by method."""
    login = by_endpoint(shop())[1]
    assert dict(login.statuses) == {"200": 8, "0": 2}
    assert dict(login.errors) == {"timeout": 2}
    assert dict(login.methods) == {"GET": 10}
    assert login.mean == pytest.approx(0.34)
    assert login.maximum == pytest.approx(0.9)
    assert login.quantile(0.5) == pytest.approx(0.2, rel=0.005)
    assert login.failed_rate == pytest.approx(0.2)
    assert (login.stats.sent, login.stats.received) == (1000, 10000)


def test_figures_add_up_over_tag_sets():
    """Rows of one endpoint that differ in other tags are counted together."""
    measurement = measured(1.0)
    for scenario, n in (("a", 2), ("b", 3)):
        requests(measurement, "x", [1.0] * n, scenario=scenario)
        requests(measurement, "x", [1.0] * n, failed=True, scenario=scenario)
    (found,) = by_endpoint(measurement)
    assert (dict(found.statuses), dict(found.errors), found.failed) == ({"200": 5, "0": 5}, {"timeout": 5}, 5)
    assert totals(measurement).failed == 5
    assert totals(measurement).name == ""


def test_missing_tags_are_empty_texts():
    """Requests and checks without a name, method or status are counted under the empty name."""
    measurement = measured(1.0)
    stats = measurement.requests.setdefault((), RequestStats())
    stats.duration.record(5000)
    measurement.checks[()] = CheckStats(1, 3)
    (found,) = by_endpoint(measurement)
    assert (found.name, dict(found.methods), dict(found.statuses)) == ("", {"": 1}, {"0": 1})
    assert found.checks_rate == 0.25
    assert found.quantile(0.5) == 0.005
    assert [name for name, _ in by_check(measurement)] == [""]


def test_equally_bad_checks_go_by_name():
    """The order of checks doesn't depend on the order of recording."""
    measurement = checks(checks(measured(1.0), "b", 9, 1), "a", 1, 1)
    assert [name for name, _ in by_check(measurement)] == ["a", "b"]


def test_a_status_rounds_rates_to_a_tenth():
    """A rate in the status doesn't flicker with its hundredths."""
    assert summarise(measured(3.0, a=[1])).requests_per_second == 0.3
    assert summarise(measured(0.5, a=[1])).requests_per_second == 2.0
    assert summarise(measured(3.5, a=[1] * 3)).requests_per_second == 0.9


def test_each_field_of_a_violation_keeps_to_its_schema():
    """Texts are cut to exactly what the CRD allows."""
    long = "x" * 2000
    one = replace(limit(passed=False), source=long, subject=long, limit=long, actual=long)
    (found,) = violations_of(decide([one], []))
    assert [len(text) for text in (found.source, found.subject, found.limit, found.actual)] == [270, 600, 128, 64]


def test_figures_of_nothing_are_none():
    """No request has no time, no share and no rate."""
    found = totals(Measurement())
    assert (found.mean, found.maximum, found.quantile(0.5), found.failed_rate, found.checks_rate) == (None,) * 5
    assert found.requests_per_second == 0.0


def test_only_the_busiest_endpoints_are_listed():
    """Of many endpoints the busiest are kept; equally busy ones go by name."""
    measurement = measured(1.0, **{f"e{n:03}": [1] * (1 + n // 100) for n in range(120)})
    assert [one.name for one in by_endpoint(measurement, 21)] == [f"e{n:03}" for n in (*range(100, 120), 0)]
    assert len(summarise_endpoints(measurement)) == len(by_endpoint(measurement)) == 50


def test_checks_of_an_endpoint_that_made_no_request_are_in_the_totals_only():
    """A check outside of any request belongs to no endpoint."""
    measurement = checks(measured(1.0, a=[1]), "by hand", 0, 1, name="elsewhere")
    assert [one.name for one in by_endpoint(measurement)] == ["a"]
    assert by_endpoint(measurement)[0].checks_rate is None
    assert totals(measurement).checks_rate == 0.0


def test_checks_are_listed_with_the_worst_first():
    """A check is one row over all its tags; those that failed most come first."""
    measurement = checks(shop(), "status is 200", 5, 5, name="products")
    assert [(name, stats.passes, stats.fails) for name, stats in by_check(measurement)] == [
        ("status is 200", 14, 6),
        ("has a body", 100, 0),
    ]


def test_violations_are_said_with_limit_and_actual():
    """A status' violation names its source, its subject, the limit and what was measured."""
    found = judge(
        measured(10.0, products=[412.0] * 10),
        thresholds=thresholds(http_req_duration="max<400"),
        budgets=[budget("shop", responseTime={"products": {"p95": "300ms"}})],
    )
    assert [one.to_json() for one in violations_of(found)] == [
        {"source": "threshold", "subject": "http_req_duration max", "limit": "400ms", "actual": "412ms", "runs": 1},
        {"source": "budget/shop", "subject": "products p95", "limit": "300ms", "actual": "412ms", "runs": 1},
    ]
    assert [one.source for one in violations_of(found, source="budget/shop")] == ["budget/shop"]


def test_doubts_that_count_come_before_tolerated_ones():
    """A status lists every doubt, first those that decided."""
    lag, lost = Doubt(DoubtReason.LoopLag, "lag", "80ms"), Doubt(DoubtReason.RunnerLost, "lost", "1 of 2")
    found = doubts_of_verdict(decide([], [lag, lost], tolerated=[DoubtReason.LoopLag]))
    assert [(one.reason, one.message, one.figure) for one in found] == [
        (DoubtReason.RunnerLost, "lost", "1 of 2"),
        (DoubtReason.LoopLag, "lag", "80ms"),
    ]


def test_a_status_is_bounded_whatever_the_test():
    """Hundreds of endpoints, violations and doubts with endless names fit in a status' 32 KiB."""
    long = "é" * 5000
    measurement = measured(1.0, **{f"{n}{long}": [1] for n in range(80)})
    verdict = decide(
        [limit(passed=False, subject=f"{n}{long}") for n in range(200)],
        [Doubt(DoubtReason.CPULimit, long, long) for _ in range(200)],
    )
    lists = [summarise_endpoints(measurement), violations_of(verdict), doubts_of_verdict(verdict)]
    assert all(lists)
    assert sum(len(orjson.dumps([one.to_json() for one in several])) for several in lists) < 27_000


def test_short_lists_are_bounded_by_number():
    """At most 50 endpoints, 50 violations and 32 doubts are listed."""
    verdict = decide([limit(passed=False)] * 90, [Doubt(DoubtReason.CPULimit, "w", "1")] * 90)
    assert (len(violations_of(verdict)), len(doubts_of_verdict(verdict))) == (50, 32)


def test_names_that_only_differ_at_their_end_are_listed_once():
    """A list keyed by name may not hold two equal names, so after cutting the first one stands."""
    measurement = measured(1.0, **{"x" * 300 + "a": [1, 2], "x" * 300 + "b": [1]})
    (found,) = summarise_endpoints(measurement)
    assert found.requests == 2


@pytest.mark.parametrize(("text", "most", "short"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("", 3, "")])
def test_a_text_is_cut_with_an_ellipsis(text, most, short):
    """A cut text says that it was cut, and is no longer than allowed."""
    assert cut(text, most) == short
