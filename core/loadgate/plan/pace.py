"""How many VUs at an instant, and when an arrival is due: closed formulas, no clock, no loop.

Rounding is towards where a line comes from: a rising line has a VU when it is fully due, a falling one keeps it
until then. So a stage from 0 to 10 in 10 s has one VU from second 1 on, as in k6.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadgate.plan.schedule import ArrivalSchedule, Segment, VUSchedule

_TOLERANCE: Final = 1e-6
"""Lines meet whole numbers exactly on paper; in floating point they miss them by less than this, up to 1e9 of them."""


def _lines(start: int, segments: list[Segment]) -> Iterator[tuple[float, float, int, int]]:
    """Each segment as (begin, duration, from, to)."""
    begin = 0.0
    for segment in segments:
        yield begin, segment.duration, start, segment.target
        begin += segment.duration
        start = segment.target


def vus_at(schedule: VUSchedule, t: float) -> int:
    """How many VUs are asked for at `t`: 0 before the start and from the end on."""
    if t < 0:
        return 0
    for begin, duration, low, high in _lines(schedule.start, schedule.segments):
        if begin <= t < begin + duration:
            exact = low + (high - low) * (t - begin) / duration
            return math.floor(exact + _TOLERANCE) if high > low else math.ceil(exact - _TOLERANCE)
    return 0


def vu_changes(schedule: VUSchedule) -> Iterator[tuple[float, int]]:
    """Every change of the number of VUs as (t, VUs from t on), ascending in t; the last one is to 0, at the end.

    Between two changes the number stays; where several fall on one instant only the last is given.
    """
    pending = (0.0, schedule.start)
    for change in _raw_changes(schedule):
        if change[0] > pending[0]:
            yield pending
        pending = change
    yield pending


def _raw_changes(schedule: VUSchedule) -> Iterator[tuple[float, int]]:
    end = 0.0
    for begin, duration, low, high in _lines(schedule.start, schedule.segments):
        end = begin + duration
        if not duration:
            yield begin, high
            continue
        step = 1 if high > low else -1
        for vus in range(low + step, high + step, step) if high != low else ():
            yield begin + duration * (vus - low) / (high - low), vus
    yield end, 0


def arrived(schedule: ArrivalSchedule, t: float) -> float:
    """The area under the rate up to `t`: how many arrivals the lines have asked for, as a real number."""
    area = 0.0
    for begin, duration, low, high in _lines(schedule.start, schedule.segments):
        part = min(max(t - begin, 0.0), duration)
        if part:
            area += (low + (low + (high - low) * part / duration)) / 2 * part / schedule.time_unit
    return area


def arrivals(schedule: ArrivalSchedule) -> int:
    """How many iterations begin in all: number k is due when the area is k, so the last one begins before the end."""
    end = sum(segment.duration for segment in schedule.segments)
    return math.ceil(arrived(schedule, end) - _TOLERANCE)


def rate_at(schedule: ArrivalSchedule, t: float) -> float:
    """The arrival rate at `t`, per second: 0 outside of the schedule."""
    for begin, duration, low, high in _lines(schedule.start, schedule.segments):
        if begin <= t < begin + duration:
            return (low + (high - low) * (t - begin) / duration) / schedule.time_unit
    return 0.0


class Arrivals:
    """When each arrival is due. Ask for numbers in ascending order: it walks along the segments once."""

    def __init__(self, schedule: ArrivalSchedule) -> None:
        self._unit = schedule.time_unit
        self._total = arrivals(schedule)
        self._lines = _lines(schedule.start, schedule.segments)
        self._begin = self._duration = 0.0
        self._low = self._high = 0
        self._before = self._after = 0.0

    def due(self, number: int) -> float:
        """The instant at which arrival `number` (from 0) is due. Raises ValueError beyond the last one."""
        if not 0 <= number < self._total:
            raise ValueError(f"arrival {number} is not one of {self._total}")
        if number < self._before - _TOLERANCE:
            raise ValueError("arrivals are asked for in ascending order")
        while self._after <= number + _TOLERANCE:
            self._advance()
        return self._begin + self._solve((number - self._before) * self._unit)

    def _advance(self) -> None:
        self._begin, self._duration, self._low, self._high = next(self._lines)
        self._before = self._after
        self._after += (self._low + self._high) / 2 * self._duration / self._unit

    def _solve(self, area: float) -> float:
        """Where the line has `area` (targets times seconds) below it, in the form that is stable for flat lines."""
        if area <= 0 or not self._duration:
            return 0.0
        slope = (self._high - self._low) / self._duration
        root = math.sqrt(max(self._low * self._low + 2 * slope * area, 0.0))
        return min(2 * area / (self._low + root), self._duration)
