"""The open model's VUs in virtual time: who is given which arrival, when, and at what cost in timers and tasks."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from random import Random

import pytest

from loadgate.plan import pace
from loadgate.plan.schedule import ArrivalSchedule, Segment
from loadgate.plan.share import Share
from loadgate_runner.executors import Drive, executor_of
from loadgate_runner.executors.alarm import LoopTimer
from loadgate_runner.executors.pool import GRAIN

pytestmark = pytest.mark.looptime(start=100.0)

SECOND = 1_000_000_000


@dataclass
class Stage:
    """Counts; its VUs answer after `takes` seconds, or after so many turns of the loop."""

    takes: float = 0.001
    turns: int = 0
    held: int = 0
    begun: list[tuple[int, int, int]] = field(default_factory=list)
    by: list[int] = field(default_factory=list)
    ended: int = 0
    dropped: list[int] = field(default_factory=list)
    hired: int = 0
    dismissed: int = 0
    active: int = 0
    most_active: int = 0
    _origin: int = field(default_factory=lambda: round(asyncio.get_running_loop().time() * SECOND))

    def ticks(self) -> int:
        return round(asyncio.get_running_loop().time() * SECOND) + self.held

    def clock(self) -> float:
        return (self.ticks() - self._origin) / SECOND

    def tick(self, seconds: float) -> int:
        return self._origin + round(seconds * SECOND)

    def hire(self, vu: int) -> VU:
        self.hired += 1
        return VU(self, vu)

    def dismiss(self, worker: VU) -> None:
        self.dismissed += 1

    def vus(self, change: int, now: int) -> None:
        self.active += change
        self.most_active = max(self.most_active, self.active)

    def drop(self, due_ns: int) -> None:
        self.dropped.append(due_ns)


@dataclass
class VU:
    stage: Stage
    vu: int

    async def iterate(self, number: int, due_ns: int | None = None) -> bool:
        stage = self.stage
        assert due_ns is not None
        stage.begun.append((number, due_ns, stage.ticks()))
        stage.by.append(self.vu)
        if stage.turns:
            for _ in range(stage.turns):
                await asyncio.sleep(0)
        else:
            await asyncio.sleep(stage.takes)
        stage.ended += 1
        return True


class CountingTimer(LoopTimer):
    """The loop's, which counts how often it is set, and may be late."""

    def __init__(self, late: float = 0.0) -> None:
        super().__init__()
        self.sets = 0
        self.late = late

    def set(self, seconds, callback) -> None:
        self.sets += 1
        super().set(seconds + self.late, callback)


def _at(rate: int, duration: float, pre: int, most: int) -> ArrivalSchedule:
    flat = [Segment(duration=duration, target=rate)]
    return ArrivalSchedule(start=rate, time_unit=1.0, segments=flat, pre_allocated_vus=pre, max_vus=most)


async def _run(schedule: ArrivalSchedule, stage: Stage, timer: CountingTimer | None = None) -> None:
    await Drive(executor_of(schedule, Share()), stage, graceful_stop=30, timer=timer).run()


async def test_a_high_rate_is_exact_and_begins_within_the_grain():
    """20,000 a second for a tenth of a second: each begins once, never early, at most the grain late, from fewer timers."""
    stage, timer = Stage(), CountingTimer()
    schedule = _at(20_000, 0.1, 64, 64)
    await _run(schedule, stage, timer)
    assert sorted(number for number, _, _ in stage.begun) == list(range(2_000))
    assert all(-1 <= now - due <= GRAIN + 1000 for _, due, now in stage.begun)
    assert not stage.dropped
    assert timer.sets <= 0.1 * SECOND / GRAIN + 1
    assert stage.most_active <= 30


