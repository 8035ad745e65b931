"""Where load may go, on a real cluster: an operator with rules, and runners in pods that hold to them."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from kube_cluster import Kube, OperatorProcess
from kube_stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.cluster, pytest.mark.processes]

LONG = {"executor": "constant-vus", "vus": 2, "duration": "60s", "gracefulStop": "1s"}


@pytest.fixture
def stage(kube: Kube, namespace: str, target: str, tmp_path: Path) -> Iterator[Stage]:
    """A namespace whose operator lets load go to 127.0.0.1 only."""
    if not kube.runs_pods:
        pytest.skip("the cluster of KUBECONFIG can't reach this machine's loopback")
    log = tmp_path / "operator.log"
    operator = OperatorProcess(kube, log, "--namespace", namespace, "--allowed-target", "127.0.0.1")
    yield Stage(kube, namespace, target)
    operator.stop()
    assert "where load may go: 127.0.0.1" in operator.said()


@pytest.fixture
def leading() -> Iterator[str]:
    """A server that leads to a metadata address."""

    class Leading(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/latest/meta-data/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Leading)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def stalled(status: dict[str, Any]) -> dict[str, Any]:
    """The condition Stalled; {} where there is none."""
    return next((one for one in status.get("conditions") or () if one["type"] == "Stalled"), {})


def test_load_goes_only_where_the_platform_says(stage: Stage, leading: str) -> None:
    """What is listed runs, what isn't is stalled and told as an event, and what is led elsewhere ends and doesn't pass."""
    scenario = {"name": "s", **LONG, "steps": [{"request": {"url": "/", "name": "led"}}]}
    stage.kube.apply(
        stage.manifest("allowed"),
        stage.manifest("elsewhere", target={"url": stage.target.replace("127.0.0.1", "127.0.0.2")}),
        stage.manifest("led", target={"url": leading}, scenarios=[scenario]),
    )
    stage.kube.run("wait", "loadtest/elsewhere", "-n", stage.namespace, "--for=condition=Stalled", "--timeout=30s")
    refused = stage.status("elsewhere")
    assert stalled(refused)["reason"] == "TargetNotAllowed"
    assert stalled(refused)["message"].startswith(
        "spec.target.url: load may not go to 127.0.0.2; it may go to 127.0.0.1"
    )
    assert "run" not in refused
    assert "TargetNotAllowed" in stage.reasons()
    led = stage.complete("led")
    assert (led["phase"], stalled(led)["reason"]) == ("Inconclusive", "ConnectionDenied")
    assert "169.254.169.254" in stalled(led)["message"]
    assert stage.complete("allowed")["phase"] == "Passed"
    assert not [name for name in stage.left() if name.startswith("elsewhere")]
