"""kopf's part: it brings events, and nothing else. Handlers hand objects on; nothing is written on any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import kopf

from loadgate_operator.cluster.kubernetes.freshness import OURS, WATCHED
from loadgate_operator.cluster.kubernetes.paths import PLURALS
from loadgate_operator.cluster.port import API_VERSIONS, Kind

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence

    from loadgate_operator.cluster.kubernetes import Connection, KubernetesCluster

_IDENTITY: Any = "loadgate"

CONNECT_TIMEOUT = 10.0
REQUEST_TIMEOUT = 60.0
"""Seconds, of kopf's own requests: lists of what it watches."""


def handlers(connection: Connection, cluster: KubernetesCluster) -> kopf.OperatorRegistry:
    """What kopf is to call."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(**await connection.credentials())

    for kind in WATCHED:
        _feed(registry, cluster, kind)
    return registry


def _feed(registry: kopf.OperatorRegistry, cluster: KubernetesCluster, kind: Kind) -> None:
    group, _, version = API_VERSIONS[kind].rpartition("/")

    @kopf.on.event(group, version, PLURALS[kind], registry=registry, id=PLURALS[kind])
    async def seen(event: Mapping[str, Any], **_: Any) -> None:
        cluster.see(event["type"], {**event["object"], "apiVersion": API_VERSIONS[kind], "kind": kind.value})


def settings() -> kopf.OperatorSettings:
    """How kopf behaves: it watches what is named, by label where that is ours, and writes nothing."""
    out = kopf.OperatorSettings()
    out.posting.enabled = False
    out.scanning.disabled = True  # What is watched is known; namespaces and definitions needn't be.
    out.peering.standalone = True  # A Lease decides who works; peering would freeze both of two equals.
    out.watching.connect_timeout = CONNECT_TIMEOUT
    out.watching.chunk_size = 500
    out.networking.request_timeout = REQUEST_TIMEOUT
    out.networking.enforce_retry_after = True
    out.process.ultimate_exiting_timeout = None  # The pod's grace period bounds the shutdown already.
    for kind, labels in WATCHED.items():
        if labels is OURS:
            selector = ",".join(f"{name}={value}" for name, value in labels.items())
            out.watching.label_selectors[PLURALS[kind]] = selector
    return out


async def watch(
    connection: Connection, cluster: KubernetesCluster, namespaces: Sequence[str], ready: asyncio.Event
) -> None:
    """Feed the cluster's cache until cancelled. `namespaces`: none for all.

    `ready` is set when kopf has begun, which takes the process' signals to itself.
    """
    await kopf.operator(
        registry=handlers(connection, cluster),
        settings=settings(),
        namespaces=list(namespaces),
        clusterwide=not namespaces,
        standalone=True,
        # Only peering wants to know who we are; else kopf asks for the user's name, and a random user id has none.
        identity=_IDENTITY,
        ready_flag=ready,
    )
