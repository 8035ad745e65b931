"""Load by several processes, one a core: the parent serves the control port, deals out the share, and merges.

They begin together since CLOCK_MONOTONIC is one for the machine. A process that ends before its time is noticed by
its closed socket: the runner has failed then, and what the lost process had last said of itself is kept.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import psutil

from loadgate.metrics import Health, Measurement, merge_all
from loadgate_runner.journey import BlockError
from loadgate_runner.maker import ArmError, LoadError, Reading, View
from loadgate_runner.pipe import Asker, LostError, Pipe, RefusedError
from loadgate_runner.sharing import SharedRows
from loadgate_runner.telemetry.health import combine

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from loadgate.plan import Plan
    from loadgate_runner.settings import Settings
    from loadgate_runner.telemetry.cgroup import Cgroup

END_SECONDS = 5.0
"""How long a process whose socket was closed may take to end before it is killed."""


class Child:
    """One load process."""

    def __init__(self, number: int, of: int, cgroup: Cgroup) -> None:
        self.name = f"load process {number} of {of}"
        self._number = number
        self._of = of
        self._cgroup = cgroup
        self._killed_before = cgroup.oom_kills()
        self._process: asyncio.subprocess.Process | None = None
        self._pipe: Pipe | None = None
        self._asker: Asker | None = None
        self._listening: asyncio.Task[None] | None = None
        self._last: Reading | None = None

    async def start(self, descriptors: Iterable[int]) -> None:
        """Start it, with files of ours that it is to have open too."""
        ours, theirs = socket.socketpair()
        environ = {name: value for name, value in os.environ.items() if name != "LOADGATE_TOKEN"}
        arguments = ("-m", "loadgate_runner.child", str(theirs.fileno()), str(os.getpid()))
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                pass_fds=(theirs.fileno(), *descriptors),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                env=environ,
                # A terminal's Ctrl-C is for the parent, which tells the others what it means.
                start_new_session=True,
            )
        self._pipe = await Pipe.over(ours)

    def tell_who(self, plan: Plan, settings: Settings, rows: Sequence[Mapping[str, Any]]) -> None:
        """Tell it what it is, which it waits for. `rows` are what `SharedRows.fill` gives."""
        if self._pipe is None:
            return
        self._pipe.send(
            {
                "plan": plan.encode().decode(),
                "identity": asdict(settings.identity),
                "process": self._number - 1,
                "processes": self._of,
                "files": str(settings.files),
                "cores": settings.cores,
                "memory_limit": settings.memory_limit,
                "rows": list(rows),
            }
        )
        self._asker = Asker(self._pipe)
        self._listening = asyncio.ensure_future(self._asker.listen())

    async def ask(self, what: str, **details: Any) -> Any:
        """As Asker's; a lost process is named, with what ended it."""
        if self._asker is None:
            raise LostError(f"{self.name} was not started")
        try:
            return await self._asker.ask(what, **details)
        except LostError:
            raise LostError(f"{self.name} was lost ({await self._end()})") from None

    def tell(self, what: str, **details: Any) -> None:
        """Say something that wants no answer."""
        if self._asker is not None:
            self._asker.tell(what, **details)

    async def read(self, view: View) -> Reading:
        """What it measured; of a lost process, what it last said; of one that never did, nothing."""
        try:
            answer = await self.ask("read", slices=view.slices, warmup=view.warmup)
        except LostError:
            return self._last or Reading(Measurement(), Health())
        reading = Reading(Measurement.from_json(answer["measurement"]), Health(**answer["health"]))
        if not view.warmup:
            self._last = reading
        return reading

    async def close(self) -> None:
        """End it, at once."""
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            try:
                async with asyncio.timeout(END_SECONDS):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._listening is not None:
            await self._listening

    async def _end(self) -> str:
        if self._process is None:
            return "not started"
        code = await self._process.wait()
        if code == -signal.SIGKILL and self._cgroup.oom_kills() > self._killed_before:
            return "SIGKILL: out of memory; raise spec.runners.resources.limits.memory or spec.runners.count"
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


class Processes:
    """A Maker by several processes. See maker.Maker."""

    def __init__(self, plan: Plan, settings: Settings, count: int, cgroup: Cgroup) -> None:
        self._plan = plan
        self._settings = settings
        self._children = [Child(number, count, cgroup) for number in range(1, count + 1)]

    async def arm(self) -> None:
        """Start all, and have each prepare its part."""
        try:
            await self._start()
        except OSError as error:
            raise ArmError(f"cannot start a load process: {error.strerror or error}") from error
        ended = await asyncio.gather(*(child.ask("arm") for child in self._children), return_exceptions=True)
        # Processes of one plan mostly have the same to say.
        faults = dict.fromkeys(str(error) for error in ended if isinstance(error, BaseException))
        if faults:
            raise ArmError("; ".join(faults))

    async def _start(self) -> None:
        shared = SharedRows(self._plan)
        try:
            for child in self._children:
                await child.start(shared.descriptors.values())
            rows = await asyncio.to_thread(shared.fill, self._settings.files)
            for child in self._children:
                child.tell_who(self._plan, self._settings, rows)
        finally:
            shared.close()

    async def run_block(self, name: str, setup: Mapping[str, Any]) -> dict[str, Any]:
        """The first process does it."""
        try:
            values: dict[str, Any] = await self._children[0].ask("run_block", name=name, setup=dict(setup))
        except (RefusedError, LostError) as error:
            raise BlockError(str(error)) from error
        return values

    async def run(self, begin: int, offset: float, setup: Mapping[str, Any]) -> bool:
        """All begin at one instant; if one is lost, the others stop, since their share alone is not what was asked."""
        runs = [self._run_one(child, begin=begin, offset=offset, setup=dict(setup)) for child in self._children]
        ended = await asyncio.gather(*runs, return_exceptions=True)
        faults = [str(error) for error in ended if isinstance(error, BaseException)]
        if faults:
            raise LoadError("; ".join(faults))
        return all(whole is True for whole in ended)

    def stop(self, *, graceful: bool) -> None:
        """Tell all."""
        for child in self._children:
            child.tell("stop", graceful=graceful)

    async def read(self, view: View) -> Reading:
        """Of all, merged; the parent makes no load, but its memory counts against the runner's limit too."""
        readings = await asyncio.gather(*(child.read(view) for child in self._children))
        merged = merge_all(reading.measurement for reading in readings)
        health = combine([reading.health for reading in readings])
        return Reading(merged, replace(health, rss=health.rss + int(psutil.Process().memory_info().rss)))

    async def close(self) -> None:
        """End all."""
        await asyncio.gather(*(child.close() for child in self._children))

    async def _run_one(self, child: Child, **details: Any) -> bool:
        try:
            return bool(await child.ask("run", **details))
        except (LostError, RefusedError):
            self.stop(graceful=True)
            raise
