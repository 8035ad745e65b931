"""What isn't CPU per request: memory of idle VUs, how soon a large plan is armed, what a second core adds."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from benchmarks import clients
from benchmarks.cases import PLAIN
from benchmarks.clients import Setting
from benchmarks.install import HERE, command_of
from benchmarks.others import Load
from benchmarks.server import Server, serve
from benchmarks.tools import pinned
from benchmarks.watch import end, tree_memory

IDLE_VUS = 10_000
ARMED_VUS, ARMED_STEPS, ARMED_ROWS = 10_000, 50, 100_000
_CONNECTED_LIMIT = 120.0
_THINK: list[dict[str, Any]] = [*PLAIN, {"think": "10m"}]


@dataclass(frozen=True)
class Idle:
    """Bytes in memory with many VUs in think time, each with its connection open, and with one."""

    vus: int
    many: int
    one: int

    @property
    def each(self) -> float:
        """Bytes that one more VU takes."""
        return (self.many - self.one) / (self.vus - 1)


def idle(server: Server, core: int, *, compiled: bool = True) -> Idle:
    """Of our runner."""

    @contextlib.contextmanager
    def holding(vus: int) -> Iterator[int]:
        scenario = {"executor": "constant-vus", "vus": vus, "duration": "10m", "steps": _THINK}
        setting = Setting(compiled=compiled, cores=core)
        with clients.runner(clients.manifest(server.url, scenario), setting) as ours:
            ours.until("Armed")
            ours.start()
            yield ours.pid

    return _idle(server, holding)


def idle_k6(server: Server, core: int) -> Idle:
    """Of k6."""
    program = [*command_of("k6"), "run", "--quiet", "--no-usage-report", "--log-output=none", str(HERE / "script.js")]

    @contextlib.contextmanager
    def holding(vus: int) -> Iterator[int]:
        told = {"BASE": server.url, "CASE": "idle", "VUS": str(vus), "SECONDS": "600"}
        process = subprocess.Popen(
            pinned(core, *program),
            env={**os.environ, **told},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process.pid
        finally:
            end(process)

    return _idle(server, holding)


def _idle(server: Server, holding: Callable[[int], contextlib.AbstractContextManager[int]]) -> Idle:
    found = {}
    for vus in (1, IDLE_VUS):
        open_before = server.connections()
        with holding(vus) as pid:
            until = time.monotonic() + _CONNECTED_LIMIT
            while (now := server.connections() - open_before) < vus:
                if time.monotonic() > until:
                    raise RuntimeError(f"only {now} of {vus} connections were open after {_CONNECTED_LIMIT:g} s")
                time.sleep(0.2)
            time.sleep(2.0)  # the answers, and what is freed after them
            found[vus] = tree_memory(pid)
        while server.connections() > open_before:
            time.sleep(0.1)
    return Idle(IDLE_VUS, found[IDLE_VUS], found[1])


@dataclass(frozen=True)
class Armed:
    """Seconds from the start of the process to armed, and memory then."""

    seconds: float
    memory: int


def armed(cores: int | str, processes: int, *, rows: int = ARMED_ROWS) -> Armed:
    """With a large plan: VUs, steps and a CSV file of rows; in so many processes."""
    steps = [
        {
            "request": {"name": f"step {number}", "url": f"/item/{number}?user=${{data.users.name}}"},
            "check": {"status": 200, "json": {"$.sku": "exists"}},
            "extract": {f"id{number}": {"json": "$.id"}},
        }
        for number in range(ARMED_STEPS)
    ]
    scenario = {"executor": "constant-vus", "vus": ARMED_VUS, "duration": "10s", "steps": steps}
    source = {"csv": {"configMapKeyRef": {"name": "people", "key": "users.csv"}}}
    document = clients.manifest("http://127.0.0.1:1", scenario, data={"users": source})
    lines = ["name,password", *(f"user{number:06},{number * 7919 % 1_000_003:07}" for number in range(rows))]
    setting = Setting(cores=cores, processes=processes, files={"people/users.csv": "\n".join(lines)})
    began = time.monotonic()
    with clients.runner(document, setting) as ours:
        ours.until("Armed", every=0.01)
        return Armed(time.monotonic() - began, tree_memory(ours.pid))


def scaling(load: Load) -> tuple[float, float]:
    """Requests per second of one process beside one nginx worker on one core, and of two beside two on two.

    With two cores in all there is none left for the server, so each has its share of it: what is compared is the
    whole, and a process that had to wait for the other would show.
    """
    rates = []
    for cores, processes in ((load.core, 1), ("0,1", 2)):
        with serve(cores) as server:
            here = replace(load, server=server, base=server.url)
            setting = Setting(cores=cores, processes=processes)
            rates.append(clients.run(here, clients.closed(here, PLAIN), setting)[0].rate)
    return rates[0], rates[1]
