"""The recorder's handles: what the load loop touches for each request, check and iteration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from loadgate.metrics import CheckStats, DenseHistogram, IterationStats, RequestStats
from loadgate.metrics.histogram import BUCKETS, INDEX, INDEXED, index_of
from loadgate.metrics.measurement import CounterStats, GaugeStats, TrendStats
from loadgate_runner.telemetry.track import Track

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgate.metrics import Tags
    from loadgate_runner.http import Failure, Response
    from loadgate_runner.telemetry.recorder import Recorder
    from loadgate_runner.telemetry.timeline import Timeline

PHASES = ("blocked", "connecting", "tls", "sending", "waiting", "receiving")
BAD_STATUS = "status"
"""The kind of a failure that came as an answer: a status that wasn't expected."""

Split = tuple[int, "Failure | None", bool]
"""What each response decides: status, kind of failure, whether it was expected."""


class RequestCell:
    """Requests of one tag set: only counted here, derived when someone asks."""

    __slots__ = ("counts", "duration", "phases", "received", "sent", "service")

    def __init__(self) -> None:
        self.duration = DenseHistogram()
        self.counts = self.duration.counts
        self.service = Track()
        self.phases = tuple(Track() for _ in PHASES)
        self.sent = 0
        self.received = 0

    def add_phases(self, response: Response) -> None:
        """Record the phases that took place: on a connection that stands, sending and waiting."""
        blocked, connecting, tls, sending, waiting, receiving = self.phases
        if not response.reused:
            if response.connecting > 0:
                connecting.record(response.connecting)
            if response.tls > 0:
                tls.record(response.tls)
        if response.blocked > 0:
            blocked.record(response.blocked)
        if response.sending > 0:
            sending.record(response.sending)
        if response.waiting > 0:
            waiting.record(response.waiting)
        if response.receiving > 0:
            receiving.record(response.receiving)

    def stats(self) -> RequestStats:
        """The same as what is merged and sent."""
        return RequestStats(
            duration=self.duration.to_histogram(),
            service=self.service.copy(),
            phases={name: track.copy() for name, track in zip(PHASES, self.phases, strict=True) if track.counts},
            sent=self.sent,
            received=self.received,
        )


class RequestHandle:
    """Samples of one step's requests, split by what each response decides."""

    __slots__ = (
        "_open",
        "_timeline",
        "_track",
        "_usual",
        "_usual_cells",
        "_usual_status",
        "judged",
        "tags",
        "warm",
    )

    _usual: RequestCell

    def __init__(
        self, recorder: Recorder, tags: Tags, track: Track, make: Callable[[RequestHandle, Split, bool], RequestCell]
    ) -> None:
        self.tags = tags
        self.judged: dict[Split, RequestCell] = {}
        self.warm: dict[Split, RequestCell] = {}
        self._timeline: Timeline = recorder.timeline
        self._track = track
        self._open = make
        self._usual_cells: dict[Split, RequestCell] | None = None
        self._usual_status = 0

    def _cell_for(self, cells: dict[Split, RequestCell], key: Split) -> RequestCell:
        cell = cells.get(key)
        if cell is None:
            cell = cells[key] = self._open(self, key, cells is self.judged)
        if key[2]:
            self._usual, self._usual_cells, self._usual_status = cell, cells, key[0]
        return cell

    def record(self, response: Response, expected: bool, due_ns: int | None) -> None:  # noqa: FBT001 - a port's
        """Count one request. It is judged by when it was due or started, and drawn in the slice in which it ended."""
        timeline = self._timeline
        ended = response.ended
        if ended >= timeline.ends:
            timeline.roll(ended)
        if due_ns is None:
            began, us = response.started, response.duration
        else:
            began, us = due_ns, (ended - due_ns) // 1000
        cells = self.judged if began >= timeline.judged_from else self.warm
        if expected and cells is self._usual_cells and response.status == self._usual_status:
            cell = self._usual  # as the last one: nothing to look up
        else:
            cell = self._cell_for(cells, (response.status, response.error, expected))
        index = INDEX[us] if us < INDEXED else min(index_of(us), BUCKETS - 1)
        duration, track = cell.duration, self._track
        cell.counts[index] += 1
        duration.total += us
        if us > duration.maximum:  # noqa: PLR1730 - a branch seldom taken is cheaper here than a call of max()
            duration.maximum = us
        track.counts[index] = track.counts.get(index, 0) + 1
        track.total += us
        if us > track.maximum:  # noqa: PLR1730 - likewise
            track.maximum = us
        if due_ns is not None:
            cell.service.record(response.duration)
        sent, received = response.sent, response.received
        cell.sent += sent
        cell.received += received
        timeline.sent += sent
        timeline.received += received
        cell.add_phases(response)
        if not expected:
            timeline.failed += 1
            kind = response.error or BAD_STATUS
            timeline.errors[kind] = timeline.errors.get(kind, 0) + 1


class CheckCell:
    """Results of one check, counted."""

    __slots__ = ("fails", "passes")

    def __init__(self) -> None:
        self.passes = self.fails = 0

    def stats(self) -> CheckStats:
        """The same as what is merged and sent."""
        return CheckStats(self.passes, self.fails)


