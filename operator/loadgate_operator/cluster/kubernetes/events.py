"""Events, as `kubectl describe` shows them: one object for each thing that happened, counted when it happens again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from loadgate_operator.cluster.kubernetes.api import MERGE, Api, Call, NotFoundError
from loadgate_operator.cluster.kubernetes.paths import PLURALS, collection, single
from loadgate_operator.cluster.port import API_VERSIONS, ConflictError, Key, Kind, Object
from loadgate_operator.manifests import names

if TYPE_CHECKING:
    from collections.abc import Callable

_RESOURCE = PLURALS[Kind.EVENT]
_MOST_KNOWN = 2_000
_MOST_MESSAGE = 1024
"""Characters of an event's message that the API server takes."""


class Recorder:
    """Records events; remembers how often each happened, so that a repetition is one call."""

    def __init__(self, api: Api, clock: Callable[[], float]) -> None:
        """`clock` gives Unix seconds."""
        self._api = api
        self._clock = clock
        self._counts: OrderedDict[Key, int] = OrderedDict()

    async def record(self, about: Object, event_type: str, reason: str, message: str) -> None:
        """Note it. Raises ClusterError."""
        key = _key(about, event_type, reason, message)
        event = _event(about, event_type, reason, message, self._now())
        try:
            known = key in self._counts
            count = 1 if not known and await self._create(key, event) else await self._again(key)
        except NotFoundError:
            # Events last an hour: it was counted, and is gone meanwhile.
            await self._create(key, event)
            count = 1
        self._counts[key] = count
        self._counts.move_to_end(key)
        while len(self._counts) > _MOST_KNOWN:
            self._counts.popitem(last=False)

    async def _create(self, key: Key, event: Object) -> bool:
        event["metadata"]["name"] = key.name
        query = {"fieldManager": names.OPERATOR}
        path = collection(Kind.EVENT, key.namespace)
        try:
            await self._api.ask(Call(verb="POST", path=path, resource=_RESOURCE, query=query, body=event))
        except ConflictError:
            return False
        return True

    async def _again(self, key: Key) -> int:
        if key not in self._counts:
            found = await self._api.ask(Call(verb="GET", path=single(key), resource=_RESOURCE))
            self._counts[key] = int(found.get("count") or 1)
        count = self._counts[key] + 1
        change = {"count": count, "lastTimestamp": self._now()}
        query = {"fieldManager": names.OPERATOR}
        call = Call(verb="PATCH", path=single(key), resource=_RESOURCE, query=query, body=change, content_type=MERGE)
        await self._api.ask(call)
        return count

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _key(about: Object, *what: str) -> Key:
    metadata = about["metadata"]
    digest = hashlib.sha256("\0".join((metadata["uid"], *what)).encode()).hexdigest()[:16]
    return Key(Kind.EVENT, metadata["namespace"], f"{metadata['name'][:200]}.{digest}")


def _event(about: Object, event_type: str, reason: str, message: str, now: str) -> Object:
    metadata = about["metadata"]
    return {
        "apiVersion": API_VERSIONS[Kind.EVENT],
        "kind": Kind.EVENT.value,
        "metadata": {"namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        },
        "type": event_type,
        "reason": reason,
        "message": message if len(message) <= _MOST_MESSAGE else f"{message[: _MOST_MESSAGE - 1]}…",
        "source": {"component": "loadgate-operator"},
        "count": 1,
        "firstTimestamp": now,
        "lastTimestamp": now,
    }
