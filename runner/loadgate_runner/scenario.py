"""One scenario's meeting point: the executor's crew on one side, the journey and the recorder on the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from loadgate.metrics import tags_of
from loadgate.plan import ArrivalSchedule
from loadgate_runner.telemetry.timeline import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgate.plan import PlanScenario
    from loadgate_runner.executors.crew import Worker
    from loadgate_runner.journey import VU, Journey
    from loadgate_runner.telemetry.recorder import Recorder


class ScenarioStage:
    """Hires VUs for a crew, tells it the time, and counts its iterations. See executors.crew.Stage."""

    def __init__(self, scenario: PlanScenario, journey: Journey, recorder: Recorder, *, first_vu: int) -> None:
        self.journey = journey
        self.recorder = recorder
        self.iterations = recorder.iteration_series(tags_of(scenario.tags, scenario=scenario.name))
        # Themselves, since a call more costs each iteration.
        self.ticks = recorder.clock
        self.vus: Callable[[int, int], None] = recorder.timeline.vus
        self.drop: Callable[[int], None] = self.iterations.dropped
        self.open = isinstance(scenario.schedule, ArrivalSchedule)
        self.origin = 0
        self._start = scenario.start
        self._first_vu = first_vu
        self._closing: set[asyncio.Task[None]] = set()

    def begin(self, origin: int) -> None:
        """The run's second 0 is at `origin` (nanoseconds); the scenario's own comes `startTime` later."""
        self.origin = origin + round(self._start * SECOND)

    def clock(self) -> float:
        """Seconds from the scenario's start; before the run begins, none have passed."""
        return (self.recorder.clock() - self.origin) / SECOND if self.origin else 0.0

    def tick(self, seconds: float) -> int:
        """The recorder's clock at `seconds` from the scenario's start."""
        return self.origin + round(seconds * SECOND)

    def hire(self, vu: int) -> VU:
        """A VU; its id counts from 1 over all scenarios of the run."""
        return self.journey.new_vu(self._first_vu + vu + 1, self.iterations)

    def dismiss(self, worker: Worker) -> None:
        """Close a VU's connections."""
        task = asyncio.get_running_loop().create_task(worker.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
