"""What a client costs, taken from outside and alike for each: CPU of its processes, requests by nginx's count.

Both are read at two instants while it makes load at full rate, so neither a start, a warm-up nor a report counts.
"""

import statistics
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import psutil

from benchmarks.server import Server

_FIRST_REQUEST_LIMIT = 60.0
"""Seconds until a client's first request. A JVM takes a few, and a busy machine makes them many."""


@dataclass(frozen=True)
class Said:
    """What a client itself says at its end: requests answered well, and percentiles in ms where it has any."""

    requests: int
    p50: float | None = None
    p99: float | None = None


@dataclass(frozen=True)
class Sample:
    """A window of one run: requests, its seconds, and CPU seconds of the client's processes in it."""

    requests: int
    seconds: float
    cpu: float
    p50: float | None = None
    p99: float | None = None
    note: str = ""
    facts: dict[str, float] = field(default_factory=dict)

    @property
    def cost(self) -> float:
        """CPU microseconds per request."""
        return self.cpu / self.requests * 1e6

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


class CountError(RuntimeError):
    """A client counts other requests than nginx does, or there were none."""


def window(server: Server, pid: int, before: int, warmup: float, seconds: float) -> Sample:
    """Watch a client that begins about now, from `warmup` seconds after its first request, for so many seconds.

    `before` is nginx's count before the client began. Raises CountError where no request comes.
    """
    _await_first(server, pid, before)
    time.sleep(warmup)
    requests, cpu, at = server.requests(), tree_cpu(pid), time.monotonic()
    time.sleep(seconds)
    cpu, took = tree_cpu(pid) - cpu, time.monotonic() - at
    seen = server.requests() - requests - 1  # the one that asked
    if seen <= 0 or cpu <= 0:
        raise CountError("the client made no load in the window that was watched")
    return Sample(seen, took, cpu)


def _await_first(server: Server, pid: int, before: int) -> None:
    until = time.monotonic() + _FIRST_REQUEST_LIMIT
    asked = 0
    while server.requests() - before - (asked := asked + 1) <= 0:
        if time.monotonic() > until or not _alive(pid):
            raise CountError("the client made no request")
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def tree(pid: int) -> list[psutil.Process]:
    """A process and all that it started, as far as they live."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def tree_cpu(pid: int) -> float:
    """CPU seconds so far, of all threads of all its processes."""
    total = 0.0
    for process in tree(pid):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def tree_memory(pid: int) -> int:
    """Bytes in memory; what several processes share counts once (PSS)."""
    return sum(process.memory_full_info().pss for process in tree(pid))


def end(process: subprocess.Popen[str]) -> None:
    """Kill a client and what it started."""
    for one in reversed(tree(process.pid)):
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    process.communicate()


def median(samples: Iterable[Sample]) -> float:
    """The median cost."""
    return statistics.median(sample.cost for sample in samples)
