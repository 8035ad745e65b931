"""A measurement and a verdict as a LoadTest's status says them: short texts, and bounded whatever the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from loadgate.api.base import Model
from loadgate.api.status import (
    MAX_DOUBTS,
    MAX_ENDPOINTS,
    MAX_VIOLATIONS,
    DoubtStatus,
    EndpointSummary,
    Summary,
    Violation,
)
from loadgate.api.units import format_duration, format_ratio
from loadgate.verdict.figures import cut
from loadgate.verdict.summary import by_endpoint, dropped, totals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadgate.metrics import Measurement
    from loadgate.verdict.judge import Verdict
    from loadgate.verdict.limits import LimitResult
    from loadgate.verdict.summary import Figures

ENDPOINT_BYTES, VIOLATION_BYTES, DOUBT_BYTES = 12_000, 8_000, 6_000
"""How much of a status' 32 KiB its lists may take; what is beyond is in the report."""

_M = TypeVar("_M", bound=Model)


def summarise(measurement: Measurement) -> Summary:
    """`status.summary`: all judged requests together."""
    return Summary(**_texts(totals(measurement)), dropped=dropped(measurement))


def summarise_endpoints(measurement: Measurement) -> list[EndpointSummary]:
    """`status.endpoints`: the same of each endpoint, the 50 busiest, and no more than fit."""
    found: dict[str, EndpointSummary] = {}
    for figures in by_endpoint(measurement, MAX_ENDPOINTS):
        name = cut(figures.name, 256)
        # The list is keyed by name: of two that are equal once they are cut, the busier one is kept.
        found.setdefault(name, EndpointSummary(name=name, **_texts(figures)))
    return _within(found.values(), ENDPOINT_BYTES)


def violations_of(verdict: Verdict, *, source: str = "") -> list[Violation]:
    """`status.violations`: broken limits that count, of one source only if it is given."""
    limits = (limit for limit in verdict.violations if source in {"", limit.source})
    return _within((_violation(limit) for limit in limits), VIOLATION_BYTES)[:MAX_VIOLATIONS]


def doubts_of_verdict(verdict: Verdict) -> list[DoubtStatus]:
    """`status.doubts`: those that count first, then those that are tolerated."""
    doubts = (
        DoubtStatus(reason=doubt.reason, message=cut(doubt.message, 1024), figure=cut(doubt.figure, 128))
        for doubt in (*verdict.doubts, *verdict.tolerated)
    )
    return _within(doubts, DOUBT_BYTES)[:MAX_DOUBTS]


def _texts(figures: Figures) -> dict[str, Any]:
    times = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    return {
        "requests": figures.requests,
        "requests_per_second": round(figures.requests_per_second, 1),
        "failed_rate": None if figures.failed_rate is None else format_ratio(figures.failed_rate),
        **{name: _time(figures.quantile(q)) for name, q in times.items()},
        "max": _time(figures.maximum),
        "checks": None if figures.checks_rate is None else format_ratio(figures.checks_rate),
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else format_duration(seconds)


def _violation(limit: LimitResult) -> Violation:
    return Violation(
        source=cut(limit.source, 270),
        subject=cut(limit.subject, 600),
        limit=cut(limit.limit, 128),
        actual=cut(limit.actual or "", 64),
    )


def _within(items: Iterable[_M], most: int) -> list[_M]:
    kept, size = [], 0
    for item in items:
        size += len(orjson.dumps(item.to_json())) + 1
        if size > most:
            break
        kept.append(item)
    return kept
