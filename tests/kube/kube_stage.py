"""Where tests of whole runs play: a namespace, a target on loopback, and what the LoadTest in it says."""

from __future__ import annotations

from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kube_cluster import Kube

BUSY = ["LoopLag", "ScheduleSlip", "CPULimit", "RateNotReached", "LateStart"]
"""Doubts that a machine gives rise to that does everything at once; how fast it is isn't tested here."""

LEFT_BEHIND = ("jobs,pods,secrets,configmaps", "-l", "app.kubernetes.io/managed-by=loadgate")


class Shop(BaseHTTPRequestHandler):
    """Answers every GET at once."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@dataclass
class Stage:
    """Where a test plays."""

    kube: Kube
    namespace: str
    target: str

    def manifest(self, name: str = "checkout", *, seconds: int = 2, **spec: Any) -> dict[str, Any]:
        """A LoadTest of two runners; `spec` goes before what it says."""
        steps = [{"request": {"name": "page", "url": "/"}}, {"think": "50ms"}]
        scenario = {"name": "s", "executor": "constant-vus", "vus": 2, "duration": f"{seconds}s", "steps": steps}
        base: dict[str, Any] = {
            "target": {"url": self.target},
            "runners": {"count": 2, "processes": 1},
            "scenarios": [scenario],
            "thresholds": {"http_req_duration": ["p(95)<5000"]},
            "tolerateDoubts": BUSY,
        }
        return {
            "apiVersion": "loadgate.dev/v1alpha1",
            "kind": "LoadTest",
            "metadata": {"name": name, "namespace": self.namespace, "labels": {"app": "shop"}},
            "spec": base | spec,
        }

    def test(self, name: str = "checkout") -> dict[str, Any]:
        """The LoadTest as it is."""
        found: dict[str, Any] = self.kube.get("loadtest", name, "-n", self.namespace) or {}
        return found

    def status(self, name: str = "checkout") -> dict[str, Any]:
        """Its status."""
        return self.test(name).get("status") or {}

    def complete(self, name: str = "checkout") -> dict[str, Any]:
        """Its status once kubectl says that it is complete."""
        self.kube.run("wait", f"loadtest/{name}", "-n", self.namespace, "--for=condition=Complete", "--timeout=60s")
        return self.status(name)

    def passes(self) -> dict[str, Any]:
        """Its status once it is complete, which must be a pass."""
        status = self.complete()
        assert status["phase"] == "Passed", status
        return status

    def until(self, phase: str, name: str = "checkout") -> dict[str, Any]:
        """Its status once it is in that phase."""
        self.kube.until(lambda: self.status(name).get("phase") == phase)
        return self.status(name)

    def left(self) -> list[str]:
        """The names of all that is ours in the namespace."""
        found = self.kube.get(*LEFT_BEHIND, "-n", self.namespace) or {"items": []}
        return [obj["metadata"]["name"] for obj in found["items"]]

    def reasons(self) -> set[str]:
        """The reasons of the events of LoadTests."""
        events = self.kube.get("events", "-n", self.namespace)["items"]
        return {event["reason"] for event in events if event["involvedObject"]["kind"] == "LoadTest"}
