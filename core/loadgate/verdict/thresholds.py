"""Thresholds over a measurement: a metric's samples are selected by tags, put together and compared as k6 would."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgate.api.grammar.threshold import parse_expression, parse_metric
from loadgate.metrics import Histogram, matches
from loadgate.metrics.names import BUILT_IN, PHASES, STREAMS, MetricType
from loadgate.verdict import figures
from loadgate.verdict.limits import THRESHOLD, Limit, LimitResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from loadgate.api.grammar.threshold import Expression, MetricSelector
    from loadgate.api.limits import Threshold
    from loadgate.metrics import CheckStats, IterationStats, Measurement, RequestStats

_DATA = {"data_sent", "data_received"}


def judge_thresholds(measurement: Measurement, thresholds: Mapping[str, Sequence[Threshold]]) -> list[LimitResult]:
    """Every threshold of a test, judged, in the manifest's order."""
    return [
        judge_threshold(measurement, metric, one.threshold) for metric, several in thresholds.items() for one in several
    ]


def judge_threshold(measurement: Measurement, metric: str, text: str) -> LimitResult:
    """One threshold: `metric` with tags as in `http_req_duration{name:login}`, `text` as in `p(95)<500`."""
    selector, expression = parse_metric(metric), parse_expression(text)
    return judge_metric(measurement, selector, expression, source=THRESHOLD)


def judge_metric(
    measurement: Measurement, selector: MetricSelector, expression: Expression, *, source: str, enforced: bool = True
) -> LimitResult:
    """One limit on any metric, for thresholds and for a budget's `metrics`."""
    kind = type_of(measurement, selector.metric)
    limit = Limit(
        source=source,
        subject=f"{selector} {_aggregate_text(expression)}",
        expression=expression,
        unit=_unit(selector.metric, kind, expression),
        enforced=enforced,
        volume=kind in {MetricType.COUNTER, MetricType.GAUGE} and expression.op in {">", ">="},
    )
    return limit.judge(measure(measurement, selector, expression))


def type_of(measurement: Measurement, metric: str) -> MetricType | None:
    """A metric's type: a built-in one's, or that of the table in which a custom one has samples; else None."""
    if metric in BUILT_IN:
        return BUILT_IN[metric]
    tables: list[tuple[MetricType, Iterable[tuple[str, object]]]] = [
        (MetricType.TREND, measurement.trends),
        (MetricType.COUNTER, measurement.counters),
        (MetricType.RATE, measurement.rates),
        (MetricType.GAUGE, measurement.gauges),
    ]
    return next((kind for kind, table in tables if any(name == metric for name, _ in table)), None)


def measure(measurement: Measurement, selector: MetricSelector, expression: Expression) -> float | None:
    """The value that a limit is about: times in ms, shares from 0 to 1; None where there is no sample."""
    kind = type_of(measurement, selector.metric)
    if kind is None or not expression.suits(kind.value):
        return None
    if kind is MetricType.TREND:
        return _of_trend(_trend(measurement, selector), expression)
    if kind is MetricType.RATE:
        return _share(measurement, selector)
    if kind is MetricType.GAUGE:
        return _gauge(measurement, selector)
    total = _total(measurement, selector)
    if total is None or expression.aggregate == "count":
        return total
    return total / measurement.elapsed if measurement.elapsed > 0 else None


def _of_trend(samples: Histogram, expression: Expression) -> float | None:
    if not samples.count:
        return None
    if expression.aggregate == "count":
        return float(samples.count)
    if expression.aggregate in {"p", "med"}:
        percent = 50.0 if expression.argument is None else expression.argument
        return samples.quantile(percent / 100) / 1000
    microseconds = {"avg": samples.mean, "min": samples.minimum, "max": samples.maximum}[expression.aggregate]
    return microseconds / 1000


def _trend(measurement: Measurement, selector: MetricSelector) -> Histogram:
    out = Histogram()
    for histogram in _histograms(measurement, selector):
        out.merge(histogram)
    return out


