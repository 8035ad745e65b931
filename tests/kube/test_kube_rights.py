"""No permission of the chart is idle: without any one of its rules something that the operator does is refused."""

from __future__ import annotations

import os
import re
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from kube_cluster import Kube, OperatorProcess
from kube_stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.cluster, pytest.mark.processes, pytest.mark.timeout(300, func_only=True)]

RBAC = "rbac.authorization.k8s.io"
TEMPLATE = Path(__file__).resolve().parents[2] / "charts" / "loadgate" / "templates" / "rbac.yaml"


def _rules() -> list[dict[str, Any]]:
    """The chart's rules: of the namespaces that are watched, and of the Lease."""
    text = TEMPLATE.read_text(encoding="utf-8")
    watched = text.split('{{- define "loadgate.rules" -}}')[1].split("{{- end }}")[0]
    lease = re.search(r"^rules:\n(- apiGroups: \[coordination.*?)^---", text, re.DOTALL | re.MULTILINE)
    assert lease is not None
    return [*yaml.safe_load(watched), *yaml.safe_load(lease[1])]


RULES = _rules()


class Restricted(OperatorProcess):
    """An operator that may not get ready: it is enough that it was refused something."""

    def ready(self) -> bool:
        """Whether there is anything to see yet."""
        return self.refused() or super().ready()

    def refused(self, resource: str = "") -> bool:
        """Whether the API server has said no to it, about this resource."""
        about = {"resource": resource} if resource else {}
        return self.count("loadgate_api_calls_total", code="403", **about) > 0


@pytest.fixture
def stage(kube: Kube, namespace: str, target: str) -> Stage:
    """A namespace that no operator watches yet."""
    if not kube.runs_pods:
        pytest.skip("the cluster of KUBECONFIG can't reach this machine's loopback")
    return Stage(kube, namespace, target)


@pytest.fixture
def start(stage: Stage, tmp_path: Path) -> Iterator[Callable[[list[dict[str, Any]]], Restricted]]:
    """Starts an operator that has these rights and no others; it is gone afterwards."""
    started: list[Restricted] = []

    def begin(rules: list[dict[str, Any]]) -> Restricted:
        arguments = (
            "--namespace",
            stage.namespace,
            "--leader-election",
            "--leader-election-namespace",
            stage.namespace,
        )
        operator = Restricted(stage.kube, tmp_path / "log", *arguments, kubeconfig=_kubeconfig(stage, tmp_path, rules))
        started.append(operator)
        return operator

    yield begin
    for operator in started:
        operator.stop()


def _kubeconfig(stage: Stage, folder: Path, rules: list[dict[str, Any]]) -> str:
    names = {"name": "operator", "namespace": stage.namespace}
    stage.kube.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": names},
        {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": names, "rules": rules},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": names,
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "operator"},
            "subjects": [{"kind": "ServiceAccount", **names}],
        },
    )
    token = stage.kube.run("create", "token", "operator", "-n", stage.namespace).strip()
    config = yaml.safe_load(Path(stage.kube.kubeconfig).read_text(encoding="utf-8"))
    config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return str(path)


def _kill_a_runner(stage: Stage) -> None:
    """End a runner's processes, so that its pod ends without a word and only its log is left."""
    pod = stage.kube.get("pods", "-n", stage.namespace)["items"][0]
    wanted = f"LOADGATE_POD_UID={pod['metadata']['uid']}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                os.kill(int(folder.name), signal.SIGKILL)


@pytest.mark.parametrize("number", range(len(RULES)), ids=[", ".join(r["resources"] + r["verbs"]) for r in RULES])
def test_every_rule_is_needed(stage: Stage, start: Callable[[list[dict[str, Any]]], Restricted], number: int) -> None:
    """Without this rule the operator doesn't start, or is refused a call about what the rule is for."""
    left_out = RULES[number]
    try:
        operator = start([rule for rule in RULES if rule is not left_out])
    except AssertionError as error:
        assert "doesn't let the operator read" in str(error)  # noqa: PT017 - which of the two happens isn't the point
        assert left_out["resources"][0] == "loadtests"
        return
    refused = lambda: any(operator.refused(resource) for resource in left_out["resources"])  # noqa: E731
    if not refused():
        stage.kube.apply(stage.manifest(seconds=60))
    if left_out["resources"] == ["pods/log"]:
        stage.until("Running")
        _kill_a_runner(stage)
    stage.kube.until(refused)


def test_with_all_of_them_nothing_is_refused(stage: Stage, start: Callable[[list[dict[str, Any]]], Restricted]) -> None:
    """With all rules a run that loses a runner comes to its verdict without a single refusal."""
    operator = start(RULES)
    stage.kube.apply(stage.manifest(seconds=30))
    stage.until("Running")
    _kill_a_runner(stage)
    assert stage.complete()["phase"] == "Inconclusive"
    assert not operator.refused()
