"""What people see and do with kubectl: the table of LoadTests, a namespace taken away, a plan changed by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from kube_cluster import Kube, OperatorProcess
from kube_stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.cluster, pytest.mark.processes, pytest.mark.timeout(300, func_only=True)]

HUGE = {"resources": {"requests": {"cpu": "900"}, "limits": {"cpu": "900"}}}
BUDGET = {
    "apiVersion": "loadgate.dev/v1alpha1",
    "kind": "PerformanceBudget",
    "spec": {"selector": {"matchLabels": {"app": "shop"}}, "responseTime": {"*": {"p95": "5s"}}},
}


@pytest.fixture(scope="module")
def operator(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """The operator for the whole cluster."""
    if not kube.runs_pods:
        pytest.skip("the cluster of KUBECONFIG can't reach this machine's loopback")
    process = OperatorProcess(kube, tmp_path_factory.mktemp("operator") / "log")
    yield process
    assert process.stop() == 0
    assert "a fault of loadgate's own" not in process.said()


@pytest.fixture
def stage(kube: Kube, operator: OperatorProcess, namespace: str, target: str) -> Stage:
    """A namespace that the operator watches."""
    return Stage(kube, namespace, target)


def table(stage: Stage, kind: str = "loadtests") -> dict[str, dict[str, str]]:
    """What `kubectl get -o wide` shows: by object and column."""
    head, *lines = stage.kube.run("get", kind, "-n", stage.namespace, "-o", "wide").splitlines()
    starts = [
        place for place, letter in enumerate(head) if letter != " " and (not place or head[place - 2 : place] == "  ")
    ]
    cells = [[line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)] for line in lines]
    names = [head[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
    return {row[0]: dict(zip(names, row, strict=True)) for row in cells}


def test_the_table_reads_well_whatever_became_of_a_test(stage: Stage) -> None:
    """Each row says in words where its test stands; nothing that isn't known yet, or isn't there, is shown as if it were."""
    budgets = [{**BUDGET, "metadata": {"name": name, "namespace": stage.namespace}} for name in ("shop", "team")]
    plain = stage.manifest("plain", seconds=25)
    plain["metadata"]["labels"] = {}
    spoilt = stage.manifest("spoilt", runners={"count": 2, "processes": 1, **HUGE})
    broken = stage.manifest("broken", thresholds={"http_req_duration": ["p(95)<0.001"]})
    stage.kube.apply(*budgets, stage.manifest("judged"), plain, spoilt, broken, stage.manifest("later", suspend=True))
    stage.until("Running", "plain")
    running = stage.kube.until(lambda: (row := table(stage)["plain"])["REQUESTS/S"] not in {"", "0.0"} and row)
    assert (running["PHASE"], running["REASON"], running["RUNNERS"]) == ("Running", "", "2/2")
    assert running["BUDGETS"] == ""
    for name in ("judged", "plain", "broken"):
        stage.complete(name)
    stage.kube.until(lambda: table(stage)["spoilt"]["REASON"] == "Unschedulable")
    rows = table(stage)
    shown = {name: (row["PHASE"], row["REASON"], row["RUNNERS"], row["BUDGETS"]) for name, row in rows.items()}
    assert shown == {
        "judged": ("Passed", "LimitsHeld", "2/2", "shop,team"),
        "plain": ("Passed", "LimitsHeld", "2/2", ""),
        "broken": ("Failed", "ThresholdViolated", "2/2", "shop,team"),
        "spoilt": ("Starting", "Unschedulable", "0/2", "shop,team"),
        "later": ("Pending", "Suspended", "", ""),
    }
    assert not [cell for row in rows.values() for cell in row.values() if "[" in cell or "<none>" in cell]
    assert float(rows["judged"]["REQUESTS/S"]) > 0
    assert {row["SATISFIED"] for row in table(stage, "performancebudgets").values()} == {"True"}


def test_a_namespace_that_goes_takes_a_start_along(stage: Stage, operator: OperatorProcess) -> None:
    """A run that waits for its pods doesn't hold its namespace up until its deadline, and few calls are made for it."""
    stage.kube.apply(stage.manifest(startDeadline="1h", runners={"count": 2, "processes": 1, **HUGE}))
    stage.kube.until(lambda: "Unschedulable" in stage.reasons())
    # What an earlier test left is taken away with its namespace, and calls are made for that, too.
    stage.kube.until(lambda: len(stage.kube.get("loadtests", "--all-namespaces")["items"]) == 1)
    before = operator.count("loadgate_api_calls_total")
    stage.kube.run("delete", "namespace", stage.namespace, "--wait=false")
    stage.kube.until(lambda: stage.kube.get("namespace", stage.namespace) is None, 60)
    assert operator.count("loadgate_api_calls_total") - before < 30


