"""The examples of other protocols than plain HTTP, run by the command against the server that they name."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def live() -> Iterator[str]:
    """The URL of a server of live prices."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "live", "--port", str(port)]
    with subprocess.Popen(command, cwd=EXAMPLES, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def run(name: str, live: str, *more: str) -> dict[str, Any]:
    """The LoadTest after `loadgate run` of an example for a second."""
    done = subprocess.run(
        [sys.executable, "-m", "loadgate_cli.main", "run", str(EXAMPLES / name), "-o", "json",
         "--set", f"spec.target.url={live}", "--set", "spec.scenarios[0].duration=1s", *more],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    test: dict[str, Any] = json.loads(done.stdout)
    return test


def endpoints(test: dict[str, Any]) -> set[str]:
    """What the report's endpoints are called."""
    return {endpoint["name"] for endpoint in test["status"]["endpoints"]}


def test_graphql_example_passes(live: str):
    """Each operation is an endpoint by its own name, and the error that is allowed fails nothing."""
    assert endpoints(run("graphql.yaml", live)) >= {"Products", "Order", "unknown product"}


def test_graphql_errors_break_the_limit(live: str):
    """The same example with errors not allowed is a failed gate, though every answer is a 200."""
    with pytest.raises(AssertionError, match="http_req_failed"):
        run("graphql.yaml", live, "--set", "spec.scenarios[0].steps[3].graphql.errors=fail")
