"""Whole LoadTests on a real API server: the operator as a process, runners as pods, a target on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from kube_cluster import Kube, OperatorProcess
from kube_stage import Stage

from loadgate_operator.cluster.port import Key, Kind
from loadgate_operator.embedded import Embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.cluster, pytest.mark.processes, pytest.mark.timeout(300, func_only=True)]


@pytest.fixture(scope="module")
def operator(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """The operator for the whole cluster."""
    if not kube.runs_pods:
        pytest.skip(
            "the cluster of KUBECONFIG can't reach this machine's loopback; tests/e2e runs the real image there"
        )
    process = OperatorProcess(kube, tmp_path_factory.mktemp("operator") / "log")
    yield process
    assert process.stop() == 0
    assert "a fault of loadgate's own" not in process.said()


@pytest.fixture
def stage(kube: Kube, operator: OperatorProcess, namespace: str, target: str) -> Stage:
    """A namespace that the operator watches."""
    return Stage(kube, namespace, target)


def test_from_apply_to_a_verdict(stage: Stage) -> None:
    """A manifest that is applied becomes a verdict that kubectl waits for, and describe tells the story."""
    stage.kube.apply(stage.manifest())
    status = stage.passes()
    assert status["runners"] == {"desired": 2, "ready": 2, "finished": 2, "lost": 0}
    assert status["summary"]["requests"] > 20
    assert stage.reasons() >= {"Preparing", "Running", "Passed"}
    described = stage.kube.run("describe", "loadtest", "checkout", "-n", stage.namespace)
    assert "all 1 limit held" in described


def test_nothing_but_a_status_is_written_on_a_users_object(stage: Stage) -> None:
    """After a run the LoadTest has no finalizer and no annotation, and ours is one field manager, of the status."""
    test = stage.manifest()
    stage.kube.run("create", "-f", "-", stdin=yaml.safe_dump(test))
    stage.complete()
    metadata = stage.kube.get("loadtest", "checkout", "-n", stage.namespace, "--show-managed-fields")["metadata"]
    assert "finalizers" not in metadata
    assert "annotations" not in metadata
    ours = [one for one in metadata["managedFields"] if one["manager"] != "kubectl-create"]
    assert [(one["manager"], one["operation"], one["subresource"]) for one in ours] == [("loadgate", "Apply", "status")]


def test_other_limits_judge_again_without_load(stage: Stage) -> None:
    """A threshold that changes gives the same run another verdict, soon and with no new pods."""
    stage.kube.apply(stage.manifest())
    first = stage.complete()
    stage.kube.apply(stage.manifest(thresholds={"http_req_duration": ["p(95)<0.001"]}))
    second = stage.until("Failed")
    assert second["run"]["id"] == first["run"]["id"]
    assert len(stage.kube.get("jobs", "-n", stage.namespace)["items"]) == 1
    assert second["violations"][0]["limit"]


def test_suspension_ends_a_run(stage: Stage) -> None:
    """A test that is suspended in mid-run is called off, and its pods are gone."""
    stage.kube.apply(stage.manifest(seconds=60))
    stage.until("Running")
    stage.kube.apply(stage.manifest(seconds=60, suspend=True))
    stage.until("Aborted")
    pods = lambda: (stage.kube.get("pods", "-n", stage.namespace) or {"items": []})["items"]  # noqa: E731
    stage.kube.until(lambda: not [pod for pod in pods() if pod["status"]["phase"] in ("Pending", "Running")])


def test_deletion_leaves_nothing_behind(stage: Stage) -> None:
    """With the LoadTest go its Job, pods, plan and token, in mid-run too; nothing holds it back."""
    stage.kube.apply(stage.manifest(seconds=60))
    stage.until("Running")
    assert len(stage.left()) == 5
    stage.kube.run("delete", "loadtest", "checkout", "-n", stage.namespace, "--timeout=10s")
    stage.kube.until(lambda: not stage.left())


def test_a_missing_secret_is_named_and_waited_for(stage: Stage) -> None:
    """What the test refers to and isn't there holds it up by name, and its appearance sets it off."""
    stage.kube.apply(stage.manifest(secrets={"password": {"secretKeyRef": {"name": "shop", "key": "password"}}}))
    stage.kube.until(lambda: "SecretNotFound" in stage.reasons())
    assert stage.status()["phase"] == "Pending"
    stage.kube.run("create", "secret", "generic", "shop", "--from-literal=password=x", "-n", stage.namespace)
    stage.passes()


