"""A runner's states: the table, messages that come twice, late or at the wrong time, and what a bug does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from loadgate.control import RunnerState, Start, Stop
from loadgate.metrics import Health, Measurement
from loadgate_runner import lifecycle
from loadgate_runner.journey import BlockError
from loadgate_runner.lifecycle import OVER, TRANSITIONS, Happening, Runner
from loadgate_runner.maker import ArmError, LoadError, Reading, View
from loadgate_runner.settings import Identity

RUN = "shop-1-abcde"


@dataclass
class FakeMaker:
    """Does what a test says, and remembers what it was told."""

    arm_error: Exception | None = None
    run_error: Exception | None = None
    block_error: Exception | None = None
    whole: bool = True
    told: list[str] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    async def arm(self) -> None:
        await self.ready.wait()
        if self.arm_error:
            raise self.arm_error

    async def run_block(self, name, setup):
        self.told.append(name)
        if self.block_error:
            raise self.block_error
        return {"token": name}

    async def run(self, begin, offset, setup) -> bool:
        self.told.append(f"run {offset:g} {dict(setup)}")
        await self.done.wait()
        if self.run_error:
            raise self.run_error
        return self.whole

    def stop(self, *, graceful: bool) -> None:
        self.told.append(f"stop {graceful}")

    async def read(self, view: View) -> Reading:
        await asyncio.sleep(0)
        return Reading(Measurement(vus=1 if view.warmup else 0), Health())

    async def close(self) -> None:
        self.told.append("close")


def _runner(**maker) -> tuple[Runner, FakeMaker, list[str]]:
    logged: list[str] = []
    made = FakeMaker(**maker)
    return Runner(Identity(RUN, 3, "pod"), made, logged.append), made, logged


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def _armed(**maker) -> tuple[Runner, FakeMaker, list[str]]:
    runner, made, logged = _runner(**maker)
    runner.arm()
    made.ready.set()
    await _settle()
    assert runner.state is RunnerState.ARMED
    return runner, made, logged


def test_the_table_in_the_docstring_is_the_table():
    """The states' documentation is read back and compared."""
    rows = [line for line in (lifecycle.__doc__ or "").splitlines() if line.startswith("|")]
    columns = ["ARM_OK", "ARM_FAILED", "START", "STOP", "LOAD_OVER", "BROKE_DOWN"]
    written = {}
    for row in rows[2:]:
        state, *cells = [cell.strip() for cell in row.strip("|").split("|")]
        for column, cell in zip(columns, cells, strict=True):
            if cell:
                written[RunnerState(state), Happening[column]] = RunnerState(cell)
    assert written == TRANSITIONS


def test_nothing_leads_out_of_the_last_states():
    """Finished and Failed are the ends."""
    assert not OVER & {state for state, _ in TRANSITIONS}
    assert set(TRANSITIONS.values()) | {RunnerState.ARMING} == set(RunnerState)


async def test_a_whole_life():
    """Arming, Armed, Running, Finished; the last snapshot is complete and its acknowledgement ends it."""
    runner, maker, logged = await _armed()
    runner.start(Start(RUN, 0.0, 0.0, {"token": "x"}))
    await _settle()
    assert runner.report().state is RunnerState.RUNNING
    live = await runner.snapshot(View(slices=False))
    maker.done.set()
    await runner.over.wait()
    last = await runner.snapshot(View())
    assert last is runner.last
    assert last.sequence > live.sequence
    assert (last.complete, last.state, last.runner, last.uid) == (True, "Finished", 3, "pod")
    runner.acknowledge(last.sequence - 1)
    assert not runner.acknowledged.is_set()
    runner.acknowledge(last.sequence)
    assert runner.acknowledged.is_set()
    assert maker.told == ["run 0 {'token': 'x'}"]
    assert logged == ["Arming -> Armed", "Armed -> Running", "Running -> Finished"]


async def test_a_second_start_changes_nothing():
    """Told twice, a runner begins once; told before it is armed, not at all."""
    runner, maker, _ = _runner()
    runner.arm()
    runner.start(Start(RUN, 0.0))
    assert runner.state is RunnerState.ARMING
    maker.ready.set()
    await _settle()
    for offset in (0.0, 5.0):
        runner.start(Start(RUN, 0.0, offset))
    await _settle()
    assert maker.told == ["run 0 {}"]
    await runner.close()


@pytest.mark.parametrize("armed", [True, False])
async def test_a_stop_before_the_start_finishes_at_once_and_for_good(armed):
    """What comes afterwards (arming done, a start) changes nothing."""
    runner, maker, _ = await _armed() if armed else _runner()
    if not armed:
        runner.arm()
    runner.stop(Stop(RUN, reason="suspended"))
    assert runner.state is RunnerState.FINISHED
    assert runner.over.is_set()
    maker.ready.set()
    runner.start(Start(RUN, 0.0))
    await _settle()
    assert runner.state is RunnerState.FINISHED
    assert maker.told == []
    assert runner.report().message == "suspended"
    assert runner.last is not None
    assert not runner.last.complete


