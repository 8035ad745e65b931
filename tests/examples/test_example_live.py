"""The examples of other protocols than plain HTTP, run by the command against the server that they name."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from server_process import free_port, serving

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.processes


GRPC: list[str] = []
"""Where the server's gRPC is."""


@pytest.fixture(scope="module")
def live() -> Iterator[str]:
    """The URL of a server of live prices."""
    port, calls = free_port(), free_port()
    GRPC.append(f"http://127.0.0.1:{calls}")
    command = [sys.executable, "-m", "live", "--port", str(port), "--grpc-port", str(calls)]
    with serving(command, port, cwd=EXAMPLES, stdout=subprocess.DEVNULL):
        yield f"http://127.0.0.1:{port}"


_JUDGED = (0, 1, 3)
"""Exit codes of a run that came to its end; a busy machine may break an example's limits on times, or cast a doubt."""


def run(name: str, live: str, *more: str) -> dict[str, str]:
    """By endpoint, the share of its requests that failed, after `loadgate run` of an example for two seconds."""
    done = subprocess.run(
        [sys.executable, "-m", "loadgate_cli.main", "run", str(EXAMPLES / name), "-o", "json",
         "--set", f"spec.target.url={live}", "--set", "spec.scenarios[0].duration=2s", *more],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode in _JUDGED, done.stdout + done.stderr
    status = json.loads(done.stdout)["status"]
    assert status["summary"]["checks"] == "100%"
    return {endpoint["name"]: endpoint["failedRate"] for endpoint in status["endpoints"]}


def test_graphql_example_does_what_it_says(live: str):
    """Each operation is an endpoint by its own name, and the error that is allowed fails nothing."""
    assert run("graphql.yaml", live) == {"Products": "0%", "Order": "0%", "unknown product": "0%"}


def test_graphql_errors_are_failures(live: str):
    """With errors not allowed, every request of that operation has failed, though every answer is a 200."""
    found = run("graphql.yaml", live, "--set", "spec.scenarios[0].steps[3].graphql.errors=fail")
    assert found == {"Products": "0%", "Order": "0%", "unknown product": "100%"}


def test_sse_example_does_what_it_says(live: str):
    """Each stream ends with what it was listened to for."""
    assert run("sse.yaml", live) == {"five prices": "0%", "a second": "0%", "to the end": "0%"}


def test_http2_example_does_what_it_says():
    """Users share a connection, and each request came in HTTP/2."""
    port = free_port()
    command = [sys.executable, "-m", "hypercorn", "second:app", "-b", f"127.0.0.1:{port}"]
    with serving(command, port, cwd=EXAMPLES, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        assert run("http2.yaml", f"http://127.0.0.1:{port}") == {"version": "0%", "upload": "0%"}


def test_websocket_example_does_what_it_says(live: str):
    """Orders are confirmed over one connection, and listening ends well."""
    assert run("websocket.yaml", live) == {"trade": "0%", "listen": "0%"}


def test_grpc_example_does_what_it_says(live: str):
    """Calls and streams of every kind end well, one of them with the status that it wishes for."""
    assert live
    names = ("price", "unknown product", "another product", "watch", "order", "trade")
    assert run("grpc.yaml", GRPC[-1]) == dict.fromkeys(names, "0%")


def test_python_streams_example_does_what_it_says(live: str):
    """A journey in Python listens and trades, and all that it checks holds."""
    calls = ("--set", f"spec.runners.env[0].value={GRPC[-1]}")
    assert run("python-streams.yaml", live, *calls) == dict.fromkeys(("prices", "price", "trade"), "0%")
