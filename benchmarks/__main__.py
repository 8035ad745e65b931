"""`python -m benchmarks`: what a request costs us and others, in interleaved rounds of one run, held against limits.

Writes results.json beside this file and the tables of docs/performance.md; exits 1 where a limit of ours is broken.
BENCH_SECONDS, BENCH_ROUNDS and BENCH_PEERS (names with commas between) make it shorter.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import limits, once, table
from benchmarks.cases import Case, cases
from benchmarks.install import PEERS, command_of
from benchmarks.limits import Limit
from benchmarks.machine import machine
from benchmarks.others import Load
from benchmarks.outputs import OutputError
from benchmarks.server import Server, serve
from benchmarks.tools import PACKAGES, ToolsMissingError, require
from benchmarks.watch import CountError, Sample, median

CLIENT_CORE, SERVER_CORE = 0, 1
CONNECTIONS = 64
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "3"))
RESULTS = Path(__file__).with_name("results.json")
_FAULTS = (CountError, OutputError, RuntimeError, OSError, subprocess.SubprocessError)
"""How a run of one client may end without the whole bench being in vain."""


def main() -> int:
    """Measure, print, store; the exit code."""
    if (os.cpu_count() or 1) <= max(CLIENT_CORE, SERVER_CORE):
        print("this needs two cores: one for the client, one for nginx", file=sys.stderr)
        return 2
    try:
        require(PACKAGES)
        wanted = _wanted()
    except ToolsMissingError as fault:
        print(fault, file=sys.stderr)
        return 2
    absent = dict(_absent(wanted))
    here = machine()
    with serve(SERVER_CORE) as server:
        load = Load(server, server.url, CONNECTIONS, SECONDS, CLIENT_CORE)
        samples = _rounds(load, wanted, absent)
        singles, more = _singles(server, load, k6="k6" in wanted and "k6" not in absent)
    costs = {key: median(taken) for key, taken in samples.items() if taken}
    held = [*limits.cost_limits(costs), *_latency(samples), *singles]
    text = "\n\n".join([here.sentence(), table.cost_table(samples, absent), table.limit_table(held)])
    print(text)
    table.write("bench", text)
    _store(here.to_json(), samples, absent, held, more)
    return 1 if any(limit.holds is False for limit in held) else 0


def _wanted() -> list[str]:
    asked = os.environ.get("BENCH_PEERS")
    names = [name.strip() for name in asked.split(",")] if asked else list(PEERS)
    unknown = sorted(set(names) - set(PEERS))
    if unknown:
        raise ToolsMissingError(f"BENCH_PEERS knows no {', '.join(unknown)}; it knows {', '.join(PEERS)}")
    return names


def _absent(wanted: list[str]) -> Iterator[tuple[str, str]]:
    """Peers that can't be had, each with the reason; the others are installed after this."""
    for peer in wanted:
        try:
            command_of(peer)
        except ToolsMissingError as reason:
            print(f"{peer} is missing: {reason}", file=sys.stderr)
            yield f"plain, {peer}", str(reason)


def _rounds(load: Load, wanted: list[str], absent: dict[str, str]) -> dict[str, list[Sample]]:
    """Every case once a round, in the same order; what fails is noted in `absent` and tried again in the next round."""
    samples: dict[str, list[Sample]] = {}

    def half_of_the_rate() -> int:
        taken = samples["plain, loadgate"]
        return round(statistics.median(sample.rate for sample in taken) / 2)

    peers = [peer for peer in wanted if f"plain, {peer}" not in absent]
    every = cases(peers, half_of_the_rate)
    samples |= {f"plain, {peer}": [] for peer in wanted} | {case.key: [] for case in every}
    for number in range(ROUNDS):
        for case in every:
            print(f"round {number + 1} of {ROUNDS}: {case.key} …", file=sys.stderr)
            _once(case, load, samples[case.key], absent)
    return samples


def _once(case: Case, load: Load, taken: list[Sample], absent: dict[str, str]) -> None:
    try:
        taken.append(case.run(load))
    except _FAULTS as fault:
        absent[case.key] = " ".join(str(fault).split())[:300]
        print(f"{case.key} failed: {absent[case.key]}", file=sys.stderr)


