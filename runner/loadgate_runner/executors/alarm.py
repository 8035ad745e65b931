"""Waiting on *stop or time*: the only place where executors sleep."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


SHORTEST_SLEEP = 1e-5
"""Seconds; so that a remainder too small to be added to the loop's time is no endless loop."""

LONGEST_SLEEP = 3600.0
"""Seconds; so that waiting for an instant that never comes (infinity) is a timer too."""


class Alarm:
    """Lets one waiter sleep until an instant, and lets anyone wake it before.

    `clock` gives the instants in seconds; the loop's timers only say how long to sleep, so the two may differ, and a
    timer that fires a little early is slept again.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rung = False
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Wake the waiter, or let the next wait return at once."""
        self._rung = True
        self._wake()

    async def wait(self, until: float) -> None:
        """Return at `until`, or as soon as the alarm has rung; a ring ends one wait."""
        loop = asyncio.get_running_loop()
        while not self._rung and (remaining := until - self._clock()) > 0:
            self._waiter = loop.create_future()
            timer = loop.call_later(min(max(remaining, SHORTEST_SLEEP), LONGEST_SLEEP), self._wake)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        self._rung = False

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
