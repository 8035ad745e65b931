"""A runner's life as a table of states, and the runner that goes through it.

| state    | arm ok | arm failed | start   | stop     | load over | broke down |
| -------- | ------ | ---------- | ------- | -------- | --------- | ---------- |
| Arming   | Armed  | Failed     |         | Finished |           |            |
| Armed    |        |            | Running | Finished |           | Failed     |
| Running  |        |            |         | Stopping | Finished  | Failed     |
| Stopping |        |            |         | Stopping | Finished  | Failed     |

What isn't in the table changes nothing: messages may come twice, late or never.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from loadgate.control import BlockReport, BlockState, RunnerReport, RunnerState
from loadgate.metrics import Health, Measurement, Snapshot
from loadgate_runner.journey import BlockError
from loadgate_runner.maker import ArmError, LoadError, Maker, Reading, View

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from loadgate.control import Start, Stop
    from loadgate_runner.settings import Identity

SECOND = 1_000_000_000


class Happening(Enum):
    """What moves a runner on."""

    ARM_OK = auto()
    ARM_FAILED = auto()
    START = auto()
    STOP = auto()
    LOAD_OVER = auto()
    BROKE_DOWN = auto()


TRANSITIONS: dict[tuple[RunnerState, Happening], RunnerState] = {
    (RunnerState.ARMING, Happening.ARM_OK): RunnerState.ARMED,
    (RunnerState.ARMING, Happening.ARM_FAILED): RunnerState.FAILED,
    (RunnerState.ARMING, Happening.STOP): RunnerState.FINISHED,
    (RunnerState.ARMED, Happening.START): RunnerState.RUNNING,
    (RunnerState.ARMED, Happening.STOP): RunnerState.FINISHED,
    (RunnerState.ARMED, Happening.BROKE_DOWN): RunnerState.FAILED,
    (RunnerState.RUNNING, Happening.STOP): RunnerState.STOPPING,
    (RunnerState.RUNNING, Happening.LOAD_OVER): RunnerState.FINISHED,
    (RunnerState.RUNNING, Happening.BROKE_DOWN): RunnerState.FAILED,
    (RunnerState.STOPPING, Happening.STOP): RunnerState.STOPPING,
    (RunnerState.STOPPING, Happening.LOAD_OVER): RunnerState.FINISHED,
    (RunnerState.STOPPING, Happening.BROKE_DOWN): RunnerState.FAILED,
}

OVER = frozenset({RunnerState.FINISHED, RunnerState.FAILED})


NOTHING = Reading(Measurement(), Health())
"""What a runner measured that never began."""


@dataclass(frozen=True)
class Clocks:
    """Monotonic nanoseconds and Unix seconds."""

    monotonic: Callable[[], int] = time.perf_counter_ns
    wall: Callable[[], float] = time.time


class Runner:
    """Takes the messages of the control port, moves the maker of load, and answers with its whole state."""

    def __init__(
        self, identity: Identity, maker: Maker, log: Callable[[str], None], clocks: Clocks | None = None
    ) -> None:
        self.identity = identity
        self.state = RunnerState.ARMING
        self.over = asyncio.Event()
        """Set when there will be no more load: Finished or Failed, with the last snapshot made."""
        self.acknowledged = asyncio.Event()
        """Set when the operator holds the last snapshot."""
        self.last: Snapshot | None = None
        """The snapshot of a runner that is over."""
        self._maker = maker
        self._log = log
        self._clocks = clocks or Clocks()
        self._message = ""
        self._sequence = 0
        self._origin: int | None = None
        self._ended: int | None = None
        self._complete = False
        self._blocks = {"setup": BlockReport(), "teardown": BlockReport()}
        self._reading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def arm(self) -> None:
        """Begin to prepare; afterwards the runner is Armed, or Failed with a message."""
        self._spawn(self._arm())

    def start(self, message: Start) -> None:
        """Begin, once; told again, or in another state than Armed, it changes nothing."""
        if not self._move(Happening.START):
            return
        begin = self._clocks.monotonic() + round(message.in_seconds * SECOND)
        self._origin = begin - round(message.offset * SECOND)
        self._spawn(self._run(begin, message.offset, message.setup))

    def stop(self, message: Stop) -> None:
        """End the load; before there is any, the runner is finished at once."""
        if (self.state, Happening.STOP) not in TRANSITIONS:
            return
        self._message = message.reason or self._message
        if self.state in {RunnerState.ARMING, RunnerState.ARMED}:
            self._conclude(Happening.STOP, NOTHING)
        else:
            self._move(Happening.STOP)
            self._maker.stop(graceful=message.graceful)

    def run_block(self, name: str, setup: Mapping[str, Any]) -> None:
        """Do the `setup` or `teardown` block, once; how it went is part of the state."""
        ready = self.state is RunnerState.ARMED if name == "setup" else self.state is not RunnerState.ARMING
        if ready and self._blocks[name].state is BlockState.NONE:
            self._blocks[name] = BlockReport(BlockState.RUNNING)
            self._spawn(self._run_block(name, setup))

    def acknowledge(self, sequence: int) -> None:
        """The operator holds that snapshot; if it is the last one, this runner is needed no more."""
        if self.last is not None and sequence >= self.last.sequence:
            self.acknowledged.set()

    def report(self) -> RunnerReport:
        """The whole state."""
        return RunnerReport(
            run=self.identity.run,
            index=self.identity.index,
            uid=self.identity.uid,
            state=self.state,
            message=self._message,
            elapsed=self._elapsed(),
            sequence=self._sequence,
            clock=self._clocks.wall(),
            setup=self._blocks["setup"],
            teardown=self._blocks["teardown"],
        )

    async def snapshot(self, view: View) -> Snapshot:
        """What was measured so far; of a runner that is over the last, always the same.

        One with the warm-up in it is not of the sequence: it replaces none of the others.
        """
        async with self._reading:
            if view.warmup:
                return self._snapshot_of(await self._maker.read(view))
            if self.last is None:
                reading = await self._maker.read(view)
                self._sequence += 1
                return self._snapshot_of(reading)
            return self.last

    async def close(self) -> None:
        """Let go of everything, load included."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._maker.close()

    async def _arm(self) -> None:
        try:
            await self._maker.arm()
        except ArmError as error:
            self._message = str(error)
            self._log(f"cannot arm: {error}")
            self._conclude(Happening.ARM_FAILED, NOTHING)
        else:
            self._move(Happening.ARM_OK)

    async def _run(self, begin: int, offset: float, setup: Mapping[str, Any]) -> None:
        happened = Happening.LOAD_OVER
        try:
            self._complete = await self._maker.run(begin, offset, setup)
        except LoadError as error:
            self._message = str(error)
            self._log(f"the load broke down: {error}")
            happened = Happening.BROKE_DOWN
        self._ended = self._clocks.monotonic()
        async with self._reading:
            reading = await self._maker.read(View())
            self._conclude(happened, reading)

    def _conclude(self, happening: Happening, reading: Reading) -> None:
        """Be over, with the last snapshot: who sees the state finds the snapshot there."""
        if self._move(happening):
            self._sequence += 1
            self.last = self._snapshot_of(reading)
            self.over.set()

    async def _run_block(self, name: str, setup: Mapping[str, Any]) -> None:
        try:
            values = await self._maker.run_block(name, setup)
        except BlockError as error:
            self._log(f"{name} failed: {error}")
            self._blocks[name] = BlockReport(BlockState.FAILED, message=str(error))
        else:
            self._blocks[name] = BlockReport(BlockState.DONE, values)

    def _snapshot_of(self, reading: Reading) -> Snapshot:
        return Snapshot(
            run=self.identity.run,
            runner=self.identity.index,
            uid=self.identity.uid,
            sequence=self._sequence,
            clock=self._clocks.wall(),
            state=self.state,
            elapsed=self._elapsed(),
            complete=self._complete and self.state is RunnerState.FINISHED,
            measurement=reading.measurement,
            health=reading.health,
        )

    def _move(self, happening: Happening) -> bool:
        following = TRANSITIONS.get((self.state, happening))
        if following is None:
            return False
        if following is not self.state:
            self._log(f"{self.state} -> {following}")
        self.state = following
        return True

    def _elapsed(self) -> float:
        if self._origin is None:
            return 0.0
        return max(0, (self._ended or self._clocks.monotonic()) - self._origin) / SECOND

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended_task)

    def _ended_task(self, task: asyncio.Task[None]) -> None:
        """A bug must not leave a runner that nobody can wait for: it fails, and says what it was."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._message = f"a fault of the runner itself: {type(error).__name__}: {error}"
            self._log("".join(traceback.format_exception(error)))
            armed = self.state is not RunnerState.ARMING
            self._conclude(Happening.BROKE_DOWN if armed else Happening.ARM_FAILED, NOTHING)
