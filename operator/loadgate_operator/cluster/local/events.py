"""Events of the embedded cluster: a repeated one is counted, and only so many are kept."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from loadgate_operator.cluster.local.store import timestamp
from loadgate_operator.cluster.port import API_VERSIONS, Key, Kind, Object

if TYPE_CHECKING:
    from loadgate_operator.cluster.local.store import Store

MOST_EVENTS = 500


def record(store: Store, about: Object, what: tuple[str, str, str], now: float) -> None:
    """Note an event (its type, reason and message) of an object."""
    metadata = about["metadata"]
    digest = hashlib.sha256("\0".join((metadata.get("uid", ""), *what)).encode()).hexdigest()[:16]
    namespace = metadata.get("namespace", "default")
    key = Key(Kind.EVENT, namespace, f"{metadata['name'][:200]}.{digest}")
    before = store.read(key) or {}
    event_type, reason, message = what
    store.apply(
        {
            "apiVersion": API_VERSIONS[Kind.EVENT],
            "kind": Kind.EVENT,
            "metadata": {"name": key.name, "namespace": namespace},
            "involvedObject": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "namespace": namespace,
                "name": metadata["name"],
                "uid": metadata.get("uid"),
            },
            "type": event_type,
            "reason": reason,
            "message": message,
            "count": before.get("count", 0) + 1,
            "firstTimestamp": before.get("firstTimestamp", timestamp(now)),
            "lastTimestamp": timestamp(now),
        }
    )
    _forget_oldest(store)


def _forget_oldest(store: Store) -> None:
    events = store.list(Kind.EVENT, "")
    if len(events) > MOST_EVENTS:
        oldest = min(events, key=lambda event: int(event["metadata"]["resourceVersion"]))
        store.remove(Key(Kind.EVENT, oldest["metadata"]["namespace"], oldest["metadata"]["name"]))
