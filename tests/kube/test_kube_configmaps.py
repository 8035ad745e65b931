"""The watch of ConfigMaps: it begins with a list, goes on from events, and gets over all that ends a watch."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from loadgate_operator.cluster.kubernetes.cache import Cache
from loadgate_operator.cluster.kubernetes.configmaps import ConfigMapWatch
from loadgate_operator.cluster.port import ClusterError, Key, Kind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from loadgate_operator.cluster.kubernetes.api import Call

pytestmark = pytest.mark.looptime


def config_map(name: str, version: int) -> dict[str, Any]:
    """Its metadata, as the API server sends it."""
    metadata = {"name": name, "namespace": "default", "uid": name, "resourceVersion": str(version)}
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}


def event(kind: str, name: str = "a", version: int = 2) -> bytes:
    """A line of a watch."""
    return orjson.dumps({"type": kind, "object": config_map(name, version)}) + b"\n"


class Watched:
    """An API server that lists ConfigMap `a`, and whose watches say what they are given, one after another."""

    def __init__(self, *watches: list[bytes] | Exception) -> None:
        self.watches = list(watches)
        self.lists = 0
        self.versions: list[str] = []

    async def ask(self, _call: Call) -> Any:
        """See `Api.ask`."""
        self.lists += 1
        return {"metadata": {"resourceVersion": "1"}, "items": [config_map("a", 1)]}

    @contextlib.asynccontextmanager
    async def stream(self, call: Call, _idle: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """See `Api.stream`."""
        self.versions.append(call.query["resourceVersion"])
        said = self.watches.pop(0) if self.watches else None
        if isinstance(said, Exception):
            raise said
        yield self._lines(said)

    async def _lines(self, said: list[bytes] | None) -> AsyncIterator[bytes]:
        for line in said or ():
            yield line
        if said is None:
            await asyncio.sleep(1e6)


async def watched(server: Watched) -> set[str]:
    """The names of the ConfigMaps that are known after a minute."""
    cache = Cache(lambda _: None)
    task = asyncio.create_task(ConfigMapWatch(server, cache, [""]).run())  # type: ignore[arg-type]
    await asyncio.sleep(60)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert cache.is_synced(Kind.CONFIG_MAP)
    return {key.name for key in cache.keys() if key == Key(Kind.CONFIG_MAP, "default", key.name)}  # noqa: SIM118


async def test_events_follow_the_list() -> None:
    """What is added and deleted after the list is known."""
    server = Watched([event("ADDED", "b"), event("DELETED", "a", 3)])
    assert await watched(server) == {"b"}
    assert server.lists == 1


async def test_a_watch_that_ends_goes_on_where_it_was() -> None:
    """The server ends each watch after a while; the next one begins at the last version, without a list."""
    server = Watched([event("ADDED", "b", 7)], [event("BOOKMARK", "x", 9)])
    assert await watched(server) == {"a", "b"}
    assert (server.lists, server.versions) == (1, ["1", "7", "9"])


@pytest.mark.parametrize(
    "trouble",
    [
        ClusterError("away"),
        [b'{"type":"ADDED","obj'],
        [orjson.dumps({"type": "ERROR", "object": {"message": "too old resource version"}})],
    ],
    ids=["away", "half an event", "too old"],
)
async def test_what_breaks_a_watch_is_got_over(trouble: list[bytes] | Exception) -> None:
    """After trouble everything is listed again, and the watch goes on."""
    server = Watched(trouble, [event("ADDED", "b", 7)])
    assert await watched(server) == {"a", "b"}
    assert server.lists == 2
