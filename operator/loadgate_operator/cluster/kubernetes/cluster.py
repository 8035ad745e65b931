"""The cluster port on a real API server: reads from the cache, writes by server-side apply."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import orjson

from loadgate_operator.cluster.kubernetes.api import APPLY, MERGE, Api, Call, NotFoundError
from loadgate_operator.cluster.kubernetes.cache import Cache, key_of
from loadgate_operator.cluster.kubernetes.changes import Changes
from loadgate_operator.cluster.kubernetes.configmaps import ConfigMapWatch
from loadgate_operator.cluster.kubernetes.contents import Contents
from loadgate_operator.cluster.kubernetes.events import Recorder
from loadgate_operator.cluster.kubernetes.freshness import WATCHED, Freshness
from loadgate_operator.cluster.kubernetes.lists import list_all
from loadgate_operator.cluster.kubernetes.paths import PLURALS, collection, single
from loadgate_operator.cluster.kubernetes.secrets import Secrets
from loadgate_operator.cluster.port import API_VERSIONS, ConflictError, GoingError, Key, Kind, Object, RefusedError
from loadgate_operator.manifests import names
from loadgate_operator.manifests.job import CONTAINER, PORT_NAME

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

_SERVER_SETS = ("managedFields", "resourceVersion", "generation", "creationTimestamp", "selfLink")
_LOG_LINES = 200
"""A runner's last snapshot is one line, and among its last."""

Objects: TypeAlias = list[Object]

_EVENTS_LAST = 5.0
"""Seconds for which a list of events is as good as a new one: a run that is held up asks as seldom as it tells."""

_GOING_LASTS = 5.0
"""Seconds for which it is known whether a namespace goes."""

_RACES, _MOST_REMEMBERED = 5, 2_000


@dataclass(frozen=True)
class Scope:
    """Which namespaces are ours to watch; none: all."""

    namespaces: tuple[str, ...] = ()

    @property
    def watched(self) -> Sequence[str]:
        """The namespaces as paths want them: "" is every one."""
        return self.namespaces or ("",)


