"""All that a run measured, keyed by tags; two of them merge by adding, in any order."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from loadgate.metrics.fields import count, measure, number, text
from loadgate.metrics.histogram import Histogram
from loadgate.metrics.slices import Slices, grouped
from loadgate.metrics.traces import TraceStats, bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

Tags = tuple[tuple[str, str], ...]
"""Sorted pairs of key and value: what a threshold's `{key:value}` selects by."""

MetricKey = tuple[str, Tags]
"""The name of a custom metric and its tags."""


def tags_of(tags: Mapping[str, str] | None = None, **more: str) -> Tags:
    """Tags from a mapping and keywords, sorted, so that equal sets are equal keys."""
    return tuple(sorted({**(tags or {}), **more}.items()))


def matches(tags: Tags, wanted: Iterable[tuple[str, str]]) -> bool:
    """Whether `tags` hold every pair that is wanted."""
    return all(pair in tags for pair in wanted)


@dataclass(slots=True)
class RequestStats:
    """Requests of one tag set. Times are in microseconds.

    `duration` is what thresholds judge: in the open model the first request of an iteration counts from when
    the iteration was due. `service` is the uncorrected time from the actual send, kept only where they may
    differ. `phases` has a histogram each for blocked, connecting, tls, sending, waiting and receiving, with only
    those samples in which the phase took place.
    """

    duration: Histogram = field(default_factory=Histogram)
    service: Histogram = field(default_factory=Histogram)
    phases: dict[str, Histogram] = field(default_factory=dict)
    sent: int = 0
    received: int = 0

    def merge(self, *others: Self) -> None:
        """Add others' requests."""
        self.duration.merge(*(other.duration for other in others))
        self.service.merge(*(other.service for other in others))
        for name, histograms in grouped(other.phases for other in others).items():
            self.phases.setdefault(name, Histogram()).merge(*histograms)
        self.sent += sum(other.sent for other in others)
        self.received += sum(other.received for other in others)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; an empty service histogram and empty phases are left out."""
        out: dict[str, Any] = {"duration": self.duration.to_json(), "sent": self.sent, "received": self.received}
        if self.service.count:
            out["service"] = self.service.to_json()
        phases = {name: h.to_json() for name, h in sorted(self.phases.items()) if h.count}
        return {**out, "phases": phases} if phases else out

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        service = document.get("service")
        return cls(
            duration=Histogram.from_json(document["duration"]),
            service=Histogram.from_json(service) if service else Histogram(),
            phases={text(name): Histogram.from_json(h) for name, h in document.get("phases", {}).items()},
            sent=count(document["sent"]),
            received=count(document["received"]),
        )


@dataclass(slots=True)
class IterationStats:
    """Iterations of one tag set: how long the completed ones took (µs), and how many ended in which way.

    `failed` iterations ended by an error of the journey itself (an exception in a Python journey); `dropped`
    ones were due and could not start for lack of a VU or of data.
    """

    duration: Histogram = field(default_factory=Histogram)
    completed: int = 0
    failed: int = 0
    interrupted: int = 0
    dropped: int = 0

    def merge(self, *others: Self) -> None:
        """Add others' iterations."""
        self.duration.merge(*(other.duration for other in others))
        self.completed += sum(other.completed for other in others)
        self.failed += sum(other.failed for other in others)
        self.interrupted += sum(other.interrupted for other in others)
        self.dropped += sum(other.dropped for other in others)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        counts = {key: getattr(self, key) for key in ("completed", "failed", "interrupted", "dropped")}
        return {"duration": self.duration.to_json(), **counts}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        counts = {key: count(n) for key, n in document.items() if key != "duration"}
        return cls(duration=Histogram.from_json(document["duration"]), **counts)


@dataclass(slots=True)
class CheckStats:
    """How often something held and how often it didn't: a check's, or a custom rate's."""

    passes: int = 0
    fails: int = 0

    def merge(self, *others: Self) -> None:
        """Add others' counts."""
        self.passes += sum(other.passes for other in others)
        self.fails += sum(other.fails for other in others)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {"passes": self.passes, "fails": self.fails}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(count(document["passes"]), count(document["fails"]))