class CheckHandle:
    """Results of one check."""

    __slots__ = ("_clock", "_timeline", "judged", "tags", "warm")

    def __init__(self, recorder: Recorder, tags: Tags) -> None:
        self.tags = tags
        self.judged = CheckCell()
        self.warm = CheckCell()
        self._clock = recorder.clock
        self._timeline: Timeline = recorder.timeline

    def record(self, ok: bool) -> None:  # noqa: FBT001 - a port's
        """Count a pass or a fail, judged by when it is made."""
        cell = self.judged if self._clock() >= self._timeline.judged_from else self.warm
        if ok:
            cell.passes += 1
        else:
            cell.fails += 1


class IterationCell:
    """Iterations of one scenario, counted."""

    __slots__ = ("completed", "dropped", "duration", "failed", "interrupted")

    def __init__(self) -> None:
        self.duration = DenseHistogram()
        self.completed = self.failed = self.interrupted = self.dropped = 0

    def stats(self) -> IterationStats:
        """The same as what is merged and sent."""
        return IterationStats(self.duration.to_histogram(), self.completed, self.failed, self.interrupted, self.dropped)


class IterationHandle:
    """Iterations of one scenario. All instants are nanoseconds of the recorder's clock."""

    __slots__ = ("_slip", "_timeline", "judged", "tags", "warm")

    def __init__(self, recorder: Recorder, tags: Tags) -> None:
        self.tags = tags
        self.judged = IterationCell()
        self.warm = IterationCell()
        self._slip: DenseHistogram = recorder.slip
        self._timeline: Timeline = recorder.timeline

    def late(self, due: int, began: int) -> None:
        """An iteration that was due then begins: schedule slip."""
        if due >= self._timeline.judged_from:
            self._slip.record((began - due) // 1000)

    def completed(self, due: int, ended: int) -> None:
        """An iteration went through; it took from when it was due (closed model: began)."""
        timeline = self._timeline
        if ended >= timeline.ends:
            timeline.roll(ended)
        timeline.iterations += 1
        cell = self.judged if due >= self._timeline.judged_from else self.warm
        cell.completed += 1
        cell.duration.record((ended - due) // 1000)

    def failed(self, due: int, ended: int) -> None:
        """An iteration ended early by an error of the journey itself."""
        self._ended(due, ended).failed += 1

    def interrupted(self, due: int) -> None:
        """An iteration was cut off."""
        self._cell(due).interrupted += 1

    def dropped(self, due: int) -> None:
        """An iteration was due and could not begin."""
        if due >= self._timeline.ends:
            self._timeline.roll(due)
        self._timeline.dropped += 1
        self._cell(due).dropped += 1

    def _ended(self, due: int, ended: int) -> IterationCell:
        if ended >= self._timeline.ends:
            self._timeline.roll(ended)
        self._timeline.iterations += 1
        return self._cell(due)

    def _cell(self, due: int) -> IterationCell:
        return self.judged if due >= self._timeline.judged_from else self.warm


class MetricHandle(ABC):
    """A metric that a journey defines. What it says during the warm-up is not kept: it would be judged."""

    def __init__(self, recorder: Recorder) -> None:
        self._clock = recorder.clock
        self._timeline: Timeline = recorder.timeline

    def add(self, value: float) -> None:
        """One value."""
        if self._clock() >= self._timeline.judged_from:
            self.keep(value)

    @abstractmethod
    def keep(self, value: float) -> None:
        """One value that is judged."""


class CounterHandle(MetricHandle):
    """A sum."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self._value = 0.0

    def keep(self, value: float) -> None:
        """So much more."""
        self._value += value

    def stats(self) -> CounterStats:
        """The sum so far."""
        return CounterStats(round(self._value, 6))


class GaugeHandle(MetricHandle):
    """The latest value."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self._since_start = recorder.since_start
        self._stats: GaugeStats | None = None

    def keep(self, value: float) -> None:
        """The value now."""
        before = self._stats
        lowest, highest = (before.minimum, before.maximum) if before else (value, value)
        self._stats = GaugeStats(value, self._since_start(), min(lowest, value), max(highest, value))

    def stats(self) -> GaugeStats | None:
        """The latest, or None while there is none."""
        return self._stats


class RateHandle(MetricHandle):
    """How often a value was true."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self._stats = CheckStats()

    def keep(self, value: float) -> None:
        """0 is false, all else true."""
        if value:
            self._stats.passes += 1
        else:
            self._stats.fails += 1

    def stats(self) -> CheckStats:
        """The counts so far."""
        return self._stats


class TrendHandle(MetricHandle):
    """A distribution, kept in thousandths of its unit."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self._values = DenseHistogram()

    def keep(self, value: float) -> None:
        """One sample; below 0 counts as 0."""
        self._values.record(max(0, round(value * 1000)))

    def stats(self) -> TrendStats:
        """The samples so far."""
        return TrendStats(self._values.to_histogram())