def test_a_script_that_changes_runs_again(stage: Stage) -> None:
    """New contents of a ConfigMap that the test takes data from start another run, without anyone touching the test."""
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "rows", "namespace": stage.namespace}}
    data = {"users": {"json": {"configMapKeyRef": {"name": "rows", "key": "rows.json"}}}}
    stage.kube.apply({**config, "data": {"rows.json": '[{"a": "1"}]'}}, stage.manifest(data=data))
    assert stage.complete()["run"]["number"] == 1
    stage.kube.apply({**config, "data": {"rows.json": '[{"a": "2"}]'}})
    stage.kube.until(lambda: stage.status()["run"]["number"] == 2)
    assert stage.complete()["run"]["cause"] == "InputsChanged"


def test_a_run_costs_the_api_server_little(stage: Stage, operator: OperatorProcess) -> None:
    """While load is on only statuses are written, one in five seconds; at rest nothing is asked at all."""
    stage.kube.apply(stage.manifest(seconds=12))
    stage.until("Running")
    stage.kube.until(lambda: stage.status().get("load", {}).get("vus") == 2)
    before = operator.count("loadgate_api_calls_total")
    stage.kube.until(lambda: stage.status()["progress"] > 80)
    assert operator.count("loadgate_api_calls_total") - before <= 4
    stage.passes()


def _conditions(status: dict[str, Any]) -> dict[str, Any]:
    told = {one["type"]: (one["status"], one["reason"]) for one in status.get("conditions") or ()}
    run = status.get("run") or {}
    return {"phase": status.get("phase"), "conditions": told, "number": run.get("number"), "cause": run.get("cause")}


async def _embedded(objects: list[dict[str, Any]]) -> dict[str, Any]:
    async with Embedded() as cluster:
        await cluster.apply(objects)
        test = next(obj for obj in objects if obj["kind"] == "LoadTest")
        key = Key(Kind.LOAD_TEST, test["metadata"]["namespace"], test["metadata"]["name"])
        return _conditions(await cluster.wait(key))


def _budget(namespace: str, limit: str) -> dict[str, Any]:
    return {
        "apiVersion": "loadgate.dev/v1alpha1",
        "kind": "PerformanceBudget",
        "metadata": {"name": "shop", "namespace": namespace},
        "spec": {"selector": {"matchLabels": {"app": "shop"}}, "responseTime": {"*": {"p95": limit}}},
    }


@pytest.mark.parametrize(
    ("spec", "limit", "phase"),
    [
        ({}, "5s", "Passed"),
        ({"thresholds": {}}, None, "Passed"),
        ({"thresholds": {"http_req_duration": ["p(95)<0.001"]}}, None, "Failed"),
        ({}, "1us", "Failed"),
        ({"thresholds": {"http_req_duration{expected_response:false}": ["p(95)<1"]}}, None, "Inconclusive"),
        ({"budgets": [{"name": "nobody"}]}, None, "Pending"),
        ({"suspend": True}, None, "Pending"),
    ],
    ids=["passed", "nothing-asked", "threshold", "budget", "no-samples", "no-budget", "suspended"],
)
async def test_both_sides_say_the_same(stage: Stage, spec: dict[str, Any], limit: str | None, phase: str) -> None:
    """The same manifests give the same phase, conditions and reasons on the embedded and on the real cluster."""
    objects = [stage.manifest(**spec)] + ([_budget(stage.namespace, limit)] if limit else [])
    embedded = await _embedded(objects)
    stage.kube.apply(*reversed(objects))
    try:
        stage.kube.until(lambda: _conditions(stage.status()) == embedded, 40)
    except AssertionError:
        assert _conditions(stage.status()) == embedded
    assert embedded["phase"] == phase
