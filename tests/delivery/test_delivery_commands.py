"""wait, get, logs and report against an API server of a few lines."""

from __future__ import annotations

import base64
import copy
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import yaml
from click.testing import CliRunner, Result
from delivery_states import STATES, fixture
from reconcile_world import NAMESPACE, TEST, World, load_test

from loadgate_cli.main import cli
from loadgate_operator.cluster.port import Key, Kind
from loadgate_operator.reconcile.identity import rerun_part

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = "/apis/loadgate.dev/v1alpha1/namespaces/shop/loadtests"
CORE = "/api/v1/namespaces/shop"


class FakeApi:
    """Answers by path; what isn't there is NotFound as a real server says it."""

    def __init__(self, folder: Path) -> None:
        self.answers: dict[str, list[tuple[int, Any]]] = {}
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                queue = fake.answers.get(self.path.partition("?")[0])
                code, body = (
                    (queue.pop(0) if len(queue) > 1 else queue[0]) if queue else (404, {"message": "not found"})
                )
                data = body if isinstance(body, bytes) else orjson.dumps(body)
                self.send_response(code)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                """Be quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.config = folder / "kubeconfig"
        self.config.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "one",
                    "clusters": [
                        {"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.server.server_address[1]}"}}
                    ],
                    "users": [{"name": "u", "user": {"token": "t"}}],
                    "contexts": [
                        {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "shop"}},
                        {"name": "two", "context": {"cluster": "c", "user": "u", "namespace": "other"}},
                    ],
                }
            )
        )

    def has(self, path: str, *answers: Any, code: int = 200) -> None:
        self.answers[path] = [(code, answer) for answer in answers]

    def call(self, *args: str) -> Result:
        return CliRunner().invoke(cli, [*args, "--kubeconfig", str(self.config)])


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeApi]:
    fake = FakeApi(tmp_path)
    thread = threading.Thread(target=fake.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield fake
    fake.server.shutdown()
    thread.join()
    fake.server.server_close()


@pytest.mark.parametrize("state", [state for state, row in STATES.items() if row.code is not None])
def test_wait_exits_by_the_verdict(api: FakeApi, state: str):
    """The exit code is the one of `run`, and the phase is said on standard output."""
    api.has(f"{TESTS}/checkout", fixture(state))
    done = api.call("wait", "checkout")
    assert done.exit_code == STATES[state].code, done.output
    assert fixture(state)["status"]["phase"] in done.stdout


def test_wait_says_all_that_is_wrong(api: FakeApi):
    """Where more than one limit is broken, or there are doubts besides, each has its line."""
    test = fixture("failed")
    limit = {"source": "budget/shop", "subject": "home p99", "limit": "50ms", "actual": "100ms", "runs": 1}
    test["status"]["violations"].append(limit)
    test["status"]["doubts"] = [{"reason": "LoopLag", "message": "the loop lags", "figure": "1s"}]
    api.has(f"{TESTS}/checkout", test)
    first, *rest = api.call("wait", "checkout").stdout.splitlines()
    assert first.startswith("checkout  Failed  ThresholdViolated: ")
    actual = test["status"]["violations"][0]["actual"]
    assert rest == [
        f"  http_req_duration p(95) is {actual}, the limit is 0.001ms (threshold)",
        "  home p99 is 100ms, the limit is 50ms (budget/shop)",
        "  LoopLag: the loop lags",
    ]


def test_wait_follows_a_run_to_its_end(api: FakeApi):
    """What is under way is told as it goes, until there is a verdict."""
    api.has(f"{TESTS}/checkout", fixture("running"), fixture("passed"))
    done = api.call("wait", "checkout")
    assert done.exit_code == 0
    assert "Running" in done.stderr
    assert "Passed" in done.stdout


def test_wait_without_a_verdict_in_time_has_a_code_of_its_own(api: FakeApi):
    """Time running out is no verdict, so neither is its code: it is that of timeout(1)."""
    api.has(f"{TESTS}/checkout", fixture("running"))
    done = api.call("wait", "checkout", "--timeout", "10ms")
    assert done.exit_code == 124
    assert "no verdict within 10ms" in done.stderr


@pytest.mark.parametrize("code", [401, 403, 404])
def test_wait_bears_with_a_server_that_has_just_come_back(api: FakeApi, code: int):
    """A test that was there is asked for again whatever the server says meanwhile, unless it says that it is gone."""
    away = {"message": "404 page not found" if code == 404 else "not yet"}
    api.answers[f"{TESTS}/checkout"] = [(200, fixture("running")), (code, away), (200, fixture("passed"))]
    done = api.call("wait", "checkout")
    assert done.exit_code == 0
    assert len(done.stderr.splitlines()) == 2


def test_wait_ends_when_the_test_is_deleted(api: FakeApi):
    """Nobody waits for a verdict on what is gone."""
    gone = {"message": 'loadtests.loadgate.dev "checkout" not found'}
    api.answers[f"{TESTS}/checkout"] = [(200, fixture("running")), (404, gone)]
    done = api.call("wait", "checkout")
    assert done.exit_code == 2
    assert "there is no LoadTest 'checkout'" in done.stderr


def test_wait_takes_no_verdict_from_before_a_rerun(api: FakeApi):
    """An annotation changes no generation, yet the old run's verdict isn't the one that is waited for."""
    test = fixture("passed")
    test["metadata"]["annotations"] = {"loadgate.dev/rerun": "2"}
    again = copy.deepcopy(test)
    again["status"]["run"]["specHash"] = "0.0." + rerun_part("2")
    api.has(f"{TESTS}/checkout", test, again)
    early = api.call("wait", "checkout", "--timeout", "10ms")
    assert early.exit_code == 124
    assert "checkout  not yet seen by the operator as it is now" in early.stderr
    assert api.call("wait", "checkout").exit_code == 0


@pytest.mark.parametrize(
    ("code", "message", "said"),
    [
        (404, 'loadtests.loadgate.dev "checkout" not found', "there is no LoadTest 'checkout' in namespace 'shop'"),
        (404, "the server could not find the requested resource", "loadgate crds | kubectl apply"),
        (403, "loadtests is forbidden", "the cluster refuses"),
        (401, "Unauthorized", "credentials"),
    ],
)
@pytest.mark.parametrize("command", ["wait", "get", "logs", "report"])
def test_what_stands_in_the_way_is_said(api: FakeApi, command: str, code: int, message: str, said: str):
    """Each command ends with code 2 and with words that say what to do, not with a traceback."""
    api.has(f"{TESTS}/checkout", {"message": message}, code=code)
    done = api.call(command, "checkout")
    assert done.exit_code == 2
    assert said in done.stderr


def test_no_kubeconfig_is_said(tmp_path: Path):
    """A kubeconfig that isn't there is named as such."""
    done = CliRunner().invoke(cli, ["get", "--kubeconfig", str(tmp_path / "none")])
    assert done.exit_code == 2
    assert "set KUBECONFIG, or give --kubeconfig" in done.stderr


