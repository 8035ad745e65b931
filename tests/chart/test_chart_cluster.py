"""What a real API server says of the chart: every object is taken, and LoadTests that may not be are refused."""

import json
import os
import time

import pytest
import yaml
from chart_kit import CHART, NAMESPACE, run

pytestmark = [pytest.mark.cluster, pytest.mark.processes, pytest.mark.timeout(600)]

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


ALLOWED = ["shop.default.svc", "*.staging.example.com", "10.0.0.0/8", "fd00::/8", "192.0.2.7", "2001:db8::7"]
NAMES_ONLY = ["shop.default.svc", "*.staging.example.com"]

TARGETS = [
    (ALLOWED, "http://10.1.2.3/", True),
    (ALLOWED, "http://11.1.2.3:8080/", False),
    (ALLOWED, "http://[fd00::1]:80/", True),
    (ALLOWED, "http://[2001:db8::1]/", False),
    (ALLOWED, "http://may.resolve.into.it/", True),
    (NAMES_ONLY, "http://shop.default.svc", True),
    (NAMES_ONLY, "https://SHOP.default.svc:8443/x", True),
    (NAMES_ONLY, "http://api.staging.example.com", True),
    (NAMES_ONLY, "http://staging.example.com", False),
    (NAMES_ONLY, "http://evil-staging.example.com", False),
    (NAMES_ONLY, "http://shop.default.svc.evil.example", False),
    (NAMES_ONLY, "http://shop.default.svc@evil.example/", False),
    (ALLOWED, "http://192.0.2.7", True),
    (ALLOWED, "http://192.0.2.8", False),
    (ALLOWED, "http://[2001:db8:0::7]", True),
    (NAMES_ONLY, "http://192.0.2.7", False),
    (NAMES_ONLY, "http://169.254.169.254/", False),
]


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


@pytest.fixture(scope="module", params=[ALLOWED, NAMES_ONLY], ids=["networks", "names"])
def policy(request, kubectl, helm, crds):
    """The admission policy for a list of targets, in force."""
    chosen = ("--set-json", f"allowedTargets={json.dumps(request.param)}", "--set", "admissionPolicy.enabled=true")
    objects = [obj for obj in helm.objects(*chosen) if obj["kind"].startswith("ValidatingAdmissionPolicy")]
    done = kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", objects=objects)
    assert done.returncode == 0, done.stderr
    until = time.monotonic() + 60
    # The API server takes a new policy up a moment later; this one refuses under both lists.
    while not refused(kubectl, "http://203.0.113.9/"):
        assert time.monotonic() < until
    yield request.param
    kubectl("delete", "-f", "-", objects=objects)


def refused(kubectl, url):
    """What the API server says against a LoadTest with this target; "" where it takes it."""
    done = kubectl("create", "--dry-run=server", "-f", "-", objects=[load_test("policy", url)])
    return "" if done.returncode == 0 else done.stderr


def test_the_policy_compiles(kubectl, policy):
    """The API server finds no fault in the policy's types."""
    done = kubectl("get", "validatingadmissionpolicy", f"{NAMESPACE}-rel-loadgate-targets", "-o", "json")
    assert not json.loads(done.stdout).get("status", {}).get("typeChecking", {}).get("expressionWarnings")


def test_the_policy_refuses_what_may_not_be_a_target(kubectl, policy):
    """Hosts, wildcards, addresses and networks are told apart by the host of the URL, and the message says which are allowed."""
    for allowed, url, fine in TARGETS:
        if allowed is policy:
            said = refused(kubectl, url)
            assert (said == "") == fine, (url, said)
            assert fine or "load may not go to" in said, said


def test_what_was_there_before_the_policy_can_still_be_changed(kubectl, helm, crds, policy):
    """A LoadTest of another time may be labelled and suspended; only its target may not become another one."""
    objects = [load_test("older", "http://192.0.2.1/")]
    binding = f"validatingadmissionpolicybinding/{NAMESPACE}-rel-loadgate-targets"
    warn = json.dumps({"spec": {"validationActions": ["Audit"]}})
    deny = json.dumps({"spec": {"validationActions": ["Deny"]}})
    assert kubectl("patch", binding, "--type=merge", "-p", warn).returncode == 0
    until = time.monotonic() + 60
    while kubectl("create", "-f", "-", objects=objects).returncode != 0:
        assert time.monotonic() < until
    try:
        assert kubectl("patch", binding, "--type=merge", "-p", deny).returncode == 0
        while not refused(kubectl, "http://203.0.113.9/"):
            assert time.monotonic() < until
        change = {"metadata": {"labels": {"a": "b"}}}
        assert kubectl("patch", "loadtest", "older", "--type=merge", "-p", json.dumps(change)).returncode == 0
        change = {"spec": {"target": {"url": "http://192.0.2.2/"}}}
        done = kubectl("patch", "loadtest", "older", "--type=merge", "-p", json.dumps(change))
        assert "load may not go to" in done.stderr
    finally:
        kubectl("delete", "loadtest", "older")
