"""The embedded cluster: a store, a Job controller and a kubelet behind the port, for as long as a `with` block."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

from loadgate_operator.cluster.local.events import record
from loadgate_operator.cluster.local.folder import private_folder
from loadgate_operator.cluster.local.jobs import JobController
from loadgate_operator.cluster.local.kubelet import Kubelet
from loadgate_operator.cluster.local.pods import KubeletOptions, programs
from loadgate_operator.cluster.local.process import tail_of
from loadgate_operator.cluster.local.store import Store
from loadgate_operator.cluster.port import Key, Kind, Object
from loadgate_operator.manifests.job import PORT_NAME

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path
    from types import TracebackType

_LAST_GRACE = 2.0
"""Seconds that pods get at the end of the block: who wanted their results has stopped them before."""


@dataclass(frozen=True, kw_only=True)
class LocalOptions:
    """How the embedded cluster runs its pods. Times are seconds."""

    logs: Path | None = None
    """Where pods' logs are written; None: in the private folder, gone with it."""
    keep_logs: bool = True
    """Whether logs in a folder of one's own outlive their pods."""
    stop_grace: float = 30.0
    programs: Mapping[str, tuple[str, ...]] = field(default_factory=programs)
    environment: Mapping[str, str] = field(default_factory=dict)
    """What every pod's process gets beside what its Job says."""
    parent: Path | None = None
    """Where the private folder is made; None: the system's temporary folder."""


class LocalCluster:
    """`Cluster` in memory. All processes and files are gone after the block, however it ends."""

    def __init__(self, options: LocalOptions | None = None, clock: Callable[[], float] = time.time) -> None:
        self._options = options or LocalOptions()
        self._clock = clock
        self.store = Store(clock)
        self._stack = contextlib.AsyncExitStack()
        self._kubelet: Kubelet | None = None

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            root = stack.enter_context(private_folder(self._options.parent))
            logs = self._options.logs or root / "logs"
            logs.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._kubelet = Kubelet(self.store, self._kubelet_options(root, logs), self._clock)
            stack.push_async_callback(_end, asyncio.create_task(self._kubelet.run()))
            stack.push_async_exit(self._stop_last)
            # The first to end: a pod that is stopped then gets no successor.
            stack.push_async_callback(_end, asyncio.create_task(JobController(self.store, self._clock).run()))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def _stop_last(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """A moment for pods to end by themselves, unless something went wrong: then there is none to lose."""
        if kind is None:
            await self.stop_pods(_LAST_GRACE)

    async def read(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """See `Cluster`."""
        return self.store.read(Key(kind, namespace, name))

    async def list(self, kind: Kind, namespace: str, labels: Mapping[str, str] | None = None) -> list[Object]:
        """See `Cluster`."""
        return self.store.list(kind, namespace, labels)

    async def apply(self, obj: Object) -> Object:
        """See `Cluster`."""
        return self.store.apply(obj)

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str | None = None) -> None:
        """See `Cluster`."""
        self.store.delete(Key(kind, namespace, name), uid)

    async def write_status(self, key: Key, status: Mapping[str, Any], *, version: str | None = None) -> None:
        """See `Cluster`."""
        self.store.write_status(key, status, version)

    async def record_event(
        self, about: Object, event_type: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        """See `Cluster`."""
        record(self.store, about, (event_type, reason, message), self._clock())

    async def is_going(self, namespace: str) -> bool:  # noqa: ARG002 - namespaces are only names here
        """See `Cluster`."""
        return False

    def address(self, pod: Object) -> str | None:
        """See `Cluster`: all pods share loopback, so each has a port of its own, as with a hostPort in Kubernetes."""
        status = pod.get("status") or {}
        if status.get("phase") != "Running":
            return None
        ports = pod["spec"]["containers"][0].get("ports", ())
        port = next((port.get("hostPort") for port in ports if port["name"] == PORT_NAME), None)
        return f"http://{status['podIP']}:{port}" if port else None

    async def logs(self, pod: Object, *, limit: int = 8 << 20) -> str:
        """See `Cluster`."""
        return tail_of(self.log_path(pod), limit)

    def log_path(self, pod: Object) -> Path:
        """The file that a pod's output goes to."""
        if self._kubelet is None:
            raise RuntimeError("the cluster is not running")
        return self._kubelet.log_of(Key(Kind.POD, pod["metadata"]["namespace"], pod["metadata"]["name"]))

    async def stop_pods(self, grace: float) -> None:
        """End every pod: SIGTERM, at most `grace` seconds, SIGKILL."""
        if self._kubelet is not None:
            await self._kubelet.stop_all(grace)

    async def watch(self) -> AsyncIterator[Key]:
        """See `Cluster`."""
        with self.store.watching() as watch:
            while True:
                key = await watch.take()
                if key.kind != Kind.EVENT:
                    yield key

    def _kubelet_options(self, root: Path, logs: Path) -> KubeletOptions:
        options = self._options
        return KubeletOptions(
            root=root,
            logs=logs,
            stop_grace=options.stop_grace,
            programs=options.programs,
            environment=options.environment,
            keep_logs=options.keep_logs and options.logs is not None,
        )


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
