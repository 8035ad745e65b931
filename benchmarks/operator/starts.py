"""From `kubectl apply` to the first request, beside what a bare Job's pods need on the same cluster, in turns.

The first request's time is the target's, not ours. A bare Job is measured in two ways. Its pods' first line may be the
shell's: then all that a runner does first, Python's start and its own imports included, counts as loadgate's. Or it may
be a line of a Python program that has imported what the runner imports: what any load maker of that image needs, on
a machine whose cores the pods share. With one runner the first is what the limit is held against. With 20 it is the
second: on two cores it takes seconds until 20 interpreters have started, whoever starts them, and with as many nodes as
a cluster has these seconds go away. Both are printed.
"""

import statistics
import time

from benchmarks.operator import manifests
from benchmarks.operator.cluster import Cluster, say
from benchmarks.operator.figures import Figure
from benchmarks.operator.process import operating
from benchmarks.operator.target import Running, running

ROUNDS = 3
MORE_THAN_BARE = 3.0
SKEW = 50.0

SHELL = ["sh", "-c", "date +'first line %s.%N'"]
PROGRAM = ["python", "-c", "import loadgate_runner.command, time; print('first line', time.time(), flush=True)"]
"""Each prints when it got there, by the clock of the machine that all of this is on."""


def measure(cluster: Cluster) -> list[Figure]:
    """With 1 and with 20 runners."""
    with running() as target, operating(cluster):
        return [*_with(cluster, target, 1), *_with(cluster, target, 20)]


def _with(cluster: Cluster, target: Running, runners: int) -> list[Figure]:
    took: dict[str, list[float]] = {"shell": [], "program": [], "loadgate": [], "skew": []}
    for number in range(ROUNDS):
        say(f"starts: {runners} runners, round {number + 1} of {ROUNDS} …")
        with cluster.namespace(f"start-{runners}-{number}") as space:
            took["shell"].append(_bare(cluster, space, "shell", runners, SHELL))
            took["program"].append(_bare(cluster, space, "program", runners, PROGRAM))
            first, skew = _loadgate(cluster, target, space, runners, f"/first/{runners}/{number}")
            took["loadgate"].append(first)
            took["skew"].append(skew)
    return _figures(runners, {name: statistics.median(all_of_them) for name, all_of_them in took.items()})


def _figures(runners: int, took: dict[str, float]) -> list[Figure]:
    many = f"{runners} runner{'s' if runners > 1 else ''}"
    median = f"median of {ROUNDS}, in turns"
    base = "shell" if runners == 1 else "program"
    out = [
        Figure(
            f"a bare Job's first line of the shell, {many}",
            f"apply to the last pod's line; {median}",
            took["shell"],
            "s",
        ),
        Figure(
            f"a bare Job's first line of Python with the runner imported, {many}",
            f"apply to the last pod's line; {median}",
            took["program"],
            "s",
        ),
        Figure(f"apply to the first request, {many}", f"the target's own log; {median}", took["loadgate"], "s"),
    ]
    for name, what in (("shell", "the shell's line"), ("program", "Python's line")):
        limit = MORE_THAN_BARE if name == base else None
        value = took["loadgate"] - took[name]
        out.append(
            Figure(f"apply to the first request, beyond {what}, {many}", "difference of the medians", value, "s", limit)
        )
    if runners > 1:
        out.append(
            Figure(
                f"start skew among {many}",
                f"first to last runner's first request in the target's log; {median}",
                took["skew"],
                "ms",
                SKEW,
            )
        )
    return out


def _bare(cluster: Cluster, space: str, name: str, pods: int, command: list[str]) -> float:
    """Seconds from apply to the last pod's first line."""
    begun = time.time()
    cluster.apply(manifests.bare_job(name, space, pods=pods, command=command))
    cluster.kubectl("wait", f"job/{name}", "-n", space, "--for=condition=Complete", "--timeout=120s")
    said = cluster.kubectl("logs", "-n", space, "-l", f"bare={name}", "--tail=1", "--max-log-requests=50")
    at = [float(line.split()[-1]) for line in said.splitlines() if line.startswith("first line")]
    if len(at) != pods:
        raise RuntimeError(f"{len(at)} of {pods} pods of the bare Job said something")
    cluster.kubectl("delete", f"job/{name}", "-n", space)
    return max(at) - begun


def _loadgate(cluster: Cluster, target: Running, space: str, runners: int, path: str) -> tuple[float, float]:
    """Seconds from apply to the first request; milliseconds between the runners' first requests."""
    url = path + "/${vu.id}"
    test = manifests.load_test(
        "first", space, target.url, runners=runners, scenarios=[manifests.once_each(runners, url)]
    )
    begun = time.monotonic_ns()
    cluster.apply(test)
    cluster.kubectl("wait", "loadtest/first", "-n", space, "--for=condition=Complete", "--timeout=180s")
    came = _first_requests(target, path)
    if len(came) != runners:
        raise RuntimeError(f"{len(came)} of {runners} runners asked the target")
    return (min(came.values()) - begun) / 1e9, (max(came.values()) - min(came.values())) / 1e6


def _first_requests(target: Running, path: str) -> dict[str, int]:
    """When each runner's first request came: its VU is its own, since there are as many as runners."""
    came: dict[str, int] = {}
    for at, asked in target.log():
        if asked.startswith(f"{path}/"):
            came.setdefault(asked, at)
    return came
