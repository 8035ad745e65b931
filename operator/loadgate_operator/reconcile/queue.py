"""Keys that wait to be reconciled: each at most once in the queue and once in the making, now or at a later time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadgate_operator.cluster.port import Key


class KeyQueue:
    """A queue without repetitions. A key that is added while it is being worked on comes again afterwards."""

    def __init__(self) -> None:
        self._ready: dict[Key, None] = {}
        self._working: set[Key] = set()
        self._again: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._since: dict[Key, float] = {}
        self._wake = asyncio.Event()

    def add(self, key: Key) -> None:
        """As soon as a worker is free; a later time that was set for it is forgotten."""
        self.forget_timer(key)
        if key in self._working:
            self._again.add(key)
            return
        self._ready[key] = None
        self._since.setdefault(key, asyncio.get_running_loop().time())
        self._wake.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """In so many seconds, or earlier if something happens."""
        if key in self._ready or key in self._again:
            return
        self.forget_timer(key)
        if seconds <= 0:
            self.add(key)
            return
        self._timers[key] = asyncio.get_running_loop().call_later(seconds, self.add, key)

    def forget_timer(self, key: Key) -> None:
        """Don't wait for a later time any more."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    async def take(self) -> Key:
        """The next key; call `done` when it is worked off."""
        while not self._ready:
            self._wake.clear()
            await self._wake.wait()
        key = next(iter(self._ready))
        del self._ready[key]
        self._working.add(key)
        return key

    def done(self, key: Key) -> None:
        """The key may be taken again."""
        self._working.discard(key)
        self._since.pop(key, None)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def longest(self) -> float:
        """For how many seconds the key has waited, or been worked on, that has been so longest; 0 of none."""
        now = asyncio.get_running_loop().time()
        return max((now - since for since in self._since.values()), default=0.0)

    def close(self) -> None:
        """Let go of all timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
