"""The drive loop in virtual time: counts, instants, graceful ends, stops at any moment."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random

import pytest

from loadgate.plan import pace
from loadgate.plan.schedule import ArrivalSchedule, IterationSchedule, Segment, VUSchedule
from loadgate.plan.share import Share
from loadgate_runner.executors import Drive, executor_of

pytestmark = pytest.mark.looptime(start=100.0)


@dataclass
class FakeStage:
    """Counts what happens and answers after `takes` seconds, in the loop's own time."""

    takes: float = 0.25
    able: int | None = None
    origin: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    begun: list[tuple[float, int, int, float]] = field(default_factory=list)
    completed: list[int] = field(default_factory=list)
    interrupted: list[int] = field(default_factory=list)
    dropped: list[float] = field(default_factory=list)
    hired: list[int] = field(default_factory=list)
    dismissed: int = 0
    active: int = 0
    curve: list[tuple[float, int]] = field(default_factory=list)
    stubborn: bool = False
    breaks: bool = False

    def clock(self) -> float:
        return asyncio.get_running_loop().time() - self.origin

    def ticks(self) -> int:
        return round(self.clock() * 1e9)

    def tick(self, seconds: float) -> int:
        return round(seconds * 1e9)

    def hire(self, vu: int) -> FakeWorker:
        self.hired.append(vu)
        return FakeWorker(self, vu)

    def dismiss(self, worker: FakeWorker) -> None:
        self.dismissed += 1

    def vus(self, change: int, now: int) -> None:
        assert now == self.ticks()
        self.active += change
        self.curve.append((self.clock(), self.active))

    def drop(self, due: int) -> None:
        self.dropped.append(due / 1e9)

    def active_at(self, t: float) -> int:
        return next((n for at, n in reversed(self.curve) if at <= t), 0)


@dataclass
class FakeWorker:
    stage: FakeStage
    vu: int
    done: int = 0

    async def iterate(self, number: int, due_ns: int | None = None) -> bool:
        stage = self.stage
        due = stage.clock() if due_ns is None else due_ns / 1e9
        if stage.breaks:
            raise RuntimeError("a bug")
        if stage.able is not None and self.done >= stage.able:
            return False
        self.done += 1
        stage.begun.append((stage.clock(), number, self.vu, due))
        try:
            await asyncio.sleep(stage.takes)
        except asyncio.CancelledError:
            stage.interrupted.append(number)
            if stage.stubborn:
                await asyncio.sleep(3600)
            raise
        stage.completed.append(number)
        return True


def _constant(vus: int, duration: float, **more: float) -> VUSchedule:
    return VUSchedule(start=vus, segments=[Segment(duration=duration, target=vus)], **more)


def _rate(rate: int, duration: float, pre: int, most: int, unit: float = 1.0) -> ArrivalSchedule:
    flat = [Segment(duration=duration, target=rate)]
    return ArrivalSchedule(start=rate, time_unit=unit, segments=flat, pre_allocated_vus=pre, max_vus=most)


async def _run(schedule, stage: FakeStage, *, share: Share | None = None, graceful: float = 30.0) -> Drive:
    drive = Drive(executor_of(schedule, share or Share()), stage, graceful_stop=graceful)
    await drive.run()
    return drive


async def test_shared_iterations_end_when_the_last_one_does():
    """10 iterations of 0.25 s on 4 VUs are three rounds: 0.75 s, and all that was asked for."""
    stage = FakeStage()
    drive = await _run(IterationSchedule(vus=4, iterations=10, per_vu=False, max_duration=600), stage)
    assert sorted(stage.completed) == list(range(10))
    assert stage.clock() == pytest.approx(0.75, abs=0.1)
    assert drive.whole
    assert stage.active == 0
    assert stage.dismissed == 4


async def test_per_vu_iterations_give_each_vu_its_own():
    """3 VUs with 4 iterations each: every VU did 4, and number modulo VUs is the VU."""
    stage = FakeStage()
    await _run(IterationSchedule(vus=3, iterations=4, per_vu=True, max_duration=600), stage)
    assert sorted(stage.completed) == list(range(12))
    assert all(number % 3 == vu for _, number, vu, _ in stage.begun)


