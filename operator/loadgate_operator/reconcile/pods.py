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


def pod_seen(pod: Object, now: float) -> PodSeen | None:
    """A pod of a run as it is seen at `now` (Unix seconds); None for a pod that has no index."""
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
        trouble=_trouble(pod, status),
        exit=_exit(status),
        ended_at=now if _is_ended(status) else None,
        lingers=_lingers(status),
    )


def _trouble(pod: Object, status: dict[str, Any]) -> tuple[Reason, str] | None:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return Reason.Unschedulable, condition.get("message") or "no node fits"
    sidecars = _native_sidecars(pod)
    for container in status.get("initContainerStatuses") or ():
        if found := _image_trouble(container) or _sidecar_trouble(container, in_use=container.get("name") in sidecars):
            return found
    running = status.get("phase") == "Running"
    for container in status.get("containerStatuses") or ():
        other = not _is_runner(container)
        if found := _image_trouble(container) or _sidecar_trouble(container, in_use=running and other):
            return found
    return None


def _native_sidecars(pod: Object) -> set[str]:
    """The names of init containers that go on beside the runner, as a mesh injects them."""
    containers = (pod.get("spec") or {}).get("initContainers") or ()
    return {container["name"] for container in containers if container.get("restartPolicy") == "Always"}


def _is_runner(container: dict[str, Any]) -> bool:
    return container.get("name") in (CONTAINER, None)


def _image_trouble(container: dict[str, Any]) -> tuple[Reason, str] | None:
    waiting = (container.get("state") or {}).get("waiting") or {}
    reason, message = waiting.get("reason") or "", waiting.get("message") or ""
    if reason in _PULL_FAILS:
        return Reason.ImagePullFailed, f"image {container.get('image', '')}: {message or reason}"
    if reason == "CreateContainerConfigError":
        return _config_trouble(message), message
    return None


def _sidecar_trouble(container: dict[str, Any], *, in_use: bool) -> tuple[Reason, str] | None:
    """What is to be said of a container that should be ready beside the runner; one that never began isn't slow yet."""
    state = container.get("state") or {}
    if not in_use or container.get("ready") or _is_to_come(state):
        return None
    why = (state.get("waiting") or {}).get("message") or ""
    return Reason.SidecarNotReady, f"container {container.get('name')} isn't ready" + (f": {why}" if why else "")


def _is_to_come(state: dict[str, Any]) -> bool:
    return (state.get("waiting") or {}).get("reason") in ("PodInitializing", "ContainerCreating")


def _config_trouble(message: str) -> Reason:
    """A container that can't be made of what its pod says: mostly for want of what it names."""
    said = message.lower()
    if "secret" in said:
        return Reason.SecretNotFound
    return Reason.ConfigMapNotFound if "configmap" in said else Reason.PodRefused


def _exit(status: dict[str, Any]) -> str:
    """How the runner ended; of a pod that failed before it came to that, what failed."""
    for container in status.get("containerStatuses") or ():
        if _is_runner(container) and (ended := _ended(container)):
            return _words(ended)
    for container in status.get("initContainerStatuses") or ():
        ended = _ended(container)
        if status.get("phase") == "Failed" and ended and ended.get("exitCode"):
            return f"container {container.get('name')}: {_words(ended)}"
    return str(status.get("reason") or "")


def _ended(container: dict[str, Any]) -> dict[str, Any] | None:
    ended: dict[str, Any] | None = (container.get("state") or {}).get("terminated")
    return ended


def _words(ended: dict[str, Any]) -> str:
    # The last line: what came before it is the way there, and the pod's log has all of it.
    lines = str(ended.get("message") or "").strip().splitlines()
    words = [ended.get("reason"), f"exit code {ended.get('exitCode')}", lines[-1].strip() if lines else ""]
    return ", ".join(word for word in words if word)


def _is_ended(status: dict[str, Any]) -> bool:
    """Whether the runner has ended, which its pod may outlive for a while."""
    return any(_ended(container) for container in status.get("containerStatuses") or () if _is_runner(container))


def _lingers(status: dict[str, Any]) -> bool:
    """Whether another container goes on that nobody ends. Native sidecars are init containers: the node ends them."""
    others = [container for container in status.get("containerStatuses") or () if not _is_runner(container)]
    return _is_ended(status) and not all(map(_ended, others))


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
