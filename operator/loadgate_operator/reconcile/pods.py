"""What a Job and its pods say of themselves, read from their raw statuses: where they are, and what keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loadgate.api.conditions import Reason
from loadgate_operator.manifests.job import CONTAINER, pod_index
from loadgate_operator.reconcile.clock import parse
from loadgate_operator.reconcile.model import PodSeen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from loadgate_operator.cluster.port import Object

_PULL_FAILS = frozenset({"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull"})


def pod_seen(pod: Object) -> PodSeen | None:
    """A pod of a run; None for a pod that has no index."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    index = pod_index(pod)
    if index is None:
        return None
    return PodSeen(
        name=metadata["name"],
        uid=metadata["uid"],
        index=index,
        phase=status.get("phase") or "Pending",
        created=metadata.get("creationTimestamp") or "",
        node=(pod.get("spec") or {}).get("nodeName") or "",
        deleting_since=parse(metadata.get("deletionTimestamp")),
        trouble=_trouble(status),
        exit=_exit(status),
    )


def _trouble(status: dict[str, Any]) -> tuple[Reason, str] | None:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return Reason.Unschedulable, condition.get("message") or "no node fits"
    for container in status.get("containerStatuses") or ():
        if found := _container_trouble(container, status.get("phase")):
            return found
    return None


def _container_trouble(container: dict[str, Any], phase: str | None) -> tuple[Reason, str] | None:
    waiting = (container.get("state") or {}).get("waiting") or {}
    reason, message = waiting.get("reason") or "", waiting.get("message") or ""
    if reason in _PULL_FAILS:
        return Reason.ImagePullFailed, f"image {container.get('image', '')}: {message or reason}"
    if reason == "CreateContainerConfigError":
        return _config_trouble(message), message
    if phase == "Running" and container.get("name") not in (CONTAINER, None) and not container.get("ready"):
        return Reason.SidecarNotReady, f"container {container.get('name')} isn't ready"
    return None


def _config_trouble(message: str) -> Reason:
    """A container that can't be made of what its pod says: mostly for want of what it names."""
    said = message.lower()
    if "secret" in said:
        return Reason.SecretNotFound
    return Reason.ConfigMapNotFound if "configmap" in said else Reason.PodRefused


def _exit(status: dict[str, Any]) -> str:
    for container in status.get("containerStatuses") or ():
        ended = (container.get("state") or {}).get("terminated")
        if ended and container.get("name") in (CONTAINER, None):
            # The last line: what came before it is the way there, and the pod's log has all of it.
            lines = str(ended.get("message") or "").strip().splitlines()
            words = [ended.get("reason"), f"exit code {ended.get('exitCode')}", lines[-1].strip() if lines else ""]
            return ", ".join(word for word in words if word)
    return str(status.get("reason") or "")


def job_failed(job: Object) -> str:
    """Why a Job gave up; empty while it hasn't."""
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Failed" and condition.get("status") == "True":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}".strip(": ")
    return ""


def job_trouble(job: Object, events: Iterable[Object]) -> tuple[Reason, str] | None:
    """What keeps a Job from making pods, from the newest event that says so."""
    messages = [event.get("message") or "" for event in _about(job, events) if event.get("reason") == "FailedCreate"]
    if not messages:
        return None
    message = messages[-1]
    return (Reason.QuotaExceeded if "quota" in message.lower() else Reason.PodRefused), message


def _about(job: Object, events: Iterable[Object]) -> Iterator[Object]:
    uid = job["metadata"]["uid"]
    mine = [event for event in events if (event.get("involvedObject") or {}).get("uid") == uid]
    yield from sorted(mine, key=lambda event: event.get("lastTimestamp") or "")