async def test_iterations_that_take_too_long_are_cut_off_after_max_duration_and_grace():
    """Iterations of an hour end at maxDuration + gracefulStop, interrupted and counted."""
    stage = FakeStage(takes=3600)
    await _run(IterationSchedule(vus=2, iterations=5, per_vu=False, max_duration=10), stage, graceful=3)
    assert stage.clock() == pytest.approx(13, abs=0.001)
    assert sorted(stage.interrupted) == [0, 1]
    assert not stage.completed


async def test_constant_vus_iterate_until_the_end_and_finish_what_they_began():
    """2 VUs, 10 s, 0.4 s an iteration: 25 each, the last one begun before the end; the scenario lasts its time."""
    stage = FakeStage(takes=0.4)
    await _run(_constant(2, 10), stage)
    assert len(stage.completed) == 50
    assert not stage.interrupted
    assert max(at for at, *_ in stage.begun) < 10
    assert sorted(stage.completed) == list(range(50))


async def test_constant_vus_beyond_the_graceful_stop_are_interrupted():
    """An iteration of 7 s begun at 7 s ends at 10 + 2 s, interrupted."""
    stage = FakeStage(takes=7)
    await _run(_constant(1, 10), stage, graceful=2)
    assert stage.completed == [0]
    assert stage.interrupted == [1]
    assert stage.clock() == pytest.approx(12)


@pytest.mark.parametrize("runners", [1, 3])
async def test_ramping_vus_follow_the_line(runners):
    """With iterations much shorter than the steps, VUs at work are `vus_at` at every instant, over all runners."""
    schedule = VUSchedule(
        start=0,
        segments=[Segment(duration=10, target=20), Segment(duration=5, target=20), Segment(duration=10, target=2)],
        graceful_ramp_down=1.0,
    )
    stages = [FakeStage(takes=0.01) for _ in range(runners)]
    shares = [Share.of(i, runners) for i in range(runners)]
    await asyncio.gather(*(_run(schedule, stage, share=share) for stage, share in zip(stages, shares, strict=True)))
    for t in (0.3, 0.8, 3.3, 7.7, 12.0, 15.8, 18.3, 24.3):
        assert sum(stage.active_at(t) for stage in stages) == pace.vus_at(schedule, t), t


async def test_a_vu_that_retires_has_the_ramp_down_grace_and_no_more():
    """VU 1 retires at 5 s amid an iteration of 8 s: with 2 s of grace it is interrupted at 7 s, VU 0 goes on."""
    schedule = VUSchedule(
        start=2,
        segments=[Segment(duration=5, target=2), Segment(duration=0, target=1), Segment(duration=10, target=1)],
        graceful_ramp_down=2.0,
    )
    stage = FakeStage(takes=8)
    await _run(schedule, stage)
    assert len(stage.interrupted) == 1
    assert stage.active_at(6.9) == 2
    assert stage.active_at(7.1) == 1
    assert stage.clock() == pytest.approx(16, abs=0.2)


async def test_a_vu_called_back_within_its_grace_goes_on():
    """Down to one VU for a second and up again: nobody is interrupted and nobody new is hired."""
    jumps = [(5.0, 2), (0.0, 1), (1.0, 1), (0.0, 2), (5.0, 2)]
    schedule = VUSchedule(start=2, segments=[Segment(duration=d, target=n) for d, n in jumps], graceful_ramp_down=3.0)
    stage = FakeStage(takes=4)
    await _run(schedule, stage)
    assert not stage.interrupted
    assert stage.hired == [0, 1]


async def test_a_vu_that_retires_twice_is_cut_off_by_its_second_grace():
    """Called back at 6 s, retired again at 7 s: its grace of 3 s counts from there."""
    jumps = [(5.0, 2), (0.0, 1), (1.0, 1), (0.0, 2), (1.0, 2), (0.0, 1), (8.0, 1)]
    schedule = VUSchedule(start=2, segments=[Segment(duration=d, target=n) for d, n in jumps], graceful_ramp_down=3.0)
    stage = FakeStage(takes=100)
    await _run(schedule, stage, graceful=0)
    assert stage.active_at(9.9) == 2
    assert stage.active_at(10.1) == 1


