"""The examples of each protocol, as they stand: a real API server takes them, and real pods of the real image play them."""

import base64
import json
import re
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest
import yaml
from e2e_cluster import ROOT, until
from e2e_stage import BUSY, FINAL
from server_process import free_port, serving

pytestmark = [pytest.mark.cluster, pytest.mark.processes, pytest.mark.timeout(600, func_only=True)]

EXAMPLES = ROOT / "examples"
PLAYED = (
    "sse", "websocket", "graphql", "grpc", "http2", "python-streams", "python-journey", "oauth2", "aws-sigv4", "digest",
    "tracing", "data-driven",
)  # fmt: skip
SOUND = {"checks": ["rate>0.9"], "http_req_failed": ["rate<0.05"]}
"""In place of an example's own limits: some of them, and of the checks, are on times, for a machine that does nothing else."""


@contextmanager
def at(port, *module):
    """The URL of a server of the examples, which is a module that is run."""
    with serving([sys.executable, "-m", *module], port, cwd=EXAMPLES, stdout=subprocess.DEVNULL):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def places(shop):
    """By the address in an example, where that server is."""
    live, calls, second, doors = (free_port() for _ in range(4))
    with ExitStack() as servers:
        enter = servers.enter_context
        yield {
            "http://127.0.0.1:8080": shop.url,
            "http://127.0.0.1:8081": enter(at(live, "live", "--port", str(live), "--grpc-port", str(calls))),
            "http://127.0.0.1:8082": f"http://127.0.0.1:{calls}",
            "http://127.0.0.1:8083": enter(at(doors, "doors", "--port", str(doors))),
            "second": enter(at(second, "hypercorn", "second:app", "-b", f"127.0.0.1:{second}")),
        }


def documents(name, places):
    """An example's objects: shorter, at the servers that there are, and with limits that hold on a busy machine."""
    text = (EXAMPLES / f"{name}.yaml").read_text().replace("duration: 30s", "duration: 4s")
    if name == "http2":
        places = {"http://127.0.0.1:8082": places["second"]}
    text = re.sub(r"http://127\.0\.0\.1:\d+", lambda found: places[found[0]], text)
    for document in yaml.safe_load_all(text):
        if document["kind"] == "LoadTest":
            document["spec"] |= {"thresholds": SOUND, "tolerateDoubts": BUSY}
            document["spec"]["runners"] = {"processes": 1} | document["spec"].get("runners", {})
        yield document


def folder(name):
    """The ConfigMap that a folder beside the examples stands for."""
    files = (path for path in (EXAMPLES / name).iterdir() if path.is_file())
    return {
        "metadata": {"name": name},
        "binaryData": {path.name: base64.b64encode(path.read_bytes()).decode() for path in files},
    }


def test_the_examples_pass_on_a_cluster(kube, stage, places):
    """Each protocol's example is taken as it stands, and comes to the verdict that it comes to on a laptop: Passed."""
    if not kube.local:
        pytest.skip("the targets are on this machine's loopback")

    def create(kind, obj):
        kube.create(kind, {**obj, "metadata": {**obj["metadata"], "namespace": stage.namespace}})

    for name in ("journeys", "live-data", "shop-data"):
        create("ConfigMap", folder(name))
    for name in PLAYED:
        for document in documents(name, places):
            create(document["kind"], document)

    def statuses():
        return {test["metadata"]["name"]: test.get("status", {}) for test in kube.items("LoadTest", stage.namespace)}

    until(lambda: all(status.get("phase") in FINAL for status in statuses().values()), 300, statuses)
    ended = statuses()
    wrong = {name: status for name, status in ended.items() if status["phase"] != "Passed"}
    assert (sorted(ended), wrong) == (sorted(PLAYED), {})
    assert "examples-only" not in json.dumps(ended)
