"""A pod as a child process: what it is started with, and how its end reads in the pod's status."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadgate_operator.cluster.local import environment, rules
from loadgate_operator.cluster.local.files import NotReadyError, mount_all
from loadgate_operator.cluster.local.ports import LOOPBACK, free_port
from loadgate_operator.cluster.local.process import Launch, Process, tail_of
from loadgate_operator.cluster.local.store import timestamp
from loadgate_operator.cluster.port import Kind
from loadgate_operator.manifests.job import CPU_VARIABLE, PORT_VARIABLE, PROGRAM
from loadgate_operator.manifests.names import JOB_LABEL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loadgate_operator.cluster.local.store import Store
    from loadgate_operator.cluster.port import Key, Object

logger = logging.getLogger(__name__)

_MOST_LAST_WORDS = 2048


def programs() -> dict[str, tuple[str, ...]]:
    """What an image's programs are here. Ours dies with us however we die: the kernel tells it.

    It knows by our process id whether that was so already when it began.
    """
    return {PROGRAM: (sys.executable, "-m", "loadgate_runner", f"--die-with-parent={os.getpid()}")}


@dataclass(frozen=True, kw_only=True)
class KubeletOptions:
    """Where pods live and what they run. Times are seconds."""

    root: Path
    logs: Path
    stop_grace: float = 30.0
    """The longest that a pod is waited for between SIGTERM and SIGKILL, whatever it asks for."""
    programs: Mapping[str, tuple[str, ...]] = field(default_factory=programs)
    environment: Mapping[str, str] = field(default_factory=dict)
    keep_logs: bool = False
    """Whether a pod's log outlives the pod."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """What all pods here share."""

    store: Store
    options: KubeletOptions
    clock: Callable[[], float]
    ports: set[int] = field(default_factory=set)

    def log_of(self, pod: Key) -> Path:
        """Where the output of a pod goes."""
        return self.options.logs / f"{pod.namespace}.{pod.name}.log"


