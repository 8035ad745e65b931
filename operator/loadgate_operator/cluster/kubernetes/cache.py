"""What watches and our own writes have shown of the cluster, so that a look at it costs the API server nothing.

Objects are kept as bytes: small, and every reader gets a copy of its own. Versions decide what is newer, whichever
way it came; of ConfigMaps only the metadata is here.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from loadgate_operator.cluster.port import Key, Kind, Object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_MOST_GRAVES = 10_000
_KINDS = {Kind.LOAD_TEST, Kind.PERFORMANCE_BUDGET, Kind.JOB, Kind.POD, Kind.CONFIG_MAP}


@dataclass(frozen=True, slots=True)
class Entry:
    """One object: its version and identity beside its JSON."""

    version: int
    uid: str
    labels: Mapping[str, str]
    data: bytes

    def object(self) -> Object:
        """A copy of its own."""
        obj: Object = orjson.loads(self.data)
        return obj


class Cache:
    """Objects by key. Nothing here awaits."""

    def __init__(self, changed: Callable[[Key], None]) -> None:
        """`changed` is told of every key whose object appears, changes or goes."""
        self._changed = changed
        self._entries: dict[Kind, dict[Key, Entry]] = {kind: {} for kind in Kind}
        self._graves: OrderedDict[str, int] = OrderedDict()
        self._synced: set[Kind] = set()
        self.settled = asyncio.Event()
        """Set once all kinds were here at one time."""

    def is_synced(self, kind: Kind) -> bool:
        """Whether everything of a kind is here."""
        return kind in self._synced

    def mark(self, kind: Kind, *, synced: bool) -> None:
        """Everything of a kind is here, or can't be relied on to be."""
        if not synced:
            self._synced.discard(kind)
            return
        self._synced.add(kind)
        if self.synced:
            self.settled.set()

    @property
    def synced(self) -> bool:
        """Whether everything of all kinds is here."""
        return self._synced >= _KINDS

    def put(self, obj: Object) -> None:
        """An object as it was at some time: kept where it is newer than what is here."""
        key, metadata = key_of(obj), obj["metadata"]
        version, uid = int(metadata["resourceVersion"]), metadata["uid"]
        present = self._entries[key.kind].get(key)
        if uid in self._graves or (present is not None and present.version >= version):
            return
        kept = {**obj, "metadata": {name: value for name, value in metadata.items() if name != "managedFields"}}
        self._entries[key.kind][key] = Entry(version, uid, metadata.get("labels") or {}, orjson.dumps(kept))
        self._changed(key)

    def remove(self, key: Key, uid: str) -> None:
        """The object with this uid is gone for good; whatever else is heard of it is old."""
        self._graves[uid] = 1
        while len(self._graves) > _MOST_GRAVES:
            self._graves.popitem(last=False)
        present = self._entries[key.kind].get(key)
        if present is not None and present.uid == uid:
            del self._entries[key.kind][key]
            self._changed(key)

    def get(self, key: Key) -> Entry | None:
        """What is known of one object."""
        return self._entries[key.kind].get(key)

    def keys(self) -> Iterable[Key]:
        """Of all objects."""
        return [key for entries in self._entries.values() for key in entries]

    def select(self, kind: Kind, namespace: str, labels: Mapping[str, str] | None = None) -> list[Object]:
        """Copies of all objects of a namespace ("" for every one) that carry the labels, by namespace and name."""
        wanted = (labels or {}).items()
        found = [
            (key, entry)
            for key, entry in self._entries[kind].items()
            if namespace in {"", key.namespace} and wanted <= entry.labels.items()
        ]
        return [entry.object() for _, entry in sorted(found, key=lambda pair: pair[0])]

    def behind(self, listed: Mapping[Key, int], kind: Kind) -> list[Key]:
        """The keys of a list (with their versions) that aren't here as new as they are there."""
        entries = self._entries[kind]
        return [key for key, version in listed.items() if key not in entries or entries[key].version < version]

    def bury(self, kind: Kind, namespaces: Iterable[str], listed: Mapping[Key, int], version: int) -> None:
        """Let go of what a list of that version doesn't have: its end was missed."""
        scopes = set(namespaces)
        for key, entry in list(self._entries[kind].items()):
            inside = "" in scopes or key.namespace in scopes
            if inside and key not in listed and entry.version <= version:
                self.remove(key, entry.uid)


def key_of(obj: Object) -> Key:
    """Where an object lives."""
    return Key(Kind(obj["kind"]), obj["metadata"]["namespace"], obj["metadata"]["name"])