def test_get_shows_all_tests_of_a_context(api: FakeApi):
    """The context decides the namespace, and a row shows the phase."""
    api.has(TESTS.replace("/shop/", "/other/"), {"items": [fixture("passed"), fixture("unseen")]})
    head, first, second = api.call("get", "--context", "two").stdout.splitlines()
    assert head.split()[:2] == ["NAME", "PHASE"]
    assert first.split()[:2] == ["checkout", "Passed"]
    assert second.split()[:2] == ["checkout", "-"]


def test_get_shows_all_tests_of_all_namespaces(api: FakeApi):
    """-A asks for the whole cluster, and a row says whose test it is."""
    api.has("/apis/loadgate.dev/v1alpha1/loadtests", {"items": [fixture("passed")]})
    head, row = api.call("get", "-A").stdout.splitlines()
    assert head.split()[:3] == ["NAMESPACE", "NAME", "PHASE"]
    assert row.split()[:3] == ["default", "checkout", "Passed"]
    assert api.call("get", "-A", "-n", "shop").exit_code == 2


def test_get_prints_json_and_yaml_as_they_are(api: FakeApi):
    """Machines get the object itself."""
    api.has(f"{TESTS}/checkout", fixture("failed"))
    assert orjson.loads(api.call("get", "checkout", "-o", "json").stdout) == fixture("failed")
    assert yaml.safe_load(api.call("get", "checkout", "-o", "yaml").stdout) == fixture("failed")


