"""What a Job asks for next, as Kubernetes' Job controller reads it: pods by index, retries, deadlines, its status.

`next_step` is pure; `JobController` does what it says. Indexed Jobs only, since a run's Job is one.
"""

from __future__ import annotations

import asyncio
import secrets
import string
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from loadgate_operator.cluster.local import rules
from loadgate_operator.cluster.local.store import timestamp
from loadgate_operator.cluster.port import Key, Kind, Object
from loadgate_operator.manifests.names import INDEX_LABEL, JOB_LABEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from loadgate_operator.cluster.local.store import Store, Watch

LONGEST_BACKOFF = 32.0
"""Seconds: a failed index is tried again after 1 s, then 2 s, and so on up to this."""


_RETRIES = 6


@dataclass(frozen=True)
class JobStep:
    """What is to be done for a Job now, and in how many seconds it is to be looked at again (None: when it changes)."""

    create: list[int] = field(default_factory=list)
    delete: list[str] = field(default_factory=list)
    status: dict[str, Any] = field(default_factory=dict)
    again: float | None = None


@dataclass
class _Indexes:
    """A Job's pods, sorted by what they mean for their index."""

    active: dict[int, list[Object]] = field(default_factory=dict)
    failed: dict[int, list[Object]] = field(default_factory=dict)
    succeeded: set[int] = field(default_factory=set)


def next_step(job: Object, pods: list[Object], now: float) -> JobStep:
    """What the Job controller would do with a Job that has these pods, at `now` (Unix seconds)."""
    spec, status = job["spec"], job.get("status") or {}
    if is_over(job):
        return JobStep(delete=_active_names(pods), status=status)
    if spec.get("suspend"):
        conditions = [_condition("Suspended", "JobSuspended", "Job suspended", now)]
        return JobStep(delete=_active_names(pods), status={"active": 0, "conditions": conditions})
    indexes = _sorted(pods)
    started = status.get("startTime") or timestamp(now)
    base = {"startTime": started, **_counts(indexes, pods)}
    left = spec.get("activeDeadlineSeconds", float("inf")) - (now - _seconds(started))
    if left <= 0:
        message = "Job was active longer than specified deadline"
        return _end(base, pods, _condition("Failed", "DeadlineExceeded", message, now))
    exhausted = {index for index, failures in indexes.failed.items() if _is_exhausted(spec, failures)}
    if exhausted:
        base["failedIndexes"] = intervals(exhausted)
    if len(indexes.succeeded | exhausted) >= spec["completions"]:
        if exhausted:
            return _end(base, pods, _condition("Failed", "FailedIndexes", "Job has failed indexes", now))
        message = "Reached expected number of succeeded pods"
        return _end(base, pods, _condition("Complete", "CompletionsReached", message, now))
    create, wait = _missing(spec, indexes, exhausted, now)
    again = min(left, wait)
    return JobStep(create=create, status=base, again=again if again != float("inf") else None)


def is_over(job: Object) -> bool:
    """Whether the Job ended, in whichever way."""
    return any(
        condition["type"] in {"Complete", "Failed"} and condition["status"] == "True"
        for condition in (job.get("status") or {}).get("conditions") or ()
    )


def intervals(indexes: Iterable[int]) -> str:
    """Numbers as a Job's status writes them: `0-2,5`."""
    runs: list[list[int]] = []
    for index in sorted(indexes):
        if runs and index == runs[-1][-1] + 1:
            runs[-1][1:] = [index]
        else:
            runs.append([index])
    return ",".join("-".join(map(str, run)) for run in runs)


