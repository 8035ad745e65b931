"""A run of 24 hours in virtual time: whether what the operator's collector holds of it grows.

The collector is the real one, and so are the snapshots, which come as bytes from a simulated runner in a process of its
own, one every virtual second. Only HTTP is left out, and the waiting.
"""

import asyncio
import gc
import multiprocessing
import random
import tracemalloc
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any, Literal

import psutil

from benchmarks.operator.cluster import say
from benchmarks.operator.figures import Figure
from loadgate.control import RunnerReport, RunnerState
from loadgate.metrics import IterationStats, Measurement, RequestStats, Snapshot, tags_of
from loadgate_operator.collect import Collector, Runner

HOUR = 3_600
RUN, UID = "bench-1-abcde", "uid-0"
ENDPOINTS = 4
FULL = 600
"""Seconds between two snapshots with all slices of time, as there are at the end of a run."""
GROWTH = 1.0
"""Megabytes."""


class _Load:
    """A runner's measurement that grows by a request to each endpoint in each second."""

    def __init__(self) -> None:
        self._chance = random.Random(1)
        self._names = [f"endpoint {number}" for number in range(ENDPOINTS)]
        self._measured = Measurement(vus=1, vus_max=1)
        self.now = 0

    def second(self) -> None:
        """One more second of it."""
        self.now += 1
        piece = self._measured.slices.at(self.now)
        for name in self._names:
            us = round(self._chance.lognormvariate(10.0, 0.5))
            tags = tags_of(name=name, scenario="day", status="200", expected_response="true")
            self._measured.requests.setdefault(tags, RequestStats()).duration.record(us)
            piece.duration.record(us)
            piece.requests += 1
        self._measured.iterations.setdefault(tags_of(scenario="day"), IterationStats()).completed += 1
        self._measured.elapsed = float(self.now)

    def document(self, view: str) -> bytes:
        """A snapshot as it is now."""
        snapshot = Snapshot(
            run=RUN,
            runner=0,
            uid=UID,
            sequence=self.now,
            clock=float(self.now),
            state=RunnerState.RUNNING,
            elapsed=float(self.now),
            measurement=self._measured,
        )
        return snapshot.encode(slices=view == "full")


def _simulate(pipe: Connection) -> None:
    """A runner: each question is answered a second of its time later."""
    load = _Load()
    while view := pipe.recv():
        load.second()
        pipe.send_bytes(load.document(view))


class _Client:
    """Asks the simulated runner, as RunnerClient asks one over HTTP."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    async def state(self, runner: Runner) -> RunnerReport:
        return RunnerReport(run=RUN, index=runner.index, uid=runner.uid, state=RunnerState.RUNNING)

    async def snapshot(self, _runner: Runner, view: Literal["live", "full"]) -> Snapshot:
        self._pipe.send(view)
        return Snapshot.decode(self._pipe.recv_bytes())


def measure() -> list[Figure]:
    """The most memory in the second half of the day, beside that in the first half without its first two hours."""
    held, resident = zip(*asyncio.run(_day()), strict=True)
    hours = "most after one of hours 13 to 24 less most after one of 3 to 12"
    return [
        Figure(
            "growth of what the operator holds of a run of 24 h", f"tracemalloc; {hours}", _growth(held), "MB", GROWTH
        ),
        Figure("growth of the process that holds it", f"resident memory; {hours}", _growth(resident), "MB"),
        Figure("what the operator holds of it after 24 h", "tracemalloc, since the first look", held[-1], "MB"),
    ]


def _growth(after_hours: Sequence[float]) -> float:
    return max(after_hours[12:]) - max(after_hours[2:12])


async def _day() -> list[tuple[float, float]]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    simulation = context.Process(target=_simulate, args=(theirs,))
    simulation.start()
    try:
        return await _look(ours)
    finally:
        ours.send("")
        simulation.join()


async def _look(pipe: Connection) -> list[tuple[float, float]]:
    client: Any = _Client(pipe)
    now = 0
    collector = Collector(client, lambda: float(now))
    runner = Runner(run=RUN, index=0, uid=UID, url="", token="")
    after_hours = []
    tracemalloc.start()
    for now in range(1, 24 * HOUR + 1):
        await collector.poll([runner], full=now % FULL == 0)
        if now % HOUR == 0:
            collector.merged(RUN)
            gc.collect()
            held, _ = tracemalloc.get_traced_memory()
            after_hours.append((held / 1e6, psutil.Process().memory_info().rss / 1e6))
        if now % (6 * HOUR) == 0:
            say(f"day: {now // HOUR} hours are over …")
    return after_hours
