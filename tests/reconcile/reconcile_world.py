"""A world in memory for the reconciler: a cluster with a Job controller and a garbage collector, and runners that keep
the control contract, all moved by hand. It can go wrong in every way that histories are made of.
"""

from __future__ import annotations

import asyncio
import base64
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
import zstandard

from loadgate.control import LOG_PREFIX, BlockReport, BlockState, RunnerReport, RunnerState
from loadgate.metrics import Health, IterationStats, Measurement, RequestStats, Snapshot
from loadgate.plan import Plan, Targets
from loadgate.report.result import Result
from loadgate_operator.cluster.port import ClusterError, ConflictError, GoingError, Key, Kind, RefusedError
from loadgate_operator.collect.client import RunnerFaultError
from loadgate_operator.collect.collector import Collector
from loadgate_operator.manifests import names
from loadgate_operator.manifests.configs import PLAN_KEY, result_bytes
from loadgate_operator.manifests.job import RunnerSettings
from loadgate_operator.reconcile.errors import TryAgainError
from loadgate_operator.reconcile.ledger import ANNOTATION, Ledger
from loadgate_operator.reconcile.model import Settings
from loadgate_operator.reconcile.reconciler import Options, Reconciler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from loadgate.api.conditions import Phase
    from loadgate_operator.collect.answers import Runner

NAMESPACE, NAME = "default", "checkout"
TEST = Key(Kind.LOAD_TEST, NAMESPACE, NAME)
BUDGET = Key(Kind.PERFORMANCE_BUDGET, NAMESPACE, "shop")
BEGIN = 1_764_000_000.0
WHOLE = 100
"""Requests and iterations of a runner that did its whole share."""
GRACE = 10.0
"""Seconds that a deleted pod takes to be gone."""


def copied(obj: Any) -> Any:
    """A copy that shares nothing; objects are JSON, which is copied fastest as such."""
    return orjson.loads(orjson.dumps(obj))


def timestamp(seconds: float) -> str:
    """As Kubernetes writes it, but to the microsecond, so that order can be told."""
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat().replace("+00:00", "Z")


def load_test(**spec: Any) -> dict[str, Any]:
    """A LoadTest of two runners that makes 20 s of load."""
    steps = [{"request": {"name": "home", "url": "/"}}]
    scenario = {"name": "browse", "executor": "constant-vus", "vus": 4, "duration": "20s", "gracefulStop": "3s"}
    return {
        "apiVersion": "loadgate.dev/v1alpha1",
        "kind": "LoadTest",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"app": "shop"}},
        "spec": {
            "target": {"url": "http://127.0.0.1:1"},
            "runners": {"count": 2},
            "scenarios": [{**scenario, "steps": steps}],
            "thresholds": {"http_req_duration": ["p(95)<500"]},
            **spec,
        },
    }


def budget(**spec: Any) -> dict[str, Any]:
    """A budget that judges the test by its label."""
    return {
        "apiVersion": "loadgate.dev/v1alpha1",
        "kind": "PerformanceBudget",
        "metadata": {"name": BUDGET.name, "namespace": NAMESPACE},
        "spec": {"selector": {"matchLabels": {"app": "shop"}}, "responseTime": {"*": {"p95": "300ms"}}, **spec},
    }


