"""How late the event loop is: what the operator has to do can wait that long, and so do starts and scrapes."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

EACH = 0.1
"""Seconds between two instants that are looked at: ten a second cost next to nothing."""

MOST = 600
"""Instants that one look makes up for; a machine that slept for a night has nothing to tell of it."""


RESOLUTION = 0.001
"""Seconds by which a loop's timer may fire before its time."""


async def watch(observe: Callable[[float], None]) -> None:
    """Tell for every tenth of a second by how many seconds it came too late; until cancelled.

    A loop that is blocked for a second misses ten of these instants. Each of them counts, with its own lateness:
    whoever had to do something just then would have waited as long.
    """
    loop = asyncio.get_running_loop()
    due = loop.time() + EACH
    while True:
        await asyncio.sleep(due - loop.time())
        now = loop.time()
        for seconds in lateness(due, now):
            observe(seconds)
        due += EACH * _over(due, now)


def lateness(due: float, now: float) -> list[float]:
    """By how many seconds each instant is late that was due since `due`, at most MOST of them, the latest last."""
    count = _over(due, now)
    return [max(0.0, now - due - number * EACH) for number in range(max(0, count - MOST), count)]


def _over(due: float, now: float) -> int:
    """How many instants from `due` on are over."""
    return max(0, math.floor((now - due + RESOLUTION) / EACH) + 1)
