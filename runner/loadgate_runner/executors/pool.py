"""VUs of the open model: each is a coroutine that waits to be given arrivals; one that finds no VU free is dropped.

An arrival costs no task and no timer of its own. One timer wakes the pool for all that has come due, and it resumes as
many VUs, each with the instant at which its iteration was due; a VU that is done while something is due takes that
itself. So at a high rate arrivals are begun, and answers read, in batches, as in the closed model.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from loadgate_runner.executors.crew import Crew, Stage, Worker
from loadgate_runner.http.waiter import Waiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgate_runner.executors.alarm import Timer
    from loadgate_runner.executors.events import OpenExecutor

GRAIN: Final = 200_000
"""Nanoseconds between two times that the pool wakes, so the most that one on an idle machine begins arrivals late."""

AT_ONCE: Final = 64
"""So many arrivals are begun (or dropped) before answers are read again."""

_FIRST: Final = 16
"""As so many of them counts a VU's first one: it has a connection to make, and others may be free by then."""

_TURNS: Final = 3
"""Turns of the loop within which an answer that is there is read and its VU free: reading, going on, handing over."""

_PATIENCE: Final = 100_000_000
"""Nanoseconds. A loop that was held up for longer has missed arrivals that can't be caught up decently."""

_WARMING: Final = 2_000_000
"""Nanoseconds between two VUs' first arrivals while others are free. Each has a connection to make, which costs as much
as many requests do: all of them at the beginning, one after another, would hold up the arrivals behind them."""

_UNBROKEN: Final = 100_000
"""Nanoseconds. An iteration this short may not have waited for anything, so its VU lets others have the loop."""

_SECOND: Final = 1_000_000_000
_NEVER: Final = 1 << 62


class _Member(Waiter):
    """A VU and the arrival that it is given; it waits at itself."""

    __slots__ = ("due", "number", "worker", "working")

    def __init__(self, loop: asyncio.AbstractEventLoop, worker: Worker, number: int, due: int) -> None:
        Waiter.__init__(self, loop)
        self.worker = worker
        self.number = number
        self.due = due
        self.working = False


