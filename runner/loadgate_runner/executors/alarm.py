"""Waiting on *stop or time*: the only place where executors sleep."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

SHORTEST_SLEEP = 1e-5
"""Seconds; so that a remainder too small to be added to the loop's time is no endless loop."""

LONGEST_SLEEP = 3600.0
"""Seconds; so that waiting for an instant that never comes (infinity) is a timer too."""


class Timer(Protocol):
    """Calls back once, some seconds from now."""

    def set(self, seconds: float, callback: Callable[[], None]) -> None:
        """Set it, in place of what was set before."""

    def cancel(self) -> None:
        """Don't call back."""

    def close(self) -> None:
        """It is needed no more."""


class LoopTimer:
    """The event loop's own timer: right to a millisecond, and the one that virtual time moves."""

    def __init__(self) -> None:
        self._handle: asyncio.TimerHandle | None = None

    def set(self, seconds: float, callback: Callable[[], None]) -> None:
        """See Timer."""
        self.cancel()
        self._handle = asyncio.get_running_loop().call_later(seconds, callback)

    def cancel(self) -> None:
        """See Timer."""
        if self._handle is not None:
            self._handle.cancel()

    def close(self) -> None:
        """See Timer."""
        self.cancel()


class Alarm:
    """Lets one waiter sleep until an instant, and lets anyone wake it before.

    `clock` gives the instants in seconds; timers only say how long to sleep, so one that fires a little early is slept
    again.
    """

    def __init__(self, clock: Callable[[], float], timer: Timer | None = None) -> None:
        self._clock = clock
        self._timer = timer or LoopTimer()
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
            self._timer.set(min(max(remaining, SHORTEST_SLEEP), LONGEST_SLEEP), self._wake)
            try:
                await self._waiter
            finally:
                self._timer.cancel()
                self._waiter = None
        self._rung = False

    def close(self) -> None:
        """It is needed no more."""
        self._timer.close()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
