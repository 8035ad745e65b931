"""Ids of one endpoint's traced requests, while the load runs: most cost a comparison, and few are kept."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from loadgate.metrics import Trace, TraceStats
from loadgate.metrics.traces import FAILED, SLOWEST, slowest_of

if TYPE_CHECKING:
    from loadgate_runner.http import Response
    from loadgate_runner.telemetry.timeline import Timeline

_MILLISECOND: Final = 1_000_000


class TraceHandle:
    """What is kept of one endpoint. Requests of the warm-up aren't."""

    __slots__ = ("_first", "_floor", "_last", "_slowest", "_timeline")

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._slowest: list[Trace] = []
        self._floor = -1
        self._first: dict[str, list[Trace]] = {}
        self._last: dict[str, deque[Trace]] = {}

    def keep(self, trace: str, response: Response, expected: bool, due_ns: int | None) -> None:  # noqa: FBT001 - a port's
        """Keep a request's id if it is among the slowest, or has failed. Redirects on the way are in its time."""
        hops = response.hops
        began = (hops[0] if hops else response).started if due_ns is None else due_ns
        if began < self._timeline.judged_from:
            return
        if due_ns is not None:
            us = (response.ended - due_ns) // 1000
        else:
            us = response.duration
            for hop in hops:
                us += hop.duration
        if us > self._floor or not expected:
            self._keep(trace, response, us, expected)

    def _keep(self, trace: str, response: Response, us: int, expected: bool) -> None:  # noqa: FBT001 - likewise
        kind = "" if expected else response.error or f"status {response.status}"
        kept = Trace(str(kind), (response.ended - self._timeline.origin) // _MILLISECOND, us, trace)
        if us > self._floor:
            self._slowest = slowest_of([*self._slowest, kept])
            if len(self._slowest) == SLOWEST:
                self._floor = self._slowest[-1].duration
        if not expected:
            first = self._first.setdefault(kept.kind, [])
            if len(first) < FAILED:
                first.append(kept)
            else:
                self._last.setdefault(kept.kind, deque(maxlen=FAILED)).append(kept)

    def stats(self) -> TraceStats:
        """The same as what is merged and sent."""
        failed = (trace for table in (self._first, self._last) for several in table.values() for trace in several)
        return TraceStats.of([*self._slowest, *failed])