class PodLife:
    """One pod's life, as one task: made ready, started, ended, told of in its status."""

    def __init__(self, key: Key, pod: Object, node: Node) -> None:
        self.key = key
        self.grace: float = min(pod["spec"].get("terminationGracePeriodSeconds", 30), node.options.stop_grace)
        self.deleted = asyncio.Event()
        self.inputs = asyncio.Event()
        self._node = node
        self._store = node.store
        self._clock = node.clock
        self._log = node.log_of(key)
        self._port = 0
        self._root = node.options.root / f"{key.namespace}.{key.name}"
        self.task = asyncio.create_task(self._live(), name=str(key))

    async def _live(self) -> None:
        try:
            launch = await self._prepared()
            if launch is not None:
                await self._execute(launch)
        except (OSError, ValueError) as error:  # no such program, no port, a NUL in a variable's value, …
            logger.warning("%s: %s", self.key, error)
            self._set_state("Failed", _ended(128, "StartError", str(error), self._clock()))
        finally:
            shutil.rmtree(self._root, ignore_errors=True)
            self._node.ports.discard(self._port)
            if self.deleted.is_set():
                self._store.remove(self.key)

    async def _prepared(self) -> Launch | None:
        """What to start, as soon as all that it needs is there; None where the pod is deleted before."""
        while not self.deleted.is_set():
            self.inputs.clear()
            pod = self._store.read(self.key)
            if pod is None:
                return None
            try:
                return self._launch(pod)
            except NotReadyError as lack:
                self._set_state("Pending", {"waiting": {"reason": "CreateContainerConfigError", "message": str(lack)}})
            await _first(self.inputs.wait(), self.deleted.wait())
        return None

    def _launch(self, pod: Object) -> Launch:
        container = pod["spec"]["containers"][0]
        self._root.mkdir(mode=0o700, exist_ok=True)
        mounts = mount_all(self._root, pod, container, self._store.read)
        self._take_port()
        addressed = {**pod, "status": {**pod.get("status", {}), "podIP": LOOPBACK, "hostIP": LOOPBACK}}
        asked = environment.resolve(addressed, container, self._store.read) | {PORT_VARIABLE: str(self._port)}
        variables = {name: mounts.translate(value) for name, value in asked.items()}
        words = [environment.expand(word, variables) for word in (*container["command"], *container.get("args", ()))]
        program = self._node.options.programs.get(words[0])
        if program is None:
            raise FileNotFoundError(f"no such program in the image: {words[0]}")
        return Launch(
            arguments=[*program, *map(mounts.translate, words[1:])],
            environment={
                **environment.inherited(),
                "PYTHONUNBUFFERED": "1",
                CPU_VARIABLE: str(self._fair_share(pod)),
                **self._node.options.environment,
                **variables,
            },
            folder=self._root,
            log=self._log,
        )

    def _fair_share(self, pod: Object) -> int:
        """The cores of a pod without a limit: all pods of a Job are on this one machine, and share it."""
        job = (pod["metadata"].get("labels") or {}).get(JOB_LABEL, "")
        siblings = self._store.list(Kind.POD, self.key.namespace, {JOB_LABEL: job})
        return max(1, cores() // max(1, sum(map(rules.is_alive, siblings))))

    def _take_port(self) -> None:
        self._node.ports.discard(self._port)
        self._port = free_port(self._node.ports)
        self._node.ports.add(self._port)

    async def _execute(self, launch: Launch) -> None:
        kills = oom_kills()
        process = await Process.start(launch)
        try:
            self._announce()
            exited = asyncio.ensure_future(process.wait())
            await _first(exited, self.deleted.wait())
            if not exited.done():
                process.terminate()
                await asyncio.wait({exited}, timeout=self.grace)
        finally:
            process.kill()
            code = await asyncio.shield(exited)
        phase = "Succeeded" if code == 0 else "Failed"
        killed_by_kernel = code == -signal.SIGKILL and oom_kills() > kills
        state = _terminated(code, self._clock(), out_of_memory=killed_by_kernel)
        if code != 0 and (words := self._last_words()):
            state["terminated"]["message"] = words
        self._set_state(phase, state)

    def _last_words(self) -> str:
        """The end of the log, where the container asks for it as its termination message."""
        pod = self._store.read(self.key)
        policy = pod["spec"]["containers"][0].get("terminationMessagePolicy") if pod else None
        return tail_of(self._log, _MOST_LAST_WORDS).strip() if policy == "FallbackToLogsOnError" else ""

    def _announce(self) -> None:
        def change(pod: Object) -> None:
            for port in pod["spec"]["containers"][0].get("ports", ()):
                port["hostPort"] = self._port

        self._store.edit(self.key, change)
        self._set_state("Running", {"running": {"startedAt": timestamp(self._clock())}}, podIP=LOOPBACK)

    def _set_state(self, phase: str, state: dict[str, Any], **more: str) -> None:
        pod = self._store.read(self.key)
        if pod is None:
            return
        before = pod.get("status") or {}
        name = pod["spec"]["containers"][0]["name"]
        container = {"name": name, "ready": "running" in state, "restartCount": 0, "state": state}
        started = {"startTime": before.get("startTime", timestamp(self._clock()))}
        status = {**before, **started, **more, "phase": phase, "containerStatuses": [container]}
        self._store.write_status(self.key, status)


async def _first(*awaited: Any) -> None:
    """Wait until one of them is done, and let go of those that are coroutines."""
    tasks = [asyncio.ensure_future(one) for one in awaited]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task, one in zip(tasks, awaited, strict=True):
            if task is not one:
                task.cancel()


def _terminated(code: int, now: float, *, out_of_memory: bool) -> dict[str, Any]:
    """A container's end by its exit code, -N for signal N, as the kubelet tells it."""
    if code >= 0:
        return _ended(code, "Completed" if code == 0 else "Error", "", now)
    name = signal.Signals(-code).name
    ended = _ended(128 - code, "OOMKilled" if out_of_memory else "Error", f"ended by {name}", now)
    ended["terminated"]["signal"] = -code
    return ended


def _ended(code: int, reason: str, message: str, now: float) -> dict[str, Any]:
    state: dict[str, Any] = {"exitCode": code, "reason": reason, "finishedAt": timestamp(now)}
    return {"terminated": {**state, **({"message": message} if message else {})}}


def cores() -> int:
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def oom_kills() -> int:
    """How many processes of our control group the kernel has ended for lack of memory; 0 where that can't be told."""
    try:
        group = Path("/proc/self/cgroup").read_text().strip().rpartition(":")[2]
        lines = Path("/sys/fs/cgroup", group.lstrip("/"), "memory.events").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
