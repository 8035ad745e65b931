"""Laws of the embedded cluster that hold in every history, by random ones."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from loadgate_operator.cluster.local.jobs import is_over, next_step, pod_of
from loadgate_operator.cluster.local.store import Store, timestamp
from loadgate_operator.cluster.port import Key, Kind
from loadgate_operator.manifests.names import INDEX_LABEL

NAMES = st.sampled_from("abcd")


def config(name, data, owner):
    metadata = {"name": name, "namespace": "default"}
    if owner is not None:
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"]}
        metadata["ownerReferences"] = [{**reference, "uid": owner["metadata"]["uid"]}]
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"x": data}}


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("apply"), NAMES, st.sampled_from("12"), st.none() | NAMES),
            st.tuples(st.just("delete"), NAMES),
            st.tuples(st.just("take")),
        ),
        max_size=40,
    )
)
def test_a_store_keeps_its_promises_in_every_history(history):
    """Nothing outlives all its owners, versions only grow, and whoever watches ends with a true picture."""
    store = Store(clock=lambda: 0.0)
    picture, versions = {}, {}

    def look(watch):
        """Read all that the watch tells of, as a reconciler would."""
        while watch._pending:
            key = next(iter(watch._pending))
            del watch._pending[key]
            picture[key] = store.read(key)

    with store.watching() as watch:
        for step in history:
            match step:
                case ("apply", name, data, owner):
                    store.apply(
                        config(name, data, store.read(Key(Kind.CONFIG_MAP, "default", owner)) if owner else None)
                    )
                case ("delete", name):
                    store.delete(Key(Kind.CONFIG_MAP, "default", name))
                case _:
                    look(watch)
            objects = store.list(Kind.CONFIG_MAP, "")
            alive = {obj["metadata"]["uid"] for obj in objects}
            for obj in objects:
                owners = {one["uid"] for one in obj["metadata"].get("ownerReferences", ())}
                assert not owners or owners & alive
                uid, version = obj["metadata"]["uid"], int(obj["metadata"]["resourceVersion"])
                assert version >= versions.get(uid, 0)
                versions[uid] = version
        look(watch)
    for key, seen in picture.items():
        assert seen == store.read(key)
    assert {key.name for key, obj in picture.items() if obj} == {
        obj["metadata"]["name"] for obj in store.list(Kind.CONFIG_MAP, "")
    }


class World:
    """A Job, its pods and the time, with the controller's steps applied as a cluster would."""

    def __init__(self, completions, parallelism, retries):
        self.now = 1_800_000_000.0
        self.numbers = itertools.count()
        self.pods = {}
        spec = {"completions": completions, "parallelism": parallelism, "backoffLimitPerIndex": retries}
        spec |= {"activeDeadlineSeconds": 500, "template": {"spec": {}}}
        metadata = {"name": "j", "namespace": "default", "uid": "u"}
        self.job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}

    def control(self):
        """One pass of the controller."""
        step = next_step(self.job, list(self.pods.values()), self.now)
        for name in step.delete:
            self.pods[name]["metadata"]["deletionTimestamp"] = "now"
        for index in step.create:
            pod = {**pod_of(self.job, index), "status": {"phase": "Running"}}
            self.pods[f"{pod['metadata']['name']}-{next(self.numbers)}"] = pod
            pod["metadata"]["name"] = list(self.pods)[-1]
        self.job["status"] = step.status
        return step

    def active(self):
        """The pods that run."""
        return [pod for pod in self.pods.values() if pod["status"]["phase"] == "Running"]

    def end(self, pod, code):
        """A pod's process ends."""
        ended = {"exitCode": code, "finishedAt": timestamp(self.now)}
        phase = "Failed" if code else "Succeeded"
        pod["status"] = {"phase": phase, "containerStatuses": [{"state": {"terminated": ended}}]}

    def happen(self, event, which):
        """Something happens to one of the running pods, or time passes."""
        running = self.active()
        if event == "time" or not running:
            self.now += 1 + which
        elif event == "delete":
            self.pods.pop(running[which % len(running)]["metadata"]["name"])
        else:
            self.end(running[which % len(running)], 0 if event == "succeed" else 1)


@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(0, 2),
    st.lists(st.tuples(st.sampled_from(["succeed", "fail", "delete", "time"]), st.integers(0, 40)), max_size=60),
)
def test_a_job_keeps_its_promises_in_every_history(completions, parallelism, retries, history):
    """One pod an index, never more than may run, none once it is over or has succeeded; and every Job ends."""
    world = World(completions, parallelism, retries)
    world.control()
    for event, which in history:
        world.happen(event, which)
        over = is_over(world.job)
        step = world.control()
        indexes = [pod["metadata"]["annotations"][INDEX_LABEL] for pod in world.active()]
        assert len(indexes) == len(set(indexes)) <= parallelism
        assert not (over and step.create)
        # The controller has nothing to add to what it just did.
        again = next_step(world.job, list(world.pods.values()), world.now)
        assert (again.create, again.delete) == ([], [])
    world.now += 1000
    world.control()
    assert is_over(world.job)