class KubernetesCluster:
    """`Cluster` on an API server. `see` must be fed with events, and `run` be running, for the cache to be of use."""

    def __init__(self, api: Api, scope: Scope | None = None, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives Unix seconds, for the events that are recorded."""
        self._api = api
        self._scope = scope or Scope()
        self._watches: list[Changes] = []
        self._cache = Cache(self._changed)
        self._contents = Contents()
        self._secrets = Secrets(api)
        self._recorder = Recorder(api, clock)
        self._freshness = Freshness(api, self._cache, self._scope.watched)
        self._config_maps = ConfigMapWatch(api, self._cache, self._scope.watched)
        self._asked: set[Key] = set()
        self._annotations: OrderedDict[tuple[str, str], dict[str, str]] = OrderedDict()
        self._events: dict[str, tuple[float, list[Object]]] = {}
        self._going: dict[str, tuple[float, bool]] = {}
        api.recovered = self._freshness.ask

    async def run(self) -> None:
        """Keep the cache as the cluster is; until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._freshness.run())
            group.create_task(self._config_maps.run())

    def see(self, event_type: str | None, obj: Object) -> None:
        """An event of a watched kind, as kopf gives it: None as its type for what a list has shown."""
        if event_type == "DELETED":
            self._cache.remove(key_of(obj), obj["metadata"]["uid"])
            return
        self._cache.put(obj)
        if event_type is None and self._cache.is_synced(Kind(obj["kind"])):
            # Listed anew: what went meanwhile isn't told.
            self._freshness.ask(Kind(obj["kind"]))

    @property
    def synced(self) -> bool:
        """Whether everything that is watched is in the cache."""
        return self._cache.synced

    @property
    def settled(self) -> asyncio.Event:
        """Set once that was so for the first time."""
        return self._cache.settled

    @property
    def flowing(self) -> bool:
        """Whether events arrive."""
        return self._freshness.flowing

    async def read(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """See `Cluster`. Of Secrets that aren't loadgate's own the values are left empty."""
        key = Key(kind, namespace, name)
        if kind is Kind.SECRET:
            return await self._secrets.read(key)
        if kind is Kind.CONFIG_MAP:
            return await self._read_config_map(key)
        if self._cache.is_synced(kind):
            entry = self._cache.get(key)
            found = entry.object() if entry else None
        else:
            found = await self._get(key)
        return self._remember(found) if kind is Kind.JOB else found

    async def list(self, kind: Kind, namespace: str, labels: Mapping[str, str] | None = None) -> list[Object]:
        """See `Cluster`."""
        if kind is Kind.SECRET:
            return await self._list_secrets(namespace, labels or {})
        if kind is Kind.EVENT:
            return await self._list_events(namespace)
        if self._cache.is_synced(kind):
            return self._cache.select(kind, namespace, labels)
        spaces = self._scope.watched if namespace == "" else (namespace,)
        found = [
            obj
            for one in spaces
            for obj in (await list_all(self._api, kind, one, labels, metadata_only=kind is Kind.CONFIG_MAP)).objects
        ]
        return sorted(found, key=lambda obj: (obj["metadata"]["namespace"], obj["metadata"]["name"]))

    async def apply(self, obj: Object) -> Object:
        """See `Cluster`. A Job that is there gets its annotations only: a template can't change."""
        key = key_of(obj)
        wanted = {part: value for part, value in obj.items() if part != "status"}
        wanted["metadata"] = {part: value for part, value in obj["metadata"].items() if part not in _SERVER_SETS}
        if key.kind is Kind.SECRET:
            return await self._secrets.create(key, wanted)
        try:
            if key.kind is Kind.JOB and "uid" in obj["metadata"]:
                after = await self._annotate(key, obj)
            else:
                after = await self._patch(key, "", wanted, APPLY)
        except NotFoundError as error:
            if "uid" in obj["metadata"]:
                raise ConflictError(f"{key} is gone") from error
            raise RefusedError(str(error)) from error
        self._learn(key, after)
        if key.kind is Kind.JOB:
            self._remember(after)
        return after

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str | None = None) -> None:
        """See `Cluster`."""
        key = Key(kind, namespace, name)
        options: dict[str, Any] = {"propagationPolicy": "Background"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        self._secrets.forget(key)
        try:
            answer = await self._api.ask(Call(verb="DELETE", path=single(key), resource=PLURALS[kind], body=options))
        except (NotFoundError, ConflictError):
            # Gone already, or another has its name: a stale look at it was the reason to be here.
            if uid is not None:
                self._cache.remove(key, uid)
            return
        if answer.get("kind") == kind.value and (answer["metadata"].get("deletionTimestamp")):
            self._learn(key, answer)
        elif uid is not None:
            self._cache.remove(key, uid)

    async def write_status(self, key: Key, status: Mapping[str, Any], *, version: str | None = None) -> None:
        """See `Cluster`."""
        expected = {"resourceVersion": version} if version else {}
        body = {
            "apiVersion": API_VERSIONS[key.kind],
            "kind": key.kind.value,
            "metadata": {"name": key.name, "namespace": key.namespace, **expected},
            "status": dict(status),
        }
        try:
            self._learn(key, await self._patch(key, "status", body, APPLY))
        except NotFoundError:
            return

    async def record_event(
        self, about: Object, event_type: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        """See `Cluster`."""
        await self._recorder.record(about, event_type, reason, message)

    async def is_going(self, namespace: str) -> bool:
        """See `Cluster`: tried out by making what isn't kept, since to read namespaces would take one more right."""
        now = asyncio.get_running_loop().time()
        known = self._going.get(namespace)
        if known is None or now - known[0] > _GOING_LASTS:
            known = (now, await self._refuses_all(namespace))
            self._going = {space: kept for space, kept in self._going.items() if now - kept[0] <= _GOING_LASTS}
            self._going[namespace] = known
        return known[1]

    def address(self, pod: Object) -> str | None:
        """See `Cluster`: the pod's own address, and the port that its container names."""
        status = pod.get("status") or {}
        address = status.get("podIP")
        if status.get("phase") != "Running" or not address:
            return None
        container: Object = next((one for one in pod["spec"]["containers"] if one["name"] == CONTAINER), {})
        port = next((one["containerPort"] for one in container.get("ports", ()) if one.get("name") == PORT_NAME), None)
        host = f"[{address}]" if ":" in address else address
        return f"http://{host}:{port}" if port else None

    async def logs(self, pod: Object, *, limit: int = 8 << 20) -> str:
        """See `Cluster`."""
        metadata = pod["metadata"]
        path = single(Key(Kind.POD, metadata["namespace"], metadata["name"]), "log")
        query = {"container": CONTAINER, "tailLines": str(_LOG_LINES)}
        try:
            data = await self._api.text(
                Call(verb="GET", path=path, resource="pods/log", query=query, accept="*/*"), limit=limit
            )
        except (NotFoundError, RefusedError):
            return ""
        return data.decode(errors="replace")

    async def watch(self) -> AsyncIterator[Key]:
        """See `Cluster`. Secrets aren't watched: whoever misses one must look again."""
        changes = Changes(key for key in self._cache.keys() if self._is_news(key))  # noqa: SIM118 - no mapping
        self._watches.append(changes)
        try:
            while True:
                yield await changes.take()
        finally:
            self._watches.remove(changes)

    def _changed(self, key: Key) -> None:
        if self._is_news(key):
            for changes in self._watches:
                changes.put(key)

    def _is_news(self, key: Key) -> bool:
        """Of all the ConfigMaps of a cluster only those that someone asked for are."""
        return key.kind is not Kind.CONFIG_MAP or key in self._asked

    async def _get(self, key: Key) -> Object | None:
        try:
            found: Object = await self._api.ask(Call(verb="GET", path=single(key), resource=PLURALS[key.kind]))
        except NotFoundError:
            return None
        found["metadata"].pop("managedFields", None)
        return found

    async def _read_config_map(self, key: Key) -> Object | None:
        self._asked.add(key)
        synced = self._cache.is_synced(Kind.CONFIG_MAP)
        entry = self._cache.get(key)
        if synced and entry is None:
            return None
        if synced and entry is not None and (data := self._contents.get(key, entry.version)) is not None:
            known: Object = orjson.loads(data)
            return known
        found = await self._get(key)
        if found is not None:
            self._contents.put(key, int(found["metadata"]["resourceVersion"]), orjson.dumps(found))
        return found

    async def _list_secrets(self, namespace: str, labels: Mapping[str, str]) -> Objects:
        """The tokens of the runs of which a plan or a Job is there: a token is made after its plan, and goes before."""
        made = [*await self.list(Kind.CONFIG_MAP, namespace, labels), *await self.list(Kind.JOB, namespace, labels)]
        runs = {
            (obj["metadata"]["namespace"], run)
            for obj in made
            if (run := obj["metadata"]["labels"].get(names.RUN_LABEL))
            and obj["metadata"]["labels"].get(names.COMPONENT_LABEL) != "result"
        }
        found = [await self.read(Kind.SECRET, space, names.token_name(run)) for space, run in sorted(runs)]
        return [
            secret
            for secret in found
            if secret is not None and labels.items() <= (secret["metadata"].get("labels") or {}).items()
        ]

    async def _refuses_all(self, namespace: str) -> bool:
        kind = Kind.CONFIG_MAP
        made = {"apiVersion": "v1", "kind": kind.value, "metadata": {"generateName": f"{names.OPERATOR}-"}}
        query = {"dryRun": "All", "fieldManager": names.OPERATOR}
        path = collection(kind, namespace)
        try:
            await self._api.ask(Call(verb="POST", path=path, resource=PLURALS[kind], query=query, body=made))
        except (GoingError, NotFoundError):
            return True
        except RefusedError:  # by a quota, say
            return False
        return False

    async def _list_events(self, namespace: str) -> Objects:
        """Those that warn of a Job, a few seconds old at most: there may be thousands of others."""
        now = asyncio.get_running_loop().time()
        known = self._events.get(namespace)
        if known is None or now - known[0] > _EVENTS_LAST:
            fields = "involvedObject.kind=Job,type=Warning"
            known = (now, (await list_all(self._api, Kind.EVENT, namespace, fields=fields)).objects)
            self._events = {space: kept for space, kept in self._events.items() if now - kept[0] <= _EVENTS_LAST}
            self._events[namespace] = known
        return orjson.loads(orjson.dumps(known[1]))  # type: ignore[no-any-return]  # a copy for each reader

    async def _annotate(self, key: Key, job: Object) -> Object:
        """A Job's annotations as they are in `job`, if they are still what they were when `job` was read.

        The Job controller writes its status whenever it likes, which is no reason to begin anew.
        """
        metadata = {part: job["metadata"].get(part) for part in ("annotations", "resourceVersion", "uid")}
        before = self._annotations.get((metadata["uid"], str(metadata["resourceVersion"])))
        for _ in range(_RACES):
            try:
                return await self._patch(key, "", {"metadata": metadata}, MERGE)
            except ConflictError:
                now = await self._get(key)
                if now is None or now["metadata"]["uid"] != metadata["uid"] or _annotations_of(now) != before:
                    raise
                metadata["resourceVersion"] = now["metadata"]["resourceVersion"]
        raise ConflictError(f"{key} changes faster than it can be annotated")

    def _remember(self, job: Object | None) -> Object | None:
        """What a Job's annotations were at its version, for who wants to change them."""
        if job is not None:
            metadata = job["metadata"]
            self._annotations[metadata["uid"], str(metadata["resourceVersion"])] = _annotations_of(job)
            while len(self._annotations) > _MOST_REMEMBERED:
                self._annotations.popitem(last=False)
        return job

    async def _patch(self, key: Key, subresource: str, body: Object, content_type: str) -> Object:
        query = {"fieldManager": names.OPERATOR, **({"force": "true"} if content_type == APPLY else {})}
        after: Object = await self._api.ask(
            Call(
                verb="PATCH",
                path=single(key, subresource),
                resource=f"{PLURALS[key.kind]}/{subresource}" if subresource else PLURALS[key.kind],
                query=query,
                body=body,
                content_type=content_type,
            )
        )
        after["metadata"].pop("managedFields", None)
        return after

    def _learn(self, key: Key, obj: Object) -> None:
        """What the server answers to a write is as good as an event."""
        if key.kind is Kind.CONFIG_MAP:
            self._cache.put({part: obj[part] for part in ("apiVersion", "kind", "metadata")})
        elif key.kind in WATCHED:
            self._cache.put(obj)


def _annotations_of(obj: Object) -> dict[str, str]:
    return dict(obj["metadata"].get("annotations") or {})