@dataclass(slots=True)
class GaugeStats:
    """A custom gauge: its lowest and highest value, and the newest with when it was set (seconds since the start)."""

    value: float
    at: float
    minimum: float
    maximum: float

    def merge(self, *others: Self) -> None:
        """Keep the newest value (the largest where several are of one instant) and the extremes of all."""
        every = (self, *others)
        self.at, self.value = max((one.at, one.value) for one in every)
        self.minimum = min(one.minimum for one in every)
        self.maximum = max(one.maximum for one in every)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {"value": self.value, "at": self.at, "minimum": self.minimum, "maximum": self.maximum}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(**{key: number(value) for key, value in document.items()})


@dataclass(slots=True)
class CounterStats:
    """A custom counter's sum."""

    value: float = 0.0

    def merge(self, *others: Self) -> None:
        """Add others' sums; rounded each time, so that the order of adding can't be seen in the last bits."""
        for other in others:
            self.value = round(self.value + other.value, 6)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {"value": self.value}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(number(document["value"]))


@dataclass(slots=True)
class TrendStats:
    """A custom trend. Values are kept in thousandths (a trend in ms is kept in µs, as all histograms are)."""

    values: Histogram = field(default_factory=Histogram)

    def merge(self, *others: Self) -> None:
        """Add others' samples."""
        self.values.merge(*(other.values for other in others))

    def to_json(self) -> dict[str, Any] | str:
        """A histogram's document."""
        return self.values.to_json()

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """Read what `to_json` wrote."""
        return cls(Histogram.from_json(document))


class _Stats(Protocol):
    def merge(self, *others: Self) -> None: ...
    def to_json(self) -> Any: ...
    @classmethod
    def from_json(cls, document: Any, /) -> Self: ...


_K = TypeVar("_K", bound="Hashable")
_S = TypeVar("_S", bound=_Stats)


def _merge_tables(into: dict[_K, _S], tables: Iterable[dict[_K, _S]]) -> None:
    for key, (first, *others) in grouped(tables).items():
        if key in into:
            into[key].merge(first, *others)
        else:
            # A copy: two measurements must never share what changes.
            into[key] = type(first).from_json(first.to_json())
            into[key].merge(*others)


