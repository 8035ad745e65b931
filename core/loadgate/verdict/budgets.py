"""PerformanceBudgets: which of them judge a test, and how."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from loadgate.api.grammar.threshold import Expression, parse_expression, parse_metric
from loadgate.verdict import figures
from loadgate.verdict.limits import Limit, LimitResult
from loadgate.verdict.thresholds import judge_metric, of_histogram

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from loadgate.api.budget import PerformanceBudget
    from loadgate.api.grammar.threshold import Aggregate, Operator
    from loadgate.api.loadtest import LoadTest
    from loadgate.metrics import Histogram, Measurement

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
        times = measurement.select_requests(_tags(endpoint)).duration
        for statistic, duration in limits.items():
            yield Limit(
                *_origin(budget),
                subject=f"{_endpoint(endpoint)} {statistic}",
                expression=_expression(statistic, "<=", duration.seconds * 1000),
                unit=figures.MILLISECONDS,
                written=f"responseTime {statistic} <= {duration}",
            ).judge(_time(times, statistic))


def _throughput(measurement: Measurement, budget: PerformanceBudget) -> Iterator[LimitResult]:
    for endpoint, limit in budget.spec.throughput.items():
        requests, _ = measurement.request_counts(_tags(endpoint))
        yield Limit(
            *_origin(budget),
            subject=f"{_endpoint(endpoint)} throughput",
            expression=Expression("rate", None, ">=", float(limit.min)),
            unit=figures.PER_SECOND,
            written=f"throughput min {limit.min:g}",
            volume=True,
        ).judge(requests / measurement.elapsed if requests and measurement.elapsed > 0 else None)


def _error_rates(measurement: Measurement, budget: PerformanceBudget) -> Iterator[LimitResult]:
    for endpoint, limit in budget.spec.error_rate.items():
        requests, failed = measurement.request_counts(_tags(endpoint))
        yield Limit(
            *_origin(budget),
            subject=f"{_endpoint(endpoint)} error rate",
            expression=Expression("rate", None, "<=", limit.max.value),
            unit=figures.SHARE,
            written=f"errorRate max {limit.max}",
        ).judge(failed / requests if requests else None)


def _metrics(measurement: Measurement, budget: PerformanceBudget) -> Iterator[LimitResult]:
    source, enforced = _origin(budget)
    for metric, texts in budget.spec.metrics.items():
        for text in texts:
            selector, expression = parse_metric(metric), parse_expression(text)
            yield judge_metric(measurement, selector, expression, source=source, enforced=enforced)


def _origin(budget: PerformanceBudget) -> tuple[str, bool]:
    """A limit's source, and whether it counts."""
    return f"budget/{budget.metadata.name}", budget.spec.enforcement != "Warn"


def _tags(endpoint: str) -> tuple[tuple[str, str], ...]:
    return () if endpoint == EVERYTHING else (("name", endpoint),)


def _endpoint(endpoint: str) -> str:
    return ALL if endpoint == EVERYTHING else endpoint


def _expression(statistic: str, op: Operator, value: float) -> Expression:
    percentile = _PERCENTILE.fullmatch(statistic)
    if percentile:
        return Expression("p", float(percentile[1]), op, value)
    aggregate: Aggregate = statistic  # type: ignore[assignment]  # the model admits only statistics that are aggregates
    return Expression(aggregate, None, op, value)


def _time(times: Histogram, statistic: str) -> float | None:
    percentile = _PERCENTILE.fullmatch(statistic)
    return of_histogram(times, "p" if percentile else statistic, float(percentile[1]) if percentile else None)
