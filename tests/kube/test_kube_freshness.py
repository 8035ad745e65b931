"""Whether events flow is proved by comparing, in virtual time, against a server that says what there is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from loadgate_operator.cluster.kubernetes.cache import Cache
from loadgate_operator.cluster.kubernetes.freshness import EVERY, LATE, Freshness
from loadgate_operator.cluster.port import ClusterError, Key, Kind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from loadgate_operator.cluster.kubernetes.api import Call

pytestmark = pytest.mark.looptime

KEY = Key(Kind.LOAD_TEST, "default", "t")


def load_test(version: int) -> dict[str, Any]:
    """A LoadTest of a version."""
    metadata = {"name": "t", "namespace": "default", "uid": "u", "resourceVersion": str(version)}
    return {"apiVersion": "loadgate.dev/v1alpha1", "kind": "LoadTest", "metadata": metadata}


class Lists:
    """An API server that has one LoadTest, or none, and nothing else."""

    def __init__(self) -> None:
        self.version: int | None = 1
        self.away = False
        self.asked = 0

    async def ask(self, call: Call) -> Any:
        """See `Api.ask`."""
        await asyncio.sleep(0.01)
        self.asked += 1
        if self.away:
            raise ClusterError("away")
        there = call.resource == "loadtests" and self.version is not None
        items = [load_test(self.version or 0)] if there else []
        return {"metadata": {"resourceVersion": "100"}, "items": items}


class World:
    """A cache, the server that it should be like, and who compares them."""

    def __init__(self) -> None:
        self.server = Lists()
        self.cache = Cache(lambda _: None)
        self.freshness = Freshness(self.server, self.cache, [""])  # type: ignore[arg-type]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """With the comparing under way."""
    it = World()
    task = asyncio.create_task(it.freshness.run())
    yield it
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_cache_is_used_once_all_is_there(world: World) -> None:
    """Until everything that a list has was heard of, reading goes to the server."""
    await asyncio.sleep(5)
    assert not world.cache.is_synced(Kind.LOAD_TEST)
    assert world.cache.is_synced(Kind.JOB)
    world.cache.put(load_test(1))
    await asyncio.sleep(3)
    assert world.cache.is_synced(Kind.LOAD_TEST)


async def test_a_watch_that_froze_is_found_out(world: World) -> None:
    """A change that no event told of makes the operator unhealthy, and its cache unused, until it is heard of."""
    world.cache.put(load_test(1))
    await asyncio.sleep(1)
    world.server.version = 2
    await asyncio.sleep(EVERY)
    assert world.freshness.flowing
    await asyncio.sleep(LATE + 10)
    assert not world.freshness.flowing
    assert not world.cache.is_synced(Kind.LOAD_TEST)
    world.cache.put(load_test(2))
    await asyncio.sleep(10)
    assert world.freshness.flowing
    assert world.cache.is_synced(Kind.LOAD_TEST)


async def test_what_went_unheard_is_let_go(world: World) -> None:
    """An object that was deleted during an outage is gone when the server is back, without an event."""
    world.cache.put(load_test(1))
    await asyncio.sleep(1)
    world.server.version = None
    world.freshness.ask()
    await asyncio.sleep(2)
    assert world.cache.get(KEY) is None


async def test_a_server_that_is_away_is_no_frozen_watch(world: World) -> None:
    """What can't be compared proves nothing, and is compared later."""
    world.cache.put(load_test(1))
    await asyncio.sleep(1)
    world.server.away = True
    world.freshness.ask()
    await asyncio.sleep(300)
    assert world.freshness.flowing


async def test_comparing_costs_little(world: World) -> None:
    """A quiet hour is a list of each kind every two minutes, and no more."""
    world.cache.put(load_test(1))
    await asyncio.sleep(3600)
    assert world.server.asked <= 4 * (3600 / EVERY + 1)


async def test_many_wishes_are_one_comparison(world: World) -> None:
    """A list that is heard of event by event is compared once or twice, not once for each."""
    world.cache.put(load_test(1))
    await asyncio.sleep(1)
    before = world.server.asked
    for _ in range(100):
        world.freshness.ask(Kind.LOAD_TEST)
        await asyncio.sleep(0.004)
    await asyncio.sleep(5)
    assert world.server.asked - before <= 2
