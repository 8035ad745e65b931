"""Whoever makes load in a benchmark, each pinned to one core: wrk, our client alone, our runner as it is."""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.tools import pinned
from loadgate.api.validate import validate_loadtest
from loadgate.metrics import Measurement
from loadgate.plan import compile_plan

COMPILED = Path(__file__).parents[1] / ".venv" / "compiled"
RUN = "bench-1-abcde"
TOKEN = "only-on-loopback"
_START_LIMIT = 30.0  # seconds


@dataclass(frozen=True)
class Sample:
    """One run: requests that were answered well, its seconds, CPU seconds of the client while it made load."""

    requests: int
    seconds: float
    cpu: float
    failed: int = 0

    @property
    def cost(self) -> float:
        """CPU microseconds per request."""
        return self.cpu / self.requests * 1e6 if self.requests else float("inf")

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def wrk(url: str, core: int, connections: int, seconds: int) -> Sample:
    """One thread, so that all is on one core. Its CPU is that of its whole life, which begins at once."""
    before = os.times()
    command = pinned(core, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", url)
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    found = re.search(r"(\d+) requests in ([\d.]+)s", said)
    if found is None or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"wrk had failures:\n{said}")
    return Sample(int(found[1]), float(found[2]), cpu)


def client(url: str, core: int, connections: int, seconds: int) -> Sample:
    """Our HTTP client and recorder, compiled, in a loop of VUs, without plan, executor and journey."""
    command = pinned(core, sys.executable, "-m", "benchmarks.worker", url, str(connections), str(seconds))
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=_environ(compiled=True))
    said = json.loads(done.stdout)
    return Sample(said["requests"], said["seconds"], said["cpu"], said["failed"])


def runner(  # noqa: PLR0913 - a benchmark's settings
    url: str, core: int, connections: int, seconds: int, steps: list[dict[str, Any]], *, compiled: bool
) -> Sample:
    """The runner on a real plan: constant-vus with these steps. Its CPU is that from start to finish, all threads.

    `compiled` as it is shipped, else as it is without a C compiler.
    """
    with tempfile.TemporaryDirectory(prefix="loadgate-bench-") as name:
        plan = Path(name) / "plan.json"
        plan.write_bytes(_plan(url, connections, seconds, steps))
        with _process(plan, core, compiled=compiled) as (process, base):
            _until(base, "Armed")
            usage = psutil.Process(process.pid)
            before = usage.cpu_times()
            _call(base, "/start", {"run": RUN, "in_seconds": 0})
            time.sleep(seconds)
            _until(base, "Finished")
            after = usage.cpu_times()
            measured = Measurement.from_json(_call(base, "/snapshot?view=full")["measurement"])
    cpu = after.user + after.system - before.user - before.system
    counts = [(dict(tags), stats.duration.count) for tags, stats in measured.requests.items()]
    good = sum(count for tags, count in counts if tags["expected_response"] == "true")
    return Sample(good, measured.elapsed, cpu, sum(count for _, count in counts) - good)


def _environ(*, compiled: bool) -> dict[str, str]:
    """What makes a child take the compiled modules, or only the sources."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**environ, "PYTHONPATH": str(COMPILED)} if compiled else environ


def _plan(url: str, vus: int, seconds: int, steps: list[dict[str, Any]]) -> bytes:
    scenario = {"name": "bench", "executor": "constant-vus", "vus": vus, "duration": f"{seconds}s", "steps": steps}
    manifest = {
        "apiVersion": "loadgate.dev/v1alpha1",
        "kind": "LoadTest",
        "metadata": {"name": "bench"},
        "spec": {"target": {"url": url}, "scenarios": [scenario]},
    }
    return compile_plan(validate_loadtest(manifest), run=RUN).encode()


@contextlib.contextmanager
def _process(plan: Path, core: int, *, compiled: bool) -> Any:
    """A runner, and the address of its control port."""
    told = ["--plan", str(plan), "--files", str(plan.parent), "--port", "0", "--linger", "30", "--processes", "1"]
    environ = {**_environ(compiled=compiled), "LOADGATE_RUN": RUN, "LOADGATE_TOKEN": TOKEN, "LOADGATE_POD_UID": "bench"}
    process = subprocess.Popen(
        pinned(core, sys.executable, "-m", "loadgate_runner", *told),
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said = []
        for line in process.stderr or ():
            said.append(line)
            if "listens on" in line:
                yield process, "http://" + line.split()[-1]
                break
        else:
            raise RuntimeError(f"the runner didn't start: {''.join(said)}")
    finally:
        process.kill()
        process.communicate()


def _call(base: str, path: str, message: dict[str, Any] | None = None) -> Any:
    data = None if message is None else json.dumps(message).encode()
    request = urllib.request.Request(base + path, data=data, headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def _until(base: str, state: str) -> None:
    """Poll now and then, since each answer costs the runner time."""
    until = time.monotonic() + _START_LIMIT
    while (report := _call(base, "/state"))["state"] != state:
        if report["state"] == "Failed" or time.monotonic() > until:
            raise RuntimeError(f"the runner is {report['state']}, not {state}: {report['message']}")
        time.sleep(0.05)
