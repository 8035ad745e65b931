"""Objects in memory, kept as an API server keeps them: versions, generations, owners, and word of each change."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from loadgate_operator.cluster.local import rules
from loadgate_operator.cluster.port import ConflictError, Key, Kind, Object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_SET_BY_THE_CLUSTER = ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp")


def timestamp(seconds: float) -> str:
    """An instant, in seconds since 1970, as Kubernetes writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Watch:
    """Keys of what changed, each once however often it did since it was last taken."""

    def __init__(self, keys: Iterator[Key]) -> None:
        self._pending = dict.fromkeys(keys)
        self._news = asyncio.Event()
        if self._pending:
            self._news.set()

    def put(self, key: Key) -> None:
        """Note that the object of `key` changed."""
        self._pending[key] = None
        self._news.set()

    async def take(self) -> Key:
        """The key that has waited longest; waits for one where there is none."""
        await self._news.wait()
        key = next(iter(self._pending))
        del self._pending[key]
        if not self._pending:
            self._news.clear()
        return key


class Store:
    """All objects, by key. Nothing here awaits, so that nothing happens between a look and a change.

    A pod that is `alive` when it is deleted is only marked: whoever runs it removes it when its process is gone.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._objects: dict[Key, Object] = {}
        self._version = 0
        self._watches: list[Watch] = []

    def read(self, key: Key) -> Object | None:
        """A copy of the object, or None."""
        found = self._objects.get(key)
        return copy.deepcopy(found) if found is not None else None

    def list(self, kind: Kind, namespace: str, labels: Mapping[str, str] | None = None) -> list[Object]:
        """Copies of all objects of a namespace ("" for every one) that carry the labels, by namespace and name."""
        wanted = (labels or {}).items()
        found = [
            obj
            for key, obj in self._objects.items()
            if key.kind == kind
            and namespace in {"", key.namespace}
            and wanted <= (obj["metadata"].get("labels") or {}).items()
        ]
        found.sort(key=lambda obj: (obj["metadata"]["namespace"], obj["metadata"]["name"]))
        return copy.deepcopy(found)

    def apply(self, obj: Object) -> Object:
        """Create it or make it so; see `Cluster.apply`. Raises RefusedError for what an API server would refuse."""
        wanted = rules.admitted(obj)
        key = rules.key_of(wanted)
        present = self._objects.get(key)
        rules.check_identity(key, present, wanted)
        if present is None:
            self._create(key, wanted)
        else:
            self._update(key, present, wanted)
        return copy.deepcopy(self._objects.get(key, wanted))

    def write_status(self, key: Key, status: Mapping[str, Any], version: str | None = None) -> None:
        """Replace the whole status; nothing happens where the object is gone or has this status already.

        Raises ConflictError where the object isn't of the `version` that is named.
        """
        present = self._objects.get(key)
        if present is not None and version not in (None, present["metadata"]["resourceVersion"]):
            raise ConflictError(f"{key} has changed since it was read")
        if present is not None and present.get("status") != status:
            self._put(key, {**present, "status": copy.deepcopy(dict(status))})

    def edit(self, key: Key, change: Callable[[Object], None]) -> None:
        """Let the cluster itself (a controller, a kubelet) change any part of an object that is there."""
        present = self.read(key)
        if present is None:
            return
        change(present)
        if present != self._objects[key]:
            self._put(key, present)

    def delete(self, key: Key, uid: str | None = None) -> None:
        """Remove an object and what it owns; a living pod is marked, to be removed when its process is gone."""
        present = self._objects.get(key)
        if present is None or (uid is not None and present["metadata"]["uid"] != uid):
            return
        if key.kind == Kind.POD and rules.is_alive(present):
            self.edit(key, self._mark_deleted)
        else:
            self.remove(key)

    def remove(self, key: Key) -> None:
        """Remove an object at once, and delete what it owns."""
        gone = self._objects.pop(key, None)
        if gone is None:
            return
        self._tell(key)
        for owned in [k for k, obj in self._objects.items() if gone["metadata"]["uid"] in rules.owner_uids(obj)]:
            self.delete(owned)

    @contextlib.contextmanager
    def watching(self) -> Iterator[Watch]:
        """A watch that holds the key of every object, and gets that of each that changes until the end."""
        watch = Watch(iter(self._objects))
        self._watches.append(watch)
        try:
            yield watch
        finally:
            self._watches.remove(watch)

    def _create(self, key: Key, wanted: Object) -> None:
        metadata = {
            **wanted["metadata"],
            "uid": str(uuid.uuid4()),
            "creationTimestamp": timestamp(self._clock()),
        }
        if "spec" in wanted:
            metadata["generation"] = 1
        self._put(key, {**rules.with_default_status(wanted), "metadata": metadata})
        self._collect_if_orphan(key)

    def _update(self, key: Key, present: Object, wanted: Object) -> None:
        rules.check_update(present, wanted)
        kept = {name: present["metadata"][name] for name in _SET_BY_THE_CLUSTER if name in present["metadata"]}
        after = {**wanted, "metadata": {**wanted["metadata"], **kept}}
        if "status" in present:
            after["status"] = present["status"]
        if after == present:
            return
        if after.get("spec") != present.get("spec"):
            after["metadata"]["generation"] = present["metadata"].get("generation", 0) + 1
        self._put(key, after)
        self._collect_if_orphan(key)

    def _collect_if_orphan(self, key: Key) -> None:
        """What names owners of which none is there is removed, as Kubernetes' garbage collector does."""
        owners = rules.owner_uids(self._objects[key])
        if owners and not any(obj["metadata"]["uid"] in owners for obj in self._objects.values()):
            self.delete(key)

    def _mark_deleted(self, obj: Object) -> None:
        obj["metadata"].setdefault("deletionTimestamp", timestamp(self._clock()))

    def _put(self, key: Key, obj: Object) -> None:
        self._version += 1
        self._objects[key] = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self._version)}}
        self._tell(key)

    def _tell(self, key: Key) -> None:
        for watch in self._watches:
            watch.put(key)
