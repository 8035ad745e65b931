"""What `helm test` runs: makes a tiny LoadTest, waits for its verdict, and removes it. Standard library only."""

from __future__ import annotations

import json
import os
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PORT = 8000


class Target(BaseHTTPRequestHandler):
    """Something to send load to, for want of anything else that is sure to be there."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Every page is the same."""
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *_: object) -> None:
        """Requests aren't what this pod's log is for."""


def bracketed(host: str) -> str:
    """A host as it is written in a URL."""
    return f"[{host}]" if ":" in host else host


def call(method: str, name: str = "", body: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the API server answers about the LoadTest of that name. Raises urllib.error.HTTPError."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    path = f"apis/loadgate.dev/v1alpha1/namespaces/{os.environ['TEST_NAMESPACE']}/loadtests/{name}"
    request = urllib.request.Request(
        f"https://{bracketed(host)}:{port}/{path}",
        json.dumps(body).encode() if body else None,
        {"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}", "Content-Type": "application/json"},
        method=method,
    )
    context = ssl.create_default_context(cafile=ACCOUNT / "ca.crt")
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:  # noqa: S310 - always https
        found: dict[str, Any] = json.load(answer)
        return found


def manifest(name: str, url: str) -> dict[str, Any]:
    """The LoadTest: twenty requests by one virtual user."""
    steps = [{"request": {"name": "hello", "url": "/"}, "check": {"status": 200}}]
    scenario = {"name": "hello", "executor": "shared-iterations", "vus": 1, "iterations": 20, "steps": steps}
    return {
        "apiVersion": "loadgate.dev/v1alpha1",
        "kind": "LoadTest",
        "metadata": {"name": name},
        "spec": {
            "target": {"url": url},
            "scenarios": [scenario],
            "thresholds": {"checks": ["rate>0.99"]},
            # It is the installation that is tested, not how fast this cluster is.
            "tolerateDoubts": ["LoopLag", "ScheduleSlip", "CPULimit"],
        },
    }


def verdict(name: str, timeout: float) -> tuple[str, str]:
    """Wait until the operator will do no more; its phase and reason. Raises TimeoutError after so many seconds."""
    said, until = "", time.monotonic() + timeout
    while time.monotonic() < until:
        status = call("GET", name).get("status") or {}
        conditions = {one["type"]: one for one in status.get("conditions", ()) if one["status"] == "True"}
        now: dict[str, str] = next(
            (conditions[one] for one in ("Reconciling", "Stalled", "Ready") if one in conditions), {}
        )
        phase = status.get("phase") or "not seen by the operator yet"
        line = f"{phase}: {now.get('message', '')}"
        if line != said:
            print(line, flush=True)
            said = line
        if conditions.keys() & {"Complete", "Stalled"}:
            return phase, now.get("reason", "")
        time.sleep(1)
    raise TimeoutError(f"no verdict after {timeout:g} s; the last that was said: {said}")


def remove(name: str) -> None:
    """Delete the LoadTest; fine where it isn't there."""
    try:
        call("DELETE", name)
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise


def main() -> int:
    """0 if the tiny test passed."""
    name, address = os.environ["TEST_NAME"], os.environ["POD_IP"]
    server = ThreadingHTTPServer((address, PORT), Target)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        remove(name)
        call("POST", body=manifest(name, os.environ["TEST_TARGET"] or f"http://{bracketed(address)}:{PORT}"))
        phase, reason = verdict(name, float(os.environ["TEST_TIMEOUT"]))
        remove(name)
    except urllib.error.HTTPError as error:
        print(f"the API server refused: {error.code} {error.read().decode(errors='replace')}")
        return 1
    except TimeoutError as error:
        print(f"{error}. The LoadTest {name} is left for you to look at.")
        return 1
    if reason == "TargetNotAllowed":
        print("The operator works, but load may not go there: set helmTest.target to one of allowedTargets.")
    return 0 if phase == "Passed" else 1


if __name__ == "__main__":
    sys.exit(main())