@dataclass(slots=True)
class Measurement:
    """What a process, a runner or a whole run measured.

    Everything but `slices` holds judged samples only: those that began (or were due) at or after the end of the
    warm-up. Tags: `requests` scenario, name, method, group, status ("0" for none), error (a kind, or absent),
    expected_response; `iterations` scenario; `checks` scenario, group, name, check; each plus the scenario's and
    the request's own. `traces` are by the request's name. `elapsed` is the judged time in seconds, the same for all
    runners of a run, so merging takes the larger. `vus` is how many are active now, `vus_max` the most that a runner
    had; both add up.
    """

    requests: dict[Tags, RequestStats] = field(default_factory=dict)
    iterations: dict[Tags, IterationStats] = field(default_factory=dict)
    checks: dict[Tags, CheckStats] = field(default_factory=dict)
    counters: dict[MetricKey, CounterStats] = field(default_factory=dict)
    gauges: dict[MetricKey, GaugeStats] = field(default_factory=dict)
    rates: dict[MetricKey, CheckStats] = field(default_factory=dict)
    trends: dict[MetricKey, TrendStats] = field(default_factory=dict)
    slices: Slices = field(default_factory=Slices)
    traces: dict[str, TraceStats] = field(default_factory=dict)
    vus: int = 0
    vus_max: int = 0
    elapsed: float = 0.0

    def merge(self, *others: Measurement) -> None:
        """Add what other processes measured beside this one. Many at once cost less than one after another."""
        for name in (*_TAGGED, *_NAMED):
            _merge_tables(getattr(self, name), (getattr(other, name) for other in others))
        self.slices.merge(*(other.slices for other in others))
        _merge_tables(self.traces, (other.traces for other in others))
        self.traces = bounded(self.traces)
        self.vus += sum(other.vus for other in others)
        self.vus_max += sum(other.vus_max for other in others)
        self.elapsed = max([self.elapsed, *(other.elapsed for other in others)])

    def select_requests(self, wanted: Iterable[tuple[str, str]] = ()) -> RequestStats:
        """All requests whose tags hold the wanted pairs, merged."""
        pairs = tuple(wanted)
        out = RequestStats()
        out.merge(*(stats for tags, stats in self.requests.items() if matches(tags, pairs)))
        return out

    def request_counts(self, wanted: Iterable[tuple[str, str]] = ()) -> tuple[int, int]:
        """How many requests hold the wanted tags, and how many of them failed."""
        pairs = tuple(wanted)
        found = [(tags, stats.duration.count) for tags, stats in self.requests.items() if matches(tags, pairs)]
        failed = sum(n for tags, n in found if ("expected_response", "false") in tags)
        return sum(n for _, n in found), failed

    def to_json(self, *, slices: bool = True) -> dict[str, Any]:
        """A JSON object; `slices=False` leaves those and traces out, for live views that need only totals."""
        out: dict[str, Any] = {
            "vus": self.vus,
            "vus_max": self.vus_max,
            "elapsed": self.elapsed,
            **{name: _by_tags(getattr(self, name)) for name in _TAGGED},
            **{name: _by_metric(getattr(self, name)) for name in _NAMED},
        }
        if slices:
            out["slices"] = self.slices.to_json()
        if slices and self.traces:
            out["traces"] = {name: stats.to_json() for name, stats in sorted(self.traces.items())}
        return out

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Measurement:
        """Read what `to_json` wrote. Raises KeyError, TypeError or ValueError for what it never writes."""
        vus, vus_max, elapsed = count(document["vus"]), count(document["vus_max"]), measure(document["elapsed"])
        out = cls(vus=vus, vus_max=vus_max, elapsed=elapsed)
        for name, read in _TAGGED.items():
            getattr(out, name).update({_tags(row): read(row["stats"]) for row in document[name]})
        for name, read in _NAMED.items():
            rows = document[name]
            getattr(out, name).update({(text(row["name"]), _tags(row)): read(row["stats"]) for row in rows})
        if "slices" in document:
            out.slices = Slices.from_json(document["slices"])
        traces = document.get("traces", {})
        out.traces = bounded({text(name): TraceStats.from_json(stats) for name, stats in traces.items()})
        return out


_TAGGED: dict[str, Callable[[dict[str, Any]], _Stats]] = {
    "requests": RequestStats.from_json,
    "iterations": IterationStats.from_json,
    "checks": CheckStats.from_json,
}
_NAMED: dict[str, Callable[[dict[str, Any]], _Stats]] = {
    "counters": CounterStats.from_json,
    "gauges": GaugeStats.from_json,
    "rates": CheckStats.from_json,
    "trends": TrendStats.from_json,
}


def _tags(row: dict[str, Any]) -> Tags:
    return _read_tags(tuple(row["tags"].items()))


@lru_cache(maxsize=2_000)
def _read_tags(pairs: tuple[tuple[str, str], ...]) -> Tags:
    """Tags that were read, checked; the same ones, which every runner sends each time, are one object."""
    return tuple(sorted((text(key), text(value)) for key, value in pairs))


def _by_tags(table: Mapping[Tags, _Stats]) -> list[dict[str, Any]]:
    return [{"tags": dict(tags), "stats": stats.to_json()} for tags, stats in sorted(table.items(), key=_key)]


def _by_metric(table: Mapping[MetricKey, _Stats]) -> list[dict[str, Any]]:
    rows = sorted(table.items(), key=_key)
    return [{"name": name, "tags": dict(tags), "stats": stats.to_json()} for (name, tags), stats in rows]


def _key(item: tuple[_K, object]) -> _K:
    return item[0]


def merge_all(measurements: Iterable[Measurement]) -> Measurement:
    """One measurement of all of them; the order doesn't matter, and none of them is changed."""
    out = Measurement()
    out.merge(*measurements)
    return out
