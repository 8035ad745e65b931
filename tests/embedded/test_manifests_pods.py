"""A test's pods over its installation's, and both in the Job."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate.api.documents import validate_loadtest
from loadgate.api.pods import PodTemplate
from loadgate.api.validate import validate_pods
from loadgate.plan import compile_plan
from loadgate_operator.manifests import names
from loadgate_operator.manifests.job import RunnerSettings, runner_job
from loadgate_operator.manifests.pods import merged

RUN = "checkout-3-x7k2f"
NAMES = st.sampled_from(["a", "b", "c", "d"])
TEXTS = st.text("xyz", max_size=3)
AMOUNTS = st.fixed_dictionaries({}, optional={"cpu": st.just("1"), "memory": st.just("1Mi")})
AFFINITY = {"nodeAffinity": {"x": 1}}
SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}


def named(**values):
    """Lists of entries that have names of their own."""
    entry = st.fixed_dictionaries({"name": NAMES, **values})
    return st.lists(entry, max_size=4, unique_by=lambda one: one["name"])


@st.composite
def templates(draw):
    """Pods that may be asked for."""
    volumes = draw(named(configMap=st.fixed_dictionaries({"name": NAMES})))
    spread = draw(st.none() | st.just([]) | st.just([SPREAD]))
    raw = {
        "resources": draw(st.fixed_dictionaries({"requests": AMOUNTS, "limits": AMOUNTS})),
        "env": draw(named(value=TEXTS)),
        "volumes": volumes,
        "volumeMounts": [{"name": one["name"], "mountPath": f"/var/{one['name']}"} for one in volumes],
        "imagePullSecrets": draw(named()),
        "nodeSelector": draw(st.dictionaries(NAMES, TEXTS)),
        "tolerations": draw(st.lists(st.fixed_dictionaries({"key": NAMES, "value": TEXTS}), max_size=3)),
        "labels": draw(st.dictionaries(NAMES, TEXTS)),
        "annotations": draw(st.dictionaries(NAMES, st.just("x"))),
        **({} if spread is None else {"topologySpreadConstraints": spread}),
        **draw(
            st.sampled_from([{}, {"priorityClassName": "low"}, {"affinity": AFFINITY}, {"serviceAccountName": "a"}])
        ),
    }
    return validate_pods(raw)


@given(templates())
def test_nothing_and_something_is_something(pods):
    """Where one of the two says nothing the other holds as it is, but for tolerations that are there twice."""
    once = {one.model_dump_json(): one for one in pods.tolerations}
    plain = pods.model_copy(update={"tolerations": list(once.values())})
    assert merged(pods, PodTemplate()) == merged(PodTemplate(), pods) == plain
    assert merged(pods, pods) == plain


@given(templates(), templates())
def test_what_is_merged_may_be_asked_for(own, defaults):
    """Two pods without a fault make pods without a fault."""
    both = merged(own, defaults)
    assert validate_pods(both.to_json()) == both


@given(templates(), templates())
def test_the_test_goes_before_the_defaults(own, defaults):
    """All that the test says is there, and of the defaults what the test says nothing about."""
    both = merged(own, defaults)
    for field in ("node_selector", "labels", "annotations"):
        assert getattr(both, field) == getattr(defaults, field) | getattr(own, field)
    for field in ("env", "volumes", "image_pull_secrets"):
        mine, theirs, all_ = ({one.name: one for one in getattr(pods, field)} for pods in (own, defaults, both))
        assert all_ == theirs | mine
        assert len(all_) == len(getattr(both, field))
    assert {one.mount_path: one for one in both.volume_mounts} == {
        one.mount_path: one for one in (*defaults.volume_mounts, *own.volume_mounts)
    }
    assert all(one in both.tolerations for one in (*own.tolerations, *defaults.tolerations))
    for field in ("affinity", "topology_spread_constraints", "priority_class_name", "service_account_name"):
        mine, theirs = getattr(own, field), getattr(defaults, field)
        assert getattr(both, field) == (theirs if mine is None else mine)


@given(templates(), templates())
def test_an_amount_is_of_one_of_the_two(own, defaults):
    """A test that gives CPU, or memory, takes none of the defaults' of that resource: they could contradict each other."""
    both = merged(own, defaults)
    for name in ("cpu", "memory"):
        mine, theirs, got = (
            (getattr(pods.resources.requests, name), getattr(pods.resources.limits, name))
            for pods in (own, defaults, both)
        )
        assert got == (mine if any(mine) else theirs)