def config_map(name: str, **data: str) -> dict[str, Any]:
    """A user's ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": NAMESPACE}, "data": data}


class Crash(BaseException):
    """The operator dies: nothing of ours catches it."""


@dataclass
class Pod:
    """A pod of a Job with the runner in it; `ends_at` is when its load is over, `gone_at` when the pod is."""

    run: str
    index: int
    uid: str
    name: str
    runners: int
    arms_at: float
    duration: float
    has_setup: bool
    state: RunnerState = RunnerState.ARMING
    phase: str = "Running"
    begins_at: float | None = None
    offset: float = 0.0
    begins: int = 0
    ends_at: float | None = None
    finished_at: float | None = None
    done: float = 0.0
    complete: bool = False
    setup: BlockState = BlockState.NONE
    setup_ends_at: float = 0.0
    setups: int = 0
    teardown: BlockState = BlockState.NONE
    teardowns: int = 0
    teardown_hangs: bool = False
    mute_until: float = 0.0
    deleting_at: float | None = None
    stuck: bool = False
    slow_to_end: float = 0.0
    message: str = ""
    log: str = ""
    denied: int = 0
    left_with: float | None = None
    """Its runner has ended, and a sidecar goes on; seconds that its node's clock is ahead."""
    slow_ms: int = 100

    @property
    def loads(self) -> bool:
        """Whether it makes load now."""
        return self.phase == "Running" and self.state in (RunnerState.RUNNING, RunnerState.STOPPING)

    def containers(self, now: float) -> list[dict[str, Any]]:
        """As the node tells of them, by its own clock; of a runner's pod in which something else goes on."""
        if self.left_with is None:
            return []
        ended = {"exitCode": 1, "reason": "Error", "finishedAt": timestamp(now + self.left_with)}
        return [
            {"name": "runner", "state": {"terminated": ended}},
            {"name": "agent", "state": {"running": {}}, "ready": True},
        ]

    def deny(self, now: float) -> None:
        """It was led to where load may not go: it denies the connection and ends by itself."""
        self.denied += 1
        if self.state is RunnerState.RUNNING:
            self.state, self.ends_at = RunnerState.STOPPING, min(self.ends_at or now, now + 3)

    def step(self, now: float) -> None:
        """What happens by itself until `now`."""
        if self.phase != "Running":
            return
        if self.state is RunnerState.ARMING and now >= self.arms_at:
            self.state = RunnerState.ARMED
        if self.setup is BlockState.RUNNING and now >= self.setup_ends_at:
            self.setup = BlockState.FAILED if self.message else BlockState.DONE
        if self.teardown is BlockState.RUNNING and not self.teardown_hangs:
            self.teardown = BlockState.DONE
        if self.state is RunnerState.ARMED and self.begins_at is not None and now >= self.begins_at:
            self.state = RunnerState.RUNNING
            self.begins += 1
            self.ends_at = self.begins_at + max(self.duration - self.offset, 0.0) + self.slow_to_end
        if self.loads and not self.stuck and self.ends_at is not None and now >= self.ends_at:
            self.finish(self.ends_at, complete=self.state is RunnerState.RUNNING)

    def finish(self, at: float, *, complete: bool) -> None:
        """The load is over, whole or not."""
        self.done = self.share(at)
        self.complete = complete
        self.state, self.finished_at = RunnerState.FINISHED, at

    def share(self, now: float) -> float:
        """The part of its load that is done."""
        if self.state is RunnerState.FINISHED:
            return self.done
        if self.begins_at is None or not self.begins:
            return 0.0
        return min(max((now - self.begins_at) / self.duration, 0.0), 1.0)

    def measurement(self, now: float) -> Measurement:
        """What it measured so far."""
        n = round(WHOLE * self.share(now))
        out = Measurement(elapsed=self.duration * self.share(now), vus=2 if self.loads else 0, vus_max=2)
        if n:
            times = RequestStats()
            times.duration.record(self.slow_ms * 1000, n)
            tags = (("expected_response", "true"), ("name", "home"), ("scenario", "browse"), ("status", "200"))
            out.requests[tags] = times
            out.iterations[(("scenario", "browse"),)] = IterationStats(completed=n)
        return out

    def snapshot(self, now: float) -> Snapshot:
        """As it would send it."""
        return Snapshot(
            run=self.run,
            runner=self.index,
            uid=self.uid,
            sequence=1_000_000 if self.state is RunnerState.FINISHED else round(now - BEGIN),
            clock=now,
            state=self.state.value,
            elapsed=self._elapsed(self.finished_at or now),
            complete=self.complete,
            measurement=self.measurement(now),
            health=Health(denied=self.denied, first_denied="load may not go to evil.example" if self.denied else ""),
        )

    def _elapsed(self, now: float) -> float:
        return 0.0 if self.begins_at is None else max(0.0, now - self.begins_at + self.offset)

    def report(self, now: float) -> RunnerReport:
        """As it would answer."""
        failed = self.message if self.setup is BlockState.FAILED else ""
        values = {"id": "s3cret"} if self.setup is BlockState.DONE else {}
        return RunnerReport(
            run=self.run,
            index=self.index,
            uid=self.uid,
            state=self.state,
            message=self.message,
            sequence=self.snapshot(now).sequence,
            clock=now,
            setup=BlockReport(self.setup, values, failed),
            teardown=BlockReport(self.teardown),
        )


