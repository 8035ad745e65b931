"""The examples of how requests say who they are, and of traces, run by the command against the servers that they name."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from server_process import free_port, serving

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.processes

_JUDGED = (0, 1, 3)
"""Exit codes of a run that came to its end; a busy machine may break an example's limits on times, or cast a doubt."""


@contextmanager
def example(module: str) -> Iterator[str]:
    """The URL of an example's server."""
    port = free_port()
    command = [sys.executable, "-m", module, "--port", str(port)]
    with serving(command, port, cwd=EXAMPLES, stdout=subprocess.DEVNULL):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def doors() -> Iterator[str]:
    """The URL of the server with three doors."""
    with example("doors") as url:
        yield url


def run(name: str, url: str, *more: str) -> dict[str, str]:
    """By endpoint, the share of its requests that failed, after `loadgate run` of an example for three seconds."""
    done = subprocess.run(
        [sys.executable, "-m", "loadgate_cli.main", "run", str(EXAMPLES / name), "-o", "json",
         "--set", f"spec.target.url={url}", "--set", "spec.scenarios[0].duration=3s", *more],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode in _JUDGED, done.stdout + done.stderr
    status = json.loads(done.stdout)["status"]
    assert "examples-only" not in done.stdout + done.stderr
    assert status["summary"]["checks"] == "100%", status
    return {endpoint["name"]: endpoint["failedRate"] for endpoint in status["endpoints"]}


def test_oauth2_example_does_what_it_says(doors: str):
    """Every request is let in, with a token."""
    token_url = f"spec.target.auth.oauth2.tokenUrl={doors}/oauth2/token"
    assert run("oauth2.yaml", doors, "--set", token_url) == {"orders": "0%"}


def test_sigv4_example_does_what_it_says(doors: str):
    """Signed requests are let in, and the one that isn't signed is turned away as the example expects."""
    assert run("aws-sigv4.yaml", doors) == {"list": "0%", "add": "0%", "unsigned": "0%"}


def test_digest_example_does_what_it_says(doors: str):
    """Every request is let in, and no challenge on the way is a failure, however often a nonce is used up."""
    assert run("digest.yaml", doors, "--set", "spec.scenarios[0].steps[1].think=1ms") == {"file": "0%"}


def test_tracing_example_does_what_it_says(tmp_path: Path):
    """Traces of both endpoints are in the summary of the run."""
    with example("shop") as url:
        assert run("tracing.yaml", url, "--out", str(tmp_path)) == {"products": "0%", "nothing there": "0%"}
    told = (tmp_path / "summary.md").read_text().partition("Traces to look up")[2]
    assert "products" in told
    assert "nothing there" in told
