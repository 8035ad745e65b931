"""What the chart installs, for each combination of values in `ci/`."""

import itertools
import json
import re
import shutil

import pytest
import yaml
from chart_kit import CHART, NAMESPACE, one

from loadgate.api.base import manifest_names
from loadgate.api.defaults import load_pods
from loadgate.api.pods import PodTemplate
from loadgate.plan import Targets
from loadgate.plan.hosts import RESERVED

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]

COMBINATIONS = sorted((CHART / "ci").glob("*-values.yaml"))
CLUSTER_WIDE = {
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}
EVERYTHING = ("-f", CHART / "ci" / "everything-values.yaml")
NAMESPACED = ("-f", CHART / "ci" / "namespaced-values.yaml")

combinations = pytest.mark.parametrize("path", COMBINATIONS, ids=lambda path: path.stem.removesuffix("-values"))


def pod_specs(objects):
    for obj in objects:
        if obj["kind"] == "Pod":
            yield obj["spec"]
        elif obj["kind"] == "Deployment":
            yield obj["spec"]["template"]["spec"]


def rules(objects):
    for obj in objects:
        if obj["kind"] in ("Role", "ClusterRole"):
            for rule in obj["rules"]:
                for group, resource, verb in itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"]):
                    yield obj["metadata"]["name"], group, resource, verb


@combinations
def test_helm_finds_nothing_to_say(helm, path):
    """`helm lint --strict` passes."""
    done = helm("lint", "--strict", "--quiet", CHART, "-f", path)
    assert done.returncode == 0, done.stdout + done.stderr


