"""What the reconciler needs of a cluster, and no more: the seam between its decisions and the place they happen in.

Objects are plain Kubernetes-shaped dictionaries, since that is what both sides of the port speak. Whoever reads one
owns the copy it was given: changing it changes nothing in the cluster until it is applied.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

Object: TypeAlias = dict[str, Any]
"""One Kubernetes object, raw."""


class Kind(StrEnum):
    """The kinds of objects that loadgate reads or writes."""

    LOAD_TEST = "LoadTest"
    PERFORMANCE_BUDGET = "PerformanceBudget"
    JOB = "Job"
    POD = "Pod"
    CONFIG_MAP = "ConfigMap"
    SECRET = "Secret"  # noqa: S105 - the name of a kind, no password
    EVENT = "Event"


API_VERSIONS: dict[Kind, str] = {
    Kind.LOAD_TEST: "loadgate.dev/v1alpha1",
    Kind.PERFORMANCE_BUDGET: "loadgate.dev/v1alpha1",
    Kind.JOB: "batch/v1",
    Kind.POD: "v1",
    Kind.CONFIG_MAP: "v1",
    Kind.SECRET: "v1",
    Kind.EVENT: "v1",
}


class Key(NamedTuple):
    """The place of one object; `str(key)` reads as `LoadTest default/checkout`."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class ClusterError(Exception):
    """The cluster couldn't do what was asked; the same call may well succeed later."""


class RefusedError(ClusterError):
    """The cluster will not take this object however often it is offered: it is too large, malformed or forbidden."""


class GoingError(RefusedError):
    """The namespace is being deleted: nothing can be made in it any more."""


class ConflictError(ClusterError):
    """The object isn't the one that was meant: another uid has its name, or it is gone."""


class Cluster(Protocol):
    """A place where objects live and pods run. Every call may raise `ClusterError`; none outlasts its time limit."""

    async def read(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """The object, or None where there is none.

        Of a Secret that isn't loadgate's own a side may leave the values empty: that its keys are there is what counts.
        """
        ...

    async def list(self, kind: Kind, namespace: str, labels: Mapping[str, str] | None = None) -> list[Object]:
        """All objects of a namespace (of every namespace where it is "") that carry all of `labels`, by name.

        ConfigMaps may come without their data. Of Secrets only loadgate's own need be there, and of events only
        those that warn of a Job: to see the others takes rights, and time, that nobody needs.
        """
        ...

    async def apply(self, obj: Object) -> Object:
        """Create the object or make it so, and answer what is there now.

        Everything but its status and what the cluster sets (uid, resourceVersion, generation, creationTimestamp) is
        replaced. The generation grows when the spec changes and at no other time. Applying what is already there
        changes nothing and wakes nobody. An object that names a uid is meant as that one: raises ConflictError where
        it is gone or another, or has changed since it was read. Of such a Job only annotations are changed; a Secret
        that is there already may be refused.
        """
        ...

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str | None = None) -> None:
        """Remove the object and all that it owns; fine where it is gone, or where another `uid` has taken its name."""
        ...

    async def write_status(self, key: Key, status: Mapping[str, Any], *, version: str | None = None) -> None:
        """Replace the object's whole status; nothing happens where the object is gone.

        A `version` is the object's resourceVersion when it was read: raises ConflictError where it isn't that any more.
        """
        ...

    async def record_event(
        self, about: Object, event_type: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        """Tell people what happened to an object; a repeated event is counted, not repeated."""
        ...

    async def is_going(self, namespace: str) -> bool:
        """Whether the namespace is being deleted, so that nothing can be made in it; known a few seconds late."""
        ...

    def address(self, pod: Object) -> str | None:
        """The base URL of a pod's control port, such as `http://10.1.2.3:9119`; None until it has one."""
        ...

    async def logs(self, pod: Object, *, limit: int = 8 << 20) -> str:
        """The last `limit` bytes of what a pod wrote; "" where there is nothing."""
        ...

    def watch(self) -> AsyncIterator[Key]:
        """The key of each LoadTest, PerformanceBudget, Job, Pod, ConfigMap or Secret that appears, changes or goes.

        It begins with all that exist. Secrets may be left out: who misses one looks again. Changes of one key that
        come faster than they are read are one.
        """
        ...
