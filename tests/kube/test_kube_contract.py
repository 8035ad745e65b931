"""The cluster port's promises, kept by the embedded cluster and by a real API server alike."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from loadgate_operator.cluster.kubernetes import Api, KubernetesCluster, Scope, connect
from loadgate_operator.cluster.local import LocalCluster
from loadgate_operator.cluster.port import Cluster, ConflictError, Key, Kind, RefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from kube_cluster import Kube

OURS = {"app.kubernetes.io/managed-by": "loadgate"}


@dataclass
class Side:
    """One side of the port, and the namespace to work in."""

    cluster: Cluster
    namespace: str
    kube: Kube | None

    async def events(self) -> list[dict[str, Any]]:
        """All events of the namespace."""
        if self.kube is None:
            return await self.cluster.list(Kind.EVENT, self.namespace)
        found: list[dict[str, Any]] = self.kube.get("events", "-n", self.namespace)["items"]
        return found

    def key(self, kind: Kind, name: str) -> Key:
        """Where an object of the test is."""
        return Key(kind, self.namespace, name)

    def test(self, name: str = "t", *, labels: dict[str, str] | None = None, duration: str = "1s") -> dict[str, Any]:
        """A LoadTest that nobody runs."""
        steps = [{"request": {"url": "http://127.0.0.1:1/"}}]
        scenario = {"name": "s", "executor": "constant-vus", "vus": 1, "duration": duration, "steps": steps}
        return {
            "apiVersion": "loadgate.dev/v1alpha1",
            "kind": "LoadTest",
            "metadata": {"name": name, "namespace": self.namespace, "labels": labels or {}},
            "spec": {"target": {"url": "http://127.0.0.1:1"}, "scenarios": [scenario]},
        }

    def config(self, name: str = "c", **data: str) -> dict[str, Any]:
        """A ConfigMap."""
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}

    def job(self, name: str = "j") -> dict[str, Any]:
        """A Job that makes no pods."""
        container = {"name": "runner", "image": "x", "command": ["true"]}
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "namespace": self.namespace, "labels": OURS},
            "spec": {
                "suspend": True,
                "completions": 1,
                "parallelism": 1,
                "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
            },
        }


@pytest.fixture(
    params=[
        "embedded",
        pytest.param(
            "kubernetes", marks=[pytest.mark.cluster, pytest.mark.processes, pytest.mark.timeout(120, func_only=True)]
        ),
    ]
)
async def side(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Side]:
    """Each side in turn."""
    if request.param == "embedded":
        async with LocalCluster() as local:
            yield Side(local, "default", None)
        return
    kube: Kube = request.getfixturevalue("kube")
    namespace: str = request.getfixturevalue("namespace")
    monkeypatch.setenv("KUBECONFIG", kube.kubeconfig)
    async with Api(await connect()) as api:
        yield Side(KubernetesCluster(api, Scope((namespace,))), namespace, kube)


async def eventually(look: Callable[[], Awaitable[bool]]) -> bool:
    """Whether it comes true: a garbage collector takes its time."""
    for _ in range(100):
        if await look():
            return True
        await asyncio.sleep(0.1)
    return False


async def test_apply_creates_and_answers_what_is_there(side: Side) -> None:
    """What is applied is there, with an identity and a first generation, and a status that kstatus can't misread."""
    made = await side.cluster.apply(side.test())
    assert made["metadata"]["uid"]
    assert made["metadata"]["generation"] == 1
    found = await side.cluster.read(*side.key(Kind.LOAD_TEST, "t"))
    assert found is not None
    assert found["spec"]["scenarios"][0]["vus"] == 1
    assert found["status"] == {"observedGeneration": -1}


async def test_what_is_missing_is_none(side: Side) -> None:
    """There is no object of a name that nobody gave."""
    for kind in (Kind.LOAD_TEST, Kind.PERFORMANCE_BUDGET, Kind.JOB, Kind.POD, Kind.CONFIG_MAP, Kind.SECRET):
        assert await side.cluster.read(kind, side.namespace, "nobody") is None


