"""Delivery on a real control plane: every state as it is there, and the commands that ask for it.

RECORD_STATES=1 writes what was seen to `fixtures`, which the tests that need no cluster read.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import yaml
from delivery_states import FIXTURES, STATES, conditions, fixture
from kube_cluster import TOOL, Kube, OperatorProcess
from kube_stage import Stage
from test_delivery_states import health

from loadgate_cli.standings import ending

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.cluster, pytest.mark.processes, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
BUSY = ["CPULimit", "LoopLag", "ScheduleSlip"]
LONG = {"running": 90, "inconclusive": 10, "aborted": 60}
"""Seconds of load where two aren't what is wanted."""
KEPT = ("name", "namespace", "labels", "uid", "generation", "creationTimestamp")


@dataclass
class Done:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


def loadgate(*arguments: str, kubeconfig: str, **environment: str) -> Done:
    """Run the program as its user does."""
    done = subprocess.run(
        [PROGRAMS / "loadgate", *arguments],
        env={**os.environ, "KUBECONFIG": kubeconfig, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@dataclass
class World:
    """All the states at once, each in a namespace of its own; `seen` has the objects as they were in them."""

    kube: Kube
    target: str
    prefix: str
    seen: dict[str, dict[str, Any]]
    waited: dict[str, Done]

    def namespace(self, state: str) -> str:
        """Where the test of that state is."""
        return f"{self.prefix}-{state}"

    def stage(self, state: str) -> Stage:
        """The same as a place to play in."""
        return Stage(self.kube, self.namespace(state), self.target)

    def call(self, *arguments: str) -> Done:
        """`loadgate`, as the cluster's admin."""
        return loadgate(*arguments, kubeconfig=self.kube.kubeconfig)

    def prepare(self, state: str) -> None:
        """A namespace, which is there with its service account."""
        name = self.namespace(state)
        self.kube.run("create", "namespace", name)
        self.kube.run("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
        self.kube.until(lambda: self.kube.get("serviceaccount", "default", "-n", name))

    def apply(self, state: str) -> None:
        """The state's LoadTest."""
        seconds = LONG.get(state, 2)
        self.kube.apply(self.stage(state).manifest(seconds=seconds, tolerateDoubts=BUSY, **STATES[state].spec))

    def catch(self, state: str) -> None:
        """Look until the conditions are those that are stored, and have `loadgate wait` look as well."""
        wanted = conditions(fixture(state))
        obj: dict[str, Any] = {}
        end = time.monotonic() + 90
        while conditions(obj := self.stage(state).test()) != wanted:
            assert time.monotonic() < end, (state, wanted, obj.get("status"))
            time.sleep(0.05)
        self.seen[state] = obj
        self.waited[state] = self.call("wait", "checkout", "-n", self.namespace(state), "--timeout", "1s")

    def record(self, state: str) -> None:
        """Keep what was seen, without what only this cluster knows."""
        obj = self.seen[state]
        metadata = {name: obj["metadata"][name] for name in KEPT if name in obj["metadata"]}
        kept = {**obj, "metadata": {**metadata, "namespace": "default"}}
        kept["spec"] = {**kept["spec"], "target": {"url": "http://shop"}}
        text = orjson.dumps(kept, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
        (FIXTURES / f"{state}.json").write_bytes(text.replace(self.target.encode(), b"http://shop"))


@pytest.fixture(scope="module")
def world(kube: Kube, target: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Every state is brought about; the operator is away before it begins and after it is done."""
    if not kube.runs_pods:
        pytest.skip("the cluster of KUBECONFIG can't reach this machine's loopback")
    out = World(kube, target, f"delivery-{os.getpid()}", {}, {})
    for state in STATES:
        out.prepare(state)
    out.apply("unseen")
    out.catch("unseen")
    kube.run("delete", "loadtest", "checkout", "-n", out.namespace("unseen"))
    operator = OperatorProcess(kube, tmp_path_factory.mktemp("operator") / "log")
    try:
        _bring_about(out)
    finally:
        assert operator.stop() == 0
    kube.run("patch", "loadtest", "checkout", "-n", out.namespace("edited"), "--type=json", "-p", _ONE_MORE_VU)
    out.catch("edited")
    yield out
    for state in STATES:
        kube.run("delete", "namespace", out.namespace(state), "--wait=false")


_ONE_MORE_VU = '[{"op": "replace", "path": "/spec/scenarios/0/vus", "value": 3}]'


def _bring_about(world: World) -> None:
    world.apply("starting")
    world.catch("starting")
    others = [state for state in STATES if state not in ("unseen", "starting")]
    for state in others:
        world.apply(state)
    world.stage("inconclusive").until("Running")
    lost = world.kube.get("pods", "-n", world.namespace("inconclusive"))["items"][0]["metadata"]["name"]
    world.kube.run("delete", "pod", lost, "-n", world.namespace("inconclusive"), "--force", "--grace-period=0")
    world.stage("aborted").until("Running")
    suspend = '{"spec": {"suspend": true}}'
    world.kube.run("patch", "loadtest", "checkout", "-n", world.namespace("aborted"), "--type=merge", "-p", suspend)
    for state in ("judging", "running", *(one for one in others if one not in ("judging", "running", "edited"))):
        world.catch(state)
    world.stage("edited").until("Passed")


@pytest.mark.parametrize("state", STATES)
def test_a_state_is_there_as_it_is_stored(world: World, state: str):
    """The fixture that other tests read has the conditions, the phase and the generations of the real object."""
    if os.environ.get("RECORD_STATES"):
        world.record(state)
    seen, stored = world.seen[state], fixture(state)
    assert conditions(seen) == conditions(stored)
    assert seen["status"].get("phase") == stored["status"].get("phase")
    for name in ("generation",):
        assert seen["metadata"][name] == stored["metadata"][name]
    assert seen["status"]["observedGeneration"] == stored["status"]["observedGeneration"]


@pytest.mark.parametrize("state", STATES)
def test_those_who_wait_read_it_rightly(world: World, state: str):
    """Argo CD's health, Flux's own library and `loadgate wait` say of the real object what the table says."""
    judged = subprocess.run(
        [TOOL, "kstatus"], input=orjson.dumps(world.seen[state]), capture_output=True, check=True
    ).stdout.decode()
    assert judged.split()[0].rstrip(":") == STATES[state].kstatus
    assert health(world.seen[state])["status"] == STATES[state].health
    assert ending(world.seen[state]) == STATES[state].code
    code = STATES[state].code
    assert world.waited[state].code == (124 if code is None else code), world.waited[state]


def test_wait_tells_the_verdict_on_standard_output(world: World):
    """What a pipeline keeps is the verdict and why; how the run went is on standard error."""
    assert world.waited["failed"].out.startswith("checkout  Failed  ThresholdViolated: 1 of 1 limit is broken")
    assert world.waited["running"].out == ""
    assert "Running" in world.waited["running"].err
    assert "no verdict within 1s" in world.waited["running"].err


def test_kubectl_waits_by_the_same_conditions(world: World):
    """`kubectl wait` is over at once for Complete, and for Passed only where it passed."""
    for state, passed in (("passed", True), ("failed", False), ("inconclusive", False), ("aborted", False)):
        place = ("-n", world.namespace(state), "loadtest/checkout", "--timeout=1s")
        world.kube.run("wait", *place, "--for=condition=Complete")
        said = world.kube.run("wait", *place, "--for=condition=Passed", check=False)
        assert ("condition met" in said) == passed


def test_get_shows_one_some_and_all(world: World):
    """A name shows one, a namespace its own, -A those of all; JSON and YAML are the objects themselves."""
    place = ("-n", world.namespace("failed"))
    head, row = world.call("get", "checkout", *place).out.splitlines()
    assert dict(zip(head.split(), row.replace("100 %", "100%").split(), strict=True))["PHASE"] == "Failed"
    assert world.call("get", *place).out.splitlines() == [head, row]
    rows = [line.split() for line in world.call("get", "-A").out.splitlines()]
    assert rows[0][:3] == ["NAMESPACE", "NAME", "PHASE"]
    assert {tuple(row[:3]) for row in rows} >= {
        (world.namespace("passed"), "checkout", "Passed"),
        (world.namespace("queued"), "checkout", "Pending"),
    }
    one = orjson.loads(world.call("get", "checkout", *place, "-o", "json").out)
    assert one["status"]["phase"] == "Failed"
    assert yaml.safe_load(world.call("get", *place, "-o", "yaml").out)["items"][0]["status"] == one["status"]
    assert "there are no LoadTests in this namespace" in world.call("get", "-n", "kube-public").out


def test_the_context_says_which_namespace_is_meant(world: World, tmp_path: Path):
    """Without -n it is the context's namespace, and --context chooses another context."""
    config = yaml.safe_load(Path(world.kube.kubeconfig).read_text())
    (context,) = config["contexts"]
    spaces = {"one": world.namespace("passed"), "two": world.namespace("failed")}
    config["contexts"] = [
        {"name": name, "context": {**context["context"], "namespace": space}} for name, space in spaces.items()
    ]
    config["current-context"] = "one"
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config))
    assert loadgate("wait", "checkout", kubeconfig=str(path)).code == 0
    assert loadgate("wait", "checkout", "--context", "two", kubeconfig=str(path)).code == 1
    assert loadgate("wait", "checkout", "--kubeconfig", str(path), kubeconfig="/nowhere").code == 0


def test_logs_are_the_runners(world: World):
    """Each runner's log under its pod's name, in order, and none of what is there for operators only."""
    done = world.call("logs", "checkout", "-n", world.namespace("passed"))
    assert done.code == 0, done.err
    assert re.findall(r"^==> checkout-1-\w+-(\d)-\w+ <==$", done.out, re.MULTILINE) == ["0", "1"]
    assert done.out.count("Running -> Finished") == 2
    assert max(map(len, done.out.splitlines())) < 200
    assert "has no run yet" in world.call("logs", "checkout", "-n", world.namespace("suspended")).err


def test_a_report_is_of_the_stored_result(world: World, tmp_path: Path):
    """In each form; a run that isn't over has none, and that is said."""
    place = ("-n", world.namespace("failed"))
    assert "✗ Failed" in world.call("report", "checkout", *place).out
    assert world.call("report", "checkout", *place, "-f", "html", "--out", str(tmp_path / "r.html")).code == 0
    assert "<title>Failed: " in (tmp_path / "r.html").read_text()
    assert 'failures="1"' in world.call("report", "checkout", *place, "-f", "junit").out
    none = world.call("report", "checkout", "-n", world.namespace("queued"))
    assert (none.code, none.out) == (2, "")
    assert "has no result yet: it is Pending" in none.err


@pytest.mark.parametrize("command", ["wait", "get", "logs", "report"])
def test_a_test_that_is_not_there_is_named(world: World, command: str):
    """With its namespace, and code 2."""
    done = world.call(command, "nothing", "-n", world.namespace("passed"))
    assert (done.code, done.out) == (2, "")
    assert f"there is no LoadTest 'nothing' in namespace '{world.namespace('passed')}'" in done.err


@pytest.mark.parametrize("command", ["wait", "get", "logs", "report"])
def test_a_cluster_that_is_not_there_is_said_soon(world: World, tmp_path: Path, command: str):
    """A wrong address is no reason to wait an hour: code 2, and what was asked."""
    config = yaml.safe_load(Path(world.kube.kubeconfig).read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config))
    begun = time.monotonic()
    done = loadgate(command, "checkout", kubeconfig=str(path))
    assert done.code == 2
    assert "the cluster doesn't answer" in done.err
    assert "127.0.0.1:9" in done.err
    assert time.monotonic() - begun < 20


def test_the_plugin_is_found_by_kubectl(world: World):
    """`kubectl loadgate` with the program on PATH is the same command, with the same code."""
    done = subprocess.run(
        [*world.kube.kubectl, "loadgate", "wait", "checkout", "-n", world.namespace("failed")],
        env={
            **os.environ,
            **world.kube.environment,
            "KUBECONFIG": world.kube.kubeconfig,
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout == world.waited["failed"].out


def _user(world: World, folder: Path, resources: dict[str, list[str]]) -> str:
    """A kubeconfig of someone who may get and list these resources of these groups, in one namespace."""
    name = f"user-{len(resources)}"
    place = {"name": name, "namespace": world.namespace("failed")}
    rbac = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": [group], "resources": some, "verbs": ["get", "list"]} for group, some in resources.items()]
    world.kube.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": place},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": place, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": place,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", **place}],
        },
    )
    token = world.kube.run("create", "token", name, "-n", place["namespace"]).strip()
    config = yaml.safe_load(Path(world.kube.kubeconfig).read_text())
    config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
    path = folder / "config"
    path.write_text(yaml.safe_dump(config))
    return str(path)


