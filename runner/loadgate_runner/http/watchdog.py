"""Time limits for thousands of requests in flight without a timer for each.

Whatever is watched stands in a heap at a moment no later than its deadline. Requests move that deadline ahead all the
time, which costs them one comparison: only when the moment comes is it looked at, and put back at its deadline of then.
A VU that sends a thousand requests a second under a limit of 30 s touches the heap twice a minute.
"""

import asyncio
import heapq
from collections.abc import Callable
from typing import Protocol

NEVER = 1 << 62
_NANOSECONDS = 1_000_000_000
_ROUNDING = 0.0005  # loops round to milliseconds: waking a little late beats waking early, twice


class Watched(Protocol):
    """Something with a deadline in nanoseconds of the watchdog's clock (NEVER while nothing is at stake)."""

    deadline: int
    watched: int

    def expire(self) -> None:
        """Called once the deadline has passed."""


class Watchdog:
    """Calls `expire` on what is past its deadline, with one loop timer for all."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], int]) -> None:
        self._loop = loop
        self._clock = clock
        self._heap: list[tuple[int, int, Watched]] = []
        self._order = 0
        self._timer: asyncio.TimerHandle | None = None
        self._due = NEVER

    def watch(self, one: Watched) -> None:
        """Look at `one` when its present deadline comes. Needed only where `one.deadline < one.watched`."""
        self._push(one)
        self._arm()

    def close(self) -> None:
        """Forget everything."""
        self._heap.clear()
        self._arm()

    def _push(self, one: Watched) -> None:
        one.watched = one.deadline
        self._order += 1
        heapq.heappush(self._heap, (one.deadline, self._order, one))

    def _arm(self) -> None:
        due = self._heap[0][0] if self._heap else NEVER
        if due == self._due:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due = due
        if due != NEVER:
            wait = max(0, due - self._clock()) / _NANOSECONDS
            self._timer = self._loop.call_later(wait + _ROUNDING, self._look)

    def _look(self) -> None:
        self._due = NEVER
        self._timer = None
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            moment, _, one = heapq.heappop(self._heap)
            if one.watched != moment:
                continue  # it has been put in again at an earlier moment since
            one.watched = NEVER
            if one.deadline <= now:
                one.expire()
            elif one.deadline != NEVER:
                self._push(one)
        self._arm()
