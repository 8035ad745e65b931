"""The VUs of one scenario's share: tasks that begin, retire, and are cut off when their time to end is over."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Protocol

from loadgate_runner.http.waiter import on_a_strand

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from loadgate_runner.executors.events import Event

NEVER = math.inf


class Worker(Protocol):
    """A VU as executors see it. Cancelling an iteration interrupts it, which the worker counts.

    What an iteration comes to is falsy where this VU can do no more.
    """

    def iterate(self, number: int, due_ns: int | None = None) -> Awaitable[object]:
        """Do iteration `number`. In the open model it was due at `due_ns`, by the stage's `ticks`."""

    async def close(self) -> None:
        """It is needed no more."""


class Stage(Protocol):
    """What a crew works with: a clock, workers to be had, and someone who counts."""

    def clock(self) -> float:
        """Seconds from the scenario's start."""

    ticks: Callable[[], int]
    """The same clock as it is read cheapest, in nanoseconds since some moment."""

    def tick(self, seconds: float) -> int:
        """What `ticks` says at `seconds` from the scenario's start."""

    vus: Callable[[int, int], None]
    """Called when so many more (or fewer) VUs are at work, with what `ticks` says."""

    drop: Callable[[int], None]
    """Called for an iteration that could not begin, with what `ticks` said when it was due."""

    def hire(self, vu: int) -> Worker:
        """A worker for VU number `vu`; cheap, since it may be asked for while load runs."""

    def dismiss(self, worker: Worker) -> None:
        """A worker that is needed no more."""


class Crew:
    """Performs an executor's events; the drive loop says when."""

    def __init__(self, stage: Stage, changed: Callable[[], None]) -> None:
        self._stage = stage
        self._changed = changed
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_call = NEVER
        self.fault: BaseException | None = None
        self.through = True
        """Whether nothing is left to arrive: each arrival has begun or was dropped."""

    @property
    def busy(self) -> bool:
        """Whether any VU is at work."""
        return bool(self._tasks)

    def begin(self, since: float) -> None:
        """The scenario begins, at its second `since`: for those who don't wait to be told what to perform."""

    def perform(self, event: Event) -> None:
        """Do what is due: for those who do."""

    def retire_all(self, expires: float) -> None:
        """Let nobody begin anything; who isn't done at `expires` is cut off then. May be said again, to hurry."""
        self._last_call = min(self._last_call, expires)

    def next_expiry(self) -> float:
        """When someone is to be cut off next; infinity when nobody is."""
        return self._last_call

    def expire(self, now: float) -> None:
        """Cut off those whose time is over."""
        if now >= self._last_call:
            self._last_call = NEVER
            for task in self._tasks:
                task.cancel()

    def close(self) -> int:
        """Let go of all VUs. Returns how many are still at work, having withstood being cancelled."""
        left = len(self._tasks)
        self._tasks.clear()
        return left

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(on_a_strand(work))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fault = self.fault or error
            self._changed()
        elif not self._tasks:
            self._changed()
