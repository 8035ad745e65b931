"""The operator as a process beside the control plane: what it costs is read from the kernel, what it did from itself.

A pod would be the same program with the same rights; as a process its memory and CPU time are those of one process id.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks.operator.cluster import IMAGE, Cluster, until

_READY = 60.0  # seconds


class Operator:
    """A running operator."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log
        self._usage = psutil.Process(process.pid)

    def cpu(self) -> float:
        """Seconds of CPU so far, all threads."""
        times = self._usage.cpu_times()
        return times.user + times.system

    def peak(self) -> float:
        """The most memory that it ever held, in MB, as the kernel knows it."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self._process.pid}/status").read_text())
        if found is None:
            raise RuntimeError("the kernel doesn't say how much memory the operator held")
        return int(found[1]) / 1000

    def ready(self) -> bool:
        """Whether it says so."""
        return bool(self._fetch("/readyz"))

    def sum(self, metric: str, **labels: str) -> float:
        """Of all series of a metric that have these labels."""
        wanted = [f'{name}="{value}"' for name, value in labels.items()]
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in self._fetch("/metrics").splitlines()
            if re.match(rf"{metric}[ {{]", line) and all(one in line for one in wanted)
        )

    def buckets(self, metric: str) -> dict[float, float]:
        """A histogram's cumulative counts by upper bound."""
        found = re.findall(rf'^{metric}_bucket{{le="([^"]+)"}} (\S+)', self._fetch("/metrics"), re.MULTILINE)
        return {float(bound): float(count) for bound, count in found}

    def said(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-3000:]

    def _fetch(self, path: str) -> str:
        found = re.search(r"metrics and health at (\S+)", self._log.read_text(errors="replace"))
        if found is None:
            return ""
        try:
            with urllib.request.urlopen(found[1] + path, timeout=10) as answer:
                text: str = answer.read().decode()
        except (urllib.error.URLError, TimeoutError):
            return ""
        return text


@contextlib.contextmanager
def operating(cluster: Cluster, *, first: bool = False) -> Iterator[Operator]:
    """An operator for the whole cluster, ready, for as long as the block.

    `first`: it has a core whenever it wants one (SCHED_FIFO), whatever else this machine has to do.
    """
    log = cluster.state / f"operator-{time.monotonic_ns()}.log"
    program = str(Path(sys.executable).with_name("loadgate-operator"))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "--listen", "127.0.0.1:0", "--runner-image", IMAGE],
            env={**os.environ, "KUBECONFIG": cluster.kubeconfig},
            stderr=output,
        )
    if first:
        os.sched_setscheduler(process.pid, os.SCHED_FIFO, os.sched_param(1))
    operator = Operator(process, log)
    try:
        until(lambda: operator.ready() or process.poll() is not None, _READY)
        if process.poll() is not None:
            raise RuntimeError(f"the operator ended: {operator.said()}")
        yield operator
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def quantile(before: dict[float, float], after: dict[float, float], q: float) -> float:
    """The bound of the bucket that the share `q` of what came between two looks at a histogram doesn't exceed."""
    counts = {bound: count - before.get(bound, 0.0) for bound, count in after.items()}
    total = counts[float("inf")]
    return min(bound for bound, count in counts.items() if count >= q * total) if total else 0.0