async def test_applying_the_same_changes_nothing(side: Side) -> None:
    """An object that is as it is wanted keeps its version, so nobody is woken."""
    first = await side.cluster.apply(side.config(a="1"))
    again = await side.cluster.apply(side.config(a="1"))
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_the_generation_tells_of_the_spec(side: Side) -> None:
    """It grows with the spec, and with nothing else."""
    await side.cluster.apply(side.test())
    labelled = await side.cluster.apply(side.test(labels={"a": "b"}))
    await side.cluster.write_status(side.key(Kind.LOAD_TEST, "t"), {"observedGeneration": 1, "phase": "Running"})
    changed = await side.cluster.apply(side.test(duration="2s"))
    assert (labelled["metadata"]["generation"], changed["metadata"]["generation"]) == (1, 2)


async def test_apply_leaves_the_status_alone(side: Side) -> None:
    """A status comes from who may write it, whatever is applied."""
    await side.cluster.apply(side.test())
    await side.cluster.write_status(side.key(Kind.LOAD_TEST, "t"), {"observedGeneration": 1, "phase": "Running"})
    after = await side.cluster.apply({**side.test(duration="2s"), "status": {"phase": "Passed"}})
    assert after["status"]["phase"] == "Running"


async def test_a_status_is_replaced_whole(side: Side) -> None:
    """What the new status doesn't have is gone."""
    await side.cluster.apply(side.test())
    key = side.key(Kind.LOAD_TEST, "t")
    await side.cluster.write_status(key, {"observedGeneration": 1, "phase": "Running", "progress": 50})
    await side.cluster.write_status(key, {"observedGeneration": 1, "phase": "Judging"})
    found = await side.cluster.read(*key)
    assert found is not None
    assert found["status"] == {"observedGeneration": 1, "phase": "Judging"}


async def test_a_status_of_what_is_gone_is_nothing(side: Side) -> None:
    """Nothing appears where the object went before its status was written."""
    await side.cluster.write_status(side.key(Kind.LOAD_TEST, "t"), {"phase": "Running"})
    assert await side.cluster.read(*side.key(Kind.LOAD_TEST, "t")) is None


async def test_a_status_on_an_old_version_is_a_conflict(side: Side) -> None:
    """Who looked before someone else wrote can't overwrite what they didn't see."""
    made = await side.cluster.apply(side.test())
    key, version = side.key(Kind.LOAD_TEST, "t"), made["metadata"]["resourceVersion"]
    await side.cluster.write_status(key, {"observedGeneration": 1, "phase": "Running"}, version=version)
    with pytest.raises(ConflictError):
        await side.cluster.write_status(key, {"observedGeneration": 1, "phase": "Pending"}, version=version)


async def test_a_list_has_what_carries_the_labels(side: Side) -> None:
    """All labels must be there, and names come in order."""
    for name, labels in (("b", {"app": "shop", "tier": "1"}), ("a", {"app": "shop"}), ("c", {"app": "other"})):
        await side.cluster.apply(side.test(name, labels=labels))
    for wanted, found in (
        ({"app": "shop"}, ["a", "b"]),
        ({"app": "shop", "tier": "1"}, ["b"]),
        (None, ["a", "b", "c"]),
    ):
        listed = await side.cluster.list(Kind.LOAD_TEST, side.namespace, wanted)
        assert [obj["metadata"]["name"] for obj in listed] == found
        assert {obj["kind"] for obj in listed} == {"LoadTest"}


async def test_another_object_of_the_name_is_a_conflict(side: Side) -> None:
    """An object that names a uid is that one or none."""
    made = await side.cluster.apply(side.config(a="1"))
    await side.cluster.delete(Kind.CONFIG_MAP, side.namespace, "c", made["metadata"]["uid"])
    with pytest.raises(ConflictError):
        await side.cluster.apply({**made, "data": {"a": "2"}})


async def test_delete_means_one_object(side: Side) -> None:
    """Another uid's object stays, its own goes, and what is gone may be deleted again."""
    made = await side.cluster.apply(side.config(a="1"))
    await side.cluster.delete(Kind.CONFIG_MAP, side.namespace, "c", "00000000-0000-0000-0000-000000000000")
    assert await side.cluster.read(*side.key(Kind.CONFIG_MAP, "c")) is not None
    for _ in range(2):
        await side.cluster.delete(Kind.CONFIG_MAP, side.namespace, "c", made["metadata"]["uid"])
    assert await side.cluster.read(*side.key(Kind.CONFIG_MAP, "c")) is None


