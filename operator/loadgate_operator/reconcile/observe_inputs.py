"""Looking at what a test takes from its namespace: what its plan's ConfigMaps hold, and what isn't there at all."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING

from loadgate.api.pods import Needed, needed
from loadgate.plan import config_map_refs, path_of, secret_sources
from loadgate_operator.cluster.port import Key, Kind, RefusedError
from loadgate_operator.reconcile.model import Inputs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadgate.api.loadtest import LoadTest
    from loadgate.api.pods import PodTemplate
    from loadgate_operator.cluster.port import Cluster, Object

_CONTENTS = {Kind.CONFIG_MAP: ("data", "binaryData"), Kind.SECRET: ("data", "stringData")}


async def observe_inputs(cluster: Cluster, test: LoadTest, pods: PodTemplate) -> Inputs:
    """The test's inputs as they are now; `pods` are the test's and its installation's. Raises ClusterError."""
    seen = _Namespace(cluster, test.metadata.namespace)
    digests = {
        path_of(ref): _digest(await seen.read(Kind.CONFIG_MAP, ref.name), ref.key) for ref in config_map_refs(test)
    }
    absent = {one for one in _needed(test, pods) if not await seen.has(one)}
    return Inputs(
        config_maps=digests,
        missing_secrets=_places(absent, Kind.SECRET),
        missing_for_pods=_places(absent, Kind.CONFIG_MAP),
    )


def inputs_of(test: LoadTest, pods: PodTemplate) -> list[Key]:
    """The objects whose changes concern a test."""
    namespace = test.metadata.namespace
    return [
        *(Key(Kind.CONFIG_MAP, namespace, ref.name) for ref in config_map_refs(test)),
        *(Key(Kind(one.kind), namespace, one.name) for one in _needed(test, pods)),
    ]


def _needed(test: LoadTest, pods: PodTemplate) -> Iterator[Needed]:
    """What the pods can't start without, besides what is in the plan."""
    yield from (Needed("Secret", ref.name, ref.key) for ref in secret_sources(test).values())
    yield from needed(pods)


def _places(absent: set[Needed], kind: Kind) -> tuple[str, ...]:
    """`NAME/KEY`, or `NAME` where all of an object is needed, sorted."""
    mine = (one for one in absent if one.kind == kind)
    return tuple(sorted(one.name if one.key is None else f"{one.name}/{one.key}" for one in mine))


class _Namespace:
    """The objects of a namespace, each read once."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._read: dict[tuple[Kind, str], Object | None] = {}

    async def read(self, kind: Kind, name: str) -> Object | None:
        if (kind, name) not in self._read:
            self._read[kind, name] = await self._cluster.read(kind, self._namespace, name)
        return self._read[kind, name]

    async def has(self, one: Needed) -> bool:
        kind = Kind(one.kind)
        try:
            found = await self.read(kind, one.name)
        except RefusedError:
            # An operator that may not read the user's Secrets leaves it to the pods to say what is missing.
            return True
        keys = {key for part in _CONTENTS[kind] for key in (found or {}).get(part) or ()}
        return found is not None and one.key in {None, *keys}


def _digest(config_map: Object | None, key: str) -> str | None:
    if config_map is None:
        return None
    content = _bytes(config_map, key)
    return None if content is None else hashlib.sha256(content).hexdigest()


def _bytes(config_map: Object, key: str) -> bytes | None:
    """What a runner's file of that key holds."""
    text, coded = ((config_map.get(part) or {}).get(key) for part in _CONTENTS[Kind.CONFIG_MAP])
    if text is not None:
        return str(text).encode()
    try:
        return None if coded is None else base64.b64decode(coded)
    except binascii.Error:
        return None  # as good as missing: no pod could be given it
