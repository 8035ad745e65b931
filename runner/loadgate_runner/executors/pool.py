"""VUs of the open model: they wait for arrivals, and an arrival that finds none is dropped and counted."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from loadgate_runner.executors.crew import Crew, Stage, Worker
from loadgate_runner.executors.events import Arrive, Event, OpenExecutor

if TYPE_CHECKING:
    from collections.abc import Callable


class Pool(Crew):
    """Pre-allocated VUs are made at once, more when needed; who has been free the longest goes first, so all work."""

    def __init__(self, executor: OpenExecutor, stage: Stage, changed: Callable[[], None]) -> None:
        super().__init__(stage, changed)
        self._share, self._most = executor.share, executor.most
        self._made = 0
        self._free: deque[Worker] = deque()
        self._free.extend(self._make() for _ in range(executor.pre_allocated))

    def perform(self, event: Event) -> None:
        """Give the arrival to a VU, or drop it."""
        if not isinstance(event, Arrive):
            return
        if self._free:
            self._spawn(self._serve(self._free.popleft(), event))
        elif self._made < self._most:
            self._spawn(self._serve(self._make(), event))
        else:
            self._stage.drop(event.at)

    def close(self) -> int:
        """The free ones go too."""
        while self._free:
            self._stage.dismiss(self._free.popleft())
        return super().close()

    def _make(self) -> Worker:
        worker = self._stage.hire(self._share.nth(self._made))
        self._made += 1
        return worker

    async def _serve(self, worker: Worker, event: Arrive) -> None:
        self._stage.vus(+1)
        able: object = True
        try:
            able = await worker.iterate_due(event.number, event.at)
        finally:
            self._stage.vus(-1)
            if able:
                self._free.append(worker)
            else:
                self._stage.dismiss(worker)