def test_logs_come_in_the_runners_order(api: FakeApi):
    """Each pod's log stands under its name."""
    pods = [
        {"metadata": {"name": f"p-{n}", "labels": {"batch.kubernetes.io/job-completion-index": str(n)}}}
        for n in (10, 2)
    ]
    api.has(f"{TESTS}/checkout", fixture("running"))
    api.has(f"{CORE}/pods", {"items": pods})
    api.has(f"{CORE}/pods/p-2/log", b"two")
    api.has(f"{CORE}/pods/p-10/log", b"ten\nloadgate-snapshot: KLUv/WBQ\nover\n")
    assert api.call("logs", "checkout").stdout.splitlines() == [
        "==> p-2 <==",
        "two",
        "==> p-10 <==",
        "ten",
        "loadgate-snapshot: 8 characters, for an operator that was away",
        "over",
    ]


def test_report_reads_the_stored_result(api: FakeApi):
    """What the ConfigMap holds is decoded as a file would be: here it is damaged, and that is said."""
    name = fixture("passed")["status"]["result"]["configMapRef"]["name"]
    api.has(f"{TESTS}/checkout", fixture("passed"))
    api.has(f"{CORE}/configmaps/{name}", {"binaryData": {"result.json.zst": base64.b64encode(b"no result").decode()}})
    done = api.call("report", "checkout")
    assert done.exit_code == 2
    assert done.stderr.startswith("checkout: ")


def test_report_renders_what_a_run_left(api: FakeApi):
    """A result that the reconciler stored is read back from its ConfigMap and rendered in the form that is asked for."""
    world = World()
    try:
        world.put(load_test())
        world.settle()
        test = world.objects[TEST]
        name = test["status"]["result"]["configMapRef"]["name"]
        stored = world.objects[Key(Kind.CONFIG_MAP, NAMESPACE, name)]
    finally:
        world.close()
    api.has(f"{TESTS}/checkout", test)
    api.has(f"{CORE}/configmaps/{name}", stored)
    done = api.call("report", "checkout", "-f", "json")
    assert done.exit_code == 0, done.output
    assert orjson.loads(done.stdout)["verdict"]["outcome"] == "Passed"


def test_report_of_a_run_under_way_says_so(api: FakeApi):
    """No result yet is no traceback."""
    api.has(f"{TESTS}/checkout", fixture("running"))
    done = api.call("report", "checkout")
    assert done.exit_code == 2
    assert "has no result yet" in done.stderr


def test_a_context_that_is_not_there_is_named(api: FakeApi):
    """A slip in --context doesn't end up in another cluster."""
    done = api.call("get", "--context", "three")
    assert done.exit_code == 2
    assert "three" in done.stderr


@pytest.mark.processes
def test_the_plugin_calls_itself_as_kubectl_does():
    """`kubectl loadgate --help` shows what the user types."""
    done = subprocess.run(
        [Path(sys.executable).parent / "kubectl-loadgate", "wait", "--help"], check=True, capture_output=True
    )
    assert done.stdout.decode().startswith("Usage: kubectl loadgate wait")


@pytest.mark.processes
def test_help_imports_no_client():
    """Help is quick because the client of Kubernetes is imported only when a cluster is asked."""
    code = (
        "import sys, loadgate_cli.commands.wait, loadgate_cli.commands.report, loadgate_cli.commands.get;"
        "sys.exit('kubernetes' in sys.modules or 'aiohttp' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
