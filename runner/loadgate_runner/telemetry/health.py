"""How a process that makes load is doing itself: CPU of what it is allowed, memory, descriptors, lag, slip.

Everything is of the judged time, since that is what a verdict stands on.
"""

from __future__ import annotations

import asyncio
import resource
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import psutil

from loadgate.metrics import Health
from loadgate_runner.telemetry.lag import LagSampler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadgate.metrics import DenseHistogram
    from loadgate_runner.telemetry.cgroup import Cgroup
    from loadgate_runner.telemetry.recorder import Recorder

PERIOD = 1.0
"""Seconds between two samples of CPU, memory and descriptors. Of less than half of it no ratio is told."""

SECOND = 1_000_000_000


class Probe(Protocol):
    """Where the figures come from: this process, or a test."""

    def cpu_seconds(self) -> float:
        """CPU time used so far."""

    def rss(self) -> int:
        """Resident memory in bytes."""

    def memory(self) -> int:
        """Bytes that count against the memory limit; 0 when there is none."""

    def fds(self) -> int:
        """Open file descriptors."""

    def throttling(self) -> tuple[int, int]:
        """Scheduler periods so far, and those in which the quota held us back."""


@dataclass(frozen=True)
class Allowance:
    """What one process may use. `cores` is at most 1, since a Python process makes load on one core."""

    cores: float
    memory_limit: int
    fd_limit: int

    @classmethod
    def of(cls, cores: float, memory_limit: int, processes: int) -> Allowance:
        """One of several processes' part of a runner's allowance."""
        fd_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return cls(min(1.0, cores / processes), memory_limit // processes, fd_limit)


class OwnProcess:
    """The figures of the process that this runs in."""

    def __init__(self, cgroup: Cgroup) -> None:
        self._process = psutil.Process()
        self._cgroup = cgroup

    def cpu_seconds(self) -> float:
        """User and system time."""
        # Finer than what /proc counts in ticks of 10 ms.
        return time.process_time()

    def rss(self) -> int:
        """Resident memory."""
        return int(self._process.memory_info().rss)

    def memory(self) -> int:
        """As the control group is charged, with all its processes."""
        return self._cgroup.charged()

    def fds(self) -> int:
        """Open file descriptors."""
        return self._process.num_fds()

    def throttling(self) -> tuple[int, int]:
        """As the control group counts it."""
        return self._cgroup.throttling()


@dataclass(frozen=True)
class _Reading:
    at: int
    cpu: float
    periods: int
    throttled: int


class HealthMonitor:
    """Samples a process once a second, from the end of the warm-up to the end of the load."""

    def __init__(self, recorder: Recorder, probe: Probe, allowance: Allowance) -> None:
        self._recorder = recorder
        self._probe = probe
        self._allowance = allowance
        self._lag = LagSampler(recorder.clock, lambda: recorder.judging)
        self._first: _Reading | None = None
        self._last: _Reading | None = None
        self._cpu_max = 0.0
        self._rss_max = 0
        self._memory_max = 0
        self._fds_max = 0

    async def watch(self) -> None:
        """Sample until cancelled."""
        self._lag.start()
        try:
            while True:
                self.sample()
                await asyncio.sleep(PERIOD)
        finally:
            self._lag.stop()

    def sample(self) -> None:
        """Take one sample; the first one of the judged time is what the others are counted from."""
        if not self._recorder.judging:
            return
        reading = self._read()
        self._first = self._first or reading
        if self._last is not None:
            self._cpu_max = max(self._cpu_max, self._cpu(self._last, reading))
        self._last = reading
        self._rss_max = max(self._rss_max, self._probe.rss())
        self._memory_max = max(self._memory_max, self._probe.memory())
        self._fds_max = max(self._fds_max, self._probe.fds())

    def health(self) -> Health:
        """The figures so far."""
        first, last = self._first, self._last
        return Health(
            cpu_ratio=self._cpu(first, last) if first and last else 0.0,
            cpu_ratio_max=self._cpu_max,
            throttled_ratio=_throttled(first, last) if first and last else 0.0,
            lag_p99=_seconds(self._lag.lag, 0.99),
            lag_max=self._lag.lag.maximum / 1e6,
            slip_p99=_seconds(self._recorder.slip, 0.99),
            slip_max=self._recorder.slip.maximum / 1e6,
            rss=self._rss_max or self._probe.rss(),
            memory=self._memory_max or self._probe.memory(),
            memory_limit=self._allowance.memory_limit,
            fds=self._fds_max or self._probe.fds(),
            fd_limit=self._allowance.fd_limit,
            cores=self._allowance.cores,
            labels_dropped=self._recorder.labels_dropped,
            data_exhausted=self._recorder.exhausted,
        )

    def _read(self) -> _Reading:
        return _Reading(self._recorder.clock(), self._probe.cpu_seconds(), *self._probe.throttling())

    def _cpu(self, before: _Reading, after: _Reading) -> float:
        elapsed = (after.at - before.at) / SECOND
        if elapsed < PERIOD / 2:
            return 0.0
        return round((after.cpu - before.cpu) / elapsed / self._allowance.cores, 4)


_WORST = (
    *("cpu_ratio", "cpu_ratio_max", "throttled_ratio", "lag_p99", "lag_max", "slip_p99", "slip_max", "began_late"),
    "memory",  # of the control group, which is one for all
)
_TOTAL = (
    *("rss", "memory_limit", "labels_dropped", "data_exhausted", "denied", "cores"),
    *("no_port", "no_descriptor", "no_buffer", "tokens_lapsed"),
)


def combine(parts: Sequence[Health]) -> Health:
    """A runner's health from its processes': ratios, lag and slip of the worst, amounts added up."""
    if not parts:
        return Health()
    figures: dict[str, Any] = {name: max(getattr(part, name) for part in parts) for name in _WORST}
    figures |= {name: sum(getattr(part, name) for part in parts) for name in _TOTAL}
    # Descriptors are limited by process, so the process that is nearest to its limit speaks for all.
    fullest = max(parts, key=lambda part: part.fds / part.fd_limit if part.fd_limit else 0.0)
    first_denied = next((part.first_denied for part in parts if part.first_denied), "")
    first_lapse = next((part.first_lapse for part in parts if part.first_lapse), "")
    return replace(fullest, **figures, first_denied=first_denied, first_lapse=first_lapse, processes=len(parts))


def _throttled(before: _Reading, after: _Reading) -> float:
    periods = after.periods - before.periods
    return round((after.throttled - before.throttled) / periods, 4) if periods else 0.0


def _seconds(histogram: DenseHistogram, q: float) -> float:
    sparse = histogram.to_histogram()
    return round(sparse.quantile(q) / 1e6, 6) if sparse.count else 0.0
