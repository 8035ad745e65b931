"""The operator's clock: Unix seconds that go on evenly, whatever happens to the machine's clock meanwhile.

A run's times are written down as instants, and another operator, on another machine, may go on with them. So the clock
begins with what the API server says where that is clearly another time than the machine's, and never jumps.
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

DISAGREES = 3.0
"""Seconds by which two clocks are different ones: a server's date is cut to whole seconds, and comes from afar."""


def steady_seconds() -> float:
    """Seconds that nobody can set; those that a machine sleeps are counted where its kernel tells of them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class SteadyClock:
    """Call it for the time in Unix seconds."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = steady_seconds) -> None:
        """`wall` gives Unix seconds and is asked once; `steady` gives seconds since any moment."""
        self._steady = steady
        self._offset = wall() - steady()

    def __call__(self) -> float:
        """Now, in Unix seconds."""
        return self._steady() + self._offset

    def follow(self, server: float) -> float:
        """Take a server's time, in Unix seconds, where it is another one than ours; answers by how many seconds.

        To be called before anything was timed: it is the one moment at which the clock jumps.
        """
        ahead = server - self()
        if abs(ahead) <= DISAGREES:
            return 0.0
        self._offset += ahead
        return ahead


def read_date(header: str) -> float | None:
    """An HTTP Date in Unix seconds; None where it is none."""
    try:
        return parsedate_to_datetime(header).timestamp()
    except ValueError:
        return None
