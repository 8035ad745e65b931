"""What a test and its installation say of runners' pods, before a real API server that admits restricted pods only."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from kube_cluster import IMAGE, TOOL, Kube, OperatorProcess
from kube_stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.cluster, pytest.mark.processes]

CHART = Path(__file__).resolve().parents[2] / "charts" / "loadgate"
TEMPLATE = "templates/runner-defaults.yaml"

JOURNEY = """
import os
from pathlib import Path

SAID = {name: os.environ.get(name) for name in ("PLAIN", "SECRET", "CONFIG", "NONE", "TEAM", "CORES", "DEFAULT")}
WANTED = {"PLAIN": "a", "SECRET": "hush", "CONFIG": "c", "NONE": None, "TEAM": "shop", "CORES": "1", "DEFAULT": "d"}

async def journey(user):
    assert SAID == WANTED, SAID
    assert Path("/var/config/deep/c.txt").read_text() == "c"
    assert Path("/var/secret/s").read_text() == "hush"
    Path("/var/empty/x").write_text("x")
    assert not Path("/var/run/secrets/kubernetes.io").exists()
    await user.get("/")
"""
PODS: dict[str, Any] = {
    "image": IMAGE,
    "imagePullSecrets": [{"name": "none"}],
    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "pool", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}],
    "affinity": {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 1,
                    "podAffinityTerm": {
                        "topologyKey": "kubernetes.io/hostname",
                        "labelSelector": {"matchLabels": {"app": "shop"}},
                    },
                }
            ]
        }
    },
    "topologySpreadConstraints": [
        {"maxSkew": 2, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule", "minDomains": 1}
    ],
    "serviceAccountName": "runner",
    "env": [
        {"name": "PLAIN", "value": "a"},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "s"}}},
        {"name": "CONFIG", "valueFrom": {"configMapKeyRef": {"name": "config", "key": "c"}}},
        {"name": "NONE", "valueFrom": {"configMapKeyRef": {"name": "nowhere", "key": "c", "optional": True}}},
        {"name": "TEAM", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['team']"}}},
        {"name": "CORES", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
    ],
    "volumes": [
        {"name": "config", "configMap": {"name": "config", "items": [{"key": "c", "path": "deep/c.txt"}]}},
        {"name": "secret", "secret": {"secretName": "keys"}},
        {"name": "empty", "emptyDir": {"sizeLimit": "1Mi"}},
    ],
    "volumeMounts": [
        {"name": "config", "mountPath": "/var/config", "readOnly": True},
        {"name": "secret", "mountPath": "/var/secret"},
        {"name": "empty", "mountPath": "/var/empty"},
    ],
    "labels": {"team": "shop"},
    "annotations": {"note": "a b"},
}


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
    """Starts an operator for that namespace, which is gone afterwards."""
    started: list[OperatorProcess] = []

    def begin(*arguments: str) -> OperatorProcess:
        started.append(OperatorProcess(stage.kube, tmp_path / "log", "--namespace", stage.namespace, *arguments))
        return started[-1]

    yield begin
    for process in started:
        process.stop()


def in_namespace(stage: Stage, kind: str, name: str, **parts: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": stage.namespace}, **parts}


def pods(stage: Stage) -> list[dict[str, Any]]:
    """The runners' pods that there are."""
    found = stage.kube.get("pods", "-n", stage.namespace, "-l", "app.kubernetes.io/component=runner")
    return (found or {"items": []})["items"]


def rendered_defaults(stage: Stage, path: Path, **runners: Any) -> str:
    """The file of defaults that the chart makes of its values."""
    values = path.with_name("values.yaml")
    values.write_text(yaml.safe_dump({"runners": runners}), encoding="utf-8")
    helm = Kube(stage.kube.kubeconfig, (str(TOOL), "helm"), runs_pods=False, environment=stage.kube.environment)
    text = helm.run("template", "rel", str(CHART), "--kube-version=1.36", "-f", str(values), "-s", TEMPLATE)
    path.write_text(yaml.safe_load(text)["data"]["runners.yaml"], encoding="utf-8")
    return str(path)