class Pool(Crew):
    """Pre-allocated VUs are made at once, more when needed. Who has been free the longest goes first, and in between,
    now and then, one that has never worked, so all work.

    An arrival is dropped, and a VU beyond the pre-allocated ones made, only when really nobody is free: once the
    answers that were there are read, and when the loop was held up, once VUs had as long to become free again.
    """

    def __init__(self, executor: OpenExecutor, stage: Stage, changed: Callable[[], None], timer: Timer) -> None:
        super().__init__(stage, changed)
        self._loop = asyncio.get_running_loop()
        self._clock, self._vus = stage.ticks, stage.vus
        self._timer = timer
        self._share, self._most = executor.share, executor.most
        self._numbers = executor.numbers()
        self._due_at = executor.due_at()
        self._origin = self._since = 0
        self._number = 0
        self._due = _NEVER  # of the arrival that comes next
        self._closed = False
        self._expected = 0  # when it was to be looked for arrivals
        self._patient = 0  # until when VUs may become free again after the loop was held up
        self._starved = 0  # when it was seen that nobody is free
        self._turns = 0  # that are to pass until this means that nobody was
        self._settled = 0  # what was due up to here and is still there has found nobody
        self._made = 0
        self._warm = 0  # from when on who has never worked goes before who has
        self._fresh: deque[Worker] = deque()  # has never worked
        self._free: deque[_Member] = deque()
        self._starting: set[_Member] = set()
        self._fresh.extend(self._make() for _ in range(executor.pre_allocated))
        self.through = False

    def begin(self, since: float) -> None:
        """Wait for arrivals; those that were due before `since` are dropped."""
        if self._closed:
            return
        self._origin = self._stage.tick(0.0)
        self._since = self._stage.tick(since)
        self._advance()
        self._expected = self._clock()
        self._loop.call_soon(self._deal)

    def retire_all(self, expires: float) -> None:
        """Nothing begins any more; who waits goes home."""
        super().retire_all(expires)
        if not self._closed:
            self._closed = True
            self._due = _NEVER
            self._timer.cancel()
            self._loop.call_soon(self._send_home)

    def close(self) -> int:
        """Those that never worked go too, and those that were cut off before they began what they were given."""
        while self._fresh:
            self._stage.dismiss(self._fresh.popleft())
        for member in self._starting:
            self._stage.drop(member.due)
            self._stage.dismiss(member.worker)
        self._starting.clear()
        self._timer.close()
        return super().close()

    def _make(self) -> Worker:
        worker = self._stage.hire(self._share.nth(self._made))
        self._made += 1
        return worker

    def _advance(self) -> None:
        """Look at the arrival after this one."""
        number = next(self._numbers, None)
        if number is None:
            self._due = _NEVER
            self.through = True
            self._changed()
        else:
            self._number = number
            self._due = self._origin + int(self._due_at(number) * _SECOND + 0.5)

    def _deal(self) -> None:
        """Begin what is due. Called by the loop and never within a task, since it resumes VUs."""
        try:
            self._deal_due()
        except BaseException as fault:
            self.fault = self.fault or fault  # else the scenario would wait for arrivals that nobody begins
            self._changed()
            raise

    def _deal_due(self) -> None:
        now = self._clock()
        settles = self._turns == 1
        if not self._turns:
            self._patient = max(self._patient, now + min(now - self._expected, _PATIENCE))
        elif not settles:
            self._turns -= 1
        elif now >= self._patient:
            self._settled = self._starved
            self._turns = 0
        room = AT_ONCE
        while room > 0 and self._due <= now:
            begun = self._deal_one()
            if not begun:
                break
            room -= begun
        if self._due > now:
            self._turns = 0
            self._rest()
        elif settles and room > 0:
            self._rest()
        else:
            if room > 0 and not self._turns:
                self._turns, self._starved = _TURNS, now
            self._expected = now
            self._loop.call_soon(self._deal)

    def _deal_one(self) -> int:
        """Begin or drop one arrival, and say as how many it counts; 0 where someone may yet become free for it."""
        number, due = self._number, self._due
        if due < self._since:
            self._stage.drop(due)
        elif self._fresh and (due >= self._warm or not self._free):
            self._warm = due + _WARMING
            return self._start(self._fresh.popleft())
        elif self._free:
            member = self._free.popleft()
            member.number, member.due = number, due
            self._advance()
            member.wake()
            return 1
        elif due > self._settled:
            return 0
        elif self._made < self._most:
            return self._start(self._make())
        else:
            self._stage.drop(due)
        self._advance()
        return 1

    def _start(self, worker: Worker) -> int:
        member = _Member(self._loop, worker, self._number, self._due)
        self._starting.add(member)
        self._spawn(self._serve(member))
        self._advance()
        return _FIRST

    def _rest(self) -> None:
        if self._due != _NEVER:
            now = self._clock()
            wait = max(self._due - now, GRAIN)
            self._expected = now + wait
            self._timer.set(wait / _SECOND, self._deal)

    def _send_home(self) -> None:
        while self._free:
            self._free.popleft().wake()

    async def _serve(self, member: _Member) -> None:
        """Do one arrival after another."""
        if self._is_closed():
            return
        clock, iterate = self._clock, member.worker.iterate
        self._starting.discard(member)
        began = clock()
        self._begin_work(member, began)
        try:
            while await iterate(member.number, member.due):
                now = clock()
                if self._since <= self._due <= now and now - began >= _UNBROKEN:
                    member.number, member.due = self._number, self._due
                    self._advance()
                    began = now
                    continue
                self._end_work(member, now)
                if self._is_closed():
                    break
                self._free.append(member)
                await member
                if self._is_closed():
                    break
                began = clock()
                self._begin_work(member, began)
        finally:
            if member.working:
                self._end_work(member, clock())
            self._stage.dismiss(member.worker)

    def _is_closed(self) -> bool:
        return self._closed  # which may have changed since it was asked last

    def _begin_work(self, member: _Member, now: int) -> None:
        member.working = True
        self._vus(1, now)

    def _end_work(self, member: _Member, now: int) -> None:
        member.working = False
        self._vus(-1, now)
