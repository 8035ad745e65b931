"""Lists from the API server: of whole objects or of their metadata, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadgate_operator.cluster.kubernetes.api import JSON, METADATA_LIST, Api, Call
from loadgate_operator.cluster.kubernetes.paths import PLURALS, collection, selector
from loadgate_operator.cluster.port import API_VERSIONS, Kind, Object

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = 500


@dataclass(frozen=True)
class Listed:
    """Objects as they all were at one version of the cluster."""

    objects: list[Object]
    version: str


async def list_all(  # noqa: PLR0913 - what the API server takes
    api: Api,
    kind: Kind,
    namespace: str,
    labels: Mapping[str, str] | None = None,
    *,
    fields: str = "",
    metadata_only: bool = False,
) -> Listed:
    """All of a kind in a namespace ("" for every one), with their kind, which lists leave out. Raises ClusterError."""
    query = {**selector(labels), "limit": str(PAGE), **({"fieldSelector": fields} if fields else {})}
    found: list[Object] = []
    while True:
        page = await api.ask(
            Call(
                verb="GET",
                path=collection(kind, namespace),
                resource=PLURALS[kind],
                query=query,
                accept=METADATA_LIST if metadata_only else JSON,
            )
        )
        found += (named(kind, item) for item in page.get("items") or ())
        rest = page["metadata"].get("continue")
        if not rest:
            return Listed(found, page["metadata"]["resourceVersion"])
        query = {**query, "continue": rest}


def named(kind: Kind, item: Object) -> Object:
    """The object with its version and kind, whatever form it came in."""
    return {**item, "apiVersion": API_VERSIONS[kind], "kind": kind.value}
