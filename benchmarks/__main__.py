"""`python -m benchmarks`: CPU per request of the runner beside wrk's, in interleaved rounds.

Exits 1 where the plain case costs more than LIMIT times wrk's. Ratios mean something here, absolute figures less:
whatever else the machine does, it does to all of them.
"""

import json
import os
import platform
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.clients import Sample, client, runner, wrk
from benchmarks.server import Server, serve
from benchmarks.tools import ToolsMissingError, require_tools

CLIENT_CORE, SERVER_CORE = 0, 1
CONNECTIONS = 64
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "4"))  # whole ones, as wrk wants them
LIMIT = 2.0
RESULTS = Path(__file__).with_name("results.json")

PLAIN = [{"request": {"name": "item", "url": "/item"}}]
JOURNEY = [
    {
        "request": {"name": "item", "url": "/item?vu=${vu.id}", "headers": {"X-Iteration": "${iteration}"}},
        "check": {"status": 200, "json": {"$.sku": "exists"}},
        "extract": {"id": {"json": "$.id"}},
    },
    {"request": {"name": "again", "url": "/item?id=${id}"}, "check": {"status": 200}},
]

CASES: dict[str, Callable[[str], Sample]] = {
    "wrk": lambda url: wrk(f"{url}/item", CLIENT_CORE, CONNECTIONS, SECONDS),
    "runner, plain": lambda url: runner(url, CLIENT_CORE, CONNECTIONS, SECONDS, PLAIN, compiled=True),
    "runner, journey": lambda url: runner(url, CLIENT_CORE, CONNECTIONS, SECONDS, JOURNEY, compiled=True),
    "interpreted, plain": lambda url: runner(url, CLIENT_CORE, CONNECTIONS, SECONDS, PLAIN, compiled=False),
    "interpreted, journey": lambda url: runner(url, CLIENT_CORE, CONNECTIONS, SECONDS, JOURNEY, compiled=False),
    "client alone": lambda url: client(f"{url}/item", CLIENT_CORE, CONNECTIONS, SECONDS),
    "client alone, each head new": lambda url: client(f"{url}/unique", CLIENT_CORE, CONNECTIONS, SECONDS),
}


def main() -> int:
    """Measure, print, store; the exit code."""
    if (os.cpu_count() or 1) <= max(CLIENT_CORE, SERVER_CORE):
        print("this needs two cores: one for the client, one for nginx", file=sys.stderr)
        return 2
    try:
        require_tools()
    except ToolsMissingError as missing:
        print(missing, file=sys.stderr)
        return 2
    samples: dict[str, list[Sample]] = {name: [] for name in CASES}
    with serve(SERVER_CORE) as server:
        for number in range(ROUNDS):
            print(f"round {number + 1} of {ROUNDS} …", file=sys.stderr)
            for name, run in CASES.items():
                samples[name].append(counted(server, run))
    rows = {name: statistics.median(sample.cost for sample in taken) for name, taken in samples.items()}
    ratio = rows["runner, plain"] / rows["wrk"]
    print(table(samples, rows))
    print(f"\nThe runner's plain case costs {ratio:.2f} times wrk's CPU per request; the limit is {LIMIT:g}.")
    store(samples, ratio)
    return 1 if ratio > LIMIT else 0


def counted(server: Server, run: Callable[[str], Sample]) -> Sample:
    """A run whose count agrees with nginx's: what is in flight at the end may be missing, nothing else."""
    before = server.requests()
    sample = run(server.url)
    seen = server.requests() - before - 1
    if sample.failed or not 0 <= seen - sample.requests <= CONNECTIONS:
        raise RuntimeError(f"nginx saw {seen} requests, the client counts {sample.requests} and {sample.failed} failed")
    return sample


def table(samples: dict[str, list[Sample]], costs: dict[str, float]) -> str:
    """Medians, with the range of the costs."""
    lines = [f"{'':29}{'µs/request':>11}{'range':>15}{'requests/s':>12}{'of wrk':>9}"]
    for name, taken in samples.items():
        all_costs = [sample.cost for sample in taken]
        span = f"{min(all_costs):.1f} to {max(all_costs):.1f}"
        rate = statistics.median(sample.rate for sample in taken)
        lines.append(f"{name:29}{costs[name]:11.1f}{span:>15}{rate:12,.0f}{costs[name] / costs['wrk']:8.2f}x")
    return "\n".join(lines)


def store(samples: dict[str, list[Sample]], ratio: float) -> None:
    """Keep what was measured, for whoever wants to commit it."""
    document = {
        "machine": {"system": platform.platform(), "python": platform.python_version(), "cores": os.cpu_count()},
        "settings": {"connections": CONNECTIONS, "seconds": SECONDS, "rounds": ROUNDS, "limit": LIMIT},
        "ratio": round(ratio, 3),
        "cases": {
            name: [
                {"requests": one.requests, "seconds": round(one.seconds, 3), "cpu_us_per_request": round(one.cost, 2)}
                for one in taken
            ]
            for name, taken in samples.items()
        },
    }
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
