"""Budgets: which of them judge a test, and what each of their limits says."""

import pytest
from verdict_samples import budget, checks, loadtest, measured, requests

from loadgate.api.budget import PerformanceBudget
from loadgate.verdict import judge_budget, select_budgets


def shop():
    """A hundred seconds of a shop: products are quick, one login in ten times out."""
    out = measured(100.0, products=[10 * n for n in range(1, 101)], login=[200] * 90)
    return requests(out, "login", [900] * 10, failed=True)


def test_response_times_are_limited_by_endpoint_and_statistic():
    """Each endpoint's statistic is compared with its own limit; `*` is all requests together."""
    spec = {"products": {"p95": "950ms", "p50": "400ms", "max": "1s", "avg": "505ms"}, "*": {"p99.9": "1s"}}
    found = judge_budget(shop(), budget(responseTime=spec))
    assert [(one.subject, one.passed) for one in found] == [
        ("products p95", True),
        ("products p50", False),
        ("products max", True),
        ("products avg", True),
        ("all requests p99.9", True),
    ]
    assert [one.limit for one in found] == ["950ms", "400ms", "1s", "505ms", "1s"]
    assert {one.source for one in found} == {"budget/shop"}
    assert found[0].expression == "responseTime p95 <= 950ms"
    assert found[0].actual_value == pytest.approx(950, rel=0.005)


def test_each_percentile_of_a_budget_is_its_own():
    """Of a hundred different times, pN is the Nth, and each is held against its own limit."""
    measurement = measured(1.0, a=[0.001 * n for n in range(1, 101)])
    spec = {"a": {f"p{n}": "1ms" for n in (50, 75, 90, 95, 99)} | {"p99.9": "1ms", "avg": "1ms", "max": "1ms"}}
    found = judge_budget(measurement, budget(responseTime=spec))
    assert [one.actual_value for one in found] == [0.05, 0.075, 0.09, 0.095, 0.099, 0.1, 0.0505, 0.1]


def test_a_budget_holds_at_its_limit():
    """A response time of exactly the limit is within the budget."""
    (found,) = judge_budget(measured(1.0, a=[100.0]), budget(responseTime={"a": {"max": "100ms"}}))
    assert (found.passed, found.op, found.margin) == (True, "<=", 0.0)


def test_throughput_is_requests_of_the_endpoint_per_second():
    """A least throughput is compared with the endpoint's requests over the judged time."""
    found = judge_budget(shop(), budget(throughput={"products": {"min": 1}, "login": {"min": 1.5}, "*": {"min": 2}}))
    assert [(one.subject, one.passed, one.actual) for one in found] == [
        ("products throughput", True, "1/s"),
        ("login throughput", False, "1/s"),
        ("all requests throughput", True, "2/s"),
    ]
    assert all(one.volume for one in found)
    assert found[1].margin == pytest.approx(-1 / 3)
    assert found[1].expression == "throughput min 1.5"


def test_throughput_needs_time():
    """Before any time is judged there is no throughput."""
    (found,) = judge_budget(measured(0.0, a=[1]), budget(throughput={"a": {"min": 1}}))
    assert found.passed is None


def test_error_rate_is_the_share_of_failed_requests():
    """A most error rate is compared with the endpoint's own failures."""
    spec = {"login": {"max": "10%"}, "products": {"max": 0}, "*": {"max": "1%"}}
    found = judge_budget(shop(), budget(errorRate=spec))
    assert [(one.subject, one.passed, one.actual) for one in found] == [
        ("login error rate", True, "10%"),
        ("products error rate", True, "0%"),
        ("all requests error rate", False, "5%"),
    ]
    assert not any(one.volume for one in found)
    assert found[0].expression == "errorRate max 10%"


def test_any_other_metric_is_limited_in_the_thresholds_grammar():
    """A budget's metrics are judged as thresholds are, in the budget's name."""
    measurement = checks(shop(), "status is 200", 99, 1)
    found = judge_budget(measurement, budget(metrics={"checks": ["rate>0.98", "rate>0.995"]}, enforcement="Warn"))
    assert [(one.passed, one.source, one.enforced) for one in found] == [
        (True, "budget/shop", False),
        (False, "budget/shop", False),
    ]


@pytest.mark.parametrize(
    "spec",
    [
        {"responseTime": {"wishlist": {"p95": "1s"}}},
        {"throughput": {"wishlist": {"min": 1}}},
        {"errorRate": {"wishlist": {"max": "1%"}}},
        {"metrics": {"http_req_duration{name:wishlist}": ["p(95)<1"]}},
    ],
)
def test_an_endpoint_that_was_not_called_is_not_judged(spec):
    """Nothing is claimed of an endpoint without a request."""
    (found,) = judge_budget(shop(), budget(**spec))
    assert (found.passed, found.actual) == (None, None)


@pytest.mark.parametrize(("enforcement", "enforced"), [("Fail", True), ("Warn", False)])
def test_a_budget_that_warns_marks_its_limits(enforcement, enforced):
    """Whether a limit counts is the budget's to say, for each kind of limit."""
    spec = {"responseTime": {"*": {"p95": "1s"}}, "throughput": {"*": {"min": 1}}, "errorRate": {"*": {"max": "1%"}}}
    found = judge_budget(shop(), budget(**spec, enforcement=enforcement))
    assert [one.enforced for one in found] == [enforced] * 3


def test_an_empty_budget_asks_for_nothing():
    """A budget without limits has nothing to judge."""
    assert judge_budget(shop(), budget()) == []


EVERY = budget("every", selector={})
NOBODY = budget("nobody")
SHOP = budget("shop", selector={"matchLabels": {"app": "shop"}})
NOT_SHOP = budget("not-shop", selector={"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["shop"]}]})
ELSEWHERE = PerformanceBudget.model_validate(
    {"metadata": {"name": "every", "namespace": "elsewhere"}, "spec": {"selector": {}}}
)


@pytest.mark.parametrize(
    ("labels", "named", "selected"),
    [
        ({"app": "shop"}, (), ["every", "shop"]),
        ({"app": "bank"}, (), ["every", "not-shop"]),
        ({}, ("nobody",), ["every", "nobody", "not-shop"]),
        ({"app": "bank"}, ("shop",), ["every", "not-shop", "shop"]),
    ],
)
def test_budgets_are_selected_by_name_or_by_label(labels, named, selected):
    """A budget judges tests that name it and tests that its selector takes, in its own namespace only."""
    found = select_budgets(loadtest(labels, named), [EVERY, NOBODY, SHOP, NOT_SHOP, ELSEWHERE])
    assert sorted(one.metadata.name for one in found) == selected
    assert all(one.metadata.namespace == "default" for one in found)
