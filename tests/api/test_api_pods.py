"""The pods of runners: what a test, and an installation, may say of them, and what not."""

import re

import pytest
from api_manifests import loadtest, put

from loadgate.api.crds import crds
from loadgate.api.defaults import load_pods
from loadgate.api.faults import InvalidSpec
from loadgate.api.pods import Needed, PodTemplate, needed
from loadgate.api.validate import validate_loadtest, validate_pods
from loadgate.api.yamltree import MAX_BYTES

KEY = {"name": "shop", "key": "k"}
EVERYTHING = {
    "count": 2,
    "image": "registry.example:5000/team/runner@sha256:abc",
    "imagePullSecrets": [{"name": "registry"}],
    "resources": {"requests": {"cpu": "500m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "64Mi"}},
    "nodeSelector": {"pool": "load", "example.com/zone": ""},
    "tolerations": [
        {"key": "pool", "value": "load", "effect": "NoSchedule"},
        {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
    ],
    "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "minDomains": 2},
        {
            "maxSkew": 1,
            "topologyKey": "zone",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["shop"]}]},
        },
    ],
    "priorityClassName": "low",
    "serviceAccountName": "runner",
    "env": [
        {"name": "PLAIN", "value": "a"},
        {"name": "EMPTY"},
        {"name": "CONFIG", "valueFrom": {"configMapKeyRef": {**KEY, "optional": True}}},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": KEY}},
        {"name": "FIELD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['loadgate.dev/run']"}}},
        {"name": "AMOUNT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
    ],
    "volumes": [
        {"name": "config", "configMap": {"name": "c", "items": [{"key": "k", "path": "a/b.txt"}]}},
        {"name": "secret", "secret": {"secretName": "s", "optional": True}},
        {"name": "empty", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "claim", "persistentVolumeClaim": {"claimName": "p", "readOnly": True}},
    ],
    "volumeMounts": [
        {"name": "config", "mountPath": "/var/config", "subPath": "a", "readOnly": True},
        {"name": "secret", "mountPath": "/var/secret"},
        {"name": "empty", "mountPath": "/tmp/cache"},
        {"name": "empty", "mountPath": "/dev/shm"},
        {"name": "claim", "mountPath": "/etc/shop/.data"},
    ],
    "labels": {"team": "a"},
    "annotations": {"sidecar.istio.io/inject": "false"},
}


def faults(**runners):
    """The faults of a test with these runners: (path, message and hint)."""
    raw = loadtest()
    put(raw, ("spec", "runners"), runners)
    try:
        validate_loadtest(raw)
    except InvalidSpec as error:
        return [(fault.path, f"{fault.message} {fault.hint}") for fault in error.faults]
    return []


def test_all_that_may_be_said_is_taken_and_kept():
    """A test may say all of it at once, and its pods are written as they were read."""
    raw = loadtest()
    put(raw, ("spec", "runners"), EVERYTHING)
    test = validate_loadtest(raw)
    assert validate_loadtest(test.to_json()) == test
    written = test.spec.runners.to_json()
    for field, value in EVERYTHING.items():
        assert type(written[field]) is type(value), field
    assert written["env"][0] == {"name": "PLAIN", "value": "a"}
    assert written["volumes"][2] == {"name": "empty", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}


VOLUME, MOUNT = {"name": "a", "emptyDir": {}}, {"name": "a", "mountPath": "/var/a"}
SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}


def mounted(path):
    return {"volumes": [VOLUME], "volumeMounts": [{"name": "a", "mountPath": path}]}


def variable(**more):
    return {"env": [{"name": "A", **more}]}