async def test_vus_begin_one_after_another_while_others_are_free():
    """At 10,000 a second with VUs that are soon free again, one begins each 2 ms, since each has to connect; all do."""
    stage = Stage(takes=0.0001)
    await _run(_at(10_000, 0.2, 64, 64), stage)
    first: dict[int, int] = {}
    for vu, (_, due, _) in zip(stage.by, stage.begun, strict=True):
        first.setdefault(vu, due)
    assert len(first) == 64
    assert not stage.dropped
    moments = sorted(first.values())
    apart = [later - sooner for sooner, later in itertools.pairwise(moments)]
    assert sum(gap < 1_999_000 for gap in apart) <= 5  # the first ones find nobody free
    assert max(apart) <= 2_200_000


async def test_every_vu_works_at_a_low_rate():
    """At 10 a second all of 8 VUs have begun after their first 8 arrivals, as in k6."""
    stage = Stage()
    await _run(_at(10, 0.8, 8, 8), stage)
    assert sorted(stage.by) == list(range(8))


async def test_vus_are_tasks_that_stay():
    """1,000 iterations on 8 VUs make 8 tasks for them, and all are gone at the end."""
    made = 0
    loop = asyncio.get_running_loop()

    def factory(loop, coroutine, **more):
        nonlocal made
        made += "on_a_strand" in repr(coroutine)
        return asyncio.Task(coroutine, loop=loop, **more)

    stage = Stage(takes=0.0005)
    loop.set_task_factory(factory)
    try:
        await _run(_at(5_000, 0.2, 8, 8), stage)
    finally:
        loop.set_task_factory(None)
    assert (len(stage.begun), stage.ended) == (1_000, 1_000)
    assert made <= 8
    assert stage.hired == stage.dismissed == 8
    assert stage.active == 0


async def test_a_vu_that_is_done_takes_what_is_due():
    """With a timer that is 50 ms late each time, VUs go on by themselves: 1,000 iterations from a few timers."""
    stage, timer = Stage(takes=0.002), CountingTimer(late=0.05)
    await _run(_at(1_000, 1, 100, 100), stage, timer)
    assert sorted(number for number, _, _ in stage.begun) == list(range(1_000))
    assert not stage.dropped
    assert timer.sets <= 25


@pytest.mark.parametrize("turns", [1, 2])
async def test_an_answer_that_is_there_frees_its_vu_before_anything_is_dropped(turns):
    """Held up for 50 ms the loop finds 50 due for 2 VUs; VUs that are free again soon get them all, late, none dropped."""
    stage = Stage(turns=turns)
    running = asyncio.ensure_future(_run(_at(1_000, 0.5, 2, 2), stage))
    await asyncio.sleep(0.1)
    stage.held = 50_000_000
    await running
    assert not stage.dropped
    assert len(stage.begun) == 500
    assert max(now - due for _, due, now in stage.begun) >= 45_000_000


async def test_who_was_held_up_is_patient_for_as_long_and_no_longer():
    """After 50 ms without the loop, a VU of 4 ms at 100 a second catches up; one of 20 ms drops what it can't begin."""
    for takes, dropped in ((0.004, 0), (0.02, 6)):
        stage = Stage(takes=takes)
        running = asyncio.ensure_future(_run(_at(100, 1, 1, 1), stage))
        await asyncio.sleep(0.3005)
        stage.held = 50_000_000
        await running
        assert len(stage.begun) + len(stage.dropped) == 100
        late = [now - due for _, due, now in stage.begun]
        assert 10_000_000 < max(late) <= 110_000_000
        assert max(late[-5:]) <= 1_000_000
        assert len(stage.dropped) >= dropped
        assert bool(stage.dropped) == bool(dropped)


async def test_really_nobody_free_is_a_drop_at_once():
    """2 VUs of 1 s at 1,000 a second: all but 2 or 4 are dropped at their own due times, and none begins late."""
    stage = Stage(takes=1.0)
    await _run(_at(1_000, 1.5, 2, 2), stage)
    assert len(stage.begun) == 4
    assert len(stage.dropped) == 1_496
    assert stage.dropped == sorted(stage.dropped)
    assert max(now - due for _, due, now in stage.begun) <= 2 * GRAIN


