"""What every report shows, as cells of text: limits, endpoints, doubts, key figures. Formats only add their marks."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadgate.api.units import format_bytes, format_duration, format_ratio
from loadgate.verdict import by_check, by_endpoint, totals
from loadgate.verdict.figures import significant
from loadgate.verdict.summary import completed, dropped

if TYPE_CHECKING:
    from loadgate.metrics import Trace
    from loadgate.report.result import Result
    from loadgate.verdict import Doubt, Figures, LimitResult

NONE = "-"
"""A cell without a figure."""

_MANY_TIMES = 9.0
"""From ten times the limit on, a margin in percent says nothing to anyone."""

SIGNS = {"<": "<", "<=": "≤", ">": ">", ">=": "≥", "==": "=", "!=": "≠"}
"""How a limit compares, as people write it."""

ENDPOINT_HEADINGS = ("Endpoint", "Requests", "req/s", "Failed", "p50", "p95", "p99", "Max", "Checks")
TRACE_HEADINGS = ("Endpoint", "What", "Took", "Ended at", "Trace id")
LIMIT_HEADINGS = ("", "Limit", "Allowed", "Actual", "Margin", "Source")


@dataclass(frozen=True)
class LimitRow:
    """One limit. `state` is held, broken, unknown or warned; `word` is that for people."""

    state: str
    word: str
    subject: str
    allowed: str
    actual: str
    margin: str
    source: str


_WORDS = {"held": "held", "broken": "broken", "unknown": "no sample", "warned": "broken, only a warning"}


def state_of(limit: LimitResult) -> str:
    """Held, broken, unknown (no sample), or warned (broken, but only a warning)."""
    if limit.passed is None:
        return "unknown"
    if limit.passed:
        return "held"
    return "broken" if limit.enforced else "warned"


def ordered_limits(result: Result) -> list[LimitResult]:
    """Every limit: broken ones first, then those without a sample, then by how little room is left."""
    rank = {"broken": 0, "warned": 1, "unknown": 2, "held": 3}
    return sorted(
        result.verdict.limits,
        key=lambda limit: (rank[state_of(limit)], limit.margin if limit.margin is not None else 1e9),
    )


def limit_rows(result: Result) -> list[LimitRow]:
    """Every limit's cells, in that order."""
    return [limit_row(limit) for limit in ordered_limits(result)]


def limit_row(limit: LimitResult) -> LimitRow:
    """One limit's cells."""
    state = state_of(limit)
    return LimitRow(
        state=state,
        word=_WORDS[state],
        subject=printable(limit.subject),
        allowed=f"{SIGNS[limit.op]} {limit.limit}",
        actual=limit.actual or "no sample",
        margin=margin(limit),
        source=printable(limit.source),
    )


def margin(limit: LimitResult) -> str:
    """`12% to spare`, `37% over`, `5% short`."""
    if limit.margin is None:
        return NONE
    if abs(limit.margin) >= _MANY_TIMES:
        return f"{abs(limit.margin) + 1:.0f} times the limit"
    share = abs(limit.margin) * 100
    percent = f"{share:.0f}%" if share >= 10 else f"{significant(share, 2)}%"
    if limit.passed:
        return f"{percent} to spare"
    return f"{percent} {'over' if limit.op in {'<', '<='} else 'short'}"


def endpoint_rows(result: Result) -> list[tuple[str, ...]]:
    """The busiest endpoints under ENDPOINT_HEADINGS."""
    return [figures_row(figures) for figures in by_endpoint(result.measurement)]


def figures_row(figures: Figures) -> tuple[str, ...]:
    """One endpoint's cells."""
    return (
        printable(figures.name) or NONE,
        f"{figures.requests}",
        f"{figures.requests_per_second:.1f}",
        ratio(figures.failed_rate),
        seconds(figures.quantile(0.5)),
        seconds(figures.quantile(0.95)),
        seconds(figures.quantile(0.99)),
        seconds(figures.maximum),
        ratio(figures.checks_rate),
    )