WRONG = [
    # (runners, the fault's path below spec.runners, a part of what is said)
    ({"image": "a b"}, "image", "the name of an image"),
    ({"image": ""}, "image", "the name of an image"),
    ({"imagePullSecrets": ["registry"]}, "imagePullSecrets[0]", "an object, not a text"),
    ({"imagePullSecrets": [{"name": "a"}, {"name": "a"}]}, "imagePullSecrets[1].name", "there is a already"),
    ({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}}}, "resources.requests.cpu", "more than the limit, which is 1500m"),
    ({"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1G"}}}, "resources.requests.memory", "more than the limit"),
    ({"resources": {"limits": {"nvidia.com/gpu": 1}}}, 'resources.limits["nvidia.com/gpu"]', "there is no such field"),
    ({"nodeSelector": {"-a": "b"}}, 'nodeSelector["-a"]', "a label's key"),
    ({"nodeSelector": {"a": "b c"}}, "nodeSelector.a", "a label's value"),
    ({"nodeSelector": {"a": True}}, "nodeSelector.a", 'put it in quotes: "true"'),
    ({"tolerations": [{}]}, "tolerations[0]", "tolerates nothing"),
    ({"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}, "tolerations[0].value", "Exists takes no value"),
    ({"tolerations": [{"key": "a", "tolerationSeconds": 1}]}, "tolerations[0].tolerationSeconds", "NoExecute"),
    ({"tolerations": [{"key": "a", "effect": "NoExec"}]}, "tolerations[0].effect", "did you mean 'NoExecute'"),
    ({"affinity": {"nodeAfinity": {}}}, "affinity.nodeAfinity", "did you mean 'nodeAffinity'"),
    ({"affinity": {"nodeAffinity": {"a": "x" * (16 << 10)}}}, "affinity", "larger than 16 KiB"),
    ({"affinity": {"nodeAffinity": []}}, "affinity.nodeAffinity", "an object, not a list"),
    ({"topologySpreadConstraints": [SPREAD, SPREAD]}, "topologySpreadConstraints[1].topologyKey", "there is zone ScheduleAnyway already"),
    ({"topologySpreadConstraints": [{**SPREAD, "minDomains": 2}]}, "topologySpreadConstraints[0].minDomains", "DoNotSchedule"),
    ({"topologySpreadConstraints": [{**SPREAD, "matchLabelKeys": ["a"]}]}, "topologySpreadConstraints[0].matchLabelKeys", "no such field"),
    (
        {"topologySpreadConstraints": [{**SPREAD, "labelSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}]},
        "topologySpreadConstraints[0].labelSelector.matchExpressions[0]",
        "In and NotIn need values",
    ),
    ({"priorityClassName": ""}, "priorityClassName", "at least 1 character"),
    ({"serviceAccountName": "A"}, "serviceAccountName", "lower-case letters"),
    ({"automountServiceAccountToken": True}, "automountServiceAccountToken", "there is no such field"),
    ({"securityContext": {}}, "securityContext", "there is no such field"),
    ({"env": [{"name": "LOADGATE_TOKEN", "value": "x"}]}, "env[0].name", "set by loadgate itself"),
    ({"env": [{"name": "POD_IP"}]}, "env[0].name", "set by loadgate itself"),
    ({"env": [{"name": "TMPDIR"}]}, "env[0].name", "set by loadgate itself"),
    ({"env": [{"name": "1A"}]}, "env[0].name", "not beginning with a digit"),
    ({"env": [{"name": "A"}, {"name": "A"}]}, "env[1].name", "there is A already"),
    (variable(value="a", valueFrom={"secretKeyRef": KEY}), "env[0]", "has value and valueFrom"),
    (variable(value=1), "env[0].value", 'put it in quotes: "1"'),
    (variable(valueFrom={}), "env[0].valueFrom", "needs one of configMapKeyRef"),
    (variable(valueFrom={"secretKeyRef": KEY, "configMapKeyRef": KEY}), "env[0].valueFrom", "keep one of"),
    (variable(valueFrom={"fieldRef": {"fieldPath": "spec.containers"}}), "env[0].valueFrom.fieldRef.fieldPath", "like spec.nodeName"),
    (variable(valueFrom={"resourceFieldRef": {"resource": "limits.gpu"}}), "env[0].valueFrom.resourceFieldRef.resource", "must be one of limits.cpu"),
    ({"volumes": [VOLUME]}, "volumes[0]", "is mounted nowhere"),
    ({"volumeMounts": [MOUNT]}, "volumeMounts[0].name", "there is no volume 'a'"),
    ({"volumes": [VOLUME, VOLUME], "volumeMounts": [MOUNT]}, "volumes[1].name", "there is a already"),
    ({"volumes": [VOLUME], "volumeMounts": [MOUNT, MOUNT]}, "volumeMounts[1].mountPath", "there is /var/a already"),
    ({"volumes": [{"name": "a"}], "volumeMounts": [MOUNT]}, "volumes[0]", "needs one of configMap"),
    ({"volumes": [{"name": "a", "emptyDir": {}, "hostPath": {"path": "/"}}], "volumeMounts": [MOUNT]}, "volumes[0].hostPath", "there is no such field"),
    ({"volumes": [{"name": "a", "emptyDir": {}, "projected": {}}], "volumeMounts": [MOUNT]}, "volumes[0].projected", "there is no such field"),
    (
        {"volumes": [{"name": "loadgate-plan", "emptyDir": {}}], "volumeMounts": [{**MOUNT, "name": "loadgate-plan"}]},
        "volumes[0].name",
        "loadgate's own",
    ),
    (
        {"volumes": [{"name": "a", "configMap": {"name": "c", "items": [{"key": "k", "path": "../x"}]}}], "volumeMounts": [MOUNT]},
        "volumes[0].configMap.items[0].path",
        "without `..`",
    ),
    *((mounted(path), "volumeMounts[0].mountPath", "would be in the way of") for path in (
        "/etc", "/etc/loadgate", "/etc/loadgate/plan", "/opt", "/opt/loadgate/bin", "/proc/1", "/sys", "/tmp", "/dev",
    )),
    *((mounted(path), "volumeMounts[0].mountPath", "an absolute path") for path in ("/", "a", "/a/", "/a/../b", "/a//b", "/a:b")),
    ({"labels": {"loadgate.dev/run": "x"}}, 'labels["loadgate.dev/run"]', "set by loadgate or Kubernetes itself"),
    ({"labels": {"app.kubernetes.io/managed-by": "x"}}, 'labels["app.kubernetes.io/managed-by"]', "set by loadgate"),
    ({"annotations": {"batch.kubernetes.io/x": "x"}}, 'annotations["batch.kubernetes.io/x"]', "set by loadgate"),
    ({"labels": {"a": "x" * 64}}, "labels.a", "at most 63 characters"),
]  # fmt: skip


@pytest.mark.parametrize(("runners", "path", "words"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_what_would_break_a_run_is_refused(runners, path, words):
    """Each mistake is one fault at its own path, in words to act on."""
    ((where, said),) = faults(**runners)
    assert where == f"spec.runners.{path}"
    assert words in said


def test_all_faults_are_said_at_once():
    """Mistakes in several fields of the pods are found in one pass, in the manifest's order."""
    found = faults(
        env=[{"name": "LOADGATE_A"}], tolerations=[{}], volumes=[VOLUME], labels={"loadgate.dev/a": "b"}, image=" "
    )
    assert [path.removeprefix("spec.runners.") for path, _ in found] == [
        "env[0].name",
        "tolerations[0]",
        "volumes[0]",
        'labels["loadgate.dev/a"]',
        "image",
    ]


def test_what_pods_need_is_what_is_not_optional():
    """ConfigMaps and Secrets of variables and volumes are needed, by key where a key is named, unless they are optional."""
    pods = validate_loadtest({**loadtest(), "spec": {**loadtest()["spec"], "runners": EVERYTHING}}).spec.runners
    assert list(needed(pods)) == [Needed("Secret", "shop", "k"), Needed("ConfigMap", "c", "k")]
    whole = PodTemplate.model_validate(
        {"volumes": [{"name": "a", "secret": {"secretName": "s"}}], "volumeMounts": [MOUNT]}, by_name=False
    )
    assert list(needed(whole)) == [Needed("Secret", "s", None)]


def test_deep_types_are_merged_by_what_names_their_entries():
    """Server-side apply tells variables, volumes, mounts and pull secrets apart as Kubernetes does in pods."""
    (version,) = crds()["loadtests.yaml"]["spec"]["versions"]
    runners = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["runners"]["properties"]
    keys = {
        name: part["x-kubernetes-list-map-keys"] for name, part in runners.items() if "x-kubernetes-list-type" in part
    }
    assert keys == {
        "env": ["name"],
        "volumes": ["name"],
        "volumeMounts": ["mountPath"],
        "imagePullSecrets": ["name"],
        "topologySpreadConstraints": ["topologyKey", "whenUnsatisfiable"],
    }
    for name, by in keys.items():
        assert set(by) <= set(runners[name]["items"]["required"])


# An installation's defaults


def wrong_defaults(text):
    with pytest.raises(InvalidSpec) as caught:
        load_pods(text, "runners.yaml")
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}"])
def test_an_installation_may_say_nothing(text):
    """An empty file has no defaults."""
    assert load_pods(text) == PodTemplate()


def test_an_installation_says_it_in_the_words_of_a_test():
    """The file has the fields of spec.runners, without what is a test's own."""
    raw = {name: value for name, value in EVERYTHING.items() if name not in ("count", "image")}
    pods = validate_pods(raw)
    assert load_pods(str(raw)) == pods  # JSON's values in Python's words are YAML too
    assert pods.node_selector == EVERYTHING["nodeSelector"]


def test_all_faults_of_defaults_are_said_with_their_lines():
    """Every mistake is said at once, with file, line and column."""
    found = wrong_defaults("nodeSelector: {pool: true}\nenv:\n- name: LOADGATE_X\n  value: 1\nimage: x\nenv: []\n")
    assert [re.match(r"runners.yaml:\d+:\d+: \S+", line)[0] for line in found] == [
        "runners.yaml:6:1: env:",
        "runners.yaml:1:16: nodeSelector.pool:",
        "runners.yaml:3:3: env[0].name:",
        "runners.yaml:4:3: env[0].value:",
        "runners.yaml:5:1: image:",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "must be an object with the fields of spec.runners"),
        ("a: 1\n---\nb: 2\n", "runners.yaml:3:1: there is more than one document"),
        ("a: [", "not YAML"),
        ("a: " + "[" * 100 + "]" * 100, "deep inside one another"),
        ("# " + "x" * MAX_BYTES, "larger than 4 MiB"),
        ("count: 3", "count: there is no such field"),
    ],
)
def test_what_are_no_defaults_is_said(text, words):
    """A file of another shape, of more than one document or without bounds is refused with a word why."""
    (said,) = wrong_defaults(text)
    assert words in said
