"""The recorder of one process: gives handles while scenarios are compiled, and builds a measurement of what they hold.

Everything is kept twice: what began before the end of the warm-up, and what is judged. Only the second is a run's
measurement; Prometheus, which knows no warm-up, sees both. The number of series is bounded: beyond the bound, samples
go to the scenario's series named "other" and are counted in `labels_dropped`, which raises a doubt.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from loadgate.api.grammar.status import status_tag
from loadgate.metrics import DenseHistogram, Measurement, tags_of
from loadgate.metrics.traces import bounded
from loadgate_runner.telemetry.series import (
    CheckHandle,
    CounterHandle,
    GaugeHandle,
    IterationHandle,
    RateHandle,
    RequestCell,
    RequestHandle,
    TrendHandle,
)
from loadgate_runner.telemetry.timeline import SECOND, Timeline
from loadgate_runner.telemetry.traces import TraceHandle

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgate.metrics import Tags, TraceStats
    from loadgate_runner.telemetry.series import MetricHandle, Split

MOST_SERIES = 1000
"""Of each kind (requests, checks, custom metrics) in one process; a dense histogram takes 26 kB."""

OTHER = "other"

_H = TypeVar("_H", bound="MetricHandle")


class Recorder:
    """Counts on the hot path. `clock` is the journeys' and the HTTP client's: monotonic nanoseconds."""

    def __init__(
        self,
        clock: Callable[[], int] = time.perf_counter_ns,
        most_series: int = MOST_SERIES,
    ) -> None:
        self.clock = clock
        self.timeline = Timeline()
        self.ended: int | None = None
        self.labels_dropped = 0
        self.exhausted = 0
        self.slip = DenseHistogram()
        """How late iterations began, in the judged time."""
        self._most = most_series
        self._requests: dict[Tags, RequestHandle] = {}
        self._checks: dict[Tags, CheckHandle] = {}
        self._iterations: dict[Tags, IterationHandle] = {}
        self._counters: dict[tuple[str, Tags], CounterHandle] = {}
        self._gauges: dict[tuple[str, Tags], GaugeHandle] = {}
        self._rates: dict[tuple[str, Tags], RateHandle] = {}
        self._trends: dict[tuple[str, Tags], TrendHandle] = {}
        self._cells: dict[tuple[bool, Tags], RequestCell] = {}
        self._traces: dict[str, TraceHandle] = {}

    def begin(self, origin: int, warmup: float) -> None:
        """The run's second 0 is at `origin`; what begins `warmup` seconds later or after is judged."""
        self.timeline.judged_from = origin + round(warmup * SECOND)
        self.timeline.begin(origin, self.clock())

    def since_start(self) -> float:
        """Seconds since the run's planned start: what runners can compare, whatever their clocks say."""
        return (self.clock() - self.timeline.origin) / SECOND

    @property
    def judging(self) -> bool:
        """Whether what begins now is judged."""
        return self.clock() >= self.timeline.judged_from and self.ended is None

    def end(self) -> None:
        """Load is over: the judged time ends here."""
        self.ended = self.clock()

    def request_series(self, tags: Tags) -> RequestHandle:
        """Where a step's requests are counted."""
        found = self._requests.get(tags)
        if found is not None:
            return found
        if len(self._requests) >= self._most:
            self.labels_dropped += 1
            tags = _overflow(tags, group="", method=OTHER, name=OTHER)
        track = self.timeline.track(dict(tags).get("name", OTHER))
        return self._requests.setdefault(tags, RequestHandle(self, tags, track, self._open))

    def check_series(self, tags: Tags) -> CheckHandle:
        """Where a check's results are counted."""
        found = self._checks.get(tags)
        if found is None:
            if len(self._checks) >= self._most:
                self.labels_dropped += 1
                tags = _overflow(tags, check=OTHER, group="", name=OTHER)
            found = self._checks.setdefault(tags, CheckHandle(self, tags))
        return found

    def trace_series(self, name: str) -> TraceHandle:
        """Where ids of an endpoint's traced requests are kept."""
        name = name if name in self._traces or len(self._traces) < self._most else OTHER
        return self._traces.setdefault(name, TraceHandle(self.timeline))

    def iteration_series(self, tags: Tags) -> IterationHandle:
        """Where a scenario's iterations are counted."""
        return self._iterations.setdefault(tags, IterationHandle(self, tags))

    def counter(self, name: str, tags: Tags) -> MetricHandle:
        """A custom counter."""
        return self._metric(self._counters, CounterHandle, name, tags)

    def gauge(self, name: str, tags: Tags) -> MetricHandle:
        """A custom gauge."""
        return self._metric(self._gauges, GaugeHandle, name, tags)

    def rate(self, name: str, tags: Tags) -> MetricHandle:
        """A custom rate."""
        return self._metric(self._rates, RateHandle, name, tags)

    def trend(self, name: str, tags: Tags) -> MetricHandle:
        """A custom trend."""
        return self._metric(self._trends, TrendHandle, name, tags)

    def data_exhausted(self, source: str) -> None:  # noqa: ARG002 - the protocol's
        """A VU ended for lack of a row."""
        self.exhausted += 1

    async def measure(self, *, slices: bool = True, warmup: bool = False) -> Measurement:
        """What was measured so far; `warmup` adds what isn't judged.

        Others get the loop between any two series, so the series of one measurement may be some milliseconds apart.
        """
        now = self.clock()
        out = Measurement(vus=self.timeline.active, vus_max=self.timeline.most_active, elapsed=self._judged(now))
        await self._measure_requests(out, warmup=warmup)
        for handle in list(self._iterations.values()):
            for cell in (handle.judged, handle.warm) if warmup else (handle.judged,):
                _add(out.iterations, handle.tags, cell.stats())
        for check in list(self._checks.values()):
            for results in (check.judged, check.warm) if warmup else (check.judged,):
                if results.passes or results.fails:
                    _add(out.checks, check.tags, results.stats())
        await asyncio.sleep(0)
        self._measure_metrics(out)
        if slices:
            await asyncio.sleep(0)
            out.slices = self.timeline.view(self.clock())
            out.traces = self._measure_traces()
        return out

    async def _measure_requests(self, out: Measurement, *, warmup: bool) -> None:
        for (judged, tags), cell in list(self._cells.items()):
            if judged or warmup:
                _add(out.requests, tags, cell.stats())
                await asyncio.sleep(0)

    def _measure_traces(self) -> dict[str, TraceStats]:
        found = {name: handle.stats() for name, handle in self._traces.items()}
        return bounded({name: stats for name, stats in found.items() if stats.slowest})

    def _measure_metrics(self, out: Measurement) -> None:
        out.counters = {key: handle.stats() for key, handle in self._counters.items()}
        out.rates = {key: type(s)(s.passes, s.fails) for key, s in ((k, h.stats()) for k, h in self._rates.items())}
        out.trends = {key: handle.stats() for key, handle in self._trends.items()}
        for key, handle in self._gauges.items():
            if (stats := handle.stats()) is not None:
                out.gauges[key] = type(stats)(stats.value, stats.at, stats.minimum, stats.maximum)

    def _judged(self, now: int) -> float:
        return max(0, (self.ended or now) - self.timeline.judged_from) / SECOND

    def _open(self, handle: RequestHandle, split: Split, judged: bool) -> RequestCell:  # noqa: FBT001 - a callback
        key = (judged, _tags(handle.tags, split))
        if key not in self._cells and len(self._cells) >= self._most:
            self.labels_dropped += 1
            key = (judged, _tags(_overflow(handle.tags, group="", method=OTHER, name=OTHER), split))
        return self._cells.setdefault(key, RequestCell())

    def _metric(self, table: dict[tuple[str, Tags], _H], make: Callable[[Recorder], _H], name: str, tags: Tags) -> _H:
        key = (name, tags)
        found = table.get(key)
        if found is None:
            if len(table) >= self._most:
                self.labels_dropped += 1
                key = (OTHER, ())
            found = table.setdefault(key, make(self))
        return found


class _Mergeable(Protocol):
    def merge(self, other: Self, /) -> None: ...


_S = TypeVar("_S", bound=_Mergeable)


def _add(table: dict[Tags, _S], tags: Tags, stats: _S) -> None:
    present = table.setdefault(tags, stats)
    if present is not stats:
        present.merge(stats)


def _overflow(tags: Tags, **fixed: str) -> Tags:
    return tags_of({"scenario": dict(tags).get("scenario", OTHER)}, **fixed)


def _tags(tags: Tags, split: Split) -> Tags:
    status, error, expected = split
    more = {"status": status_tag(status), "expected_response": "true" if expected else "false"}
    return tags_of(dict(tags), **more, **({"error": str(error)} if error else {}))
