"""The whole operator in one process, with a cluster of its own: what `loadgate run`, `up` and `demo` stand on.

It is the same reconciler that runs in Kubernetes; only what it acts on is in memory, and its pods are processes.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from loadgate.api.conditions import ConditionType, Outcome, Phase, Reason
from loadgate.api.validate import validate_loadtest
from loadgate.plan import Targets
from loadgate.report.result import Result
from loadgate.verdict import totals
from loadgate_operator.cluster.local import LocalCluster, LocalOptions
from loadgate_operator.cluster.local.pods import programs
from loadgate_operator.cluster.port import ClusterError, Key, Kind, Object
from loadgate_operator.collect import Collector, Runner, RunnerClient
from loadgate_operator.manifests import names
from loadgate_operator.manifests.configs import result_bytes, result_config_map, token_of
from loadgate_operator.manifests.job import RunnerSettings, pod_index
from loadgate_operator.reconcile.model import Settings
from loadgate_operator.reconcile.reconciler import Options as ReconcilerOptions
from loadgate_operator.reconcile.reconciler import Reconciler
from loadgate_operator.serve import serving
from loadgate_operator.steady import SteadyClock
from loadgate_operator.telemetry import OperatorMetrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    from loadgate.metrics import Measurement
    from loadgate_operator.cluster.local.store import Watch

_SETTINGS = Settings(live=1.0, start_lead=0.5)
"""There is someone who watches, and start messages have no farther to go than loopback."""

_HURRIED = 5.0
"""Seconds for runners that are stopped at once to hand over what they have."""

_BEFORE_TESTS = {Kind.CONFIG_MAP, Kind.SECRET, Kind.PERFORMANCE_BUDGET}


class EmbeddedError(ClusterError):
    """The operator itself broke down; its log says over what."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the embedded operator runs. Times are seconds."""

    logs: Path | None = None
    """Where runners' logs are written; None: in a private folder, gone at the end."""
    keep_logs: bool = True
    """Whether logs in a folder of one's own outlive their pods; not for an operator that goes on for months."""
    stop_grace: float = 30.0
    """How long a pod gets between SIGTERM and SIGKILL, at most."""
    metrics_address: tuple[str, int] | None = None
    """Where `/metrics` and `/healthz` are served; None: nowhere."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What every runner's process gets in its environment besides what its Job says."""
    targets: Targets = field(default_factory=Targets)
    """Where load may go."""
    programs: Mapping[str, tuple[str, ...]] = field(default_factory=programs)
    """What the programs of the runners' image are on this machine."""


@dataclass(frozen=True)
class Progress:
    """How a test stands now. Times are seconds; `None` where there is nothing to say yet.

    `percent` is of the planned time; `elapsed` counts from the planned start of the load. `requests_per_second` is the
    present rate, the other figures are of all judged samples so far.
    """

    status: dict[str, Any]
    phase: str
    percent: float
    elapsed: float
    vus: int
    requests_per_second: float
    requests: int
    p95: float | None
    failed_rate: float | None
    measurement: Measurement | None