@pytest.mark.parametrize(("rate", "unit", "duration"), [(50, 1.0, 4.0), (7, 1.0, 3.0), (90, 60.0, 10.0), (1, 1.0, 5.5)])
async def test_a_constant_rate_begins_each_arrival_when_it_is_due(rate, unit, duration):
    """Arrival k begins at k / rate, exactly as many as the formula says, and the scenario lasts its time."""
    stage = FakeStage(takes=0.01)
    schedule = _rate(rate, duration, 10, 10, unit)
    await _run(schedule, stage)
    assert [number for _, number, _, _ in stage.begun] == list(range(pace.arrivals(schedule)))
    for at, number, _, due in stage.begun:
        assert due == pytest.approx(number * unit / rate)
        assert at == pytest.approx(due, abs=0.002)
        assert at >= due - 1e-9
    assert stage.clock() == pytest.approx(duration, abs=0.05)
    assert not stage.dropped


async def test_a_ramping_rate_begins_arrivals_on_the_line():
    """From 0 to 20 per second in 10 s arrival k is due at the square root of k."""
    stage = FakeStage(takes=0.01)
    schedule = ArrivalSchedule(
        start=0, time_unit=1.0, segments=[Segment(duration=10, target=20)], pre_allocated_vus=5, max_vus=5
    )
    await _run(schedule, stage)
    assert len(stage.begun) == 100
    for at, number, _, _ in stage.begun:
        assert at == pytest.approx(number**0.5, abs=0.002)