async def test_a_stop_is_handed_on_each_time_and_the_end_is_finished():
    """First gracefully, then at once; the snapshot isn't complete since the maker says so."""
    runner, maker, _ = await _armed(whole=False)
    runner.start(Start(RUN, 0.0))
    await _settle()
    runner.stop(Stop(RUN, graceful=True))
    assert runner.state is RunnerState.STOPPING
    runner.stop(Stop(RUN, graceful=False))
    maker.done.set()
    await runner.over.wait()
    assert maker.told[1:] == ["stop True", "stop False"]
    assert runner.state is RunnerState.FINISHED
    assert runner.last is not None
    assert not runner.last.complete


async def test_who_sees_finished_finds_the_last_snapshot():
    """At every moment: if the state is Finished, then the last snapshot is there and the sequence is its."""
    runner, maker, _ = await _armed()
    runner.start(Start(RUN, 0.0))
    await _settle()
    maker.done.set()
    for _ in range(10):
        await asyncio.sleep(0)
        report = runner.report()
        assert (report.state is RunnerState.FINISHED) == (runner.last is not None)
        assert runner.last is None or report.sequence == runner.last.sequence
    assert runner.last is not None


async def test_arming_that_fails_is_failed_with_its_message():
    """A start afterwards changes nothing; the snapshot is empty and not complete."""
    runner, maker, _ = _runner(arm_error=ArmError("no such file"))
    runner.arm()
    maker.ready.set()
    await runner.over.wait()
    runner.start(Start(RUN, 0.0))
    assert runner.report().state is RunnerState.FAILED
    assert runner.report().message == "no such file"
    assert runner.last is not None
    assert not runner.last.complete


async def test_load_that_breaks_down_is_failed_with_what_was_measured():
    """The message says what broke, and there is a last snapshot."""
    runner, maker, _ = await _armed(run_error=LoadError("load process 1 of 2 was lost (SIGKILL)"))
    runner.start(Start(RUN, 0.0))
    maker.done.set()
    await runner.over.wait()
    assert runner.state is RunnerState.FAILED
    assert "SIGKILL" in runner.report().message
    assert runner.last is not None


@pytest.mark.parametrize("where", ["arm_error", "run_error"])
async def test_a_bug_fails_the_runner_rather_than_leaving_it_waiting(where):
    """An exception that nobody foresaw ends in Failed, in the message and in the log."""
    runner, maker, logged = _runner(**{where: RuntimeError("unforeseen")})
    runner.arm()
    maker.ready.set()
    maker.done.set()
    await _settle()
    runner.start(Start(RUN, 0.0))
    async with asyncio.timeout(1):
        await runner.over.wait()
    assert runner.state is RunnerState.FAILED
    assert "unforeseen" in runner.report().message
    assert any("Traceback" in line for line in logged)


async def test_blocks_are_done_once_and_their_state_is_reported():
    """Setup only while armed, teardown at any time after; twice told, once done; a failure is reported, not raised."""
    runner, maker, _ = await _armed()
    for _ in range(2):
        runner.run_block("setup", {})
    await _settle()
    assert runner.report().setup.state == "done"
    assert runner.report().setup.values == {"token": "setup"}
    maker.block_error = BlockError("teardown: request 'clean' failed")
    runner.start(Start(RUN, 0.0))
    maker.done.set()
    await runner.over.wait()
    runner.run_block("teardown", {})
    await _settle()
    assert runner.report().teardown.state == "failed"
    assert "clean" in runner.report().teardown.message
    assert [told for told in maker.told if not told.startswith("run")] == ["setup", "teardown"]


async def test_a_setup_is_not_done_once_load_runs():
    """A late message finds another state and changes nothing."""
    runner, maker, _ = await _armed()
    runner.start(Start(RUN, 0.0))
    runner.run_block("setup", {})
    await _settle()
    assert runner.report().setup.state == "none"
    assert "setup" not in maker.told
    await runner.close()


async def test_elapsed_counts_from_the_planned_start_and_stops_with_the_load():
    """Told 5 s late, elapsed is 5 at once; after the load it grows no more."""
    now = [0]
    runner, maker, _ = _runner()
    runner._clocks = lifecycle.Clocks(lambda: now[0], lambda: 1.0)
    runner.arm()
    maker.ready.set()
    await _settle()
    assert runner.report().elapsed == 0.0
    now[0] = 10**9
    runner.start(Start(RUN, 2.0, 5.0))
    assert runner.report().elapsed == 3.0
    now[0] = 3 * 10**9
    assert runner.report().elapsed == 5.0
    maker.done.set()
    await runner.over.wait()
    now[0] = 99 * 10**9
    assert runner.report().elapsed == 5.0


async def test_a_page_for_prometheus_is_not_of_the_sequence():
    """Scrapes may come at any time and never make the last snapshot look old."""
    runner, maker, _ = await _armed()
    runner.start(Start(RUN, 0.0))
    maker.done.set()
    await runner.over.wait()
    before = runner.report().sequence
    page = await runner.snapshot(View(slices=False, warmup=True))
    assert page.measurement.vus == 1
    assert runner.report().sequence == before