def test_who_may_only_read_tests_may_wait(world: World, tmp_path: Path):
    """Rights to LoadTests alone are enough for `wait` and `get`; logs and results say which right is wanting."""
    path = _user(world, tmp_path, {"loadgate.dev": ["loadtests"]})
    place = ("-n", world.namespace("failed"))
    assert loadgate("wait", "checkout", *place, kubeconfig=path).code == 1
    assert loadgate("get", *place, kubeconfig=path).code == 0
    for command, wanting in (("logs", '"pods"'), ("report", '"configmaps"')):
        done = loadgate(command, "checkout", *place, kubeconfig=path)
        assert done.code == 2
        assert "the cluster refuses" in done.err
        assert wanting in done.err
    everywhere = loadgate("get", "-A", kubeconfig=path)
    assert everywhere.code == 2
    assert "at the cluster scope" in everywhere.err


def test_who_may_read_what_the_documents_name_may_do_all(world: World, tmp_path: Path):
    """LoadTests, pods with their logs, and ConfigMaps: docs/delivery.md asks for no more."""
    path = _user(world, tmp_path, {"loadgate.dev": ["loadtests"], "": ["pods", "pods/log", "configmaps"]})
    place = ("-n", world.namespace("failed"))
    for command in ("get", "logs", "report"):
        assert loadgate(command, "checkout", *place, kubeconfig=path).code == 0