class Embedded:
    """An operator and its cluster, for as long as a `with` block: afterwards no process and no file is left."""

    def __init__(self, options: Options | None = None) -> None:
        self._options = options or Options()
        self._metrics = OperatorMetrics()
        clock = SteadyClock()
        self._cluster = LocalCluster(self._local_options(), clock)
        self._client = RunnerClient()
        self._collector = Collector(self._client, clock, self._metrics.scraped)
        self._reconciler = Reconciler(
            self._cluster,
            self._collector,
            RunnerSettings(),
            clock=clock,
            options=ReconcilerOptions(
                settings=replace(_SETTINGS, targets=self._options.targets), reconciled=self._metrics.reconciled
            ),
        )
        self._loops: list[asyncio.Task[None]] = []
        self._stack = contextlib.AsyncExitStack()
        self.metrics_url: str | None = None
        """Where metrics are served, if they are."""

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            address = self._options.metrics_address
            if address is not None:
                # First of all: a port in use is a mistake to hear of before anything has begun.
                serve = serving(address, self._metrics.render, self._reconciler.healthy)
                self.metrics_url = await stack.enter_async_context(serve)
            await stack.enter_async_context(self._cluster)
            await stack.enter_async_context(self._client)
            self._loops = [asyncio.create_task(loop) for loop in (self._reconciler.run(), self._observe())]
            stack.push_async_callback(_end, self._loops)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def apply(self, objects: Iterable[Object]) -> None:
        """Create objects, or make them so; what tests refer to first. Raises RefusedError for what no cluster takes."""
        for obj in sorted(objects, key=lambda obj: obj.get("kind") not in _BEFORE_TESTS):
            await self._cluster.apply(obj)

    def recall(self, obj: Object, status: Mapping[str, Any], result: Result | None) -> None:
        """Create a test as an earlier operator left it, so that only what changed since then runs or is judged again.

        A run that was under way then is lost with its processes: it counts as called off, and another begins. Raises
        RefusedError as `apply` does.
        """
        stored = self._cluster.store.apply(obj)
        key = Key(Kind(stored["kind"]), stored["metadata"]["namespace"], stored["metadata"]["name"])
        self._cluster.store.write_status(key, recalled(status, stored["metadata"]["generation"]))
        if result is not None:
            test = validate_loadtest(stored)
            self._cluster.store.apply(result_config_map(test, result.run.id, result.run.number, result.encode()))

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        """Remove an object and all that belongs to it; a run of it is stopped."""
        await self._cluster.delete(Kind(kind), namespace, name)

    def read(self, kind: str, namespace: str, name: str) -> Object | None:
        """The object with its status, or None."""
        return self._cluster.store.read(Key(Kind(kind), namespace, name))

    def objects(self, kind: str) -> list[Object]:
        """All objects of a kind, with their statuses."""
        return self._cluster.store.list(Kind(kind), "")

    def status(self, kind: str, namespace: str, name: str) -> dict[str, Any]:
        """The object's status; {} where there is none."""
        return (self.read(kind, namespace, name) or {}).get("status") or {}

    async def follow(self, key: Key, *, every: float = 0.5) -> AsyncIterator[Progress]:
        """How a test stands, at each change and every `every` seconds, until nothing more will happen by itself."""
        with self._cluster.store.watching() as watch:
            while True:
                yield self._progress(key)
                if is_settled(self.read(*key)):
                    return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(every):
                        while await self._next(watch) != key:
                            pass

    async def wait(self, key: Key) -> dict[str, Any]:
        """The status of a test when nothing more will happen by itself; {} when it is deleted meanwhile."""
        return await self._until(key, lambda _: False)

    async def changes(self) -> AsyncIterator[Key]:
        """Every key whose object or status changes, beginning with all there are."""
        async for key in self._cluster.watch():
            yield key

    async def stop(self, *, graceful: bool = True) -> None:
        """Call off all that runs, keep what was measured, and judge it; returns when all runs are over.

        Their verdict is Inconclusive at best, with the doubt Interrupted. Gracefully, iterations under way may end;
        otherwise runners get a moment to hand over what they have.
        """
        running = [key for key in self._tests() if not is_settled(self.read(*key))]
        for key in running:
            self._reconciler.interrupt(key)
        if not graceful:
            try:
                async with asyncio.timeout(_HURRIED):
                    await asyncio.gather(*(self._hurry(key) for key in running))
            except TimeoutError:
                await self._cluster.stop_pods(grace=0.0)
        await asyncio.gather(*(self.wait(key) for key in running))

    async def result(self, key: Key) -> Result | None:
        """The result of a test's last finished run. Raises ResultError where it is damaged."""
        reference = self.status(*key).get("result") or {}
        name = (reference.get("configMapRef") or {}).get("name")
        stored = self.read(Kind.CONFIG_MAP, key.namespace, name) if name else None
        data = result_bytes(stored) if stored else None
        return Result.decode(data) if data is not None else None

    def logs(self, key: Key) -> list[Path]:
        """The logs of the runners of a test's pods that are there."""
        wanted = {names.TEST_LABEL: names.shorten(key.name)}
        pods = self._cluster.store.list(Kind.POD, key.namespace, wanted)
        return [path for pod in pods if (path := self._cluster.log_path(pod)).exists()]

    async def _hurry(self, key: Key) -> None:
        """Have the runners of a test end at once, which still hand over what they have, and wait for its end."""
        # Only once it is put down why the run ends: else runners that end now would count as lost.
        await self._until(key, _is_stopping)
        run = (self.status(*key).get("run") or {}).get("id", "")
        secret = self.read(Kind.SECRET, key.namespace, names.token_name(run)) or {}
        pods = self._cluster.store.list(Kind.POD, key.namespace, names.run_selector(run))
        runners = [
            Runner(run, pod_index(pod) or 0, pod["metadata"]["uid"], url, token_of(secret) or "")
            for pod in pods
            if (url := self._cluster.address(pod))
        ]
        await self._collector.stop(runners, graceful=False, reason="stopped at once by hand")
        await self.wait(key)

    async def _until(self, key: Key, enough: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
        """The first status that is enough, or after which nothing more will happen by itself."""
        with self._cluster.store.watching() as watch:
            while not (is_settled(self.read(*key)) or enough(self.status(*key))):
                await self._next(watch)
        return self.status(*key)

    async def _next(self, watch: Watch) -> Key:
        """What changes next. Raises EmbeddedError where nothing will, since one of our own loops has ended."""
        taking = asyncio.create_task(watch.take())
        try:
            await asyncio.wait({taking, *self._loops}, return_when=asyncio.FIRST_COMPLETED)
            if broken := next((loop for loop in self._loops if loop.done()), None):
                error = None if broken.cancelled() else broken.exception()
                raise EmbeddedError("the embedded operator broke down") from error
            return taking.result()
        finally:
            taking.cancel()

    def _local_options(self) -> LocalOptions:
        options = self._options
        return LocalOptions(
            logs=options.logs,
            keep_logs=options.keep_logs,
            stop_grace=options.stop_grace,
            environment=options.environment,
            programs=options.programs,
        )

    def _tests(self) -> list[Key]:
        return [
            Key(Kind.LOAD_TEST, obj["metadata"]["namespace"], obj["metadata"]["name"])
            for obj in self.objects(Kind.LOAD_TEST)
        ]

    async def _observe(self) -> None:
        async for key in self._cluster.watch():
            self._metrics.observe(key, self.read(*key))

    def _progress(self, key: Key) -> Progress:
        status = self.status(*key)
        run = (status.get("run") or {}).get("id", "")
        snapshots = self._collector.snapshots(run)
        measured = self._collector.merged(run) if snapshots else None
        figures = totals(measured) if measured is not None else None
        return Progress(
            status=status,
            phase=str(status.get("phase") or Phase.Pending.value),
            percent=float(status.get("progress") or 0),
            elapsed=max((snapshot.elapsed for snapshot in snapshots), default=0.0),
            vus=measured.vus if measured is not None else 0,
            requests_per_second=self._collector.rate(run),
            requests=figures.requests if figures else 0,
            p95=figures.quantile(0.95) if figures else None,
            failed_rate=figures.failed_rate if figures else None,
            measurement=measured,
        )


def is_settled(obj: Object | None) -> bool:
    """Whether nothing more will happen to a test by itself: its verdict is final, or it waits for someone to act."""
    if obj is None:
        return True
    status = obj.get("status") or {}
    if status.get("observedGeneration") != obj["metadata"].get("generation"):
        return False
    final = {ConditionType.Complete.value, ConditionType.Stalled.value}
    return any(one["type"] in final and one["status"] == "True" for one in status.get("conditions") or ())


def _is_stopping(status: Mapping[str, Any]) -> bool:
    return any(one["reason"] == Reason.Stopping.value for one in status.get("conditions") or ())


def recalled(status: Mapping[str, Any], generation: int) -> dict[str, Any]:
    """A status of an earlier operator's object as that of one with this generation."""
    run = status.get("run") or {}
    if run and not run.get("verdict"):
        lost = {**run, "verdict": Outcome.Aborted.value}
        return {"phase": Phase.Aborted.value, "run": lost, "history": status.get("history") or []}
    conditions = [{**one, "observedGeneration": generation} for one in status.get("conditions") or ()]
    return {**status, "observedGeneration": generation, "conditions": conditions}


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
