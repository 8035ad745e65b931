"""How each peer is told to make the same load as we do: 64 connections that are kept, from one core."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks import outputs
from benchmarks.install import HERE, command_of
from benchmarks.server import Server
from benchmarks.tools import pinned
from benchmarks.watch import CountError, Said, Sample, end, window

WARMUP = 1.0
"""Seconds after a client's first request before it is watched."""

GATLING_WARMUP = 8.0
"""As long as its JVM takes to compile what it runs on one core."""

_END_LIMIT = 60.0


@dataclass(frozen=True)
class Load:
    """What is asked of a client: where, how many connections, how many seconds are watched, on which core."""

    server: Server
    base: str
    connections: int
    seconds: float
    core: int
    warmup: float = WARMUP
    rate: int = 0
    """Requests per second in all; 0 for as many as there can be."""

    @property
    def lasts(self) -> int:
        """Whole seconds that a client must run for: a start that takes its time, warm-up, window and a little more."""
        return int(self.warmup + self.seconds) + 2


@dataclass(frozen=True)
class Peer:
    """A command's arguments, its environment, and who reads what it prints."""

    arguments: Callable[[Load], list[str]]
    read: Callable[[str], Said]
    environ: Callable[[Load], dict[str, str]] = lambda _load: {}
    shell: bool = False
    """Whether the arguments are one line for a shell, in which the program is "$0"."""

    def command(self, program: list[str], load: Load) -> list[str]:
        """The whole of it, for one core."""
        arguments = self.arguments(load)
        words = ["sh", "-c", *arguments, *program] if self.shell else [*program, *arguments]
        return pinned(load.core, *words)


def measure(name: str, load: Load, *, case: str = "plain") -> Sample:
    """Run a peer once. Raises ToolsMissingError, OutputError, or CountError where nginx counts otherwise."""
    return run(command_of(name), _PEERS[name], load, {"CASE": case})


def run(program: list[str], peer: Peer, load: Load, more: dict[str, str]) -> Sample:
    """Start it, watch it, let it end by itself, and hold its count against nginx's."""
    before = load.server.requests()
    environ = {**os.environ, **peer.environ(load), **more}
    with tempfile.TemporaryDirectory(prefix="loadgate-bench-") as folder:
        process = subprocess.Popen(
            peer.command(program, load),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**environ, "FOLDER": folder},
            cwd=folder,
        )
        try:
            polls = load.server.polls
            sample = window(load.server, process.pid, before, load.warmup, load.seconds)
            text, faults = process.communicate(timeout=_END_LIMIT)
            if not text:
                raise outputs.OutputError(f"{program[0]} said nothing but: {faults.strip()[-300:]}")
            said = peer.read(text)
        finally:
            end(process)
    time.sleep(0.1)  # what is in flight
    seen = load.server.requests() - before - (load.server.polls - polls)
    agree(seen, said.requests, load.connections)
    return replace(sample, p50=said.p50, p99=said.p99)


def agree(seen: int, counted: int, connections: int) -> None:
    """A client's count must be nginx's, less what was in flight at the end. Raises CountError."""
    if not 0 <= seen - counted <= connections:
        raise CountError(f"nginx saw {seen} requests, and the client counts {counted}")


def _script(load: Load) -> dict[str, str]:
    think = load.connections / load.rate if load.rate else 0.0
    return {"BASE": load.base, "VUS": str(load.connections), "SECONDS": str(load.lasts), "THINK": str(think)}


def _vegeta(load: Load) -> list[str]:
    attack = f'echo "GET {load.base}/item" | "$0" attack -rate=0 -max-body=0 -output="$FOLDER/results"'
    sized = f"-workers={load.connections} -max-workers={load.connections} -duration={load.lasts}s"
    return [f'{attack} {sized} && "$0" report -type=json "$FOLDER/results"']


_PEERS: dict[str, Peer] = {
    "wrk": Peer(
        lambda load: ["-t1", f"-c{load.connections}", f"-d{load.lasts}s", "--latency", f"{load.base}/item"], outputs.wrk
    ),
    "h2load": Peer(
        lambda load: ["--h1", "-t1", f"-c{load.connections}", f"-D{load.lasts}", f"{load.base}/item"], outputs.h2load
    ),
    "oha": Peer(
        lambda load: [
            *("--no-tui", "--output-format", "json", "--insecure", "-w"),
            *(["-q", str(load.rate)] if load.rate else []),
            *("-c", str(load.connections), "-z", f"{load.lasts}s", f"{load.base}/item"),
        ],
        outputs.oha,
    ),
    "hey": Peer(lambda load: ["-c", str(load.connections), "-z", f"{load.lasts}s", f"{load.base}/item"], outputs.hey),
    "vegeta": Peer(_vegeta, outputs.vegeta, shell=True),
    "k6": Peer(
        lambda _load: ["run", "--quiet", "--no-usage-report", "--log-output=none", str(HERE / "script.js")],
        outputs.own_json,
        _script,
    ),
    "gatling": Peer(
        lambda _load: ["-s", "Plain", "-rf", ".", "-nr"],
        outputs.gatling,
        _script,
    ),
    "locust": Peer(
        lambda load: [
            *("-f", str(HERE / "locustfile.py"), "--headless", "--only-summary", "--loglevel=ERROR"),
            *("-u", str(load.connections), "-r", str(load.connections), "-t", f"{load.lasts}s", "-H", load.base),
        ],
        outputs.own_json,
    ),
}