def pod_of(job: Object, index: int) -> Object:
    """A new pod of a Job's index."""
    metadata, template = job["metadata"], job["spec"]["template"]
    tail = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(5))
    own = {JOB_LABEL: metadata["name"], INDEX_LABEL: str(index), "batch.kubernetes.io/controller-uid": metadata["uid"]}
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{metadata['name']}-{index}-{tail}",
            "namespace": metadata["namespace"],
            "labels": {**((template.get("metadata") or {}).get("labels") or {}), **own},
            "annotations": {**annotations, INDEX_LABEL: str(index)},
            "ownerReferences": [
                {
                    "apiVersion": job["apiVersion"],
                    "kind": job["kind"],
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": template["spec"],
    }


class JobController:
    """Keeps every Job of a store as it asks to be."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._timers: dict[Key, asyncio.TimerHandle] = {}

    async def run(self) -> None:
        """Until cancelled."""
        with self._store.watching() as watch:
            while True:
                key = self._job_of(await watch.take())
                if key is not None:
                    self._sync(key, watch)

    def _job_of(self, key: Key) -> Key | None:
        if key.kind == Kind.JOB:
            return key
        pod = self._store.read(key) if key.kind == Kind.POD else None
        name = (pod["metadata"].get("labels") or {}).get(JOB_LABEL) if pod else None
        return Key(Kind.JOB, key.namespace, name) if name else None

    def _sync(self, key: Key, watch: Watch) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        job = self._store.read(key)
        if job is None:
            return
        pods = self._store.list(Kind.POD, key.namespace, {JOB_LABEL: key.name})
        step = next_step(job, [pod for pod in pods if job["metadata"]["uid"] in rules.owner_uids(pod)], self._clock())
        for name in step.delete:
            self._store.delete(Key(Kind.POD, key.namespace, name))
        for index in step.create:
            self._store.apply(pod_of(job, index))
        self._store.write_status(key, step.status)
        if step.again is not None:
            self._timers[key] = asyncio.get_running_loop().call_later(step.again, watch.put, key)


def _sorted(pods: list[Object]) -> _Indexes:
    out = _Indexes()
    for pod in pods:
        index, phase = int(pod["metadata"]["annotations"][INDEX_LABEL]), (pod.get("status") or {}).get("phase")
        if phase == "Succeeded":
            out.succeeded.add(index)
        elif phase == "Failed":
            out.failed.setdefault(index, []).append(pod)
        else:
            # One that is being deleted still holds its index: its successor waits until it is gone.
            out.active.setdefault(index, []).append(pod)
    return out


def _missing(spec: Object, indexes: _Indexes, exhausted: set[int], now: float) -> tuple[list[int], float]:
    """The indexes that get a pod now, and the seconds until the next one may."""
    room = spec.get("parallelism", 1) - sum(len(pods) for pods in indexes.active.values())
    create: list[int] = []
    wait = float("inf")
    for index in range(spec["completions"]):
        if index in indexes.succeeded or index in exhausted or index in indexes.active or len(create) >= room:
            continue
        due = _due(indexes.failed.get(index, []))
        if due <= now:
            create.append(index)
        else:
            wait = min(wait, due - now)
    return create, wait


def _due(failures: list[Object]) -> float:
    if not failures:
        return 0.0
    ended = max(_seconds(terminated(pod)["finishedAt"]) for pod in failures)
    return ended + min(2.0 ** (len(failures) - 1), LONGEST_BACKOFF)


def terminated(pod: Object) -> dict[str, Any]:
    """How a finished pod's container ended."""
    state: dict[str, Any] = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return state


def _is_exhausted(spec: Object, failures: list[Object]) -> bool:
    codes = {
        code
        for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ()
        if rule["action"] == "FailIndex"
        for code in (rule.get("onExitCodes") or {}).get("values") or ()
    }
    if any(terminated(pod)["exitCode"] in codes for pod in failures):
        return True
    retries: int = spec.get("backoffLimitPerIndex", _RETRIES)
    return len(failures) > retries


def _counts(indexes: _Indexes, pods: list[Object]) -> dict[str, Any]:
    active = [pod for held in indexes.active.values() for pod in held]
    counts = {
        "active": sum(1 for pod in active if "deletionTimestamp" not in pod["metadata"]),
        "terminating": sum(1 for pod in active if "deletionTimestamp" in pod["metadata"]),
        "ready": sum(1 for pod in active if pod["status"]["phase"] == "Running"),
        "succeeded": sum(1 for pod in pods if pod["status"]["phase"] == "Succeeded"),
        "failed": sum(len(held) for held in indexes.failed.values()),
    }
    return {**counts, **({"completedIndexes": intervals(indexes.succeeded)} if indexes.succeeded else {})}


def _active_names(pods: list[Object]) -> list[str]:
    return [
        pod["metadata"]["name"] for pod in pods if rules.is_alive(pod) and "deletionTimestamp" not in pod["metadata"]
    ]


def _end(base: dict[str, Any], pods: list[Object], condition: dict[str, str]) -> JobStep:
    status = {**base, "conditions": [condition]}
    if condition["type"] == "Complete":
        status["completionTime"] = condition["lastTransitionTime"]
    return JobStep(delete=_active_names(pods), status=status)


def _condition(kind: str, reason: str, message: str, now: float) -> dict[str, str]:
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": timestamp(now),
    }


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