@combinations
def test_objects_are_whole(helm, path):
    """Each object has its place and a name that fits, none is there twice, and none has a status."""
    objects = helm.objects("-f", path)
    seen = set()
    for obj in objects:
        metadata = obj["metadata"]
        key = (obj["apiVersion"], obj["kind"], metadata.get("namespace"), metadata["name"])
        assert key not in seen
        seen.add(key)
        assert ("namespace" in metadata) == (obj["kind"] not in CLUSTER_WIDE), key
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", metadata["name"]), key
        assert "status" not in obj, key
        for name, value in (metadata.get("labels") or {}).items():
            assert isinstance(value, str), (key, name)
            assert re.fullmatch(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", value), (key, name)


@combinations
def test_pods_are_restricted(helm, path):
    """Every pod keeps to the restricted Pod Security Standard, with a read-only root."""
    specs = list(pod_specs(helm.objects("-f", path)))
    assert specs
    for spec in specs:
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
        assert {next(iter(set(volume) - {"name"})) for volume in spec.get("volumes", ())} <= {"configMap", "emptyDir"}


def test_no_user_id_is_set(helm):
    """OpenShift gives each namespace user ids of its own, so the chart asks for none."""
    assert "runAsUser" not in json.dumps(helm.objects())


@combinations
def test_mounts_have_volumes_and_references_lead_somewhere(helm, path):
    """Each mount has its volume, each binding its role, each selector the operator's pod."""
    objects = helm.objects("-f", path)
    for spec in pod_specs(objects):
        mounts = {mount["name"] for container in spec["containers"] for mount in container.get("volumeMounts", ())}
        assert mounts == {volume["name"] for volume in spec.get("volumes", ())}
    there = {(obj["kind"], obj["metadata"].get("namespace"), obj["metadata"]["name"]) for obj in objects}
    for obj in objects:
        if obj["kind"].endswith("RoleBinding"):
            role = obj["roleRef"]
            assert (role["kind"], obj["metadata"].get("namespace"), role["name"]) in there
    deployment = one(objects, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = [deployment["spec"]["selector"]["matchLabels"]]
    selectors += [obj["spec"]["selector"]["matchLabels"] for obj in objects if obj["kind"] == "PodDisruptionBudget"]
    selectors += [obj["spec"]["podSelector"]["matchLabels"] for obj in objects if obj["kind"] == "NetworkPolicy"]
    assert all(selector.items() <= labels.items() for selector in selectors)


@combinations
def test_secrets_can_not_be_found(helm, path):
    """No role lists or watches Secrets, none has a wildcard, and users' LoadTests are never written."""
    found = list(rules(helm.objects("-f", path)))
    assert not [rule for rule in found if rule[2] == "secrets" and rule[3] not in ("get", "create", "delete")]
    assert not [rule for rule in found if "*" in rule]
    operator = [rule for rule in found if not rule[0].endswith(("-edit", "-test"))]
    assert {rule[3] for rule in operator if rule[2] == "loadtests"} <= {"get", "list", "watch"}


def test_watched_namespaces_take_the_place_of_cluster_wide_rights(helm):
    """With watchNamespaces there is a Role in each, the same in both, and nothing cluster-wide."""
    objects = helm.objects(*NAMESPACED)
    assert not [obj for obj in objects if obj["kind"] in ("ClusterRole", "ClusterRoleBinding")]
    roles = [obj for obj in objects if obj["kind"] == "Role" and obj["metadata"]["name"] == f"{NAMESPACE}-rel-loadgate"]
    assert [role["metadata"]["namespace"] for role in roles] == ["shop", "shop-staging"]
    assert (
        roles[0]["rules"]
        == roles[1]["rules"]
        == one(helm.objects(), "ClusterRole", f"{NAMESPACE}-rel-loadgate")["rules"]
    )


@pytest.mark.parametrize(("elected", "wanted"), [("true", {"create", "get", "update"}), ("false", set())])
def test_leases_only_where_there_is_an_election(helm, elected, wanted):
    """Rights to Leases come with leaderElection, and so does the flag."""
    objects = helm.objects("--set", f"leaderElection.enabled={elected}")
    assert {rule[3] for rule in rules(objects) if rule[2] == "leases"} == wanted
    arguments = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]
    assert ("--leader-election" in arguments) == bool(wanted)


def test_the_operators_arguments_are_the_values(helm):
    """Namespaces, targets, the runners' image and their defaults reach the operator."""
    objects = helm.objects(*EVERYTHING, "--set", "watchNamespaces={shop}")
    container = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == f"registry.example.com/mirror/loadgate-operator@sha256:{1:064d}"
    assert {
        "--runner-image=loadgate-runner:dev",
        "--namespace=shop",
        "--allowed-target=*.staging.example.com",
        "--allowed-target=fd00::/8",
        "--listen=$(POD_IP):9090",
    } <= set(container["args"])
    given = yaml.safe_load((CHART / "ci" / "everything-values.yaml").read_text())["runners"]
    said = yaml.safe_load(one(objects, "ConfigMap", "rel-gate-runners")["data"]["runners.yaml"])
    assert said == {key: value for key, value in given.items() if key != "image"}


def test_the_operator_can_use_what_the_chart_writes(helm):
    """Every field of spec.runners, but for what is a test's own, is a value, and what is rendered of them has no fault."""
    rendered = one(helm.objects(*EVERYTHING), "ConfigMap", "rel-gate-runners")["data"]["runners.yaml"]
    fields = set(manifest_names(PodTemplate).values())
    assert load_pods(rendered).model_fields_set == set(PodTemplate.model_fields)
    values = yaml.safe_load((CHART / "values.yaml").read_text())["runners"]
    assert set(values) == fields | {"image"}


def test_the_policy_knows_the_reserved_addresses_of_the_runners(helm):
    """The blocks that the admission policy keeps closed are those that runners do."""
    policy = one(helm.objects(*EVERYTHING), "ValidatingAdmissionPolicy")
    expressions = {variable["name"]: variable["expression"] for variable in policy["spec"]["variables"]}
    assert set(re.findall(r'"([0-9a-f.:]+/[0-9]+)"', expressions["reserved"])) == {str(block) for block in RESERVED}


def test_rules_that_the_operator_takes_are_values(helm):
    """Each kind of rule passes the chart's schema."""
    rules = [
        "a",
        "A.b.C",
        "shop.default.svc.",
        "*.x.example",
        "_srv.x",
        "a.1st",
        "10.0.0.1",
        "10.0.0.0/8",
        "::1",
        "fd00::/8",
    ]
    Targets(rules)
    arguments = one(helm.objects("--set-json", f"allowedTargets={json.dumps(rules)}"), "Deployment")
    given = arguments["spec"]["template"]["spec"]["containers"][0]["args"]
    assert [one for one in given if one.startswith("--allowed")] == [f"--allowed-target={rule}" for rule in rules]


def test_runners_without_defaults_have_no_file(helm):
    """Where nothing is set the operator is given nothing to merge, and a cluster's own defaults hold."""
    objects = helm.objects()
    assert not [obj for obj in objects if obj["metadata"]["name"] == "rel-loadgate-runners"]
    assert "--runner-defaults" not in json.dumps(objects)


@pytest.mark.parametrize(
    ("keep", "wanted"), [("true", {"helm.sh/resource-policy": "keep"}), ("false", None)], ids=["kept", "not kept"]
)
def test_crds_stay_unless_told_otherwise(helm, keep, wanted):
    """Uninstalling leaves CRDs, and all results with them, unless crds.keep is false."""
    found = [obj for obj in helm.objects("--set", f"crds.keep={keep}") if obj["kind"] == "CustomResourceDefinition"]
    assert [crd["metadata"].get("annotations") for crd in found] == [wanted, wanted]


def test_crds_can_be_somebody_elses(helm):
    """Without crds.enabled none is installed."""
    assert not [obj for obj in helm.objects("--set", "crds.enabled=false") if obj["kind"] == "CustomResourceDefinition"]


def test_dashboards_are_found_by_grafana(helm):
    """Each dashboard is a ConfigMap with the sidecar's label, and its JSON is what lies in the chart."""
    objects = helm.objects("--set", "dashboards.enabled=true")
    for path in (CHART / "dashboards").glob("*.json"):
        found = one(objects, "ConfigMap", f"rel-loadgate-dashboard-{path.stem}")
        assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert json.loads(found["data"][f"loadgate-{path.name}"]) == json.loads(path.read_text())


def test_alerts_can_be_left_out_and_labelled(helm):
    """A disabled alert isn't there, the others have the labels that were asked for, and none asks for another place."""
    rule = one(helm.objects(*EVERYTHING), "PrometheusRule")
    alerts = [alert for group in rule["spec"]["groups"] for alert in group["rules"]]
    assert "LoadgateTestInconclusive" not in {alert["alert"] for alert in alerts}
    assert {alert["labels"]["team"] for alert in alerts} == {"platform"}
    assert "@NAMESPACE@" not in json.dumps(rule)
    assert f'namespace="{NAMESPACE}"' in json.dumps(rule).replace('\\"', '"')


BAD = {
    "a misspelt value": ("--set", "watchNamespace={shop}"),
    "a misspelt value of runners": ("--set", "runners.nodeselector.pool=load"),
    "a number as text": ("--set-string", "replicaCount=two"),
    "a namespace that is none": ("--set", "watchNamespaces={Shop_1}"),
    "one namespace twice": ("--set", "watchNamespaces={shop,shop}"),
    "a digest that is none": ("--set", "image.digest=latest"),
    "a tag in the repository": ("--set", "image.repository=loadgate/operator:1"),
    "a format nobody writes": ("--set", "logFormat=xml"),
    "a URL as a target": ("--set", "allowedTargets={http://shop}"),
    "a wildcard in the middle": ("--set", "allowedTargets={shop.*.svc}"),
    "half an address": ("--set", "allowedTargets={10.1.2}"),
    "a port": ("--set", "allowedTargets={shop:8080}"),
    "a privileged port": ("--set", "metrics.port=80"),
    "an interval without a unit": ("--set-string", "podMonitor.runners.interval=5"),
    "an action there isn't": ("--set", "admissionPolicy.validationActions={Refuse}"),
    "a quantity that is none": ("--set", "runners.resources.limits.cpu=one"),
    "a resource that runners don't have": ("--set", "runners.resources.limits.gpu=1"),
    "a volume without a name": ("--set", "runners.volumes[0].emptyDir.medium=Memory"),
    "a mount without a path": ("--set", "runners.volumeMounts[0].name=a"),
    "a kind of volume that runners don't get": (
        "--set",
        "runners.volumes[0].name=a,runners.volumes[0].hostPath.path=/",
    ),
    "an effect there isn't": ("--set", "runners.tolerations[0].effect=NoRun"),
    "a variable's source there isn't": ("--set", "runners.env[0].name=A,runners.env[0].valueFrom.vaultRef.name=a"),
    "a priority class that is no name": ("--set", "runners.priorityClassName=High"),
    "two replicas and no election": ("--set", "replicaCount=2"),
}


@pytest.mark.parametrize("arguments", BAD.values(), ids=BAD.keys())
def test_bad_values_are_refused(helm, arguments):
    """Helm refuses values that mean nothing, and names the value."""
    value = arguments[1].split("=", 1)[0].split(".")[0]
    assert value in helm.refused(*arguments)


@combinations
def test_notes_say_what_to_try(helm, path, tmp_path):
    """After an installation there is a command to copy, for this release and a namespace that is watched."""
    chart = tmp_path / "loadgate"
    shutil.copytree(CHART, chart)
    # Only an installation prints notes, and that asks a cluster even for a dry run; here they go into an object.
    shutil.copy(chart / "templates" / "NOTES.txt", chart / "notes.txt")
    probe = '{kind: Notes, metadata: {name: notes}, text: {{ tpl (.Files.Get "notes.txt") . | quote }}}'
    (chart / "templates" / "probe.yaml").write_text(probe)
    notes = one(helm.objects("-f", path, chart=chart), "Notes")["text"]
    assert f"helm test rel -n {NAMESPACE}" in notes
    assert ("in shop, shop-staging" in notes) == ("namespaced" in path.name)


def test_the_test_makes_its_loadtest_where_tests_are_watched(helm):
    """`helm test` has rights to one LoadTest, in a namespace that the operator looks at."""
    objects = helm.objects(*NAMESPACED)
    role = one(objects, "Role", "rel-loadgate-test")
    pod = one(objects, "Pod")
    environment = {item["name"]: item.get("value") for item in pod["spec"]["containers"][0]["env"]}
    assert role["metadata"]["namespace"] == environment["TEST_NAMESPACE"] == "shop"
    assert pod["metadata"]["namespace"] == NAMESPACE
    assert {rule[2] for rule in rules([role])} == {"loadtests"}
