"""Pauses of thousands of virtual users without a timer, a Future and a handle for each.

Event loops count in whole milliseconds, so all pauses that end in the same one end in one go: they cost one timer, and
the requests behind them go out together. Who pauses waits at the pause itself (see http.waiter).
"""

import asyncio
import heapq
import random
from collections.abc import Callable
from typing import Final

from loadgate_runner.http.waiter import Waiter

TIMER_GRAIN: Final = 0.001
"""Seconds: an event loop's timers are right to this much."""

_SECOND: Final = 1_000_000_000
_EARLY: Final = 500_000  # nanoseconds; a timer that fires this early has done its work
_LONGEST: Final = 3600.0  # seconds; loops refuse timers of years
_MOST: Final = 1000
_NEVER: Final = 1 << 62


def ungrained(seconds: float, chance: float) -> float:
    """A pause that is up to a timer's grain longer or shorter, by a chance from 0 to 1, and on average as it was.

    Without this, virtual users whose equal pauses end in one millisecond go on as one from then on: more and more
    join, and the target is hit in bursts.
    """
    return seconds + min(seconds, TIMER_GRAIN) * (2 * chance - 1)


class Pause(Waiter):
    """What one virtual user waits at."""

    __slots__ = ("given_up",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        Waiter.__init__(self, loop)
        self.given_up = False


class Pauses:
    """Ends pauses when they are over, with one loop timer for all. `clock` gives nanoseconds."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._heap: list[tuple[int, int, Pause]] = []
        self._order = 0
        self._most = _MOST
        self._timer: asyncio.TimerHandle | None = None
        self._ends = _NEVER

    @property
    def waiting(self) -> int:
        """How many pauses are kept, some of which may have been given up."""
        return len(self._heap)

    async def sleep(self, seconds: float) -> bool:
        """Let others have the loop for so long, or for a turn of it. True, since who is to end is cancelled."""
        ends = self._clock() + int(ungrained(seconds, random.random()) * _SECOND)
        pause = Pause(self._loop)
        self._order += 1
        if len(self._heap) >= self._most:
            self._tidy()
        heapq.heappush(self._heap, (ends, self._order, pause))
        if ends < self._ends:
            self._arm(ends)
        try:
            await pause
        except (asyncio.CancelledError, GeneratorExit):
            pause.given_up = True
            raise
        return True

    def close(self) -> None:
        """End no pause any more."""
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._ends = _NEVER

    def _arm(self, ends: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._ends = ends
        self._timer = self._loop.call_later(min(max(0, ends - self._clock()) / _SECOND, _LONGEST), self._end)

    def _end(self) -> None:
        """Called by the loop and never within a task, since it resumes tasks."""
        self._timer = None
        self._ends = _NEVER
        heap, now = self._heap, self._clock() + _EARLY
        over: list[Pause] = []
        while heap and heap[0][0] <= now:
            over.append(heapq.heappop(heap)[2])
        if heap:
            self._arm(heap[0][0])
        # What those who go on begin to wait for is not this turn's, however short.
        for pause in over:
            pause.wake()

    def _tidy(self) -> None:
        """Forget pauses that were given up: someone may give up long ones again and again."""
        self._heap = [one for one in self._heap if not one[2].given_up]
        heapq.heapify(self._heap)
        self._most = max(_MOST, 2 * len(self._heap))