@dataclass
class World:
    """Everything outside of the operator, and the operator in it. Time moves only by `advance`.

    `crashes` is how likely each change that the operator makes is its last, `losses` how likely a message to a runner,
    or its answer, doesn't arrive.
    """

    now: float = BEGIN
    objects: dict[Key, dict[str, Any]] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    ever: list[Pod] = field(default_factory=list)
    count: int = 0
    crash_after: int | None = None
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    crashes: float = 0.0
    losses: float = 0.0
    lose_messages: int = 0
    lose_answers: int = 0
    refuse_statuses: int = 0
    refuse_jobs: bool = False
    refuse_results: bool = False
    refuse_events: bool = False
    going: bool = False
    """The namespace is being deleted: pods go, nothing is made, and a Job's pods stay as long as it does."""
    setup_fails: bool = False
    cannot_arm: bool = False
    slow_ms: int = 100
    statuses: list[dict[str, Any]] = field(default_factory=list)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    starts: list[tuple[str, int, str]] = field(default_factory=list)
    watch_ends: bool = False
    targets: tuple[str, ...] = ()
    made_under: set[tuple[str, ...]] = field(default_factory=set)
    changes: asyncio.Queue[Key] = field(default_factory=asyncio.Queue)
    acks: set[tuple[str, bool]] = field(default_factory=set)
    watchers: list[Callable[[World], None]] = field(default_factory=list)
    live_writes: float = Options.live_writes
    calls: Counter[str] = field(default_factory=Counter)
    """What was asked of the API server; reads come from a cache, but for those that are counted here."""
    settings: RunnerSettings = field(default_factory=RunnerSettings)

    def __post_init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.restart()

    def close(self) -> None:
        """Let go of the loop."""
        self.loop.close()

    def restart(self) -> None:
        """A new operator that remembers nothing."""
        self.collector = Collector(_Client(self), lambda: self.now)
        options = Options(settings=Settings(targets=Targets(self.targets)), live_writes=self.live_writes)
        self.operator = Reconciler(_Port(self), self.collector, self.settings, clock=lambda: self.now, options=options)

    # what users do

    def put(self, obj: dict[str, Any]) -> None:
        """Create or change an object, as a user does."""
        self.apply(obj)

    def edit(self, change: Callable[[dict[str, Any]], None], key: Key = TEST) -> None:
        """Change an object's manifest in place, if it is there."""
        if key in self.objects:
            obj = copied(self.objects[key])
            change(obj)
            obj.pop("status", None)
            self.apply(obj)

    def changed(self, key: Key) -> None:
        """Tell a watch of a change."""
        self.changes.put_nowait(key)

    def delete_namespace(self) -> None:
        """As the namespace controller begins: with the pods, of which it waits for the last."""
        self.going = True
        for pod in self.pods.values():
            pod.deleting_at = self.now if pod.deleting_at is None else pod.deleting_at

    def interrupt(self) -> None:
        """Whoever runs the operator calls the test's run off."""

        async def call() -> None:
            self.operator.interrupt(TEST)

        self.loop.run_until_complete(call())

    # what the cluster does

    def apply(self, obj: dict[str, Any]) -> dict[str, Any]:
        """Server-side apply with one field manager."""
        obj = copied(obj)
        meta = obj["metadata"]
        key = Key(Kind(obj["kind"]), meta.get("namespace", NAMESPACE), meta["name"])
        before = self.objects.get(key)
        if "uid" in meta and (before is None or before["metadata"]["uid"] != meta["uid"]):
            raise ConflictError(f"{key} is another one")
        if before is None:
            if key.kind is Kind.JOB:
                self.made_under.add(self.targets)
            self.count += 1
            meta |= {"uid": f"u{self.count}", "generation": 1, "creationTimestamp": timestamp(self.now)}
            if key.kind in (Kind.LOAD_TEST, Kind.PERFORMANCE_BUDGET):
                obj["status"] = {"observedGeneration": -1}
        else:
            old = before["metadata"]
            meta |= {name: old[name] for name in ("uid", "creationTimestamp", "deletionTimestamp") if name in old}
            meta["generation"] = old["generation"] + (before.get("spec") != obj.get("spec"))
            if "status" in before:
                obj["status"] = before["status"]
        self.objects[key] = obj
        return copied(obj)

    def remove(self, key: Key) -> None:
        """Delete an object, and with it all that it owns; a pod takes its time."""
        if key.kind is Kind.POD:
            pod = next((pod for pod in self.pods.values() if pod.name == key.name), None)
            if pod and pod.deleting_at is None:
                pod.deleting_at = self.now
            return
        gone = self.objects.pop(key, None)
        if gone is None:
            return
        uid = gone["metadata"]["uid"]
        for other in [k for k, obj in self.objects.items() if uid in _owners(obj)]:
            self.remove(other)
        if key.kind is Kind.JOB:
            for pod in self.pods.values():
                if pod.run == key.name and pod.deleting_at is None:
                    pod.deleting_at = self.now

    def advance(self, seconds: float) -> None:
        """Let time pass: runners run, pods go, Jobs make new ones."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 1.0)
            for pod in list(self.pods.values()):
                pod.step(self.now)
                self._age(pod)
            for key in [key for key in self.objects if key.kind is Kind.JOB]:
                self._control(key)

    def _age(self, pod: Pod) -> None:
        if pod.deleting_at is not None:
            if pod.loads and self.now >= pod.deleting_at + GRACE - 2:
                pod.finish(self.now, complete=False)  # the graceful end after SIGTERM
            held = self.going and Key(Kind.JOB, NAMESPACE, pod.run) in self.objects
            if self.now >= pod.deleting_at + GRACE and not held:
                del self.pods[pod.uid]
        elif pod.finished_at is not None and self.now > pod.finished_at + 900:
            pod.phase = "Succeeded"

    def _control(self, key: Key) -> None:
        """The Job controller: one pod for each index, another one where it failed, up to three times."""
        if self.going:
            return
        job = self.objects[key]
        run, count = key.name, job["spec"]["completions"]
        mine = [pod for pod in self.pods.values() if pod.run == run]
        for index in range(count):
            own = [pod for pod in mine if pod.index == index]
            failed = sum(1 for pod in own if pod.phase == "Failed")
            if any(pod.phase in ("Running", "Succeeded") for pod in own) or failed > 3:
                continue
            self._new_pod(run, index, count)
        exhausted = [i for i in range(count) if sum(p.index == i and p.phase == "Failed" for p in mine) > 3]
        if exhausted and all(p.phase != "Running" for p in mine):
            condition = {"type": "Failed", "status": "True", "reason": "FailedIndexes", "message": "too many"}
            job["status"] = {"conditions": [condition]}

    def plan(self, run: str) -> Plan:
        return Plan.decode(self.objects[Key(Kind.CONFIG_MAP, NAMESPACE, names.plan_name(run))]["data"][PLAN_KEY])

    def _new_pod(self, run: str, index: int, count: int) -> None:
        self.count += 1
        uid = f"p{self.count}"
        pod = Pod(
            run=run,
            index=index,
            uid=uid,
            name=f"{run}-{index}-{uid}",
            runners=count,
            arms_at=self.now + 1 + self.count % 3,
            duration=self.plan(run).duration,
            has_setup=False,
            slow_ms=self.slow_ms,
        )
        if self.cannot_arm:
            pod.state, pod.message = RunnerState.FAILED, "the script doesn't compile"
        self.pods[uid] = pod
        self.ever.append(pod)

    # what the operator does

    def reconcile(self, key: Key = TEST, *, crash_after: int | None = None) -> float | None:
        """One pass; `crash_after` kills the operator after so many changes that it made, or before the status."""
        self.crash_after = crash_after
        try:
            return self.loop.run_until_complete(self.operator.reconcile(key))
        except Crash:
            # What was under way goes with the process.
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.run_until_complete(asyncio.sleep(0))
            self.restart()
            return 0.0
        except (ClusterError, TryAgainError):
            return 0.5
        finally:
            self.crash_after = None

    def settle(self, limit: int = 400) -> dict[str, Any]:
        """Pass after pass, with time between them as asked for, until nothing is asked for soon; the status then."""
        for _ in range(limit):
            after = self.reconcile()
            self.reconcile(BUDGET)
            if after is None or after > 60:
                return self.status
            self.advance(max(after, 0.01))
        raise AssertionError(f"no end: {self.status}")

    def until(self, phase: Phase, limit: int = 200) -> dict[str, Any]:
        """Pass after pass until the status says this phase."""
        for _ in range(limit):
            after = self.reconcile()
            if self.status.get("phase") == phase:
                return self.status
            self.advance(max(after or 0.0, 0.01))
        raise AssertionError(f"never {phase}: {self.status}")

    def touch(self) -> None:
        """Before each change that the operator makes: it may die here."""
        if self.chance.random() < self.crashes:
            raise Crash
        if self.crash_after is not None:
            if self.crash_after <= 0:
                raise Crash
            self.crash_after -= 1

    # what can be seen

    @property
    def status(self) -> dict[str, Any]:
        """The LoadTest's status."""
        return (self.objects.get(TEST) or {}).get("status") or {}

    @property
    def conditions(self) -> dict[str, tuple[str, str]]:
        """Type -> (status, reason)."""
        return {one["type"]: (one["status"], one["reason"]) for one in self.status.get("conditions") or ()}

    def message(self, kind: str) -> str:
        """What a condition says to people."""
        return next(one["message"] for one in self.status["conditions"] if one["type"] == kind)

    def jobs(self) -> list[str]:
        """The names of all Jobs."""
        return [key.name for key in self.objects if key.kind is Kind.JOB]

    def ledger(self, job: str) -> Ledger:
        """What the operator has put down on a Job."""
        obj = self.objects.get(Key(Kind.JOB, NAMESPACE, job))
        text = ((obj or {}).get("metadata", {}).get("annotations") or {}).get(ANNOTATION)
        return Ledger.decode(text) if text else Ledger()

    def result(self) -> Result | None:
        """The stored result that the status points to."""
        name = ((self.status.get("result") or {}).get("configMapRef") or {}).get("name")
        stored = self.objects.get(Key(Kind.CONFIG_MAP, NAMESPACE, name)) if name else None
        data = result_bytes(stored) if stored else None
        return Result.decode(data) if data else None

    def results(self) -> list[str]:
        """The names of all stored results."""
        return sorted(key.name for key in self.objects if key.kind is Kind.CONFIG_MAP and key.name.endswith("-result"))

    def is_kept(self, run: str) -> bool:
        """Whether the result of a run is stored."""
        stored = [obj for key, obj in self.objects.items() if key.kind is Kind.CONFIG_MAP and "binaryData" in obj]
        return any(obj["metadata"]["labels"][names.RUN_LABEL] == run for obj in stored)

    def live(self) -> list[Pod]:
        """Pods that are there and not over, by index."""
        return sorted(
            (pod for pod in self.pods.values() if pod.phase == "Running"), key=lambda pod: (pod.index, pod.uid)
        )