def test_all_that_can_be_said_makes_a_run_that_passes(
    stage: Stage, start: Callable[..., OperatorProcess], tmp_path: Path
) -> None:
    """With every field set, by the test and by the chart's defaults, restricted pods are admitted and find what was promised."""
    defaults = rendered_defaults(
        stage,
        tmp_path / "runners.yaml",
        env=[{"name": "DEFAULT", "value": "d"}, {"name": "PLAIN", "value": "the test's wins"}],
        nodeSelector={"kubernetes.io/hostname": "box"},
        tolerations=[{"operator": "Exists", "effect": "PreferNoSchedule"}],
        priorityClassName="system-cluster-critical",
        serviceAccountName="default",
        labels={"team": "other", "cost": "1"},
        resources={"limits": {"cpu": "3"}},
    )
    start("--runner-defaults", defaults)
    stage.kube.apply(
        in_namespace(stage, "ServiceAccount", "runner"),
        in_namespace(stage, "ConfigMap", "config", data={"c": "c"}),
        in_namespace(stage, "ConfigMap", "journeys", data={"j.py": JOURNEY}),
        in_namespace(stage, "Secret", "keys", data={"s": base64.b64encode(b"hush").decode()}),
    )
    script = {"configMapKeyRef": {"name": "journeys", "key": "j.py"}}
    scenario = {"name": "s", "executor": "shared-iterations", "vus": 2, "iterations": 20, "script": script}
    runners = {**PODS, "count": 2, "processes": 1}
    stage.kube.apply(stage.manifest(runners=runners, scenarios=[scenario], tolerateDoubts=["CPULimit", "LoopLag"]))
    status = stage.complete()
    assert status["phase"] == "Passed", status
    for pod in pods(stage):
        spec, labels = pod["spec"], pod["metadata"]["labels"]
        assert spec["nodeSelector"] == {"kubernetes.io/os": "linux", "kubernetes.io/hostname": "box"}
        assert spec["priorityClassName"] == "system-cluster-critical"
        assert spec["serviceAccountName"] == "runner"
        assert spec["affinity"] == PODS["affinity"]
        assert {"operator": "Exists", "effect": "PreferNoSchedule"} in spec["tolerations"]
        assert spec["imagePullSecrets"] == [{"name": "none"}]
        assert spec["containers"][0]["resources"] == PODS["resources"]
        assert spec["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"] == {
            "loadgate.dev/run": status["run"]["id"]
        }
        assert (labels["team"], labels["cost"]) == ("shop", "1")
        assert pod["metadata"]["annotations"]["note"] == "a b"
        assert not [volume for volume in spec["volumes"] if "projected" in volume]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"env": [{"name": "LOADGATE_RUN", "value": "x"}]}, "spec.runners.env[0]"),
    ({"env": [{"name": "A", "value": "x", "valueFrom": {}}]}, "spec.runners.env[0]"),
    ({"env": [{"name": "A"}, {"name": "A"}]}, "spec.runners.env[1]"),
    ({"volumes": [{"name": "a", "emptyDir": {}}]}, "each of volumes must be mounted"),
    ({"volumes": [{"name": "a", "hostPath": {"path": "/"}}]}, 'unknown field "spec.runners.volumes[0].hostPath"'),
    ({"volumeMounts": [{"name": "a", "mountPath": "/a"}]}, "each of volumeMounts needs a volume"),
    (
        {
            "volumes": [{"name": "a", "emptyDir": {}}],
            "volumeMounts": [{"name": "a", "mountPath": "/etc/loadgate/plan"}],
        },
        "spec.runners.volumeMounts[0]",
    ),
    ({"tolerations": [{"value": "a"}]}, "without a key the operator must be Exists"),
    ({"tolerations": [{"key": "a", "tolerationSeconds": 1}]}, "needs effect NoExecute"),
    ({"nodeSelector": {"a b": "c"}}, "spec.runners.nodeSelector"),
    ({"labels": {"loadgate.dev/run": "x"}}, "can't be set"),
    ({"annotations": {"app.kubernetes.io/name": "x"}}, "can't be set"),
    ({"automountServiceAccountToken": True}, 'unknown field "spec.runners.automountServiceAccountToken"'),
]


def test_the_api_server_refuses_what_it_can_see(stage: Stage) -> None:
    """What would break a run is refused at once, by name; what is right is taken and comes back as it was sent."""
    for runners, words in WRONG:
        text = yaml.safe_dump(stage.manifest(runners=runners))
        with pytest.raises(AssertionError) as refused:
            stage.kube.run("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)
        assert words in str(refused.value), runners
    stage.kube.apply(stage.manifest(runners=PODS, suspend=True))
    kept = stage.test()["spec"]["runners"]
    assert kept["affinity"] == PODS["affinity"]
    assert [one["name"] for one in kept["env"]] == [one["name"] for one in PODS["env"]]


@pytest.mark.parametrize(
    ("runners", "words"),
    [
        ({"serviceAccountName": "nobody"}, "nobody"),
        ({"priorityClassName": "none"}, "none"),
        ({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}}, "nodeSelectorTerms"),
    ],
    ids=["service account", "priority class", "affinity"],
)
def test_what_only_the_cluster_can_judge_is_told(
    stage: Stage, start: Callable[..., OperatorProcess], runners: dict[str, Any], words: str
) -> None:
    """A name that isn't there, or an affinity that means nothing, is PodRefused, in the API server's words."""
    start()
    stage.kube.apply(stage.manifest(runners={"count": 1, **runners}))

    def told() -> list[str]:
        return [one["message"] for one in stage.status().get("conditions") or () if one["reason"] == "PodRefused"]

    assert words in " ".join(stage.kube.until(told))


