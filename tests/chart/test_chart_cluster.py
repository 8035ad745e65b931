"""What a real API server says of the chart: every object is taken, and LoadTests that may not be are refused."""

import json
import os
import time

import pytest
import yaml
from chart_kit import CHART, NAMESPACE, ROOT, run

from loadgate.plan import Targets

pytestmark = [pytest.mark.cluster, pytest.mark.processes, pytest.mark.timeout(600, func_only=True)]

COMBINATIONS = sorted((CHART / "ci").glob("*-values.yaml"))
FOREIGN = "monitoring.coreos.com/"
"""Kinds of the Prometheus operator, which may not be installed."""


@pytest.fixture(scope="module")
def kubectl(cluster):
    """kubectl, with objects on its standard input."""
    environment = {**os.environ, **cluster.environment, "KUBECONFIG": cluster.kubeconfig}

    def call(*arguments, objects=None):
        stdin = None if objects is None else yaml.safe_dump_all(objects)
        return run(*cluster.kubectl, *arguments, input=stdin, env=environment)

    return call


@pytest.fixture(scope="module")
def crds(kubectl, helm):
    """The chart's CRDs, installed from the chart."""
    found = [obj for obj in helm.objects() if obj["kind"] == "CustomResourceDefinition"]
    done = kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", objects=found)
    assert done.returncode == 0, done.stderr
    names = [f"crd/{crd['metadata']['name']}" for crd in found]
    assert kubectl("wait", "--for=condition=Established", "--timeout=60s", *names).returncode == 0


@pytest.fixture(scope="module")
def namespaces(kubectl):
    """The namespaces that the combinations of values name; one of them admits restricted pods only."""
    wanted = [NAMESPACE, "shop", "shop-staging", "monitoring"]
    restricted = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    objects = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": restricted if name == NAMESPACE else {}},
        }
        for name in wanted
    ]
    assert kubectl("apply", "--server-side", "-f", "-", objects=objects).returncode == 0
    yield
    kubectl("delete", "namespace", "--wait=false", *wanted)


@pytest.mark.parametrize("path", COMBINATIONS, ids=lambda path: path.stem.removesuffix("-values"))
def test_the_api_server_takes_every_object(kubectl, helm, crds, namespaces, path):
    """With strict validation, and in a namespace that admits restricted pods only, no object is refused or warned of."""
    objects = [obj for obj in helm.objects("-f", path) if not obj["apiVersion"].startswith(FOREIGN)]
    for obj in objects:
        if obj["kind"] == "Pod":
            obj["spec"]["serviceAccountName"] = "default"  # its own one is there only after a run that isn't dry
    done = kubectl(
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "--validate=strict",
        "-f",
        "-",
        objects=objects,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert len(done.stdout.splitlines()) == len(objects)


def load_test(name, url):
    scenario = {
        "name": "a",
        "executor": "shared-iterations",
        "steps": [{"request": {"url": "/"}}],
    }
    return {
        "apiVersion": "loadgate.dev/v1alpha1",
        "kind": "LoadTest",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"target": {"url": url}, "suspend": True, "scenarios": [scenario]},
    }


TABLE = yaml.safe_load((ROOT / "tests" / "plan" / "target_cases.yaml").read_text(encoding="utf-8"))
"""Where load may go, by rules: what the operator and the runners are tested by."""


@pytest.fixture(scope="module", params=TABLE, ids=lambda group: ",".join(group["rules"]) or "no rules")
def policy(request, kubectl, helm, crds):
    """The admission policy for a list of targets, in force; with the cases for that list."""
    rules = request.param["rules"]
    chosen = ("--set-json", f"allowedTargets={json.dumps(rules)}", "--set", "admissionPolicy.enabled=true")
    objects = [obj for obj in helm.objects(*chosen) if obj["kind"].startswith("ValidatingAdmissionPolicy")]
    done = kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", objects=objects)
    assert done.returncode == 0, done.stderr
    until = time.monotonic() + 60
    # The API server takes a new policy up a moment later; this address is refused under every list, with its rules.
    said = f"it may go to {Targets(rules)}"
    while said not in refused(kubectl, NOWHERE)[0]:
        assert time.monotonic() < until
    yield request.param
    kubectl("delete", "-f", "-", objects=objects)


NOWHERE = "http://169.254.169.1/"


def refused(kubectl, *urls):
    """What the API server says against a LoadTest with each of these targets; "" where it takes it."""
    tests = [load_test(f"policy-{index}", url) for index, url in enumerate(urls)]
    done = kubectl("create", "--dry-run=server", "-f", "-", objects=tests)
    taken = {line.split()[0].removeprefix("loadtest.loadgate.dev/") for line in done.stdout.splitlines()}
    return ["" if f"policy-{index}" in taken else done.stderr for index in range(len(urls))]


def test_the_policy_compiles(kubectl, policy):
    """The API server finds no fault in the policy's types."""
    done = kubectl("get", "validatingadmissionpolicy", f"{NAMESPACE}-rel-loadgate-targets", "-o", "json")
    assert not json.loads(done.stdout).get("status", {}).get("typeChecking", {}).get("expressionWarnings")


def test_the_policy_holds_to_the_table_of_the_operator_and_the_runners(kubectl, policy):
    """It refuses what it can see by the same rules, says which they are, and never refuses what the operator would take."""
    urls = [url for url, _, _ in policy["cases"]]
    for (url, _, who), said in zip(policy["cases"], refused(kubectl, *urls), strict=True):
        assert (said == "") is ("p" in who), (url, said)
        assert not said or "load may not go to" in said, said


def test_what_was_there_before_the_policy_can_still_be_changed(kubectl, helm, crds, policy):
    """A LoadTest of another time may be labelled and suspended; only its target may not become another one."""
    objects = [load_test("older", NOWHERE)]
    binding = f"validatingadmissionpolicybinding/{NAMESPACE}-rel-loadgate-targets"
    warn = json.dumps({"spec": {"validationActions": ["Audit"]}})
    deny = json.dumps({"spec": {"validationActions": ["Deny"]}})
    assert kubectl("patch", binding, "--type=merge", "-p", warn).returncode == 0
    until = time.monotonic() + 60
    while kubectl("create", "-f", "-", objects=objects).returncode != 0:
        assert time.monotonic() < until
    try:
        assert kubectl("patch", binding, "--type=merge", "-p", deny).returncode == 0
        while not refused(kubectl, NOWHERE)[0]:
            assert time.monotonic() < until
        change = {"metadata": {"labels": {"a": "b"}}}
        assert kubectl("patch", "loadtest", "older", "--type=merge", "-p", json.dumps(change)).returncode == 0
        change = {"spec": {"target": {"url": "http://169.254.169.2/"}}}
        done = kubectl("patch", "loadtest", "older", "--type=merge", "-p", json.dumps(change))
        assert "load may not go to" in done.stderr
    finally:
        kubectl("delete", "loadtest", "older")
