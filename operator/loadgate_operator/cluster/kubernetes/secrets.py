"""Secrets, one by one and by name: the operator neither lists nor watches them, and keeps nothing of the users' own.

Of a user's Secret only the keys are told: that one is there is all that the operator wants to know.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from loadgate_operator.cluster.kubernetes.api import Api, Call, NotFoundError
from loadgate_operator.cluster.kubernetes.paths import PLURALS, collection, single
from loadgate_operator.cluster.port import ConflictError, Key, Kind, Object, RefusedError
from loadgate_operator.manifests import names

if TYPE_CHECKING:
    from collections.abc import Callable

_RESOURCE = PLURALS[Kind.SECRET]
_MOST_KNOWN = 4_000

LASTS = 300.0
"""Seconds for which a user's Secret that was there counts as there."""


@dataclass(frozen=True)
class _Known:
    data: bytes
    until: float | None


class Secrets:
    """Reads, makes and removes Secrets; remembers our own, which never change, and for a while who else was there."""

    def __init__(self, api: Api, clock: Callable[[], float] | None = None) -> None:
        """`clock` gives seconds of any start; the event loop's where there is none."""
        self._api = api
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._known: OrderedDict[Key, _Known] = OrderedDict()

    async def read(self, key: Key) -> Object | None:
        """The Secret: ours whole, another one with empty values. Raises ClusterError."""
        known = self._known.get(key)
        if known is not None and (known.until is None or self._clock() < known.until):
            return _object(known.data)
        try:
            found = await self._api.ask(Call(verb="GET", path=single(key), resource=_RESOURCE))
        except NotFoundError:
            self._known.pop(key, None)
            return None
        return self._keep(key, found)

    async def create(self, key: Key, secret: Object) -> Object:
        """Make it where there is none. Raises RefusedError where one with other contents has its name."""
        query = {"fieldManager": names.OPERATOR}
        path = collection(Kind.SECRET, key.namespace)
        self._known.pop(key, None)
        try:
            made = await self._api.ask(Call(verb="POST", path=path, resource=_RESOURCE, query=query, body=secret))
        except ConflictError:
            found = await self._api.ask(Call(verb="GET", path=single(key), resource=_RESOURCE))
            if found.get("data") != secret.get("data"):
                raise RefusedError(f"{key} is there already, with other contents: remove it") from None
            made = found
        return self._keep(key, made)

    def forget(self, key: Key) -> None:
        """It is being removed."""
        self._known.pop(key, None)

    def _keep(self, key: Key, secret: Object) -> Object:
        ours = (secret["metadata"].get("labels") or {}).get("app.kubernetes.io/managed-by") == names.OPERATOR
        lasting = ours and bool(secret.get("immutable"))
        kept = secret if ours else {**secret, "data": dict.fromkeys(secret.get("data") or (), "")}
        kept = {**kept, "metadata": {k: v for k, v in kept["metadata"].items() if k not in _NOT_KEPT}}
        data = orjson.dumps(kept)
        self._known[key] = _Known(data, None if lasting else self._clock() + LASTS)
        self._known.move_to_end(key)
        while len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return _object(data)


_NOT_KEPT = ("managedFields", "annotations")
"""A user's annotation may hold the whole Secret, as `kubectl apply` leaves it there."""


def _object(data: bytes) -> dict[str, Any]:
    out: dict[str, Any] = orjson.loads(data)
    return out
