"""`loadgate run` on a manifest, all of it on the client's core: operator, runner, snapshots each second, live progress.

While it runs, `/metrics` of the runner and nothing else is asked from outside, every five seconds, as Prometheus would.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil

from benchmarks import clients, others
from benchmarks.clients import Steps
from benchmarks.others import Load
from benchmarks.tools import pinned
from benchmarks.watch import Sample, end, tree, window

SCRAPE_SECONDS = 5.0
_START_LIMIT = 60.0
_MAIN = "from loadgate_cli.main import main; main()"


def run(load: Load, steps: Steps) -> Sample:
    """Run it once, compiled; its own result must agree with nginx's count. Raises CountError."""
    load = replace(load, seconds=max(load.seconds, SCRAPE_SECONDS + 1))  # so that a scrape is in the window
    document = clients.manifest(load.base, clients.closed(load, steps), runners={"processes": 1})
    before, polls = load.server.requests(), load.server.polls
    with tempfile.TemporaryDirectory(prefix="loadgate-bench-") as name:
        path = Path(name) / "bench.json"
        path.write_text(json.dumps(document))
        process = subprocess.Popen(
            pinned(load.core, sys.executable, "-c", _MAIN, "run", str(path), "--output", "json"),
            env=clients.environ(compiled=True),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            with _scraping(process.pid) as scrapes:
                sample = window(load.server, process.pid, before, load.warmup, load.seconds)
            text, _ = process.communicate(timeout=_START_LIMIT)
        finally:
            end(process)
    if not scrapes:
        raise RuntimeError("the runner's /metrics was never read")
    seen = load.server.requests() - before - (load.server.polls - polls)
    others.agree(seen, _counted(text), load.connections)
    return replace(sample, note=f"{len(scrapes)} scrapes of {max(scrapes)} bytes")


@contextlib.contextmanager
def _scraping(pid: int) -> Iterator[list[int]]:
    """Read the runner's metrics now and then; gives the sizes of what came."""
    sizes: list[int] = []
    over = threading.Event()
    thread = threading.Thread(target=_scrape, args=(pid, sizes, over))
    thread.start()
    try:
        yield sizes
    finally:
        over.set()
        thread.join()


def _scrape(pid: int, sizes: list[int], over: threading.Event) -> None:
    address = _metrics_of(pid, over)
    while address and not over.is_set():
        with urllib.request.urlopen(address, timeout=5) as answer:
            sizes.append(len(answer.read()))
        over.wait(SCRAPE_SECONDS)


def _metrics_of(pid: int, over: threading.Event) -> str | None:
    """Where the runner below `loadgate run` listens; None where it never does."""
    until = time.monotonic() + _START_LIMIT
    while time.monotonic() < until and not over.wait(0.1):
        for process in tree(pid)[1:]:
            with contextlib.suppress(psutil.Error):
                for socket in process.net_connections(kind="tcp"):
                    if socket.status == psutil.CONN_LISTEN:
                        return f"http://{socket.laddr.ip}:{socket.laddr.port}/metrics"
    return None


def _counted(text: str) -> int:
    """The requests of the result that `loadgate run` prints."""
    return int(json.loads(text)["status"]["summary"]["requests"])