def failure_rows(result: Result) -> list[tuple[str, str, str]]:
    """What failed, most frequent first: the endpoint, what happened (`timeout`, `status 503`), how often."""
    counts: dict[tuple[str, str], int] = {}
    for tags, stats in result.measurement.requests.items():
        of = dict(tags)
        if of.get("expected_response") == "false":
            key = of.get("name", ""), of.get("error") or f"status {of.get('status', '0')}"
            counts[key] = counts.get(key, 0) + stats.duration.count
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(printable(name), printable(what), f"{n}") for (name, what), n in ranked if n]


def slow_trace_rows(result: Result) -> list[tuple[str, ...]]:
    """Ids of the slowest traced requests of each endpoint under TRACE_HEADINGS, the slowest of all first."""
    found = [(name, trace) for name, stats in result.measurement.traces.items() for trace in stats.slowest]
    return [trace_row(name, trace) for name, trace in sorted(found, key=lambda one: (-one[1].duration, one[0], one[1]))]


def failed_trace_rows(result: Result) -> list[tuple[str, ...]]:
    """Ids of failed traced requests under TRACE_HEADINGS: the first of each endpoint and kind, then the second, …"""
    found = [
        (place, name, trace)
        for name, stats in result.measurement.traces.items()
        for several in stats.failed.values()
        for place, trace in enumerate(several)
    ]
    return [trace_row(name, trace) for _, name, trace in sorted(found)]


def trace_row(name: str, trace: Trace) -> tuple[str, ...]:
    """One traced request's cells; it ended so long after the run began."""
    took, at = format_duration(trace.duration / 1e6), format_duration(trace.at / 1000)
    return printable(name) or NONE, printable(trace.kind) or "slow", took, at, trace.id


def check_rows(result: Result) -> list[tuple[str, str, str, str]]:
    """Each check: its name, how often it held and didn't, and the share that held."""
    return [
        (printable(name), f"{stats.passes}", f"{stats.fails}", ratio(stats.passes / (stats.passes + stats.fails)))
        for name, stats in by_check(result.measurement)
        if stats.passes + stats.fails
    ]


def key_figures(result: Result) -> list[tuple[str, str]]:
    """The handful of figures that a run comes down to, each with its name."""
    figures, measurement = totals(result.measurement), result.measurement
    return [
        ("requests", f"{figures.requests}"),
        ("requests/s", f"{figures.requests_per_second:.1f}"),
        ("failed", ratio(figures.failed_rate)),
        ("checks", ratio(figures.checks_rate)),
        ("iterations", f"{completed(measurement)}"),
        ("dropped", f"{dropped(measurement)}"),
        ("p50", seconds(figures.quantile(0.5))),
        ("p95", seconds(figures.quantile(0.95))),
        ("p99", seconds(figures.quantile(0.99))),
        ("slowest", seconds(figures.maximum)),
        ("most VUs", f"{measurement.vus_max}"),
        ("received", format_bytes(figures.stats.received)),
    ]


def doubt_rows(result: Result) -> list[tuple[Doubt, bool]]:
    """Every doubt, with whether it is tolerated; those that count come first."""
    verdict = result.verdict
    return [(doubt, False) for doubt in verdict.doubts] + [(doubt, True) for doubt in verdict.tolerated]


def seconds(value: float | None) -> str:
    """A time, or a dash."""
    return NONE if value is None else format_duration(value)


def ratio(value: float | None) -> str:
    """A share, or a dash."""
    return NONE if value is None else format_ratio(value)


def printable(text: str) -> str:
    """The text without anything that could command a terminal, break XML, or turn the direction of reading."""
    return "".join(_visible(sign) for sign in text)


def _visible(sign: str) -> str:
    # Cc controls, Cf invisible format signs (direction marks among them), Cs surrogates, Co/Cn nothing at all.
    return f"\\u{ord(sign):04x}" if unicodedata.category(sign)[0] == "C" else sign
