"""A folder of manifests made so in the embedded cluster: what changed is applied, what went is deleted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from loadgate.api.faults import Fault
from loadgate.report.result import Result
from loadgate_cli.bundle import Bundle, Identity, build
from loadgate_cli.keeping import Earlier
from loadgate_cli.sources import Source, manifests_in, read
from loadgate_operator.cluster.port import ClusterError, Key, Kind

_KINDS_LAST_FIRST = ("LoadTest", "PerformanceBudget", "ConfigMap", "Secret")


class Target(Protocol):
    """What is written to: the embedded operator."""

    async def apply(self, objects: list[dict[str, Any]]) -> None:
        """Make it so."""

    def recall(self, obj: dict[str, Any], status: dict[str, Any], result: Result | None) -> None:
        """Make it so, as it stood in an earlier time."""

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        """Take it away."""


class Folder:
    """Remembers what it applied, and from which file. `earlier` says how an object stood in an earlier time."""

    def __init__(
        self, path: Path, target: Target, tell: Callable[[str], None], earlier: Callable[[Key], Earlier | None]
    ) -> None:
        self._path = path
        self._target = target
        self._tell = tell
        self._earlier = earlier
        self._applied: dict[Identity, tuple[dict[str, Any], str]] = {}

    async def sync(self) -> Bundle:
        """Bring the cluster to what the folder says; what is faulty stays as it was. Raises OSError."""
        bundle = self._read()
        await self._delete(bundle)  # first: a test that was renamed must not run beside itself
        await self._apply(bundle)
        return bundle

    def _read(self) -> Bundle:
        found = [read(path) for path in manifests_in(self._path)]
        bundle = build([source for source in found if isinstance(source, Source)])
        bundle.faults += [fault for fault in found if isinstance(fault, Fault)]
        return bundle

    async def _apply(self, bundle: Bundle) -> None:
        files = {entry.identity: entry.source.name if entry.source else "" for entry in bundle.entries}
        for raw, identity in bundle.identified:
            before = self._applied.get(identity)
            if before is not None and before[0] == raw:
                continue
            try:
                await self._make(raw, identity, first=before is None)
            except ClusterError as error:
                bundle.faults.append(Fault("", f"{_name(identity)}: {error}", file=files[identity]))
                continue
            self._applied[identity] = (raw, files[identity])
            self._tell(f"{_name(identity)} {'is new' if before is None else 'has changed'}")

    async def _make(self, raw: dict[str, Any], identity: Identity, *, first: bool) -> None:
        key = Key(Kind(identity[0]), *identity[1:])
        earlier = self._earlier(key) if first and key.kind is Kind.LOAD_TEST else None
        if earlier is None:
            await self._target.apply([raw])
        else:
            self._target.recall(raw, earlier.status, earlier.result)

    async def _delete(self, bundle: Bundle) -> None:
        there = {entry.identity for entry in bundle.entries}
        unsure = {fault.file for fault in bundle.all_faults}  # a file that can't be read may still hold what it held
        for kind in _KINDS_LAST_FIRST:
            for identity in [one for one in self._applied if one[0] == kind and one not in there]:
                if self._applied[identity][1] in unsure:
                    continue
                await self._target.delete(*identity)
                del self._applied[identity]
                self._tell(f"{_name(identity)} is gone")


def _name(identity: Identity) -> str:
    kind, namespace, name = identity
    return f"{kind} {name}" if namespace == "default" else f"{kind} {namespace}/{name}"
