"""A watch of ConfigMaps by their metadata alone: their contents may be large, are seldom wanted, and are others'."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import orjson

from loadgate_operator.cluster.kubernetes.api import METADATA_ONLY, Api, Call, NotFoundError
from loadgate_operator.cluster.kubernetes.cache import Cache, key_of
from loadgate_operator.cluster.kubernetes.lists import list_all, named
from loadgate_operator.cluster.kubernetes.paths import PLURALS, collection
from loadgate_operator.cluster.port import ClusterError, Kind, Object

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

SERVER_TIMEOUT, IDLE = 300, 90.0
"""Seconds: how long the server keeps one watch going, and how long it may be silent (a bookmark comes each minute)."""

_PAUSE, _LONGEST_PAUSE = 0.5, 30.0


class ConfigMapWatch:
    """Fills the cache with the metadata of every ConfigMap of the watched namespaces."""

    def __init__(self, api: Api, cache: Cache, namespaces: Sequence[str]) -> None:
        """`namespaces` are those that are watched; `[""]` is every one."""
        self._api = api
        self._cache = cache
        self._namespaces = namespaces
        self._unlisted = set(namespaces)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for namespace in self._namespaces:
                group.create_task(self._follow(namespace))

    async def _follow(self, namespace: str) -> None:
        pause, version = _PAUSE, ""
        while True:
            try:
                version = version or await self._list(namespace)
                version = await self._watch(namespace, version)
                pause = _PAUSE
            except NotFoundError:
                version = ""  # Too old a version: what happened since is in a new list.
                await asyncio.sleep(_PAUSE)
            except ClusterError as error:
                logger.warning("the watch of ConfigMaps broke: %s; again in %gs", error, pause)
                version = ""
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _list(self, namespace: str) -> str:
        listed = await list_all(self._api, Kind.CONFIG_MAP, namespace, metadata_only=True)
        for obj in listed.objects:
            self._cache.put(obj)
        versions = {key_of(obj): int(obj["metadata"]["resourceVersion"]) for obj in listed.objects}
        self._cache.bury(Kind.CONFIG_MAP, [namespace], versions, int(listed.version))
        self._unlisted.discard(namespace)
        if not self._unlisted:
            self._cache.mark(Kind.CONFIG_MAP, synced=True)
        return listed.version

    async def _watch(self, namespace: str, version: str) -> str:
        query = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(SERVER_TIMEOUT),
        }
        call = Call(
            verb="GET",
            path=collection(Kind.CONFIG_MAP, namespace),
            resource=PLURALS[Kind.CONFIG_MAP],
            query=query,
            accept=METADATA_ONLY,
        )
        async with self._api.stream(call, IDLE) as lines:
            async for line in lines:
                version = self._take(_parsed(line))
        return version

    def _take(self, event: dict[str, Any]) -> str:
        obj: Object = event["object"]
        if event["type"] == "ERROR":
            raise NotFoundError(str(obj.get("message")))
        if event["type"] != "BOOKMARK":
            obj = named(Kind.CONFIG_MAP, obj)
            if event["type"] == "DELETED":
                self._cache.remove(key_of(obj), obj["metadata"]["uid"])
            else:
                self._cache.put(obj)
        return str(obj["metadata"]["resourceVersion"])


def _parsed(line: bytes) -> dict[str, Any]:
    """An event. Raises ClusterError for half a one: a server that stops cuts its last line short."""
    try:
        event: dict[str, Any] = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ClusterError(f"half an event: {error}") from error
    return event
