"""The reconciler's loop in virtual time: from changes to passes, until a test is done, whatever fails on the way."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from reconcile_world import BUDGET, NAMESPACE, TEST, World, budget, config_map, load_test

from loadgate_operator.cluster.port import ClusterError, Key, Kind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.looptime


@pytest.fixture
def world() -> Iterator[World]:
    out = World()
    yield out
    out.close()


@asynccontextmanager
async def operating(world: World) -> AsyncIterator[None]:
    """The operator runs, and the world's time goes with the loop's."""

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.25)
            world.advance(0.25)

    tasks = [asyncio.create_task(tick()), asyncio.create_task(world.operator.run())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(phase: str, world: World) -> dict[str, Any]:
    """Wait for a phase, two minutes at most."""
    async with asyncio.timeout(120):
        while world.status.get("phase") != phase:  # noqa: ASYNC110 - the world has no events, and time is virtual
            await asyncio.sleep(0.5)
    return world.status


async def test_a_test_that_appears_is_run_and_judged_without_further_ado(world: World) -> None:
    """One key from the watch is enough; the looks that follow are asked for by each pass."""
    world.put(budget())
    world.put(load_test())
    async with operating(world):
        status = await until("Passed", world)
        await asyncio.sleep(1)
    assert status["budgets"] == ["shop"]
    satisfied = world.objects[BUDGET]["status"]["conditions"][1]
    assert (satisfied["type"], satisfied["status"]) == ("Satisfied", "True")
    assert world.operator.heartbeat > world.now - 2


async def test_a_change_of_a_budget_or_an_input_wakes_the_tests_that_it_concerns(world: World) -> None:
    """The test itself wasn't touched, and yet it is judged again, or runs again."""
    world.put(config_map("rows", **{"rows.csv": "a\n1\n"}))
    world.put(load_test(data={"rows": {"csv": {"configMapKeyRef": {"name": "rows", "key": "rows.csv"}}}}))
    async with operating(world):
        await until("Passed", world)
        world.put(budget(responseTime={"*": {"p95": "1ms"}}))
        world.changed(BUDGET)
        assert (await until("Failed", world))["run"]["number"] == 1
        world.put(config_map("rows", **{"rows.csv": "a\n2\n"}))
        world.changed(Key(Kind.CONFIG_MAP, NAMESPACE, "rows"))
        await until("Running", world)
        assert (await until("Failed", world))["run"]["number"] == 2


async def test_a_cluster_that_is_away_is_asked_again_after_ever_longer_times(world: World) -> None:
    """Nothing is lost, and nobody is overrun: a run goes on when the cluster is back."""
    world.put(load_test())
    world.refuse_statuses = 7
    async with operating(world):
        await asyncio.sleep(20)
        assert world.refuse_statuses == 1, "at once, then after 0.5, 1, 2, 4 and 8 s"
        assert not world.status.get("phase")
        await until("Passed", world)


async def test_a_cluster_that_was_away_for_long_is_soon_looked_after(world: World) -> None:
    """However long it was away, a quarter of a minute later the test is looked at."""
    world.put(load_test())
    async with operating(world):
        world.refuse_statuses = 1_000
        await asyncio.sleep(600)
        world.refuse_statuses = 0
        await asyncio.sleep(16)
        assert world.status.get("phase")


async def test_a_watch_that_ends_ends_the_operator(world: World) -> None:
    """A dead watch is no peace: whoever runs the operator has to know."""
    world.watch_ends = True
    with pytest.raises(ExceptionGroup) as caught:
        await world.operator.run()
    assert caught.group_contains(ClusterError, match="watch ended")


async def test_an_interrupted_test_is_looked_at_at_once(world: World) -> None:
    """Nobody waits for the next look to be due."""
    world.put(load_test())
    async with operating(world):
        await until("Running", world)
        await asyncio.sleep(5)
        world.operator.interrupt(TEST)
        status = await until("Inconclusive", world)
    assert [doubt["reason"] for doubt in status["doubts"]] == ["Interrupted"]
