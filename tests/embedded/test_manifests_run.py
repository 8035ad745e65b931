"""The objects of a run, as they are sent to a cluster."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate.api.documents import validate_loadtest
from loadgate.plan import Plan, compile_plan
from loadgate_operator.manifests import names
from loadgate_operator.manifests.configs import (
    MOST_BYTES,
    PLAN_KEY,
    TooLargeError,
    plan_config_map,
    result_bytes,
    result_config_map,
    token_of,
    token_secret,
)
from loadgate_operator.manifests.job import (
    FILES_FOLDER,
    RunnerSettings,
    config_maps_of,
    pod_index,
    runner_job,
)

RUN = "checkout-3-x7k2f"
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def a_test(**spec):
    """A valid LoadTest that was stored, and so has a uid."""
    scenario = {
        "name": "s",
        "executor": "constant-vus",
        "vus": 1,
        "duration": "60s",
        "gracefulStop": "20s",
        "steps": [{"request": {"url": "/"}}],
    }
    return validate_loadtest(
        {
            "apiVersion": "loadgate.dev/v1alpha1",
            "kind": "LoadTest",
            "metadata": {"name": "checkout", "namespace": "shop", "uid": "u-1"},
            "spec": {"target": {"url": "http://shop"}, "scenarios": [scenario], **spec},
        }
    )


def job_of(settings=None, **spec):
    test = a_test(**spec)
    return runner_job(
        test, RUN, compile_plan(test, run=RUN), settings or RunnerSettings(image="runner:1", linger=100.0)
    )


def pod_spec(**spec):
    return job_of(**spec)["spec"]["template"]["spec"]


def container(**spec):
    return pod_spec(**spec)["containers"][0]


def variables(**spec):
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container(**spec)["env"]}


test_names = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", fullmatch=True)


@given(test_names, st.integers(1, 10**9), st.from_regex(r"[a-z0-9]{5}", fullmatch=True))
def test_names_are_names_whatever_the_test_is_called(test, number, suffix):
    """All names and labels fit Kubernetes' rules, and a pod's host name has room for its index."""
    run = names.run_id(test, number, suffix)
    assert DNS_LABEL.fullmatch(f"{names.job_name(run)}-999")
    for name in (names.plan_name(run), names.token_name(run), names.result_name(test, number)):
        assert SUBDOMAIN.fullmatch(name)
        assert len(name) <= 63
    for value in names.labels(test, run).values():
        assert LABEL_VALUE.fullmatch(value)


def test_long_names_stay_apart():
    """Two long names that differ at the end only are still two after shortening."""
    one, other = ("a" * 100 + end for end in "bc")
    assert names.run_id(one, 1, "x7k2f") != names.run_id(other, 1, "x7k2f")
    assert names.result_name(one, 1) != names.result_name(other, 1)
    assert names.labels(one) != names.labels(other)
    assert names.shorten("short") == "short"


def test_a_name_that_ends_badly_when_cut_is_mended():
    """A cut in front of a dash or a dot leaves none at the seam."""
    assert "--" not in names.shorten("a" * 53 + "-" + "b" * 50)
    assert ".-" not in names.shorten("a" * 53 + "." + "b" * 50)


def test_everything_belongs_to_its_test():
    """Each object carries the test's and the run's labels, and goes when the LoadTest goes."""
    test = a_test()
    plan = compile_plan(test, run=RUN)
    settings = RunnerSettings(image="runner:1")
    for made in (
        runner_job(test, RUN, plan, settings),
        plan_config_map(test, RUN, plan),
        token_secret(test, RUN, "t"),
        result_config_map(test, RUN, 3, b"x"),
    ):
        metadata = made["metadata"]
        assert metadata["namespace"] == "shop"
        assert metadata["labels"][names.TEST_LABEL] == "checkout"
        assert metadata["labels"][names.RUN_LABEL] == RUN
        (owner,) = metadata["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("LoadTest", "checkout", "u-1")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("completionMode", "Indexed"),
        ("completions", 4),
        ("parallelism", 4),
        ("podReplacementPolicy", "Failed"),
        ("suspend", False),
        # 300 s to start, 60 s of load, 20 s of graceful stop, 600 s for chores, 100 s of lingering
        ("activeDeadlineSeconds", 1080),
    ],
)
def test_a_run_is_an_indexed_job_of_its_runners(field, value):
    """As many pods as runners, at the same time, with an end that needs no operator."""
    assert job_of(runners={"count": 4})["spec"][field] == value


def test_disruptions_are_not_failures_and_a_bad_plan_is_final():
    """A drained node doesn't use up retries; exit code 2 isn't tried again."""
    rules = job_of()["spec"]["podFailurePolicy"]["rules"]
    assert rules[0] == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert rules[1]["onExitCodes"]["values"] == [2]


def test_pods_are_restricted():
    """The pod passes the `restricted` Pod Security Standard, and has no way to the API server."""
    spec = pod_spec()
    context = spec["containers"][0]["securityContext"]
    assert spec["restartPolicy"] == "Never"
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["readOnlyRootFilesystem"] is True
    assert not {"hostNetwork", "hostPID", "hostIPC", "runAsUser"} & spec.keys()
    assert all({"configMap", "emptyDir"} & volume.keys() for volume in spec["volumes"])


def test_a_stopped_pod_has_time_for_its_last_iterations():
    """The grace period is the longest gracefulStop and some time to hand over."""
    assert pod_spec()["terminationGracePeriodSeconds"] == 50


def test_resources_are_as_asked_for():
    """Requests and limits pass through, and the CPU limit reaches the runner in cores."""
    resources = {"requests": {"cpu": "500m"}, "limits": {"cpu": "1500m", "memory": "256Mi"}}
    assert container(runners={"resources": resources})["resources"] == resources
    assert variables(runners={"resources": resources})["LOADGATE_CPU_LIMIT"] == "1.5"
    assert "resources" not in container()
    assert "LOADGATE_CPU_LIMIT" not in variables()


def test_a_runner_knows_who_it_is():
    """Run, index, uid, address and token come by environment; the token by reference only."""
    found = variables()
    assert found["LOADGATE_RUN"] == RUN
    index = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    assert found["LOADGATE_INDEX"] == {"fieldRef": {"fieldPath": index}}
    assert found["LOADGATE_POD_UID"] == {"fieldRef": {"fieldPath": "metadata.uid"}}
    assert found["LOADGATE_TOKEN"] == {"secretKeyRef": {"name": f"{RUN}-token", "key": "token"}}


def test_secrets_are_references():
    """A secret reaches the runner as a reference to its key, and never the plan."""
    secrets = {"password": {"secretKeyRef": {"name": "user", "key": "pw"}}}
    assert variables(secrets=secrets)["LOADGATE_SECRET_password"] == {"secretKeyRef": {"name": "user", "key": "pw"}}
    tls = {"cert": {"secretKeyRef": {"name": "c", "key": "crt"}}, "key": {"secretKeyRef": {"name": "c", "key": "key"}}}
    found = variables(target={"url": "https://shop", "tls": tls})
    assert found["LOADGATE_TLS_CERT"] == {"secretKeyRef": {"name": "c", "key": "crt"}}
    assert found["LOADGATE_TLS_KEY"] == {"secretKeyRef": {"name": "c", "key": "key"}}


def test_referenced_config_maps_are_mounted_once_each():
    """Every ConfigMap that the plan reads is a read-only folder of its name, whatever the number of its keys."""
    sources = {
        "a": {"csv": {"configMapKeyRef": {"name": "rows", "key": "a.csv"}}},
        "b": {"csv": {"configMapKeyRef": {"name": "rows", "key": "b.csv"}}},
        "c": {"json": {"configMapKeyRef": {"name": "other", "key": "c.json"}}},
    }
    test = a_test(data=sources)
    assert config_maps_of(compile_plan(test, run=RUN)) == ["other", "rows"]
    spec = pod_spec(data=sources)
    names_by_volume = {v["name"]: v["configMap"]["name"] for v in spec["volumes"] if "configMap" in v}
    mounted = {m["mountPath"]: names_by_volume.get(m["name"]) for m in spec["containers"][0]["volumeMounts"]}
    assert mounted[f"{FILES_FOLDER}/rows"] == "rows"
    assert mounted[f"{FILES_FOLDER}/other"] == "other"
    assert sorted(names_by_volume.values()) == ["checkout-3-x7k2f-plan", "other", "rows"]


def test_the_command_is_the_runners():
    """Arguments name the mounted plan and files, the pod's address, the port, and how long to linger."""
    assert container(runners={"processes": 2})["command"] == ["loadgate-runner"]
    arguments = container(runners={"processes": 2})["args"]
    assert dict(zip(arguments[::2], arguments[1::2], strict=True)) == {
        "--plan": "/etc/loadgate/plan/plan.json",
        "--files": "/etc/loadgate/files",
        "--host": "$(POD_IP)",
        "--port": "$(LOADGATE_PORT)",
        "--linger": "100",
        "--processes": "2",
    }
    (port,) = container()["ports"]
    assert (port["name"], port["containerPort"]) == ("metrics", 9119)


