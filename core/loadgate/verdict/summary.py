"""The figures that a run comes down to: for all requests together, and for each of the busiest endpoints."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loadgate.metrics import CheckStats, RequestStats

if TYPE_CHECKING:
    from loadgate.metrics import Histogram, Measurement, Tags

MOST_ENDPOINTS = 50
"""What a status and a report list; the others are in the totals, and in the result."""


@dataclass
class Figures:
    """Requests of one endpoint, or of all. `stats` has the histograms; counts are of judged samples."""

    name: str
    seconds: float
    stats: RequestStats = field(default_factory=RequestStats)
    failed: int = 0
    methods: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    checks: CheckStats = field(default_factory=CheckStats)

    @property
    def requests(self) -> int:
        """How many requests."""
        return self.stats.duration.count

    @property
    def requests_per_second(self) -> float:
        """Requests per second of judged time; 0 before there is any."""
        return self.requests / self.seconds if self.seconds > 0 else 0.0

    @property
    def failed_rate(self) -> float | None:
        """The share of failed requests; None of none."""
        return self.failed / self.requests if self.requests else None

    @property
    def checks_rate(self) -> float | None:
        """The share of checks that held; None where there are none."""
        total = self.checks.passes + self.checks.fails
        return self.checks.passes / total if total else None

    def quantile(self, q: float) -> float | None:
        """A percentile of the durations in seconds; None of no request."""
        return seconds_at(self.stats.duration, q)

    @property
    def maximum(self) -> float | None:
        """The longest duration in seconds; None of no request."""
        return self.stats.duration.maximum / 1e6 if self.requests else None

    @property
    def mean(self) -> float | None:
        """The mean duration in seconds; None of no request."""
        return self.stats.duration.mean / 1e6 if self.requests else None

    def add(self, tags: Tags, stats: RequestStats) -> None:
        """Count the requests of one tag set."""
        of, n = dict(tags), stats.duration.count
        self.stats.merge(stats)
        self.methods[of.get("method", "")] += n
        self.statuses[of.get("status", "0")] += n
        if of.get("expected_response") == "false":
            self.failed += n
        if "error" in of:
            self.errors[of["error"]] += n


def seconds_at(histogram: Histogram, q: float) -> float | None:
    """A percentile in seconds; None of no samples."""
    return histogram.quantile(q) / 1e6 if histogram.count else None


def totals(measurement: Measurement) -> Figures:
    """All requests together."""
    out = Figures("", measurement.elapsed)
    for tags, stats in measurement.requests.items():
        out.add(tags, stats)
    for checks in measurement.checks.values():
        out.checks.merge(checks)
    return out


def by_endpoint(measurement: Measurement, most: int = MOST_ENDPOINTS) -> list[Figures]:
    """Each endpoint (request name) by itself, the busiest `most` of them, busiest first."""
    found: dict[str, Figures] = {}
    for tags, stats in measurement.requests.items():
        name = dict(tags).get("name", "")
        found.setdefault(name, Figures(name, measurement.elapsed)).add(tags, stats)
    for tags, checks in measurement.checks.items():
        name = dict(tags).get("name", "")
        if name in found:
            found[name].checks.merge(checks)
    return sorted(found.values(), key=lambda figures: (-figures.requests, figures.name))[:most]


def by_check(measurement: Measurement) -> list[tuple[str, CheckStats]]:
    """Each check by its name, those that failed most often first."""
    found: dict[str, CheckStats] = {}
    for tags, stats in measurement.checks.items():
        found.setdefault(dict(tags).get("check", ""), CheckStats()).merge(stats)
    return sorted(found.items(), key=lambda item: (-item[1].fails, item[0]))


def dropped(measurement: Measurement) -> int:
    """How many iterations were due and could not begin."""
    return sum(stats.dropped for stats in measurement.iterations.values())


def completed(measurement: Measurement) -> int:
    """How many iterations ran to their end."""
    return sum(stats.completed for stats in measurement.iterations.values())