def test_a_plan_that_someone_changes_is_not_run(stage: Stage) -> None:
    """A plan that isn't the one of the run when its pods start is refused, and what to do is said; no load is made."""
    where = {"namespace": stage.namespace}
    none = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", **where},
        "spec": {"hard": {"pods": "0"}},
    }
    stage.kube.apply(none)
    stage.kube.until(
        lambda: (stage.kube.get("resourcequota", "none", "-n", stage.namespace).get("status") or {}).get("hard")
    )
    stage.kube.apply(stage.manifest())
    stage.kube.until(lambda: "QuotaExceeded" in stage.reasons())
    name = f"{stage.status()['run']['id']}-plan"
    plan: dict[str, Any] = stage.kube.get("configmap", name, "-n", stage.namespace)
    document = json.loads(plan["data"]["plan.json"])
    document["scenarios"][0]["schedule"]["segments"][0]["duration"] = 3600
    kept = {part: plan["metadata"][part] for part in ("name", "namespace", "labels", "ownerReferences")}
    stage.kube.run("delete", "configmap", name, "-n", stage.namespace)
    stage.kube.apply({**plan, "metadata": kept, "data": {"plan.json": json.dumps(document)}})
    stage.kube.run("delete", "resourcequota", "none", "-n", stage.namespace)
    status = stage.complete()
    assert status["phase"] == "Inconclusive"
    assert status["doubts"][0]["reason"] == "ArmingFailed"
    assert "its ConfigMap was changed; run the test again" in status["doubts"][0]["message"]


@pytest.fixture
def volume(kube: Kube, namespace: str) -> Iterator[dict[str, Any]]:
    """A volume that all runners may mount, in the form of a LoadTest's claim on it."""
    modes = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": namespace},
            "spec": {**modes, "capacity": {"storage": "1Mi"}, "hostPath": {"path": "/var/empty"}},
        }
    )
    asked = {"resources": {"requests": {"storage": "1Mi"}}, "volumeName": namespace}
    yield {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "files", "namespace": namespace},
        "spec": {**modes, **asked},
    }
    kube.run("delete", "persistentvolume", namespace, "--wait=false")


def test_a_claim_is_waited_for_by_name_and_then_mounted(stage: Stage, volume: dict[str, Any]) -> None:
    """A claim that isn't there holds the pods up and is named; once it is there and bound, the run passes."""
    mounted = {
        "volumes": [{"name": "files", "persistentVolumeClaim": {"claimName": "files", "readOnly": True}}],
        "volumeMounts": [{"name": "files", "mountPath": "/files", "readOnly": True}],
    }
    stage.kube.apply(stage.manifest(runners={"count": 2, "processes": 1, **mounted}))
    stage.kube.until(lambda: "Unschedulable" in stage.reasons())
    said = [one["message"] for one in stage.status()["conditions"] if one["type"] == "Reconciling"]
    assert 'persistentvolumeclaim "files" not found' in said[0]
    stage.kube.apply(volume)
    stage.passes()
    claim = stage.kube.get("persistentvolumeclaim", "files", "-n", stage.namespace)
    assert claim["status"]["phase"] == "Bound"
