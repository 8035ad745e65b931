"""The one loop that sleeps: it performs a scenario's events when they are due, then sees its end through.

Arrivals of the open model are too many for it. They are the pool's, which has a timer for them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from loadgate_runner.executors.alarm import Alarm, LoopTimer
from loadgate_runner.executors.crew import NEVER
from loadgate_runner.executors.events import ClosedExecutor, Executor, OpenExecutor
from loadgate_runner.executors.looping_crew import LoopingCrew
from loadgate_runner.executors.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgate_runner.executors.alarm import Timer
    from loadgate_runner.executors.crew import Crew, Stage
    from loadgate_runner.executors.events import Event

AT_ONCE = 200
"""So many overdue events are performed before others get the loop: a late start has many."""

CUT_OFF = 5.0
"""Seconds that a cancelled iteration gets to clean up before the scenario ends without it."""


class Drive:
    """One scenario's share, from its start to the end of its last VU.

    Made before the start, so that pre-allocated VUs are there when it comes. `run` returns when nothing is at
    work any more; `stop` may be called at any moment, and again to hurry. `timer` is what arrivals are waited for with.
    """

    def __init__(self, executor: Executor, stage: Stage, *, graceful_stop: float, timer: Timer | None = None) -> None:
        self._executor = executor
        self._clock = stage.clock
        self._graceful_stop = graceful_stop
        self._alarm = Alarm(stage.clock)
        self._crew = _crew_of(executor, stage, self._alarm.ring, timer or LoopTimer())
        self._stopping = False
        self.whole = False
        """Whether the schedule was gone through to its end."""
        self.withstood = 0
        """How many iterations went on though they were cancelled."""

    def stop(self, *, graceful: bool) -> None:
        """Begin nothing more; iterations under way have the scenario's `gracefulStop`, or no time at all."""
        now = self._clock()
        self._stopping = True
        self._crew.retire_all(now + self._graceful_stop if graceful else now)
        self._alarm.ring()

    async def run(self, since: float = 0.0) -> None:
        """See the scenario through, from its place `since` (seconds from its start) on.

        Arrivals that were due before are dropped: they are not caught up, and not forgotten either. Raises what a VU
        raised, which is a fault of the runner and never the target's.
        """
        self._crew.begin(since)
        await self._go_through()
        self.whole = not self._stopping and self._crew.fault is None
        if not self._stopping:
            self._crew.retire_all(self._clock() + (self._graceful_stop if self.whole else 0.0))
        await self._see_out()
        self.withstood = self._crew.close()
        self._alarm.close()
        if self._crew.fault is not None:
            raise self._crew.fault

    async def _go_through(self) -> None:
        executor, crew = self._executor, self._crew
        events = executor.events()
        coming = next(events, None)
        while not self._stopping and crew.fault is None:
            coming = await self._perform_due(coming, lambda: next(events, None))
            now = self._clock()
            crew.expire(now)
            over = now >= executor.until
            if (over and crew.through) or (executor.by_iterations and coming is None and not crew.busy):
                return
            # When its time is over and arrivals are still to be begun, the crew rings after the last one.
            until = NEVER if over else executor.until
            await self._alarm.wait(min(coming.at if coming else until, crew.next_expiry(), until))

    async def _perform_due(self, event: Event | None, following: Callable[[], Event | None]) -> Event | None:
        done = 0
        while event is not None and event.at <= self._clock() and not self._stopping:
            self._crew.perform(event)
            event = following()
            done += 1
            if not done % AT_ONCE:
                await asyncio.sleep(0)
        return event

    async def _see_out(self) -> None:
        cut_off = NEVER
        while self._crew.busy and (now := self._clock()) < cut_off:
            if now >= self._crew.next_expiry():
                self._crew.expire(now)
                cut_off = min(cut_off, now + CUT_OFF)
            await self._alarm.wait(min(self._crew.next_expiry(), cut_off))


def _crew_of(executor: Executor, stage: Stage, changed: Callable[[], None], timer: Timer) -> Crew:
    if isinstance(executor, OpenExecutor):
        return Pool(executor, stage, changed, timer)
    if isinstance(executor, ClosedExecutor):
        return LoopingCrew(executor, stage, changed)
    raise AssertionError(f"{type(executor).__name__} is neither open nor closed")
