"""PerformanceBudgets: which of them judge a test, and how."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from loadgate.api.grammar.threshold import Expression, MetricSelector, parse_expression, parse_metric
from loadgate.verdict import figures
from loadgate.verdict.limits import Limit, LimitResult
from loadgate.verdict.thresholds import judge_metric, measure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from loadgate.api.budget import PerformanceBudget
    from loadgate.api.grammar.threshold import Aggregate
    from loadgate.api.loadtest import LoadTest
    from loadgate.metrics import Measurement

EVERYTHING = "*"
"""The endpoint that stands for all requests together."""

ALL = "all requests"
"""What reports call it."""

_PERCENTILE = re.compile(r"p(\d+(?:\.\d+)?)")


def select_budgets(test: LoadTest, budgets: Iterable[PerformanceBudget]) -> list[PerformanceBudget]:
    """The budgets of the test's namespace that judge it: those that it names, and those whose selector takes it."""
    named = {reference.name for reference in test.spec.budgets}
    return [
        budget
        for budget in budgets
        if budget.metadata.namespace == test.metadata.namespace
        and (budget.metadata.name in named or _selects(budget, test.metadata.labels))
    ]


def _selects(budget: PerformanceBudget, labels: dict[str, str]) -> bool:
    return budget.spec.selector is not None and budget.spec.selector.matches(labels)


def judge_budget(measurement: Measurement, budget: PerformanceBudget) -> list[LimitResult]:
    """Every limit of a budget, judged, in the manifest's order."""
    return [
        *_response_times(measurement, budget),
        *_throughput(measurement, budget),
        *_error_rates(measurement, budget),
        *_metrics(measurement, budget),
    ]


def _response_times(measurement: Measurement, budget: PerformanceBudget) -> Iterator[LimitResult]:
    for endpoint, limits in budget.spec.response_time.items():
        for statistic, duration in limits.items():
            expression = _expression(statistic, duration.seconds * 1000)
            yield Limit(
                *_origin(budget),
                subject=f"{_endpoint(endpoint)} {statistic}",
                expression=expression,
                unit=figures.MILLISECONDS,
                written=f"responseTime {statistic} <= {duration}",
            ).judge(measure(measurement, _selector("http_req_duration", endpoint), expression))


def _throughput(measurement: Measurement, budget: PerformanceBudget) -> Iterator[LimitResult]:
    for endpoint, limit in budget.spec.throughput.items():
        expression = Expression("rate", None, ">=", float(limit.min))
        yield Limit(
            *_origin(budget),
            subject=f"{_endpoint(endpoint)} throughput",
            expression=expression,
            unit=figures.PER_SECOND,
            written=f"throughput min {limit.min:g}",
            volume=True,
        ).judge(measure(measurement, _selector("http_reqs", endpoint), expression))


def _error_rates(measurement: Measurement, budget: PerformanceBudget) -> Iterator[LimitResult]:
    for endpoint, limit in budget.spec.error_rate.items():
        expression = Expression("rate", None, "<=", limit.max.value)
        yield Limit(
            *_origin(budget),
            subject=f"{_endpoint(endpoint)} error rate",
            expression=expression,
            unit=figures.SHARE,
            written=f"errorRate max {limit.max}",
        ).judge(measure(measurement, _selector("http_req_failed", endpoint), expression))


def _metrics(measurement: Measurement, budget: PerformanceBudget) -> Iterator[LimitResult]:
    source, enforced = _origin(budget)
    for metric, texts in budget.spec.metrics.items():
        for text in texts:
            selector, expression = parse_metric(metric), parse_expression(text)
            yield judge_metric(measurement, selector, expression, source=source, enforced=enforced)


def _origin(budget: PerformanceBudget) -> tuple[str, bool]:
    """A limit's source, and whether it counts."""
    return f"budget/{budget.metadata.name}", budget.spec.enforcement != "Warn"


def _selector(metric: str, endpoint: str) -> MetricSelector:
    return MetricSelector(metric, () if endpoint == EVERYTHING else (("name", endpoint),))


def _endpoint(endpoint: str) -> str:
    return ALL if endpoint == EVERYTHING else endpoint


def _expression(statistic: str, milliseconds: float) -> Expression:
    """`p99.9`, `avg` and the like, at most so many milliseconds."""
    if percentile := _PERCENTILE.fullmatch(statistic):
        return Expression("p", float(percentile[1]), "<=", milliseconds)
    aggregate: Aggregate = statistic  # type: ignore[assignment]  # the model admits only statistics that are aggregates
    return Expression(aggregate, None, "<=", milliseconds)