async def test_vus_are_made_only_when_really_nobody_is_free():
    """Up to maxVUs and no further; where a free one would have been there in a moment, none is made."""
    slow = Stage(takes=1.0)
    await _run(_at(100, 0.5, 2, 30), slow)
    quick = Stage(turns=2)
    await _run(_at(100, 0.5, 2, 30), quick)
    assert (slow.hired, len(slow.begun), len(slow.dropped)) == (30, 30, 20)
    assert (quick.hired, len(quick.begun)) == (2, 50)


async def test_work_of_one_turn_is_bounded():
    """Held up until 500 are due for as many VUs, no turn begins more than four that never worked."""
    stage = Stage(takes=0.5)
    running = asyncio.ensure_future(_run(_at(10_000, 0.1, 1_000, 1_000), stage))
    await asyncio.sleep(0.02)
    stage.held, before = 50_000_000, len(stage.begun)
    counts: list[int] = []

    async def count() -> None:
        for _ in range(200):
            counts.append(len(stage.begun))
            await asyncio.sleep(0)

    asyncio.get_running_loop().call_later(GRAIN / SECOND, lambda: watching.append(asyncio.ensure_future(count())))
    watching: list[asyncio.Task[None]] = []
    await running
    assert counts[-1] - before >= 500
    assert max(later - sooner for sooner, later in itertools.pairwise(counts)) <= 4
    assert len(stage.begun) == 1_000


@pytest.mark.parametrize("seed", range(15))
async def test_every_arrival_begins_once_or_is_dropped_once(seed):
    """Whatever rates, VUs, answers and hold-ups: begun and dropped are together all, and nothing begins early."""
    random = Random(seed)
    segments = [Segment(duration=random.choice([0.0, 0.1, 0.3]), target=random.randint(0, 1_500)) for _ in range(4)]
    segments.append(Segment(duration=0.1, target=random.randint(0, 1_500)))
    most = random.randint(1, 40)
    schedule = ArrivalSchedule(
        start=random.randint(0, 1_500),
        time_unit=1.0,
        segments=segments,
        pre_allocated_vus=random.randint(1, most),
        max_vus=most,
    )
    stage = Stage(takes=random.choice([0.0001, 0.001, 0.05]), turns=random.choice([0, 0, 1, 3]))
    running = asyncio.ensure_future(_run(schedule, stage))
    for _ in range(random.randint(0, 3)):
        await asyncio.sleep(random.uniform(0.01, 0.2))
        stage.held += random.choice([1_000_000, 30_000_000, 200_000_000])
    await running
    instants = pace.Arrivals(schedule)
    due = {number: stage.tick(instants.due(number)) for number in range(pace.arrivals(schedule))}
    assert len(stage.begun) + len(stage.dropped) == len(due)
    assert len({number for number, _, _ in stage.begun}) == len(stage.begun) == stage.ended
    assert all(abs(at - due[number]) <= 1 and now >= at - 1 for number, at, now in stage.begun)
    left = sorted(due[number] for number in set(due) - {number for number, _, _ in stage.begun})
    assert all(abs(a - b) <= 1 for a, b in zip(left, sorted(stage.dropped), strict=True))
    assert stage.active == 0
    assert stage.hired == stage.dismissed <= most


async def test_a_fault_of_the_pool_itself_ends_the_scenario():
    """Where a VU can't be made while load runs, that is raised as what VUs raise is, and nobody waits for it."""
    stage = Stage(takes=1.0)

    def hire(vu: int) -> VU:
        if vu == 2:
            raise RuntimeError("no more")
        return VU(stage, vu)

    stage.hire = hire
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    with pytest.raises(RuntimeError, match="no more"):
        await _run(_at(100, 5, 2, 30), stage)
    assert stage.clock() < 1.5
