"""Where the API server keeps each kind: paths of collections and of single objects."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from loadgate_operator.cluster.port import API_VERSIONS, Key, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

PLURALS: dict[Kind, str] = {
    Kind.LOAD_TEST: "loadtests",
    Kind.PERFORMANCE_BUDGET: "performancebudgets",
    Kind.JOB: "jobs",
    Kind.POD: "pods",
    Kind.CONFIG_MAP: "configmaps",
    Kind.SECRET: "secrets",
    Kind.EVENT: "events",
}


def collection(kind: Kind, namespace: str) -> str:
    """All objects of a kind in a namespace; in every one where it is ""."""
    version = API_VERSIONS[kind]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{root}/namespaces/{quote(namespace, safe='')}/{PLURALS[kind]}" if namespace else f"{root}/{PLURALS[kind]}"


def single(key: Key, subresource: str = "") -> str:
    """One object, or a part of it such as `status`."""
    path = f"{collection(key.kind, key.namespace)}/{quote(key.name, safe='')}"
    return f"{path}/{subresource}" if subresource else path


def selector(labels: Mapping[str, str] | None) -> dict[str, str]:
    """The query that asks for objects with all of these labels."""
    return {"labelSelector": ",".join(f"{name}={value}" for name, value in labels.items())} if labels else {}
