"""Our own: the runner as it is, compiled and interpreted, and our HTTP client alone; watched as the others are."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks import others
from benchmarks.others import Load, Peer
from benchmarks.tools import pinned
from benchmarks.watch import CountError, Said, Sample, end, window
from loadgate.api.validate import validate_loadtest
from loadgate.metrics import Snapshot
from loadgate.plan import compile_plan

COMPILED = Path(__file__).parents[1] / ".venv" / "compiled"
RUN = "bench-1-abcde"
_TOKEN = "only-on-loopback"
_STATE_LIMIT = 60.0
"""Seconds to arm in, or to finish after the plan's end."""

Steps = list[dict[str, Any]]


@dataclass(frozen=True)
class Runner:
    """A runner's process, and what can be asked of it."""

    pid: int
    address: str

    def start(self) -> None:
        """Begin now."""
        self._call("/start", {"run": RUN, "in_seconds": 0})

    def until(self, state: str, limit: float = _STATE_LIMIT, every: float = 0.05) -> None:
        """Wait for a state. Raises RuntimeError with what the runner says where it doesn't come."""
        ends = time.monotonic() + limit
        while (report := json.loads(self._call("/state")))["state"] != state:
            if report["state"] == "Failed" or time.monotonic() > ends:
                raise RuntimeError(f"the runner is {report['state']}, not {state}: {report['message']}")
            time.sleep(every)

    def snapshot(self) -> Snapshot:
        """All it measured."""
        return Snapshot.decode(self._call("/snapshot?view=full"))

    def _call(self, path: str, message: dict[str, Any] | None = None) -> bytes:
        data = None if message is None else json.dumps(message).encode()
        request = urllib.request.Request(self.address + path, data, {"Authorization": f"Bearer {_TOKEN}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())


@dataclass(frozen=True)
class Setting:
    """How a runner is started: compiled as it is shipped or from the sources, on which cores, with what beside it."""

    compiled: bool = True
    cores: int | str = 0
    processes: int = 1
    files: dict[str, str] = field(default_factory=dict)


def manifest(base: str, scenario: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A LoadTest with one scenario, against this address; certificates are taken as they are."""
    return {
        "apiVersion": "loadgate.dev/v1alpha1",
        "kind": "LoadTest",
        "metadata": {"name": "bench"},
        "spec": {
            "target": {"url": base, "tls": {"verify": False}},
            "scenarios": [{"name": "bench", "gracefulStop": "2s", **scenario}],
            **spec,
        },
    }


def closed(load: Load, steps: Steps) -> dict[str, Any]:
    """As many VUs as connections, as long as the others run."""
    return {"executor": "constant-vus", "vus": load.connections, "duration": f"{load.lasts}s", "steps": steps}


@contextlib.contextmanager
def runner(document: dict[str, Any], setting: Setting) -> Iterator[Runner]:
    """A runner that has been started with this test's plan, and told nothing yet."""
    with tempfile.TemporaryDirectory(prefix="loadgate-bench-") as name:
        folder = Path(name)
        (folder / "plan.json").write_bytes(compile_plan(validate_loadtest(document), run=RUN).encode())
        for path, text in setting.files.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(text)
        told = ["--plan", str(folder / "plan.json"), "--files", name, "--port", "0", "--linger", "60"]
        process = subprocess.Popen(
            pinned(
                setting.cores, sys.executable, "-m", "loadgate_runner", *told, "--processes", str(setting.processes)
            ),
            env={**environ(compiled=setting.compiled), **_IDENTITY},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield Runner(process.pid, _address(process))
        finally:
            end(process)


def run(load: Load, scenario: dict[str, Any], setting: Setting) -> tuple[Sample, Snapshot]:
    """Run a scenario against nginx once, watched. Raises CountError where nginx counts otherwise."""
    with runner(manifest(load.base, scenario), setting) as ours:
        ours.until("Armed")
        before = load.server.requests()
        polls = load.server.polls
        ours.start()
        sample = window(load.server, ours.pid, before, load.warmup, load.seconds)
        ours.until("Finished", every=0.2)
        seen = load.server.requests() - before - (load.server.polls - polls)
        snapshot = ours.snapshot()
    counted, failed = snapshot.measurement.request_counts()
    if failed:
        raise CountError(f"{failed} of {counted} requests failed")
    others.agree(seen, counted, load.connections)
    duration = snapshot.measurement.select_requests().duration
    return replace(sample, p50=duration.quantile(0.5) / 1e3, p99=duration.quantile(0.99) / 1e3), snapshot


def alone(load: Load, path: str = "/item") -> Sample:
    """Our HTTP client and recorder, compiled, in a loop of VUs: without plan, executor and journey."""
    words = ["-m", "benchmarks.alone", load.base + path, str(load.connections), str(load.lasts)]
    peer = Peer(lambda _load: words, _said)
    # From the repository's folder, where the module is.
    return others.run([sys.executable], peer, load, environ(compiled=True, root=True))


def _said(text: str) -> Said:
    document = json.loads(text)
    return Said(document["requests"])


def environ(*, compiled: bool, root: bool = False) -> dict[str, str]:
    """What makes a child take the compiled modules, or only the sources; with the benchmarks themselves at the end."""
    paths = [str(COMPILED)] if compiled else []
    paths += [str(Path(__file__).parents[1])] if root else []
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**kept, "PYTHONPATH": os.pathsep.join(paths)} if paths else kept


_IDENTITY = {"LOADGATE_RUN": RUN, "LOADGATE_TOKEN": _TOKEN, "LOADGATE_POD_UID": "bench"}


def _address(process: subprocess.Popen[str]) -> str:
    said = []
    for line in process.stderr or ():
        said.append(line)
        if "listens on" in line:
            return "http://" + line.split()[-1]
    raise RuntimeError(f"the runner didn't start: {''.join(said)}")