def _latency(samples: dict[str, list[Sample]]) -> Iterator[Limit]:
    def p50(key: str) -> float | None:
        values = [sample.p50 for sample in samples.get(key, []) if sample.p50 is not None]
        return statistics.median(values) if values else None

    yield limits.p50_limit(p50("paced, loadgate"), p50("paced, oha"))
    yield from limits.open_limits([sample.facts for sample in samples["open, loadgate"]])


def _singles(server: Server, load: Load, *, k6: bool) -> tuple[list[Limit], dict[str, Any]]:
    """What is measured beside the rounds."""
    held: list[Limit] = []
    more: dict[str, Any] = {}

    def measured(name: str, run: Callable[[], tuple[Any, list[Limit]]]) -> None:
        print(f"{name} …", file=sys.stderr)
        try:
            more[name], found = run()
            held.extend(found)
        except _FAULTS as fault:
            held.append(limits.missing(name, str(fault)[:200]))

    measured("idle VUs", lambda: _idle(server, k6=k6))
    measured("two cores", lambda: _scaling(load))
    measured("arming", _arming)
    return held, more


def _idle(server: Server, *, k6: bool) -> tuple[Any, list[Limit]]:
    ours = once.idle(server, CLIENT_CORE)
    theirs = once.idle_k6(server, CLIENT_CORE) if k6 else None
    beside = f" (k6: {theirs.each:,.0f})" if theirs else ""
    limit = Limit(
        f"{ours.vus:,} VUs in think time, connections open: bytes a VU",
        f"{ours.each:,.0f}{beside}",
        f"at most {limits.IDLE_BYTES:,}",
        ours.each <= limits.IDLE_BYTES,
    )
    return {"loadgate": asdict(ours), "k6": asdict(theirs) if theirs else None}, [limit]


def _scaling(load: Load) -> tuple[Any, list[Limit]]:
    pairs = [once.scaling(load) for _ in range(ROUNDS)]
    one, two = (statistics.median(pair[place] for pair in pairs) for place in (0, 1))
    return {"one": one, "two": two}, [limits.scaling_limit(one, two)]


def _arming() -> tuple[Any, list[Limit]]:
    """Whether the data is shared shows in what the rows add to two processes, against what they add to one."""
    both = f"{CLIENT_CORE},{SERVER_CORE}"
    one, two = once.armed(CLIENT_CORE, 1), once.armed(both, 2)
    bare, bare_two = once.armed(CLIENT_CORE, 1, rows=1), once.armed(both, 2, rows=1)
    size = f"{once.ARMED_VUS:,} VUs, {once.ARMED_STEPS} steps, {once.ARMED_ROWS:,} rows"
    found = [limits.at_most(f"{size}: seconds from start to armed, one process", one.seconds, limits.ARM_SECONDS)]
    shared = (two.memory - bare_two.memory) / (one.memory - bare.memory)
    found.append(limits.at_most(f"{size}: memory of the rows in two processes, of one's", shared, 1.2))
    figures = {"one": asdict(one), "two": asdict(two), "one, a row": asdict(bare), "two, a row": asdict(bare_two)}
    return figures, found


def _store(
    here: dict[str, Any],
    samples: dict[str, list[Sample]],
    absent: dict[str, str],
    held: list[Limit],
    more: dict[str, Any],
) -> None:
    document = {
        "machine": here,
        "settings": {"connections": CONNECTIONS, "seconds": SECONDS, "rounds": ROUNDS},
        "cases": {key: [_figures(sample) for sample in taken] for key, taken in samples.items()},
        "failed": absent,
        "more": more,
        "limits": [asdict(limit) for limit in held],
    }
    RESULTS.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _figures(sample: Sample) -> dict[str, Any]:
    kept = {name: value for name, value in asdict(sample).items() if value not in (None, "", {})}
    return {**kept, "seconds": round(sample.seconds, 3), "cpu_us_per_request": round(sample.cost, 2)}


if __name__ == "__main__":
    sys.exit(main())