def test_who_has_no_rights_is_told(world: World, tmp_path: Path):
    """Forbidden is no verdict: code 2, with the server's own words."""
    path = _user(world, tmp_path, {})
    for command in ("wait", "get", "logs", "report"):
        done = loadgate(command, "checkout", "-n", world.namespace("failed"), kubeconfig=path)
        assert done.code == 2
        assert 'cannot get resource "loadtests"' in done.err


def test_credentials_that_are_not_taken_are_told(world: World, tmp_path: Path):
    """A token that nobody issued: code 2, and that it is the credentials."""
    config = yaml.safe_load(Path(world.kube.kubeconfig).read_text())
    config["users"] = [{"name": config["users"][0]["name"], "user": {"token": "nobody's"}}]
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config))
    done = loadgate("wait", "checkout", "-n", world.namespace("failed"), kubeconfig=str(path))
    assert done.code == 2
    assert "doesn't accept these credentials" in done.err


def test_a_wait_outlives_an_api_server_that_is_away(world: World):
    """It says so, asks again, and ends by what it finds then."""
    place = ("-n", world.namespace("edited"))
    with _waiting(world, *place) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "checkout  not yet seen by the operator as it is now\n"
        _tool(world, "stop", "kube-apiserver")
        time.sleep(2)
        _tool(world, "start", "kube-apiserver")
        world.kube.until(lambda: world.kube.run("get", "--raw", "/readyz", check=False) == "ok")
        _, said = process.communicate(timeout=60)
    assert process.returncode == 124
    assert "the cluster doesn't answer" in said
    assert "no verdict within 30s" in said


@contextmanager
def _waiting(world: World, *place: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [PROGRAMS / "loadgate", "wait", "checkout", *place, "--timeout", "30s"],
        env={**os.environ, "KUBECONFIG": world.kube.kubeconfig},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def _tool(world: World, *arguments: str) -> None:
    subprocess.run([TOOL, *arguments], env={**os.environ, **world.kube.environment}, check=True, timeout=60)


def test_a_cluster_without_our_definitions_is_told(world: World):
    """Not "not found" but what to install."""
    if os.environ.get("KUBECONFIG"):
        pytest.skip("in a cluster that isn't the tests' own the definitions are left where they are")
    try:
        world.kube.run("delete", "-f", str(ROOT / "crds"), "--timeout=60s")
        for command in ("wait", "get", "logs", "report"):
            done = world.call(command, "checkout", "-n", world.namespace("passed"))
            assert done.code == 2
            assert "the cluster knows no LoadTest: install the chart" in done.err
    finally:
        world.kube.run("apply", "-f", str(ROOT / "crds"))
        world.kube.run("wait", "--for=condition=Established", "crd/loadtests.loadgate.dev", "--timeout=30s")
