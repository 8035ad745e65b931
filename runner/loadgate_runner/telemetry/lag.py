"""How late the event loop is: a timer that looks at the clock when it fires.

Looks that fall due while the loop is held don't take place. Each counts all the same, with the time that it would have
waited: else a loop, or a whole process, that stood still for three seconds would show in one look of hundreds.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from loadgate.metrics import DenseHistogram

if TYPE_CHECKING:
    from collections.abc import Callable

PERIOD = 0.05
"""Seconds between two looks: often enough to meet a stall of 50 ms, seldom enough to cost nothing."""

_EVERY = round(PERIOD * 1e9)

RESOLUTION = 1_000_000
"""Nanoseconds. Loops count in whole milliseconds, so lateness within one is no lag."""


class LagSampler:
    """Samples the lag of the running loop while `judging` says so."""

    def __init__(self, clock: Callable[[], int], judging: Callable[[], bool]) -> None:
        self.lag = DenseHistogram()
        self._clock = clock
        self._judging = judging
        self._expected = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look."""
        self._expected = self._clock() + _EVERY
        self._timer = asyncio.get_running_loop().call_later(PERIOD, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        late = self._clock() - self._expected - RESOLUTION
        if self._judging():
            self.lag.record(max(0, late // 1000))
            for missed in range(late - _EVERY, 0, -_EVERY):
                self.lag.record(missed // 1000)
        self.start()
