"""Whether the cache is what the cluster is: at the start, after an outage, and every few minutes for ever.

A watch can freeze, and what goes while it is away goes unheard. So a list of metadata is compared with the cache:
what the cache still lacks after a while proves that events don't flow, and what only the cache has is let go.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from loadgate_operator.cluster.kubernetes.cache import Cache, key_of
from loadgate_operator.cluster.kubernetes.lists import list_all
from loadgate_operator.cluster.port import ClusterError, Key, Kind
from loadgate_operator.manifests import names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadgate_operator.cluster.kubernetes.api import Api

logger = logging.getLogger(__name__)

OURS = {"app.kubernetes.io/managed-by": names.OPERATOR}
"""Jobs and pods are watched by this label."""

WATCHED: dict[Kind, Mapping[str, str]] = {
    Kind.LOAD_TEST: {},
    Kind.PERFORMANCE_BUDGET: {},
    Kind.JOB: OURS,
    Kind.POD: OURS,
}
"""What kopf watches, and by which labels."""

EVERY, RETRY, LATE = 120.0, 5.0, 60.0
"""Seconds between two comparisons, until one that failed is repeated, and until what was listed must have come."""

_STEP, _GATHER = 0.05, 0.5
"""Seconds between two looks at the cache, and in which further wishes to compare are one: a list is many events."""


class Freshness:
    """Compares the cache with the cluster."""

    def __init__(self, api: Api, cache: Cache, namespaces: Sequence[str]) -> None:
        """`namespaces` are those that are watched; `[""]` is every one."""
        self._api = api
        self._cache = cache
        self._namespaces = namespaces
        self._asked = {kind: asyncio.Event() for kind in WATCHED}
        self._late: set[Kind] = set()

    @property
    def flowing(self) -> bool:
        """Whether everything that was written lately has come back as an event."""
        return not self._late

    def ask(self, kind: Kind | None = None) -> None:
        """Compare soon: something may have been missed."""
        for asked in [self._asked[kind]] if kind else self._asked.values():
            asked.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for kind in WATCHED:
                group.create_task(self._keep(kind))

    async def _keep(self, kind: Kind) -> None:
        while True:
            self._asked[kind].clear()
            try:
                await self._compare(kind)
                pause = EVERY
            except ClusterError as error:
                logger.warning("%ss can't be compared with the cluster: %s", kind, error)
                pause = RETRY
            try:
                async with asyncio.timeout(pause):
                    await self._asked[kind].wait()
            except TimeoutError:
                continue
            await asyncio.sleep(_GATHER)

    async def _compare(self, kind: Kind) -> None:
        until = asyncio.get_running_loop().time() + LATE
        while True:
            listed, version = await self._list(kind)
            self._cache.bury(kind, self._namespaces, listed, version)
            # Listed again now and then: what goes meanwhile would be waited for in vain.
            again = asyncio.get_running_loop().time() + 2.0
            while behind := self._cache.behind(listed, kind):
                if asyncio.get_running_loop().time() > again:
                    break
                await asyncio.sleep(_STEP)
            if not behind:
                self._late.discard(kind)
                self._cache.mark(kind, synced=True)
                return
            if asyncio.get_running_loop().time() > until:
                self._be_late(kind, behind)

    def _be_late(self, kind: Kind, behind: list[Key]) -> None:
        if kind not in self._late:
            logger.error(
                "no event of %s for more than %gs: the watch is stuck; reading goes to the server", behind[0], LATE
            )
        self._late.add(kind)
        self._cache.mark(kind, synced=False)

    async def _list(self, kind: Kind) -> tuple[dict[Key, int], int]:
        versions: dict[Key, int] = {}
        oldest: list[int] = []
        for namespace in self._namespaces:
            listed = await list_all(self._api, kind, namespace, WATCHED[kind], metadata_only=True)
            versions |= {key_of(obj): int(obj["metadata"]["resourceVersion"]) for obj in listed.objects}
            oldest.append(int(listed.version))
        return versions, min(oldest)