async def test_arrivals_without_a_free_vu_are_dropped_and_counted_at_their_due_time():
    """10 per second of 1 s each on 4 VUs: in each second 4 begin and 6 are dropped, none is caught up."""
    stage = FakeStage(takes=0.995)
    await _run(_rate(10, 5, 2, 4), stage)
    assert len(stage.begun) == 20
    assert len(stage.dropped) == 30
    assert stage.dropped[:6] == pytest.approx([0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert len(stage.begun) + len(stage.dropped) == 50


async def test_vus_are_made_before_the_start_and_on_demand_up_to_the_most():
    """2 are there before anything runs, two more come when they are needed, and all numbers are the share's own."""
    stage = FakeStage(takes=1)
    drive = Drive(executor_of(_rate(10, 2, 4, 8), Share(1, 2)), stage, graceful_stop=30)
    assert stage.hired == [1, 3]
    await drive.run()
    assert stage.hired == [1, 3, 5, 7]
    assert stage.dismissed == 4


async def test_free_vus_take_turns():
    """With 5 VUs and one needed at a time, each of them works, as users named by their number expect."""
    stage = FakeStage(takes=0.05)
    await _run(_rate(10, 1, 5, 5), stage)
    assert [vu for _, _, vu, _ in stage.begun] == [0, 1, 2, 3, 4] * 2


async def test_a_stalled_loop_begins_late_arrivals_and_says_since_when_they_were_due():
    """While the loop is held for half a second, 5 arrivals fall due; they begin after it with their own due times."""
    stage = FakeStage(takes=0.01)
    loop = asyncio.get_running_loop()
    drive = Drive(executor_of(_rate(10, 2, 20, 20), Share()), stage, graceful_stop=30)
    held = asyncio.ensure_future(drive.run())
    await asyncio.sleep(0.95)
    late = stage.origin
    stage.origin -= 0.5
    await held
    assert late > stage.origin
    lateness = [at - due for at, _, _, due in stage.begun]
    assert len(stage.begun) == 20
    assert sum(slip > 0.05 for slip in lateness) >= 4
    assert max(lateness) <= 0.5
    assert loop.time() > 100


async def test_told_late_it_begins_at_its_place_in_the_schedule():
    """Started 3 s into a ramp from 0 to 10 in 10 s there are 3 VUs at once and 7 s left."""
    stage = FakeStage(takes=0.1)
    stage.origin -= 3.0
    schedule = VUSchedule(start=0, segments=[Segment(duration=10, target=10)])
    begun_at = asyncio.get_running_loop().time()
    await _run(schedule, stage)
    assert stage.active_at(3.05) == 3
    assert asyncio.get_running_loop().time() - begun_at == pytest.approx(7, abs=0.2)


async def test_told_late_it_drops_the_arrivals_that_were_due_before():
    """Begun 3 s into 10 per second for 5 s: 30 are dropped at their due times, 20 begin when they are due."""
    stage = FakeStage(takes=0.01)
    stage.origin -= 3.0
    drive = Drive(executor_of(_rate(10, 5, 5, 5), Share()), stage, graceful_stop=30)
    await drive.run(since=3.0)
    assert stage.dropped == pytest.approx([k / 10 for k in range(30)])
    assert [number for _, number, _, _ in stage.begun] == list(range(30, 50))
    assert all(at == pytest.approx(due, abs=0.002) for at, _, _, due in stage.begun)


@pytest.mark.parametrize("moment", [0.0, 0.1, 0.2, 1.0, 1.05, 2.999, 3.5])
@pytest.mark.parametrize("graceful", [True, False])
@pytest.mark.parametrize("kind", ["iterations", "vus", "arrivals"])
async def test_a_stop_at_any_moment_loses_no_iteration(kind, graceful, moment):
    """Whatever was begun is completed or interrupted, nothing begins after a stop, no VU is left."""
    schedule = {
        "iterations": IterationSchedule(vus=3, iterations=100, per_vu=False, max_duration=3),
        "vus": _constant(3, 3),
        "arrivals": _rate(20, 3, 2, 5),
    }[kind]
    stage = FakeStage(takes=0.3)
    drive = Drive(executor_of(schedule, Share()), stage, graceful_stop=0.2)
    running = asyncio.ensure_future(drive.run())
    await asyncio.sleep(moment)
    stopped = stage.clock()
    drive.stop(graceful=graceful)
    await running
    assert all(at <= stopped for at, *_ in stage.begun)
    assert sorted(stage.completed + stage.interrupted) == sorted(number for _, number, _, _ in stage.begun)
    assert stage.active == 0
    assert stage.dismissed == len(stage.hired)
    assert stage.clock() <= max(stopped + (0.2 if graceful else 0), 3.2) + 0.01
    assert drive.whole == (moment > 3.2 or (moment == 3.5))


async def test_a_second_stop_hurries():
    """A graceful stop of 30 s that is followed by a hard one ends there and then."""
    stage = FakeStage(takes=20)
    drive = Drive(executor_of(_constant(2, 60), Share()), stage, graceful_stop=30)
    running = asyncio.ensure_future(drive.run())
    await asyncio.sleep(1)
    drive.stop(graceful=True)
    await asyncio.sleep(1)
    drive.stop(graceful=False)
    await running
    assert stage.clock() == pytest.approx(2)
    assert len(stage.interrupted) == 2


async def test_an_iteration_that_withstands_being_cancelled_holds_nobody_up():
    """After 5 s of cleaning up the scenario ends without it, and says so."""
    stage = FakeStage(takes=1000, stubborn=True)
    drive = await _run(_constant(1, 10), stage, graceful=1)
    assert stage.clock() == pytest.approx(16)
    assert drive.withstood == 1


async def test_a_vu_that_can_do_no_more_ends_alone():
    """Each VU can do 2 iterations; the scenario lasts its time, and nothing spins meanwhile."""
    stage = FakeStage(takes=0.5, able=2)
    await _run(_constant(3, 10), stage)
    assert len(stage.completed) == 6
    assert stage.clock() == pytest.approx(10)


async def test_a_fault_in_a_vu_ends_the_scenario_and_is_raised():
    """What a VU raises is the runner's own fault: the scenario ends at once and hands it on."""
    stage = FakeStage(breaks=True)
    with pytest.raises(RuntimeError, match="a bug"):
        await _run(_constant(2, 60), stage)
    assert stage.clock() < 1


async def test_iterations_that_wait_for_nothing_leave_the_loop_to_others():
    """A target that fails at once doesn't starve the drive loop: the scenario still ends in time."""
    stage = FakeStage()
    ticks = 0

    class Instant(FakeWorker):
        async def iterate(self, number: int, due_ns: int | None = None) -> bool:
            nonlocal ticks
            ticks += 1
            if not ticks % 50:
                await asyncio.sleep(0.01)
            return True

    stage.hire = lambda vu: Instant(stage, vu)
    await _run(_constant(2, 1), stage)
    assert ticks > 100


@pytest.mark.parametrize("seed", range(25))
async def test_laws_of_the_open_model_in_random_scenarios(seed):
    """Whatever the line, the VUs, the shares, the answer's time and the moment of a stop: nothing is lost or doubled."""
    random = Random(seed)
    segments = [
        Segment(duration=random.choice([0.0, 0.5, 2.0]), target=random.randint(0, 60))
        for _ in range(random.randint(1, 4))
    ]
    segments.append(Segment(duration=1.0, target=random.randint(0, 60)))
    most = random.randint(1, 12)
    schedule = ArrivalSchedule(
        start=random.randint(0, 60), time_unit=1.0, segments=segments, pre_allocated_vus=1, max_vus=most
    )
    runners = random.randint(1, 4)
    stages = [FakeStage(takes=random.choice([0.01, 0.1, 0.7])) for _ in range(runners)]
    drives = [
        Drive(executor_of(schedule, Share.of(i, runners)), stage, graceful_stop=random.choice([0.0, 0.3, 5.0]))
        for i, stage in enumerate(stages)
    ]
    running = [asyncio.ensure_future(drive.run()) for drive in drives]
    stop_at = random.choice([None, random.uniform(0, 6)])
    if stop_at is not None:
        await asyncio.sleep(stop_at)
        for drive in drives:
            drive.stop(graceful=random.random() < 0.5)
    await asyncio.gather(*running)
    begun = sorted(number for stage in stages for _, number, _, _ in stage.begun)
    ended = sorted(number for stage in stages for number in stage.completed + stage.interrupted)
    dropped = sum(len(stage.dropped) for stage in stages)
    assert begun == ended == sorted(set(begun))
    assert len({vu for stage in stages for vu in stage.hired}) == sum(len(stage.hired) for stage in stages) <= most
    instants = pace.Arrivals(schedule)
    due = [instants.due(k) for k in range(pace.arrivals(schedule))]
    if stop_at is None:
        assert len(begun) + dropped == len(due)
    else:
        assert len(begun) + dropped <= len(due)
        assert len(begun) + dropped >= sum(at < stop_at - 0.001 for at in due)


@pytest.mark.parametrize("seed", range(25))
async def test_laws_of_the_closed_model_in_random_scenarios(seed):
    """Every begun iteration ends once, none begins after the end, VUs at work never exceed what was asked for."""
    random = Random(seed)
    segments = [
        Segment(duration=random.choice([0.0, 1.0, 3.0]), target=random.randint(0, 15))
        for _ in range(random.randint(1, 5))
    ]
    segments.append(Segment(duration=2.0, target=random.randint(0, 15)))
    grace = random.choice([0.0, 0.5, 5.0])
    schedule = VUSchedule(start=random.randint(0, 15), segments=segments, graceful_ramp_down=grace)
    runners = random.randint(1, 3)
    stages = [FakeStage(takes=random.choice([0.05, 0.4, 3.0])) for _ in range(runners)]
    await asyncio.gather(
        *(_run(schedule, stage, share=Share.of(i, runners), graceful=1.0) for i, stage in enumerate(stages))
    )
    until = sum(segment.duration for segment in segments)
    most = max(schedule.start, *(segment.target for segment in segments))
    numbers = [number for stage in stages for _, number, _, _ in stage.begun]
    assert len(numbers) == len(set(numbers))
    assert sorted(numbers) == sorted(n for stage in stages for n in stage.completed + stage.interrupted)
    assert all(at < until for stage in stages for at, *_ in stage.begun)
    assert all(stage.clock() <= until + 1.01 for stage in stages)
    assert all(active <= most for stage in stages for _, active in stage.curve)
    assert all(stage.active == 0 and stage.dismissed == len(stage.hired) for stage in stages)