SIDECAR = """\
KIND{
  name: "mesh", image: "IMAGE", MORE
  command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.2; done"],
  securityContext: KIND.securityContext{
    allowPrivilegeEscalation: false, capabilities: KIND.securityContext.capabilities{drop: ["ALL"]}
  }
}"""
EMPTY = 'JSONPatch{op: "add", path: "/spec/initContainers", value: []}'
PATCHES = {
    "native": (
        "initContainers",
        f'[{EMPTY}, JSONPatch{{op: "add", path: "/spec/initContainers/-", value: SIDECAR}}]',
    ),
    "classic": ("containers", '[JSONPatch{op: "add", path: "/spec/containers/-", value: SIDECAR}]'),
}


def mesh(stage: Stage, how: str) -> list[dict[str, Any]]:
    """What a mesh does: a container of its own in each runner's pod, as the API server admits it."""
    name, group = f"mesh-{stage.namespace}", "admissionregistration.k8s.io/v1"
    containers, patch = PATCHES[how]
    more = 'restartPolicy: "Always",' if how == "native" else ""
    sidecar = SIDECAR.replace("KIND", f"Object.spec.{containers}").replace("IMAGE", IMAGE).replace("MORE", more)
    spec = {
        "matchConstraints": {
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
            ],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": stage.namespace}},
        },
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch.replace("SIDECAR", sidecar)}}],
    }
    binding = {"policyName": name}
    return [
        {"apiVersion": group, "kind": f"MutatingAdmissionPolicy{kind}", "metadata": {"name": name}, "spec": one}
        for kind, one in (("", spec), ("Binding", binding))
    ]


@pytest.fixture
def meshed(stage: Stage, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace whose pods get a sidecar: native, or a second container of the old kind."""
    objects = mesh(stage, request.param)
    stage.kube.apply(*objects)
    context = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    bare = {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "a", "image": IMAGE, "securityContext": context}],
    }
    probe = yaml.safe_dump(in_namespace(stage, "Pod", "probe", spec=bare))
    try:
        stage.kube.until(
            lambda: "mesh" in stage.kube.run("create", "--dry-run=server", "-o", "yaml", "-f", "-", stdin=probe)
        )
        yield request.param
    finally:
        stage.kube.run("delete", "-f", "-", stdin=yaml.safe_dump_all(objects))


def state(pod: dict[str, Any], name: str) -> dict[str, Any]:
    """What a container of a pod does."""
    statuses = [*pod["status"].get("initContainerStatuses", ()), *pod["status"].get("containerStatuses", ())]
    found: dict[str, Any] = next(one["state"] for one in statuses if one["name"] == name)
    return found


@pytest.mark.parametrize("meshed", ["native"], indirect=True)
def test_a_native_sidecar_keeps_no_run_from_ending(
    stage: Stage, start: Callable[..., OperatorProcess], meshed: str
) -> None:
    """With a mesh's sidecar in each pod a run passes, the node ends the sidecars after the runners, and the Job completes."""
    start()
    stage.kube.apply(stage.manifest())
    status = stage.complete()
    assert status["phase"] == "Passed", status
    assert status["runners"]["lost"] == 0
    run = status["run"]["id"]
    stage.kube.run("wait", f"job/{run}", "-n", stage.namespace, "--for=condition=Complete", "--timeout=30s")
    assert {pod["status"]["phase"] for pod in pods(stage)} == {"Succeeded"}
    assert all("terminated" in state(pod, "mesh") for pod in pods(stage))


@pytest.mark.parametrize("meshed", ["classic"], indirect=True)
def test_an_old_sidecar_keeps_no_run_and_no_pod_from_ending(
    stage: Stage, start: Callable[..., OperatorProcess], meshed: str
) -> None:
    """With a second container that never ends a run passes, and its Job is removed soon after, long before its time to live."""
    start()
    stage.kube.apply(stage.manifest())
    status = stage.complete()
    assert status["phase"] == "Passed", status
    begun = time.monotonic()
    assert all("running" in state(pod, "mesh") for pod in pods(stage))
    stage.kube.until(lambda: not pods(stage), 60)
    assert time.monotonic() - begun > 5
    assert not stage.kube.run("get", "jobs", "-n", stage.namespace, "-o", "name")
    assert stage.status()["phase"] == "Passed"
