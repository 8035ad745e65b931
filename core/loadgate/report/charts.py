"""What the HTML report draws: series over time, the distribution of latency, and the phases of requests.

Times are in milliseconds and rates per second, in plain arrays as uPlot takes them; None is a gap.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from loadgate.api.grammar.threshold import parse_metric
from loadgate.metrics import Histogram
from loadgate.metrics.histogram import bounds_of
from loadgate.metrics.names import PHASES
from loadgate.metrics.slices import Slice
from loadgate.verdict import by_endpoint
from loadgate.verdict.budgets import ALL, EVERYTHING
from loadgate.verdict.figures import MILLISECONDS
from loadgate.verdict.limits import THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadgate.metrics import Slices
    from loadgate.report.result import Result
    from loadgate.verdict import LimitResult

PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
DRAWN_ENDPOINTS = 12
"""How many endpoints' latency over time is in the page, the busiest ones; more would make it heavy."""

_TAIL = [1 - k * 10.0**-e for e in (1, 2, 3, 4, 5) for k in (5, 2, 1)]
_QUANTILES = sorted({*(n / 100 for n in range(0, 100, 5)), *(round(q, 7) for q in _TAIL)})
_BINS_PER_DOUBLING = (3, 6, 12, 24)
_FEWEST_BINS = 16


def charts(result: Result) -> dict[str, Any]:
    """Everything that is drawn, as JSON."""
    slices = result.measurement.slices
    pieces = dense(slices)
    drawn = [figures.name for figures in by_endpoint(result.measurement, DRAWN_ENDPOINTS)]
    latency = {EVERYTHING: percentiles(piece.duration for piece in pieces)}
    for name in drawn:
        latency[name] = percentiles(piece.endpoints.get(name, Histogram()) for piece in pieces)
    return {
        "width": slices.width,
        "warmup": result.warmup,
        "time": [index * slices.width for index in range(len(pieces))],
        "latency": latency,
        **rates(pieces, slices.width),
        "distribution": distribution(result),
        "limits": limits(result),
    }


def limits(result: Result) -> dict[str, list[dict[str, Any]]]:
    """By endpoint, the limits on a percentile that is drawn, as lines across the plot of latency."""
    out: dict[str, list[dict[str, Any]]] = {}
    for limit in result.verdict.limits:
        found = _drawn_limit(limit)
        if found:
            endpoint, percentile = found
            line = {"of": percentile, "ms": limit.limit_value, "broken": limit.broken}
            lines = out.setdefault(endpoint, [])
            if line not in lines:
                lines.append(line)
    return out


def _drawn_limit(limit: LimitResult) -> tuple[str, str] | None:
    """The endpoint and the percentile that a limit on response times is about; None for any other limit."""
    about, _, statistic = limit.subject.rpartition(" ")
    percentile = statistic.replace("(", "").replace(")", "")
    if limit.unit != MILLISECONDS or percentile not in PERCENTILES or limit.op not in {"<", "<="}:
        return None
    if limit.source != THRESHOLD:
        return EVERYTHING if about == ALL else about, percentile
    selector = parse_metric(about)
    if selector.metric != "http_req_duration" or [key for key, _ in selector.tags] not in ([], ["name"]):
        return None
    return (selector.tags[0][1] if selector.tags else EVERYTHING), percentile


def dense(slices: Slices, most: int | None = None) -> list[Slice]:
    """Every slice from the first second to the last, empty ones too; merged so that there are at most `most`."""
    if not slices.by_index:
        return []
    factor = width_of(slices, most) // slices.width
    out = [Slice() for _ in range(max(slices.by_index) // factor + 1)]
    for index, piece in slices.by_index.items():
        out[index // factor].merge(piece)
    return out


def width_of(slices: Slices, most: int | None = None) -> int:
    """How wide, in seconds, `dense` makes slices."""
    last = max(slices.by_index, default=0)
    return slices.width * (1 if most is None else math.ceil((last + 1) / most))


def percentiles(histograms: Iterable[Histogram]) -> dict[str, list[float | None]]:
    """Each percentile as a series."""
    out: dict[str, list[float | None]] = {name: [] for name in PERCENTILES}
    for histogram in histograms:
        for name, q in PERCENTILES.items():
            out[name].append(_ms(histogram.quantile(q)) if histogram.count else None)
    return out


def rates(pieces: list[Slice], width: int) -> dict[str, list[float]]:
    """Requests and failures per second, VUs on average, iterations and dropped ones per second."""
    return {
        "requests": [round(piece.requests / width, 2) for piece in pieces],
        "failed": [round(piece.failed / width, 3) for piece in pieces],
        "vus": [round(piece.vu_seconds / width, 2) for piece in pieces],
        "iterations": [round(piece.iterations / width, 3) for piece in pieces],
        "dropped": [round(piece.dropped / width, 3) for piece in pieces],
    }


def distribution(result: Result) -> dict[str, Any]:
    """Of the judged requests, corrected and uncorrected: latency by percentile, and how many took how long."""
    stats = result.measurement.select_requests()
    if not stats.duration.count:
        return {}
    quantiles = [q for q in _QUANTILES if (1 - q) * stats.duration.count >= 1] or [0.0]
    out: dict[str, Any] = {
        "quantiles": [round(q, 7) for q in quantiles],
        "duration": [_ms(stats.duration.quantile(q)) for q in quantiles],
        "bins": bins(stats.duration),
    }
    if stats.service.count == stats.duration.count:
        out["service"] = [_ms(stats.service.quantile(q)) for q in quantiles]
    return out


def bins(histogram: Histogram) -> list[tuple[float, float, int]]:
    """Counts on a logarithmic scale: (from, to) in ms, and how many samples; finer bins where samples lie close."""
    middles = {max(sum(bounds_of(index)) / 2, 1): n for index, n in histogram.counts.items()}
    if not middles:
        return []
    doublings = math.log2(max(middles) / min(middles))
    fineness = next((per for per in _BINS_PER_DOUBLING if per * doublings >= _FEWEST_BINS), _BINS_PER_DOUBLING[-1])
    counts: dict[int, int] = {}
    for middle, n in middles.items():
        place = math.floor(math.log2(middle) * fineness)
        counts[place] = counts.get(place, 0) + n
    edges = [round(2 ** (place / fineness) / 1000, 5) for place in range(min(counts), max(counts) + 2)]
    return [
        (edges[number], edges[number + 1], counts.get(place, 0))
        for number, place in enumerate(range(min(counts), max(counts) + 1))
    ]


def phases(result: Result) -> list[tuple[str, dict[str, float]]]:
    """Of each endpoint, the mean time (ms) of a request in each phase; one that skips a phase counts as 0 there."""
    out = []
    for figures in by_endpoint(result.measurement):
        times = {
            phase: figures.stats.phases[phase].total / 1000 / figures.requests
            for phase in PHASES.values()
            if phase in figures.stats.phases
        }
        if any(times.values()):
            out.append((figures.name, times))
    return out


def _ms(us: float) -> float:
    return float(f"{us / 1000:.4g}")
