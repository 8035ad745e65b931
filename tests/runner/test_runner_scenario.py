"""Executor, journey and recorder together in virtual time: what a measurement says of iterations of known length."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from loadgate.api.validate import validate_loadtest
from loadgate.plan import compile_plan, planned_iterations
from loadgate.plan.share import Share
from loadgate_runner.executors import Drive, executor_of
from loadgate_runner.journey import Outcome
from loadgate_runner.scenario import ScenarioStage
from loadgate_runner.telemetry.recorder import Recorder

if TYPE_CHECKING:
    from loadgate_runner.journey.ports import Tally

pytestmark = pytest.mark.looptime(start=1000.0)

SECOND = 1_000_000_000


def _now() -> int:
    return round(asyncio.get_running_loop().time() * SECOND)


@dataclass
class FakeVU:
    """Takes its time, then ends as the journey says."""

    journey: FakeJourney
    vu_id: int
    tally: Tally
    closed: bool = False

    async def iterate(self, number: int, due_ns: int | None = None) -> Outcome:
        self.journey.seen.append((self.vu_id, number, due_ns))
        due = _now() if due_ns is None else due_ns
        if due_ns is not None:
            self.tally.late(due_ns, _now())
        try:
            await asyncio.sleep(self.journey.takes)
        except asyncio.CancelledError:
            self.tally.interrupted(due)
            raise
        outcome = self.journey.outcomes.get(number, Outcome.COMPLETED)
        if outcome is Outcome.COMPLETED:
            self.tally.completed(due, _now())
        elif outcome is Outcome.FAILED:
            self.tally.failed(due, _now())
        elif outcome is Outcome.INTERRUPTED:
            self.tally.interrupted(due)
        else:
            self.tally.dropped(due)
        return outcome

    async def close(self) -> None:
        self.closed = True


@dataclass
class FakeJourney:
    """Makes VUs, and remembers what they were asked to do."""

    takes: float = 0.1
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    seen: list = field(default_factory=list)
    vus: list[FakeVU] = field(default_factory=list)

    def new_vu(self, vu_id: int, tally: Tally) -> FakeVU:
        self.vus.append(FakeVU(self, vu_id, tally))
        return self.vus[-1]


def _scenarios(*scenarios):
    steps = [{"request": {"url": "/"}}]
    spec = {"target": {"url": "http://x"}, "scenarios": [{"steps": steps, **s} for s in scenarios]}
    kind = {"apiVersion": "loadgate.dev/v1alpha1", "kind": "LoadTest", "metadata": {"name": "x"}}
    return compile_plan(validate_loadtest({**kind, "spec": spec}), run="x-1-a")


async def _run(scenario, journey, *, warmup=0.0, share=None, first_vu=0):
    loop = asyncio.get_running_loop()
    recorder = Recorder(lambda: round(loop.time() * SECOND))
    stage = ScenarioStage(scenario, journey, recorder, first_vu=first_vu)
    drive = Drive(executor_of(scenario.schedule, share or Share()), stage, graceful_stop=scenario.graceful_stop)
    origin = recorder.clock()
    stage.begin(origin)
    recorder.begin(origin, warmup)
    await drive.run()
    recorder.end()
    await asyncio.sleep(0)
    measured = await recorder.measure()
    (stats,) = measured.iterations.values()
    return measured, stats, recorder


async def test_the_closed_model_counts_from_the_beginning_and_tells_journeys_no_due_time():
    """2 VUs of 0.1 s for 2 s: 40 iterations of 0.1 s, no slip, VU seconds are VUs times time."""
    (scenario,) = _scenarios({"name": "s", "executor": "constant-vus", "vus": 2, "duration": "2s"}).scenarios
    journey = FakeJourney()
    measured, stats, recorder = await _run(scenario, journey)
    assert stats.completed == pytest.approx(40, abs=1)
    assert stats.duration.quantile(0.5) == pytest.approx(100_000, rel=0.01)
    assert {due for _, _, due in journey.seen} == {None}
    assert recorder.slip.maximum == 0
    assert sum(p.vu_seconds for p in measured.slices.by_index.values()) == pytest.approx(4, abs=0.2)
    assert measured.vus == 0
    assert measured.vus_max == 2
    assert all(vu.closed for vu in journey.vus)


async def test_the_open_model_counts_from_the_due_time_and_tells_it():
    """10 a second for 2 s, starting 3 s into the run: number k is due at 3 + k / 10."""
    rate = {"name": "s", "executor": "constant-arrival-rate", "rate": 10, "duration": "2s", "preAllocatedVUs": 3}
    plan = _scenarios({**rate, "startTime": "3s"})
    origin = 1000 * SECOND
    journey = FakeJourney()
    measured, stats, _ = await _run(plan.scenarios[0], journey)
    assert stats.completed == 20 == planned_iterations(plan.scenarios[0])
    for _, number, due in journey.seen:
        assert due == pytest.approx(origin + 3 * SECOND + number * SECOND // 10, abs=1000)
    assert min(measured.slices.by_index) == 0
    assert sorted(i for i, piece in measured.slices.by_index.items() if piece.iterations) == [3, 4, 5]


async def test_every_way_to_end_is_counted_once():
    """Completed, failed, interrupted by the journey, dropped for lack of data: together all that were due."""
    rate = {"name": "s", "executor": "constant-arrival-rate", "rate": 10, "duration": "1s", "preAllocatedVUs": 5}
    journey = FakeJourney(
        outcomes={1: Outcome.FAILED, 2: Outcome.INTERRUPTED, 3: Outcome.EXHAUSTED, 5: Outcome.EXHAUSTED}
    )
    _, stats, _ = await _run(_scenarios(rate).scenarios[0], journey)
    assert (stats.completed, stats.failed, stats.interrupted, stats.dropped) == (6, 1, 1, 2)


async def test_vus_without_data_end_and_arrivals_find_none():
    """All VUs exhausted: what is due afterwards is dropped and counted."""
    rate = {"name": "s", "executor": "constant-arrival-rate", "rate": 10, "duration": "1s", "preAllocatedVUs": 2}
    journey = FakeJourney(outcomes=dict.fromkeys(range(10), Outcome.EXHAUSTED))
    _, stats, _ = await _run(_scenarios(rate).scenarios[0], journey)
    assert (stats.completed, stats.dropped) == (0, 10)
    assert len(journey.seen) == 2


async def test_iterations_that_are_cut_off_are_interrupted():
    """An iteration longer than duration and gracefulStop is counted as such, judged by when it began."""
    vus = {"name": "s", "executor": "constant-vus", "vus": 3, "duration": "1s", "gracefulStop": "1s"}
    measured, stats, _ = await _run(_scenarios(vus).scenarios[0], FakeJourney(takes=60))
    assert (stats.completed, stats.interrupted) == (0, 3)
    assert measured.elapsed == pytest.approx(2, abs=0.01)


async def test_the_warm_up_is_drawn_and_not_judged():
    """1 s of warm-up out of 3 s at 10 a second: 20 judged, 30 drawn."""
    rate = {"name": "s", "executor": "constant-arrival-rate", "rate": 10, "duration": "3s", "preAllocatedVUs": 3}
    measured, stats, _ = await _run(_scenarios(rate).scenarios[0], FakeJourney(), warmup=1.0)
    assert stats.completed == 20
    assert sum(piece.iterations for piece in measured.slices.by_index.values()) == 30
    assert measured.elapsed == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize("runners", [1, 3, 7])
async def test_ids_and_numbers_are_unique_over_scenarios_and_runners(runners):
    """Two scenarios, any number of runners with two processes each: no VU id twice, no iteration number twice."""
    plan = _scenarios(
        {"name": "a", "executor": "per-vu-iterations", "vus": 5, "iterations": 3},
        {"name": "b", "executor": "shared-iterations", "vus": 4, "iterations": 30},
    )
    ids: list[int] = []
    for first_vu, scenario, vus, total in ((0, plan.scenarios[0], 5, 15), (5, plan.scenarios[1], 4, 30)):
        numbers: list[int] = []
        for index in range(runners):
            for process in range(2):
                share = Share.of(index, runners, scenario.offset % runners).divide(process, 2)
                journey = FakeJourney()
                await _run(scenario, journey, share=share, first_vu=first_vu)
                ids += {vu_id for vu_id, _, _ in journey.seen} | {vu.vu_id for vu in journey.vus}
                numbers += [number for _, number, _ in journey.seen]
        assert sorted(numbers) == list(range(total))
        assert len(ids) == first_vu + vus
    assert sorted(ids) == list(range(1, 10))