def _histograms(measurement: Measurement, selector: MetricSelector) -> Iterator[Histogram]:
    metric, tags = selector.metric, selector.tags
    if metric == "iteration_duration":
        yield from (stats.duration for stats in _iterations(measurement, selector))
    elif metric in BUILT_IN and metric not in STREAMS:
        for stats in _requests(measurement, selector):
            yield from _request_times(stats, metric)
    else:
        yield from (s.values for (name, own), s in measurement.trends.items() if name == metric and matches(own, tags))


def _request_times(stats: RequestStats, metric: str) -> Iterator[Histogram]:
    if metric == "http_req_duration":
        yield stats.duration
    elif metric == "http_req_service_time":
        # Kept apart only where it may differ from the duration.
        yield stats.service if stats.service.count else stats.duration
    elif (phase := stats.phases.get(PHASES[metric])) is not None:
        yield phase


def _share(measurement: Measurement, selector: MetricSelector) -> float | None:
    if selector.metric == "http_req_failed":
        total, hits = measurement.request_counts(selector.tags)
    else:
        found = list(_rates(measurement, selector))
        hits = sum(stats.passes for stats in found)
        total = hits + sum(stats.fails for stats in found)
    return hits / total if total else None


def _rates(measurement: Measurement, selector: MetricSelector) -> Iterator[CheckStats]:
    tags = selector.tags
    if selector.metric == "checks":
        yield from (stats for own, stats in measurement.checks.items() if matches(own, tags))
    else:
        rows = measurement.rates.items()
        yield from (stats for (name, own), stats in rows if name == selector.metric and matches(own, tags))


def _total(measurement: Measurement, selector: MetricSelector) -> float | None:
    """A counter's sum. Without any row for the tags it is unknown rather than 0: more likely a name is misspelt."""
    metric, tags = selector.metric, selector.tags
    values: list[float]
    if metric == "http_reqs":
        values = [stats.duration.count for stats in _requests(measurement, selector)]
    elif metric in _DATA:
        sent = metric == "data_sent"
        values = [stats.sent if sent else stats.received for stats in _requests(measurement, selector)]
    elif metric == "iterations":
        values = [stats.completed + stats.failed for stats in _iterations(measurement, selector)]
    elif metric == "dropped_iterations":
        values = [stats.dropped for stats in _iterations(measurement, selector)]
    else:
        rows = measurement.counters.items()
        values = [stats.value for (name, own), stats in rows if name == metric and matches(own, tags)]
    return float(sum(values)) if values else None


def _gauge(measurement: Measurement, selector: MetricSelector) -> float | None:
    if selector.metric in {"vus", "vus_max"}:
        # Nothing tags VUs, so a selection among them selects nothing.
        return None if selector.tags else float(getattr(measurement, selector.metric))
    rows = measurement.gauges.items()
    found = [s for (name, own), s in rows if name == selector.metric and matches(own, selector.tags)]
    return max(found, key=lambda stats: (stats.at, stats.value)).value if found else None


def _requests(measurement: Measurement, selector: MetricSelector) -> Iterator[RequestStats]:
    return (stats for own, stats in measurement.requests.items() if matches(own, selector.tags))


def _iterations(measurement: Measurement, selector: MetricSelector) -> Iterator[IterationStats]:
    return (stats for own, stats in measurement.iterations.items() if matches(own, selector.tags))


def _aggregate_text(expression: Expression) -> str:
    return expression.aggregate if expression.argument is None else f"p({expression.argument:g})"


def _unit(metric: str, kind: MetricType | None, expression: Expression) -> str:
    if kind is MetricType.RATE:
        return figures.SHARE
    if metric in _DATA:
        return figures.BYTES_PER_SECOND if expression.aggregate == "rate" else figures.BYTES
    if expression.aggregate == "rate" and kind is MetricType.COUNTER:
        return figures.PER_SECOND
    # A custom trend may be of anything: only the built-in ones are known to be times.
    times = kind is MetricType.TREND and metric in BUILT_IN and expression.aggregate != "count"
    return figures.MILLISECONDS if times else figures.PLAIN
