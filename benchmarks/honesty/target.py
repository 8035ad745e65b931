"""The server with known latencies as a process, and the truth that it writes down."""

import contextlib
import math
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.install import CACHE
from benchmarks.tools import pinned

_SOURCE = Path(__file__).with_name("server.c")
_START_LIMIT = 5.0


@dataclass
class Target:
    """Where it listens; once it has ended, also what it answered and in what time (ms, ascending)."""

    url: str
    requests: int = 0
    frozen_seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)


@contextlib.contextmanager
def answering(core: int, *law: str) -> Iterator[Target]:
    """Run it with a law of latencies (see server.c) on a core; its truth is there when this ends."""
    program = _compiled()
    with tempfile.TemporaryDirectory(prefix="loadgate-bench-") as name, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        log = Path(name) / "log"
        process = subprocess.Popen(pinned(core, str(program), str(port), str(log), *law))
        target = Target(f"http://127.0.0.1:{port}")
        try:
            _await(port)
            yield target
        finally:
            process.terminate()
            process.wait()
        head, *lines = log.read_text().splitlines()
        count, _, frozen = (int(number) for number in head.split())
        target.requests, target.frozen_seconds = count, frozen / 1e9
        target.latencies = sorted(int(line) / 1e3 for line in lines)


def quantile(ascending: Sequence[float], q: float) -> float:
    """Nearest rank."""
    return ascending[max(0, math.ceil(round(q * len(ascending), 6)) - 1)]


def _compiled() -> Path:
    program = CACHE / "honesty-server"
    if not program.exists() or program.stat().st_mtime < _SOURCE.stat().st_mtime:
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cc", "-O2", "-o", str(program), str(_SOURCE), "-lm"], check=True)
    return program


def _await(port: int) -> None:
    until = time.monotonic() + _START_LIMIT
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return
