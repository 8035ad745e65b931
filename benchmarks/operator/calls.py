"""API calls that a run costs, by the API server's own audit log: runs of 1 and 20 runners, short and long."""

import time

from benchmarks.operator import manifests
from benchmarks.operator.cluster import Call, Cluster, say
from benchmarks.operator.figures import Figure
from benchmarks.operator.process import operating
from benchmarks.operator.target import Running, running

SECONDS = (10, 70)
RUNNERS = (1, 20)
EACH = 1 / 5
"""Calls for a second of a run, from its creation to its verdict."""
CONSTANT = 20
"""Calls beyond these, for what happens once: the plan, the token, the Job, the ledger, the result, four events, the
status of each phase, and two calls for each thing that holds the start up.
"""

_SETTLES = 3.0
_OURS = ("loadgate", "kopf")


def measure(cluster: Cluster) -> list[Figure]:
    """What a longer run costs more, and what more runners do."""
    with running() as target, operating(cluster):
        return [_run(cluster, target, runners, seconds) for runners in RUNNERS for seconds in SECONDS]


def _run(cluster: Cluster, target: Running, runners: int, seconds: int) -> Figure:
    what = f"{runners} runner{'s' if runners > 1 else ''}, {seconds} s of load"
    say(f"calls: a run of {what} …")
    with cluster.namespace(f"calls-{runners}-{seconds}") as space:
        scenarios = [manifests.steady(runners, seconds)]
        begun = time.monotonic()
        cluster.apply(manifests.load_test("calls", space, target.url, runners=runners, scenarios=scenarios))
        wait = ("wait", "loadtest/calls", "-n", space, "--for=condition=Complete", f"--timeout={seconds + 120}s")
        cluster.kubectl(*wait, seconds=seconds + 150)
        took = time.monotonic() - begun
        time.sleep(_SETTLES)  # acknowledging, and clearing away
        calls = sum(call.namespace == space and is_ours(call) for call in cluster.calls())
    how = f"audit log: {calls} calls in the test's namespace, the run took {took:.0f} s"
    return Figure(f"API calls of a run beyond one each 5 s, {what}", how, calls - EACH * took, "calls", CONSTANT)


def is_ours(call: Call) -> bool:
    """Whether the operator made it, its own client or kopf's."""
    return call.agent.lower().startswith(_OURS)
