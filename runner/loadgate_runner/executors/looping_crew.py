"""VUs of the closed model: each iterates again and again until it retires or there is nothing left for it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadgate_runner.executors.crew import NEVER, Crew, Stage, Worker
from loadgate_runner.executors.events import Begin, ClosedExecutor, Event, Retire

if TYPE_CHECKING:
    from collections.abc import Callable

_UNBROKEN = 100_000
"""Nanoseconds. An iteration this short may not have waited for anything, so its VU lets others have the loop."""


@dataclass(slots=True, eq=False)
class _Member:
    vu: int
    worker: Worker
    retired: bool = False
    expires: float = NEVER
    task: asyncio.Task[None] | None = None


class LoopingCrew(Crew):
    """A VU that retires has `ramp_down` seconds to end its iteration; called back meanwhile, it just goes on."""

    def __init__(self, executor: ClosedExecutor, stage: Stage, changed: Callable[[], None]) -> None:
        super().__init__(stage, changed)
        self._until = executor.until
        self._ramp_down = executor.ramp_down
        self._take = executor.deal()
        self._members: dict[int, _Member] = {}
        # Everyone is granted the same time, so who retires first expires first.
        self._retiring: deque[tuple[float, _Member]] = deque()

    def perform(self, event: Event) -> None:
        """A VU begins, or retires."""
        if isinstance(event, Begin):
            self._begin(event.vu)
        elif isinstance(event, Retire):
            self._retire(event.vu)

    def retire_all(self, expires: float) -> None:
        """As retiring each; who retired before gets no longer for it."""
        super().retire_all(expires)
        for member in self._members.values():
            member.retired = True

    def next_expiry(self) -> float:
        """That of the first to have retired, or of all."""
        while self._retiring and not self._waits_for(*self._retiring[0]):
            self._retiring.popleft()
        return min(self._retiring[0][0] if self._retiring else NEVER, self._last_call)

    def expire(self, now: float) -> None:
        """Cancel who is over time."""
        super().expire(now)
        while self.next_expiry() <= now:
            _, member = self._retiring.popleft()
            if member.task is not None:
                member.task.cancel()

    def _waits_for(self, expires: float, member: _Member) -> bool:
        return member.expires == expires and self._members.get(member.vu) is member

    def _begin(self, vu: int) -> None:
        member = self._members.get(vu)
        if member is not None and member.expires > self._stage.clock():
            member.retired, member.expires = False, NEVER
            return
        member = _Member(vu, self._stage.hire(vu))
        self._members[vu] = member
        member.task = self._spawn(self._loop(member))

    def _retire(self, vu: int) -> None:
        member = self._members.get(vu)
        if member is not None and not member.retired:
            member.retired, member.expires = True, self._stage.clock() + self._ramp_down
            self._retiring.append((member.expires, member))

    async def _loop(self, member: _Member) -> None:
        clock, take, iterate, vu = self._stage.ticks, self._take, member.worker.iterate, member.vu
        until = self._stage.tick(self._until)
        self._stage.vus(+1, clock())
        try:
            following = 0
            while not member.retired and (now := clock()) < until:
                if now < following:
                    await asyncio.sleep(0)
                    following = 0
                    continue
                following = now + _UNBROKEN
                number = take(vu)
                if number is None or not await iterate(number):
                    break
        finally:
            self._stage.vus(-1, clock())
            if self._members.get(vu) is member:
                del self._members[vu]
            self._stage.dismiss(member.worker)
