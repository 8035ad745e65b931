"""50 runs of 4 runners at once: whether every verdict is right, and what that costs the operator.

Each run's setup waits at the target until all 50 runs are there, so that all loads begin together and all end together:
200 runners are asked, started, scraped and judged in the same seconds. Every second test's requests fail, and so must
the test. Load is one request a second and runner.

It is done twice. Where runners share the operator's cores, its event loop waits for one, and is late by what they make
of the machine; so in one of the two it has a core whenever it wants one, and what it is late by then is its own doing.
"""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Self

import psutil

from benchmarks.operator import manifests
from benchmarks.operator.cluster import Cluster, say, until
from benchmarks.operator.figures import Figure
from benchmarks.operator.process import Operator, operating, quantile
from benchmarks.operator.target import Running, running

TESTS, RUNNERS = 50, 4
BYTES = 60_000_000
"""Of memory for a runner. Where 200 of them don't fit, fewer tests are run, and the figures say how many."""
SECONDS = 60
CORE, LAG = 100.0, 100.0
"""Percent of one core; milliseconds."""

_LAG = "loadgate_loop_lag_seconds"


@dataclass(frozen=True)
class _Mark:
    """The operator's counts at one moment."""

    at: float
    cpu: float
    lag: dict[float, float]

    @classmethod
    def of(cls, operator: Operator) -> Self:
        return cls(time.monotonic(), operator.cpu(), operator.buckets(_LAG))


def measure(cluster: Cluster) -> list[Figure]:
    """With a core for the operator whenever it wants one, and as one process among those of 200 runners."""
    return [*_once(cluster, "with a core for the operator", first=True), *_once(cluster, "cores shared", first=False)]


def _once(cluster: Cluster, where: str, *, first: bool) -> list[Figure]:
    """Apply all at once, wait for all, and look at each verdict."""
    count = min(TESTS, psutil.virtual_memory().available // (RUNNERS * BYTES))
    with running() as target, operating(cluster, first=first) as operator, cluster.namespace("many") as space:
        tests = [_test(number, count, space, target) for number in range(count)]
        say(f"many: {count} runs of {RUNNERS} runners; their pods take minutes to start …")
        begin = _Mark.of(operator)
        cluster.apply(*tests)
        loaded = _when_load_begins(target, operator)
        say("many: all make load …")
        wait = ("wait", "loadtests", "--all", "-n", space, "--for=condition=Complete", "--timeout=300s")
        cluster.kubectl(*wait, seconds=330)
        end = _Mark.of(operator)
        peak = operator.peak()
        wrong = _wrong(cluster.get("loadtests", "-n", space)["items"])
    how = f"all {count} runs make load, end and are judged"
    runs = f"{count} runs of {RUNNERS} runners at once, {where}"
    return [
        Figure(f"wrong verdicts of {runs}", "half of them must be Failed, the others Passed", wrong, "", 0),
        *_cost(f"while pods start, {where}", "apply until the first load", begin, loaded),
        *_cost(f"while all run, {where}", how, loaded, end),
        Figure("the most memory the operator held meanwhile", "VmHWM of its process", peak, "MB"),
    ]


def _wrong(tests: list[manifests.Object]) -> int:
    """How many verdicts aren't what their test must come to."""
    found = Counter((test["metadata"]["labels"]["must"], test["status"]["phase"]) for test in tests)
    say("many: " + ", ".join(f"{n} that must be {must} are {phase}" for (must, phase), n in sorted(found.items())))
    return sum(n for (must, phase), n in found.items() if must != phase)


def _cost(when: str, how: str, since: _Mark, until_then: _Mark) -> list[Figure]:
    core = 100 * (until_then.cpu - since.cpu) / (until_then.at - since.at)
    lag = 1000 * quantile(since.lag, until_then.lag, 0.99)
    return [
        Figure(f"the operator's CPU {when}", f"{how}; CPU time of its process", core, "% of a core", CORE),
        Figure(f"the operator's loop lag, p99, {when}", f"{how}; {_LAG}", lag, "ms", LAG),
    ]


def _test(number: int, count: int, space: str, target: Running) -> manifests.Object:
    bad = number % 2
    scenario = manifests.steady(RUNNERS, SECONDS, "/bad" if bad else "/item")
    barrier = {"request": {"name": "all are there", "url": f"/barrier/{count}"}, "check": {"status": 200}}
    test = manifests.load_test(
        f"test-{number:02}",
        space,
        target.url,
        runners=RUNNERS,
        target={"url": target.url, "timeout": "10m"},
        startDeadline="15m",
        setup={"steps": [barrier]},
        scenarios=[scenario],
    )
    test["metadata"]["labels"] = {"must": "Failed" if bad else "Passed"}
    return test


def _when_load_begins(target: Running, operator: Operator) -> _Mark:
    def look() -> bool:
        return any(path in ("/item", "/bad") for _, path in target.log())

    until(look, 420, every=0.5)
    return _Mark.of(operator)