def job_of(runners, **defaults):
    """The pod template of a test's Job."""
    scenario = {"name": "s", "executor": "constant-vus", "duration": "60s", "steps": [{"request": {"url": "/"}}]}
    test = validate_loadtest(
        {
            "apiVersion": "loadgate.dev/v1alpha1",
            "kind": "LoadTest",
            "metadata": {"name": "checkout", "namespace": "shop", "uid": "u-1"},
            "spec": {"target": {"url": "http://shop"}, "scenarios": [scenario], "runners": runners},
        }
    )
    settings = RunnerSettings(image="runner:1", pods=validate_pods(defaults))
    return runner_job(test, RUN, compile_plan(test, run=RUN), settings)["spec"]["template"]


def test_a_pod_that_nobody_says_anything_of_is_spread_over_nodes():
    """Without a word of the test or the installation, pods are spread over nodes where that can be, and nothing else is set."""
    spec = job_of({})["spec"]
    assert spec["topologySpreadConstraints"] == [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {names.RUN_LABEL: RUN}},
        }
    ]
    assert not {"nodeSelector", "tolerations", "affinity", "priorityClassName", "serviceAccountName"} & spec.keys()
    assert spec["containers"][0]["image"] == "runner:1"


def test_a_constraint_counts_the_pods_of_its_run():
    """A spread without a selector is over this run's pods, one with a selector over those, and an empty list is none."""
    other = {"matchLabels": {"app": "shop"}, "matchExpressions": []}
    found = job_of({"topologySpreadConstraints": [SPREAD, {**SPREAD, "topologyKey": "rack", "labelSelector": other}]})
    assert [one["labelSelector"] for one in found["spec"]["topologySpreadConstraints"]] == [
        {"matchLabels": {names.RUN_LABEL: RUN}},
        other,
    ]
    assert "topologySpreadConstraints" not in job_of({"topologySpreadConstraints": []})["spec"]


def test_the_pod_is_what_was_asked_for():
    """Each field of a test and of its installation is in the Job's pods, in Kubernetes' own shape."""
    template = job_of(
        {
            "image": "mine:2",
            "env": [{"name": "A", "value": "1"}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "rows"}}],
            "volumeMounts": [{"name": "data", "mountPath": "/var/data"}],
            "tolerations": [{"key": "pool", "value": "load"}],
            "labels": {"team": "a"},
        },
        imagePullSecrets=[{"name": "registry"}],
        nodeSelector={"pool": "load"},
        affinity=AFFINITY,
        priorityClassName="low",
        serviceAccountName="runner",
        resources={"limits": {"cpu": "2"}},
        annotations={"note": "1", "karpenter.sh/do-not-disrupt": "false"},
    )
    spec, (container,) = template["spec"], template["spec"]["containers"]
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["nodeSelector"] == {"pool": "load"}
    assert spec["affinity"] == AFFINITY
    assert (spec["priorityClassName"], spec["serviceAccountName"]) == ("low", "runner")
    assert spec["tolerations"] == [{"key": "pool", "operator": "Equal", "value": "load"}]
    assert spec["volumes"][-1] == {"name": "data", "persistentVolumeClaim": {"claimName": "rows", "readOnly": False}}
    assert container["image"] == "mine:2"
    assert container["resources"] == {"limits": {"cpu": "2"}}
    assert {"name": "LOADGATE_CPU_LIMIT", "value": "2"} in container["env"]
    assert container["volumeMounts"][-1] == {"name": "data", "mountPath": "/var/data", "readOnly": False}
    assert template["metadata"]["labels"]["team"] == "a"
    assert template["metadata"]["annotations"]["note"] == "1"
    assert template["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] == "false"
    assert spec["automountServiceAccountToken"] is False


def test_a_variable_of_a_test_can_not_read_ours():
    """A test's variables stand before ours, so that `$(LOADGATE_TOKEN)` in them is no token but that very text."""
    (container,) = job_of({"env": [{"name": "A", "value": "$(LOADGATE_TOKEN)"}]})["spec"]["containers"]
    order = [variable["name"] for variable in container["env"]]
    assert order.index("A") < order.index("LOADGATE_TOKEN")
    assert len(order) == len(set(order))


@pytest.mark.parametrize("label", ["loadgate.dev/run", "app.kubernetes.io/managed-by"])
def test_labels_by_which_a_run_is_found_are_ours(label):
    """Whatever else a pod is labelled with, these say what it is."""
    assert job_of({"labels": {"a": "b"}})["metadata"]["labels"][label] in (RUN, "loadgate")