def test_a_job_lives_on_until_its_result_is_stored():
    """No time to live: Kubernetes removes no pod whose log may be the last place that has a result."""
    assert "ttlSecondsAfterFinished" not in job_of()["spec"]


def test_a_plan_survives_its_config_map():
    """What the runner reads is the plan that was compiled."""
    test = a_test()
    plan = compile_plan(test, run=RUN)
    kept = plan_config_map(test, RUN, plan)
    assert kept["immutable"] is True
    assert Plan.decode(kept["data"][PLAN_KEY]) == plan


def test_what_does_not_fit_is_refused_by_name():
    """Nothing is cut: a result or a plan beyond a ConfigMap's size is an error that says how large it is."""
    test = a_test()
    assert result_bytes(result_config_map(test, RUN, 3, b"x" * MOST_BYTES)) == b"x" * MOST_BYTES
    with pytest.raises(TooLargeError, match="1,048,577 bytes"):
        result_config_map(test, RUN, 3, b"x" * (MOST_BYTES + 1))
    rows = [{"text": "x" * 1000, "n": str(n)} for n in range(1100)]
    big = a_test(data={"rows": {"inline": rows}})
    with pytest.raises(TooLargeError, match="inline data"):
        plan_config_map(big, RUN, compile_plan(big, run=RUN))


@pytest.mark.parametrize(
    "damaged", [{}, {"binaryData": {}}, {"binaryData": {"result.json.zst": "!"}}, {"binaryData": None}]
)
def test_a_config_map_without_a_result_holds_none(damaged):
    """What is no result reads as none, and raises nothing."""
    assert result_bytes(damaged) is None


def test_a_token_survives_its_secret():
    """The token comes back as it went in; what holds none gives none."""
    secret = token_secret(a_test(), RUN, "random-token")
    assert token_of(secret) == "random-token"
    assert base64.b64decode(secret["data"]["token"]) == b"random-token"
    assert token_of({"data": {}}) is None


@pytest.mark.parametrize(
    ("metadata", "index"),
    [
        ({"annotations": {names.INDEX_LABEL: "3"}}, 3),
        ({"labels": {names.INDEX_LABEL: "0"}}, 0),
        ({"annotations": None, "labels": {}}, None),
        ({"annotations": {names.INDEX_LABEL: "x"}}, None),
    ],
)
def test_a_pod_says_which_runner_it_is(metadata, index):
    """The index is read from the annotation or the label; a pod without one is no runner."""
    assert pod_index({"metadata": metadata}) == index
