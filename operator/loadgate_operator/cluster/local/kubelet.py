"""What a kubelet does, on one machine: it notices pods that appear or are deleted, and lets each live its life."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from loadgate_operator.cluster.local import rules
from loadgate_operator.cluster.local.pods import KubeletOptions, Node, PodLife
from loadgate_operator.cluster.local.process import remove_log
from loadgate_operator.cluster.port import Key, Kind, Object

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loadgate_operator.cluster.local.store import Store

logger = logging.getLogger(__name__)


class Kubelet:
    """Runs the pods of a store until it is closed."""

    def __init__(self, store: Store, options: KubeletOptions, clock: Callable[[], float]) -> None:
        self._store = store
        self._node = Node(store=store, options=options, clock=clock)
        self._pods: dict[Key, PodLife] = {}

    async def run(self) -> None:
        """Start, wake and end pods as the store changes; until cancelled, which ends them all at once."""
        try:
            with self._store.watching() as watch:
                while True:
                    self._note(await watch.take())
        finally:
            for pod in self._pods.values():
                pod.task.cancel()
            await asyncio.gather(*(pod.task for pod in self._pods.values()), return_exceptions=True)

    async def stop_all(self, grace: float) -> None:
        """End all pods, each with SIGTERM, at most `grace` seconds and SIGKILL."""
        pods = list(self._pods.values())
        for pod in pods:
            pod.grace = min(pod.grace, grace)
            self._store.delete(pod.key)
        await asyncio.gather(*(pod.task for pod in pods), return_exceptions=True)

    def log_of(self, pod: Key) -> Path:
        """Where the output of a pod goes."""
        return self._node.log_of(pod)

    def _note(self, key: Key) -> None:
        if key.kind in {Kind.CONFIG_MAP, Kind.SECRET}:
            for pod in self._pods.values():
                pod.inputs.set()
        if key.kind != Kind.POD:
            return
        obj = self._store.read(key)
        if obj is None and not self._node.options.keep_logs:
            remove_log(self._node.log_of(key))
        if obj is None or rules.is_finished(obj):
            return
        known = self._pods.get(key)
        if known is None:
            known = self._pods[key] = self._begin(key, obj)
        if "deletionTimestamp" in obj["metadata"]:
            known.deleted.set()

    def _begin(self, key: Key, pod: Object) -> PodLife:
        life = PodLife(key, pod, self._node)
        life.task.add_done_callback(lambda task: self._ended(key, task))
        return life

    def _ended(self, key: Key, task: asyncio.Task[None]) -> None:
        self._pods.pop(key, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s: a fault of loadgate's own", key, exc_info=error)
