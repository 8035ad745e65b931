"""The reconciler's loop over a cluster that misbehaves for one test: the others don't suffer, and health tells."""

import asyncio

import pytest

from loadgate_operator.cluster.local import LocalCluster, LocalOptions
from loadgate_operator.cluster.port import ClusterError, Kind
from loadgate_operator.collect import Collector, RunnerClient
from loadgate_operator.manifests.job import RunnerSettings
from loadgate_operator.reconcile.reconciler import STUCK, Options, Reconciler


class Moody(LocalCluster):
    """A cluster that has something against tests called `bad`."""

    mood = None

    async def read(self, kind, namespace, name):
        if kind == Kind.LOAD_TEST and name == "bad" and self.mood is not None:
            await self.mood()
        return await super().read(kind, namespace, name)


def invalid(name):
    """A LoadTest that needs no more than one look to be stalled."""
    return {
        "apiVersion": "loadgate.dev/v1alpha1",
        "kind": "LoadTest",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {},
    }


async def raising(error):
    raise error


class Loop:
    """A reconciler at work over a moody cluster."""

    def __init__(self, tmp_path):
        self.cluster = Moody(LocalOptions(parent=tmp_path))
        self.passes = []
        clock = asyncio.get_running_loop().time
        options = Options(reconciled=lambda key, _, error: self.passes.append((key.name, type(error).__name__)))
        self.client = RunnerClient()
        collector = Collector(self.client, clock)
        settings = RunnerSettings()
        self.reconciler = Reconciler(self.cluster, collector, settings, clock=clock, options=options)

    async def __aenter__(self):
        await self.cluster.__aenter__()
        self.task = asyncio.create_task(self.reconciler.run())
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.client.__aexit__(None, None, None)
        await self.cluster.__aexit__(None, None, None)

    async def stalled(self, name):
        """Whether a test's status says so."""
        obj = await self.cluster.read(Kind.LOAD_TEST, "default", name)
        return "Stalled" in [one["type"] for one in obj["status"].get("conditions", ())]


@pytest.mark.looptime
@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), ClusterError("away")])
async def test_trouble_with_one_test_spares_the_others(tmp_path, error):
    """A bug or a failing call over one test is tried again and again; every other test gets its status."""
    async with Loop(tmp_path) as loop:
        loop.cluster.mood = lambda: raising(error)
        for name in ("bad", "good"):
            await loop.cluster.apply(invalid(name))
        await asyncio.sleep(30)
        assert await loop.stalled("good")
        assert not loop.task.done()
        assert loop.passes.count(("bad", type(error).__name__)) >= 3
        loop.cluster.mood = None
        await asyncio.sleep(61)
        assert await loop.stalled("bad")


@pytest.mark.looptime
async def test_a_reconcile_that_hangs_is_no_health(tmp_path):
    """Liveness fails when one key has been in the making for too long, and not before."""
    async with Loop(tmp_path) as loop:
        await asyncio.sleep(1000)
        assert loop.reconciler.healthy()
        loop.cluster.mood = lambda: asyncio.sleep(10_000)
        await loop.cluster.apply(invalid("bad"))
        await asyncio.sleep(STUCK - 1)
        assert loop.reconciler.healthy()
        await asyncio.sleep(2)
        assert not loop.reconciler.healthy()