def _owners(obj: Mapping[str, Any]) -> list[str]:
    return [owner["uid"] for owner in obj["metadata"].get("ownerReferences") or ()]


class _Port:
    """The cluster's port onto the world."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def read(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        return copied(self._world.objects.get(Key(kind, namespace, name)))

    async def list(self, kind: Kind, namespace: str, labels: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        if kind is Kind.EVENT:
            self._world.calls["list events"] += 1
        found = self._pods() if kind is Kind.POD else self._objects(kind, namespace)
        wanted = (labels or {}).items()
        return [copied(obj) for obj in found if wanted <= (obj["metadata"].get("labels") or {}).items()]

    def _objects(self, kind: Kind, namespace: str) -> Iterator[dict[str, Any]]:
        return (obj for key, obj in sorted(self._world.objects.items()) if key[:2] == (kind, namespace))

    def _pods(self) -> Iterator[dict[str, Any]]:
        for pod in self._world.pods.values():
            deleting = {} if pod.deleting_at is None else {"deletionTimestamp": timestamp(pod.deleting_at)}
            yield {
                "kind": "Pod",
                "metadata": {
                    "name": pod.name,
                    "namespace": NAMESPACE,
                    "uid": pod.uid,
                    "labels": {**names.labels(NAME, pod.run, component="runner"), names.INDEX_LABEL: str(pod.index)},
                    "creationTimestamp": timestamp(BEGIN),
                    **deleting,
                },
                "spec": {"nodeName": "node-1"},
                "status": {"phase": pod.phase, "containerStatuses": pod.containers(self._world.now)},
            }

    async def apply(self, obj: dict[str, Any]) -> dict[str, Any]:
        self._world.calls[f"apply {obj['kind']}"] += 1
        self._world.touch()
        if self._world.going and "uid" not in obj["metadata"]:
            raise GoingError("the namespace is being terminated")
        if (self._world.refuse_jobs and obj["kind"] == "Job") or (self._world.refuse_results and "binaryData" in obj):
            raise RefusedError("no pods here")
        return self._world.apply(obj)

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str | None = None) -> None:
        self._world.calls[f"delete {kind}"] += 1
        self._world.touch()
        self._world.remove(Key(kind, namespace, name))

    async def write_status(self, key: Key, status: Mapping[str, Any], *, version: str | None = None) -> None:
        self._world.calls["write status"] += 1
        self._world.touch()
        if self._world.refuse_statuses:
            self._world.refuse_statuses -= 1
            raise ClusterError("the API server is away")
        obj = self._world.objects.get(key)
        if obj is not None:
            obj["status"] = copied(dict(status))
            if key.kind is Kind.LOAD_TEST:
                self._world.statuses.append(obj["status"])
                for watcher in self._world.watchers:
                    watcher(self._world)

    async def record_event(self, about: dict[str, Any], event_type: str, reason: str, message: str) -> None:
        self._world.calls["record event"] += 1
        if self._world.refuse_events:
            raise RefusedError("events are forbidden")
        self._world.events.append((event_type, reason, message))

    async def is_going(self, namespace: str) -> bool:
        self._world.calls["ask whether it goes"] += 1
        return self._world.going

    def address(self, pod: dict[str, Any]) -> str | None:
        return f"http://{pod['metadata']['uid']}"

    async def logs(self, pod: dict[str, Any], *, limit: int = 1 << 20) -> str:
        self._world.calls["logs"] += 1
        seen = self._world.pods[pod["metadata"]["uid"]]
        if seen.phase != "Succeeded":
            return "killed"
        line = base64.b64encode(zstandard.compress(seen.snapshot(self._world.now).encode())).decode()
        return f"hello\n{LOG_PREFIX}{line}\n"

    async def watch(self) -> AsyncIterator[Key]:
        for key in list(self._world.objects):
            yield key
        while not self._world.watch_ends:
            yield await self._world.changes.get()


class _Client:
    """Calls of the control contract, answered by the world's runners."""

    def __init__(self, world: World) -> None:
        self._world = world

    def _runner(self, runner: Runner) -> Pod:
        pod = self._world.pods.get(runner.uid)
        if pod is None or pod.phase != "Running" or self._world.now < pod.mute_until:
            raise RunnerFaultError("connection refused")
        return pod

    def _answer(self, pod: Pod) -> RunnerReport:
        if self._world.lose_answers or self._world.chance.random() < self._world.losses:
            self._world.lose_answers = max(0, self._world.lose_answers - 1)
            raise RunnerFaultError("no answer within 5s")
        return pod.report(self._world.now)

    def _told(self, runner: Runner) -> Pod:
        self._world.touch()
        pod = self._runner(runner)
        if self._world.lose_messages or self._world.chance.random() < self._world.losses:
            self._world.lose_messages = max(0, self._world.lose_messages - 1)
            raise RunnerFaultError("reset")
        return pod

    async def state(self, runner: Runner) -> RunnerReport:
        return self._answer(self._runner(runner))

    async def snapshot(self, runner: Runner, view: str) -> Snapshot:
        pod = self._runner(runner)
        self._answer(pod)
        return pod.snapshot(self._world.now)

    async def setup(self, runner: Runner) -> RunnerReport:
        pod = self._told(runner)
        if pod.setup is BlockState.NONE:
            pod.setup, pod.setup_ends_at = BlockState.RUNNING, self._world.now + 2
            pod.setups += 1
            pod.message = "POST /seed answered 500" if self._world.setup_fails else ""
        return self._answer(pod)

    async def start(self, runner: Runner, message: Callable[[], Any]) -> RunnerReport:
        pod, start = self._told(runner), message()
        ledger = self._world.ledger(pod.run)
        assert pod.uid in ledger.chosen, "only chosen pods are told to start"
        assert ledger.end is None, "nobody is told to start once the end is put down"
        assert not ledger.setup or start.setup == {"id": "s3cret"}, "every runner begins with what setup extracted"
        if pod.state is RunnerState.ARMED and pod.begins_at is None:
            pod.begins_at, pod.offset = self._world.now + start.in_seconds, start.offset
            self._world.starts.append((pod.run, pod.index, pod.uid))
        return self._answer(pod)

    async def stop(self, runner: Runner, message: Any) -> RunnerReport:
        pod, now = self._told(runner), self._world.now
        at_once = pod.loads and not message.graceful
        if pod.stuck:
            return self._answer(pod)
        if at_once or pod.state in (RunnerState.ARMING, RunnerState.ARMED):
            pod.finish(now, complete=False)
        elif pod.state is RunnerState.RUNNING:
            pod.state, pod.ends_at = RunnerState.STOPPING, min(pod.ends_at or now, now + 3)
        return self._answer(pod)

    async def teardown(self, runner: Runner, message: Any) -> RunnerReport:
        pod = self._told(runner)
        if pod.teardown is BlockState.NONE:
            pod.teardown = BlockState.RUNNING
            pod.teardowns += 1
        return self._answer(pod)

    async def ack(self, runner: Runner, sequence: int) -> RunnerReport:
        pod = self._told(runner)
        answer = self._answer(pod)
        if pod.state is RunnerState.FINISHED and sequence >= answer.sequence:
            self._world.acks.add((pod.run, self._world.is_kept(pod.run)))
            pod.phase = "Succeeded"
        return answer