async def test_what_is_owned_goes_with_its_owner(side: Side) -> None:
    """Owner references clean up, with no finalizer."""
    test = await side.cluster.apply(side.test())
    owner = {"apiVersion": test["apiVersion"], "kind": "LoadTest", "name": "t", "uid": test["metadata"]["uid"]}
    owned = side.config(a="1")
    owned["metadata"]["ownerReferences"] = [owner]
    await side.cluster.apply(owned)
    await side.cluster.delete(Kind.LOAD_TEST, side.namespace, "t")

    async def gone() -> bool:
        return await side.cluster.read(*side.key(Kind.CONFIG_MAP, "c")) is None

    assert await eventually(gone)


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # aiohttp's, of the megabyte below
async def test_what_can_never_be_is_refused(side: Side) -> None:
    """A name that no object may have, and a ConfigMap that is too large, are for a person to change."""
    with pytest.raises(RefusedError):
        await side.cluster.apply(side.config("Not_A_Name", a="1"))
    with pytest.raises(RefusedError):
        await side.cluster.apply(side.config(a="x" * (1 << 20), b="x"))


async def test_a_job_that_is_there_is_only_annotated(side: Side) -> None:
    """The ledger reaches the Job, and what makes the Job stays as it was."""
    made = await side.cluster.apply(side.job())
    annotations = {"loadgate.dev/ledger": "{}"}
    after = await side.cluster.apply({**made, "metadata": {**made["metadata"], "annotations": annotations}})
    assert after["metadata"]["annotations"]["loadgate.dev/ledger"] == "{}"
    found = await side.cluster.read(*side.key(Kind.JOB, "j"))
    assert found is not None
    assert found["spec"] == made["spec"]
    assert found["metadata"]["labels"].items() >= OURS.items()


async def test_a_job_that_changed_meanwhile_is_a_conflict(side: Side) -> None:
    """Of two who write a ledger from the same look, one learns that it came too late."""
    made = await side.cluster.apply(side.job())
    for text, outcome in (("1", None), ("2", ConflictError)):
        wanted = {**made, "metadata": {**made["metadata"], "annotations": {"loadgate.dev/ledger": text}}}
        if outcome is None:
            await side.cluster.apply(wanted)
        else:
            with pytest.raises(outcome):
                await side.cluster.apply(wanted)


async def test_a_secret_tells_its_keys(side: Side) -> None:
    """Ours can be read back; a user's shows at least which keys it has."""
    metadata = {"name": "mine", "namespace": side.namespace, "labels": OURS}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"token": "YWJj"}, "immutable": True}
    await side.cluster.apply(secret)
    await side.cluster.apply({**secret, "metadata": {"name": "theirs", "namespace": side.namespace}})
    mine = await side.cluster.read(*side.key(Kind.SECRET, "mine"))
    theirs = await side.cluster.read(*side.key(Kind.SECRET, "theirs"))
    assert mine is not None
    assert theirs is not None
    assert mine["data"] == {"token": "YWJj"}
    assert list(theirs["data"]) == ["token"]


async def test_a_repeated_event_is_counted(side: Side) -> None:
    """Thrice the same is one event with a count of three; another message is another event."""
    about = await side.cluster.apply(side.test())
    for message in ("m", "m", "other", "m"):
        await side.cluster.record_event(about, "Warning", "Unschedulable", message)
    counts = {event["message"]: event["count"] for event in await side.events()}
    assert counts == {"m": 3, "other": 1}


async def test_a_reader_owns_its_copy(side: Side) -> None:
    """Changing what was read changes nothing for others."""
    await side.cluster.apply(side.test())
    found = await side.cluster.read(*side.key(Kind.LOAD_TEST, "t"))
    assert found is not None
    found["spec"]["scenarios"].clear()
    again = await side.cluster.read(*side.key(Kind.LOAD_TEST, "t"))
    assert again is not None
    assert len(again["spec"]["scenarios"]) == 1
