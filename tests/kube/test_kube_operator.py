"""The operator as a process that dies, stands by, has few rights, or loses its API server."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from kube_cluster import TOOL, Kube, OperatorProcess
from kube_stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.cluster, pytest.mark.processes, pytest.mark.timeout(300, func_only=True)]

CHART = Path(__file__).resolve().parents[2] / "charts" / "loadgate"


@pytest.fixture
def stage(kube: Kube, namespace: str, target: str) -> Stage:
    """A namespace that no operator watches yet."""
    if not kube.runs_pods:
        pytest.skip(
            "the cluster of KUBECONFIG can't reach this machine's loopback; tests/e2e runs the real image there"
        )
    return Stage(kube, namespace, target)


@pytest.fixture
def start(stage: Stage, tmp_path: Path) -> Iterator[Callable[..., OperatorProcess]]:
    """Starts operators for that namespace; all are gone afterwards."""
    all_of_them: list[OperatorProcess] = []

    def begin(*arguments: str, kubeconfig: str = "") -> OperatorProcess:
        log = tmp_path / f"log-{len(all_of_them)}"
        it = OperatorProcess(stage.kube, log, "--namespace", stage.namespace, *arguments, kubeconfig=kubeconfig)
        all_of_them.append(it)
        return it

    yield begin
    for process in all_of_them:
        process.stop()


def test_an_operator_that_is_killed_goes_on(stage: Stage, start: Callable[..., OperatorProcess]) -> None:
    """A run whose operator is killed in its midst is finished and judged by the next one."""
    first = start()
    stage.kube.apply(stage.manifest(seconds=6))
    running = stage.until("Running")
    first.kill()
    start()
    status = stage.passes()
    assert status["run"]["id"] == running["run"]["id"]


def test_an_operator_that_was_away_for_the_whole_run_judges_it(
    stage: Stage, start: Callable[..., OperatorProcess]
) -> None:
    """Runners finish without it and wait; what they measured is judged when it comes back."""
    first = start()
    stage.kube.apply(stage.manifest(seconds=3))
    stage.until("Running")
    first.kill()
    time.sleep(6)
    start()
    stage.passes()


def test_a_standby_takes_over(stage: Stage, start: Callable[..., OperatorProcess]) -> None:
    """Of two only the leader works; when it dies the other goes on with its run."""
    flags = ("--leader-election", "--leader-election-namespace", stage.namespace)
    first = start(*flags, "--identity", "a")
    stage.kube.until(lambda: first.count("loadgate_leader") == 1)
    second = start(*flags, "--identity", "b")
    assert second.count("loadgate_leader") == 0
    stage.kube.apply(stage.manifest(seconds=5))
    stage.until("Running")
    first.kill()
    stage.passes()
    assert second.count("loadgate_leader") == 1


def test_a_leader_that_is_stopped_hands_over_at_once(stage: Stage, start: Callable[..., OperatorProcess]) -> None:
    """SIGTERM ends it with 0 in a few seconds, and the Lease is free."""
    flags = ("--leader-election", "--leader-election-namespace", stage.namespace)
    first = start(*flags)
    stage.kube.until(lambda: first.count("loadgate_leader") == 1)
    begun = time.monotonic()
    assert first.stop() == 0
    assert time.monotonic() - begun < 10
    lease = stage.kube.get("lease", "loadgate-operator", "-n", stage.namespace)
    assert not lease["spec"].get("holderIdentity")


def test_an_api_server_that_is_away_for_a_while(stage: Stage, start: Callable[..., OperatorProcess]) -> None:
    """A run under way survives an outage of the API server, and so does the operator's process."""
    operator = start()
    stage.kube.apply(stage.manifest(seconds=8))
    stage.until("Running")
    environment = {**os.environ, **stage.kube.environment}
    subprocess.run([str(TOOL), "stop", "kube-apiserver"], env=environment, check=True, timeout=30)
    try:
        time.sleep(5)
    finally:
        subprocess.run([str(TOOL), "up"], env=environment, check=True, timeout=60, capture_output=True)
    stage.passes()
    assert operator.process.poll() is None
    stage.kube.until(lambda: operator.fetch("/healthz")[0] == 200)


def _rules() -> list[dict[str, Any]]:
    """The chart's rules, of the template that has them."""
    text = (CHART / "templates" / "rbac.yaml").read_text(encoding="utf-8")
    body = text.split('{{- define "loadgate.rules" -}}')[1].split("{{- end }}")[0]
    rules: list[dict[str, Any]] = yaml.safe_load(body)
    return rules


@pytest.fixture
def restricted(stage: Stage, tmp_path: Path) -> str:
    """A kubeconfig of a service account that has the chart's rights in the one namespace, and no others."""
    names = {"name": "operator", "namespace": stage.namespace}
    rbac = "rbac.authorization.k8s.io"
    stage.kube.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": names},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": names, "rules": _rules()},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": names,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "operator"},
            "subjects": [{"kind": "ServiceAccount", **names}],
        },
    )
    token = stage.kube.run("create", "token", "operator", "-n", stage.namespace).strip()
    config = yaml.safe_load(Path(stage.kube.kubeconfig).read_text(encoding="utf-8"))
    config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return str(path)


def test_a_role_in_one_namespace_is_enough(
    stage: Stage, start: Callable[..., OperatorProcess], restricted: str
) -> None:
    """With the chart's rights in one namespace, and none in the cluster, a run comes to its verdict, and nothing is refused."""
    operator = start(kubeconfig=restricted)
    stage.kube.apply(stage.manifest())
    stage.passes()
    assert stage.reasons() >= {"Preparing", "Running", "Passed"}
    assert operator.count("loadgate_api_calls_total", code="403") == 0
    assert "forbidden" not in operator.said().lower()


def test_rights_that_are_missing_are_said(stage: Stage, tmp_path: Path, restricted: str) -> None:
    """An operator that may not look at the whole cluster, and is told to, says so and ends."""
    with pytest.raises(AssertionError, match="doesn't let the operator read"):
        OperatorProcess(stage.kube, tmp_path / "log", kubeconfig=restricted)
