"""Faults with real kills: whatever happens, a status says in the end what is so, and never that a test passed that didn't."""

import base64
import random
import signal
import time

import pytest
from e2e_cluster import until
from e2e_stage import BUSY, LONG, OURS, SEED

pytestmark = [pytest.mark.cluster, pytest.mark.processes, pytest.mark.timeout(400, func_only=True)]

KILLS = 50 if LONG else 4

SECRET = {"secrets": {"password": {"secretKeyRef": {"name": "shop", "key": "password"}}}}


@pytest.fixture(autouse=True)
def _killable(kube):
    if not kube.local:
        pytest.skip("only the cluster of tests/cluster may be broken")


VISIT = {"request": {"name": "products", "url": "/products"}}
BLOCKS = {"setup": {"steps": [VISIT, {"think": "1s"}]}, "teardown": {"steps": [VISIT, {"think": "2s"}]}}


@pytest.mark.parametrize("number", range(KILLS))
def test_the_operator_killed_at_any_point(stage, number):
    """An operator that is killed in a run and comes back finishes that run: one run, one Job, its verdict."""
    moment = random.Random(f"{SEED}/{number}").uniform(0.0, 2.5) + number % 4 * 2.5
    stage.apply(seconds=4, **(BLOCKS if (number + number // 4) % 2 else {}))
    until(lambda: time.monotonic() > stage.began + moment, 20)
    assert stage.operator.kill(), moment
    status = stage.finish("Passed")
    assert status["run"]["number"] == 1
    assert len(stage.cluster.items("Job", stage.namespace, OURS)) <= 1
    stage.removed()


def test_the_operator_away_for_a_whole_run(stage):
    """A run whose operator goes away once it began ends by itself, and is judged when an operator is back."""
    stage.apply(seconds=4)
    stage.until_load()
    stage.operator.scale(0)
    try:
        before = stage.shop.requests()
        until(lambda: stage.shop.requests() > before, 20)
        settled(stage)
        assert stage.status()["phase"] == "Running"
    finally:
        stage.operator.scale(1)
    stage.finish("Passed")
    stage.removed()


def test_the_operator_away_beyond_the_end_of_a_run(stage):
    """A run whose runners are gone when an operator is back is judged by what they left in their logs."""
    before = stage.shop.requests()
    stage.apply(seconds=4, count=2)
    stage.until_load()
    pods = stage.pods()
    stage.operator.scale(0)
    try:
        settled(stage)
        for pod in pods:
            stage.cluster.kill(pod, "runner", signal.SIGTERM)  # as if nobody had come for as long as a runner waits
        until(lambda: not stage.active(), 60, stage.story)
    finally:
        stage.operator.scale(1)
    status = stage.finish("Passed")
    assert status["summary"]["requests"] == stage.shop.requests() - before
    stage.removed()


def settled(stage):
    """Wait until the shop has no more load."""
    seen = [stage.shop.requests(), time.monotonic()]

    def quiet():
        now = stage.shop.requests()
        if now != seen[0]:
            seen[:] = [now, time.monotonic()]
        return time.monotonic() - seen[1] > 2

    until(quiet, 60)


def test_two_operators_at_once(stage):
    """Two operators without a Lease between them still make one run of one Job, with one verdict."""
    stage.operator.scale(2)
    try:
        before = stage.shop.requests()
        stage.apply(seconds=4, count=2)
        status = stage.finish("Passed")
        assert status["run"]["number"] == 1
        assert status["summary"]["requests"] == stage.shop.requests() - before
        assert len(stage.cluster.items("Job", stage.namespace, OURS)) <= 1
    finally:
        stage.operator.scale(1)
    stage.removed()


def delete(stage, pod):
    """At once, without the kubelet's consent."""
    stage.cluster.delete("Pod", stage.namespace, pod["metadata"]["name"], grace=0)


def evict(stage, pod):
    """As a drain does, which the pod's grace period is for."""
    stage.cluster.evict(pod)


SLOW = """
import time

time.sleep(4)

async def journey(user):
    user.check(await user.get("/products", name="products"), status=200)
    await user.think("50ms")
"""
"""A journey that isn't there at once: its runners start so late that there is time to take one of them away before."""


@pytest.mark.parametrize("take", [delete, evict])
def test_a_runner_taken_away_while_starting(stage, take):
    """A runner's pod that goes before the start is replaced, and the run passes."""
    meta = {"name": "slow", "namespace": stage.namespace}
    stage.cluster.create("ConfigMap", {"metadata": meta, "data": {"slow.py": SLOW}})
    script = {"script": {"configMapKeyRef": {"name": "slow", "key": "slow.py"}}}
    shop = {"name": "shop", "executor": "constant-vus", "vus": 2, "duration": "6s", **script}
    stage.apply(count=2, scenarios=[shop | {"gracefulStop": "1s"}])  # which an evicted pod may take to go
    pod = until(stage.pods, 30, stage.story)[0]
    assert stage.status()["phase"] != "Running"
    take(stage, pod)
    status = stage.finish("Passed")
    assert status["runners"]["ready"] == 2
    stage.removed()


def test_a_runner_deleted_in_mid_run(stage):
    """A runner that is gone without a word in mid-run makes the verdict Inconclusive, and its successor makes no load."""
    stage.apply(seconds=8, count=2)
    stage.until_load()
    pod = stage.pods()[0]
    stage.cluster.kill(pod, "runner")
    stage.cluster.delete("Pod", stage.namespace, pod["metadata"]["name"], grace=0)
    status = stage.finish("Inconclusive")
    assert counted(status) == {"RunnerLost"}
    assert len(stage.cluster.items("Job", stage.namespace, OURS)) == 1
    stage.removed()


def counted(status):
    """The reasons of the doubts but those of a busy machine."""
    return {doubt["reason"] for doubt in status["doubts"]} - set(BUSY)


def test_a_runner_evicted_in_mid_run(stage):
    """A runner that is drained off its node hands over what it measured: less load than planned, so Inconclusive."""
    stage.apply(seconds=10, count=2)
    stage.until_load()
    stage.cluster.evict(stage.pods()[0])
    status = stage.finish("Inconclusive")
    assert counted(status) == {"Interrupted"}
    assert status["runners"]["finished"] == 2
    stage.removed()


HOG = """
kept = []

async def journey(user):
    await user.get("/products", name="products")
    kept.append(bytes(range(256)) * 100_000)
    await user.think("100ms")
"""


def test_a_runner_out_of_memory_under_load(stage):
    """Runners that the kernel kills for their memory in mid-run are lost, and their pods say why."""
    meta = {"name": "hog", "namespace": stage.namespace}
    stage.cluster.create("ConfigMap", {"metadata": meta, "data": {"hog.py": HOG}})
    script = {"script": {"configMapKeyRef": {"name": "hog", "key": "hog.py"}}}
    hog = {"name": "shop", "executor": "constant-vus", "vus": 2, "duration": "60s", **script}
    limits = {"resources": {"limits": {"memory": "256Mi"}}}
    stage.apply(scenarios=[hog], runners={"count": 1, "processes": 1, **limits}, thresholds={})
    status = stage.finish("Inconclusive")
    assert counted(status) == {"RunnerLost"}
    assert "137" in status["doubts"][0]["message"]
    stage.removed()


def test_a_runner_out_of_memory(stage):
    """A runner that is killed for its memory is a lost runner: Inconclusive or, where it never started, not Passed."""
    limits = {"resources": {"limits": {"memory": "24Mi"}}}
    stage.apply(startDeadline="15s", runners={"count": 1, "processes": 1, **limits})
    status = stage.finish("Inconclusive")
    assert {d["reason"] for d in status["doubts"]} & {"RunnerLost", "StartDeadlineExceeded", "ArmingFailed"}, status
    stage.removed()


@pytest.mark.parametrize(("moment", "seconds"), [("start", 4), ("middle", 60), ("end", 10)])
def test_the_api_server_away(stage, moment, seconds):
    """Half a minute without an API server costs a run nothing: it ends, and its verdict is written afterwards."""
    before = stage.shop.requests()
    stage.apply(seconds=seconds)
    if moment != "start":
        stage.until_load()
    with stage.cluster.away("kube-apiserver"):
        gone = time.monotonic()
        until(lambda: time.monotonic() - gone > 30, 60)
    if moment == "middle":
        assert stage.status()["phase"] == "Running"
    status = stage.finish("Passed", seconds=200)  # controllers come back in their own time, up to minutes later
    assert status["run"]["number"] == 1
    assert status["summary"]["requests"] == stage.shop.requests() - before
    stage.removed()


def test_etcd_restarted(stage):
    """A store that goes away and comes back in mid-run changes no verdict."""
    stage.apply(seconds=8)
    stage.until_load()
    with stage.cluster.away("etcd"):
        settled(stage)
    stage.finish("Passed", seconds=120)
    stage.removed()


HUGE = {"resources": {"requests": {"cpu": "900"}, "limits": {"cpu": "900"}}}


def never_starts(stage, reason, **runners):
    """What keeps runners from starting is named while it lasts, and at the deadline nothing is claimed of the target."""
    before = stage.shop.requests()
    stage.apply(startDeadline="8s", runners={"count": 1, "processes": 1, **runners})
    stage.until_reason(reason, 20)
    status = stage.finish("Inconclusive")
    assert "StartDeadlineExceeded" in {doubt["reason"] for doubt in status["doubts"]}
    assert stage.shop.requests() == before
    stage.removed()


def test_no_node_fits(stage):
    """Runners that no node has room for are Unschedulable, and then Inconclusive."""
    never_starts(stage, "Unschedulable", **HUGE)


def test_a_quota_leaves_no_room(stage):
    """Runners that a quota forbids are QuotaExceeded, and then Inconclusive."""
    quota = {"metadata": {"name": "none", "namespace": stage.namespace}, "spec": {"hard": {"pods": "0"}}}
    stage.cluster.create("ResourceQuota", quota)
    until(lambda: (stage.cluster.get("ResourceQuota", stage.namespace, "none").get("status") or {}).get("hard"))
    never_starts(stage, "QuotaExceeded")


def test_an_image_that_is_not_there(stage, helm):
    """Runners whose image can't be pulled are ImagePullFailed, and then Inconclusive."""
    stage.operator.install(helm, "runners.image.tag=does-not-exist")
    try:
        never_starts(stage, "ImagePullFailed")
    finally:
        stage.operator.install(helm)


def test_admission_refuses_the_pods(stage):
    """Runners that admission refuses are PodRefused, and then Inconclusive."""
    policy = {"metadata": {"name": "one", "namespace": stage.namespace}, "spec": {"limits": [LEAST]}}
    stage.cluster.create("LimitRange", policy)
    tiny = {"resources": {"requests": {"memory": "1Mi"}, "limits": {"memory": "1Mi"}}}
    never_starts(stage, "PodRefused", **tiny)


LEAST = {"type": "Container", "min": {"memory": "64Mi"}}


def secret(stage):
    """Make what the test of a missing Secret misses."""
    value = base64.b64encode(b"x").decode()
    meta = {"name": "shop", "namespace": stage.namespace}
    stage.cluster.create("Secret", {"metadata": meta, "data": {"password": value}})


def rows(stage):
    """Make what the test of a missing ConfigMap misses."""
    meta = {"name": "rows", "namespace": stage.namespace}
    stage.cluster.create("ConfigMap", {"metadata": meta, "data": {"rows.json": '[{"user": "a"}]'}})


ROWS = {"data": {"users": {"json": {"configMapKeyRef": {"name": "rows", "key": "rows.json"}}}}}


@pytest.mark.parametrize(
    ("reason", "spec", "make"),
    [("SecretNotFound", SECRET, secret), ("ConfigMapNotFound", ROWS, rows)],
    ids=["secret", "configmap"],
)
def test_what_is_missing_and_then_made(stage, reason, spec, make):
    """A missing Secret or ConfigMap holds a run up by name, and sets it off when it comes."""
    stage.apply(seconds=2, **spec)
    stage.until_reason(reason)
    make(stage)
    stage.finish("Passed")
    stage.removed()


def at(stage, state):
    """Bring the test into a state: `Starting` lasts as long as no node fits."""
    if state == "Pending":
        stage.apply(suspend=True)
        stage.until_phase("Pending")
    elif state == "Starting":
        stage.apply(seconds=5, runners={"count": 1, "processes": 1, **HUGE})
        until(stage.pods, 30, stage.story)
    elif state == "Running":
        stage.apply(seconds=60)
        stage.until_load()
    elif state == "Judging":
        stage.apply(seconds=2, teardown={"steps": [VISIT, {"think": "6s"}]})
        stage.until_phase("Judging")
    else:
        stage.apply(seconds=2)
        stage.finish("Passed")


STATES = ("Pending", "Starting", "Running", "Judging", "Passed")


@pytest.mark.parametrize("state", STATES)
def test_deleted_in_each_state(stage, state):
    """A LoadTest that is deleted takes all with it, load first."""
    at(stage, state)
    stage.removed()
    assert stage.test() is None
    settled(stage)


@pytest.mark.parametrize("state", ["Starting", "Running"])
def test_suspended_in_each_state(stage, state):
    """A run that is suspended is called off: Aborted, and its load ends."""
    at(stage, state)
    stage.edit(suspend=True)
    stage.finish("Aborted")
    stage.removed()


@pytest.mark.parametrize("state", ["Judging", "Passed"])
def test_suspended_after_the_load(stage, state):
    """A run whose load is over can't be called off any more: its verdict is given, and stays."""
    at(stage, state)
    stage.edit(suspend=True)
    generation = stage.test()["metadata"]["generation"]
    until(lambda: stage.status()["observedGeneration"] == generation, 30, stage.story)
    stage.finish("Passed")
    stage.removed()


@pytest.mark.parametrize("state", STATES)
def test_edited_in_each_state(stage, state):
    """A spec with another load leads to a run of that spec, whatever went on before, and its verdict is of that one."""
    at(stage, state)
    spec = stage.manifest(seconds=3, teardown=None)["spec"]
    if state == "Starting":
        spec["runners"]["resources"] = None
    before = (stage.status().get("run") or {}).get("number", 0)
    stage.edit(**spec, suspend=False)
    until(lambda: (stage.status().get("run") or {}).get("number", 0) > before, 60, stage.story)
    stage.finish("Passed")
    stage.removed()


def test_a_namespace_deleted_in_mid_run(stage):
    """A namespace that is deleted under a run goes, load and all, and the operator goes on with others."""
    stage.apply(seconds=60)
    stage.until_load()
    stage.cluster.delete("Namespace", "", stage.namespace)
    until(lambda: stage.cluster.get("Namespace", "", stage.namespace) is None, 90, stage.story)
    settled(stage)
    stage.operator.ready()


@pytest.mark.parametrize("state", ["Starting", "Running"])
def test_a_namespace_deleted_with_a_runner_that_fails(stage, state):
    """A pod that ends badly while its namespace is deleted holds up the namespace no longer than the run may take."""
    if state == "Starting":
        stage.apply(startDeadline="20s", runners={"count": 1, "processes": 1, **HUGE})
        until(stage.pods, 30, stage.story)
    else:
        stage.apply(seconds=60)
        stage.until_load()
    pods = stage.pods()
    stage.cluster.delete("Namespace", "", stage.namespace)
    for pod in pods:
        stage.cluster.kill(pod, "runner")
    until(lambda: stage.cluster.get("Namespace", "", stage.namespace) is None, 120, stage.leftovers)
    settled(stage)


def test_the_node_lost(stage):
    """A node that is lost with runner, operator and target on it leaves an Inconclusive, once there is an operator again."""
    stage.apply(seconds=60)
    stage.until_load()
    with stage.cluster.away("node"):
        until(lambda: stage.shop.requests() is None, 30)
    stage.shop.ready(120)
    status = stage.finish("Inconclusive", seconds=120)
    assert counted(status) - {"NoSamples"} == {"RunnerLost"}  # nothing may have been heard of it before
    stage.removed()
