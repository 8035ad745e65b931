"""gRPC in real pods: what .proto files say is compiled within the runner's image, as whoever the pod runs as."""

import json
import subprocess
import sys
from contextlib import contextmanager

import pytest
from e2e_cluster import ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.processes, pytest.mark.timeout(300, func_only=True)]

COMMON = """syntax = "proto3";
package test.v1;
message Inner { string deep_name = 1; }
"""
ECHO = """syntax = "proto3";
package test.v1;
import "test/common.proto";
import "google/protobuf/timestamp.proto";
message Said { string text = 1; Inner inner = 4; google.protobuf.Timestamp at = 6; }
service Echo { rpc Say(Said) returns (Said); }
"""


@contextmanager
def rpc_server():
    """A gRPC server that says nothing of its messages."""
    script = ROOT / "tests" / "journey" / "rpc_server.py"
    command = [sys.executable, str(script), json.dumps({"reflection": "none"})]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


@pytest.mark.parametrize(
    ("echo", "phase", "why"),
    [
        (ECHO, "Passed", ""),
        (ECHO.replace("rpc Say", "rcp Say"), "Inconclusive", 'protos: test/echo.proto:6:16: Expected "rpc"'),
    ],
    ids=["sound", "broken"],
)
def test_a_steps_proto_files_are_compiled_in_its_pods(kube, stage, echo, phase, why):
    """Calls are made by what the files say; where they can't be compiled, there is no load, and the fault is told with its place."""
    if not kube.local:
        pytest.skip("the target is on this machine's loopback")
    kube.create(
        "ConfigMap",
        {
            "metadata": {"name": "protos", "namespace": stage.namespace},
            "data": {"common.proto": COMMON, "echo.proto": echo},
        },
    )
    files = {
        f"test/{name}": {"configMapKeyRef": {"name": "protos", "key": name}} for name in ("common.proto", "echo.proto")
    }
    call = {
        "grpc": {"method": "test.v1.Echo/Say", "message": {"text": "hi", "inner": {"deepName": "x"}}, "protos": files},
        "check": {"status": "OK", "json": {"$.inner.deepName": "x"}},
    }
    scenario = {"name": "echo", "executor": "constant-vus", "vus": 2, "duration": "3s"}
    with rpc_server() as url:
        stage.apply(target={"url": url}, scenarios=[{**scenario, "steps": [call, {"think": "50ms"}]}])
        status = stage.finish(phase)
    assert why in json.dumps(status.get("doubts"), ensure_ascii=False).replace('\\"', '"')
    stage.removed()
