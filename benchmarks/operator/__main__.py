"""`python -m benchmarks.operator [CASE …]`: the operator's numbers, each beside its limit; exits 1 where one is over.

Without a case all are measured, which takes 20 minutes: merging, day, starts, calls, many, rest.
"""

import json
import multiprocessing
import os
import platform
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.operator import calls, day, many, merging, rest, starts
from benchmarks.operator.cluster import Cluster, NoClusterError, control_plane, say
from benchmarks.operator.figures import Figure, table

RESULTS = Path(__file__).parents[1] / "operator.json"

ALONE: dict[str, Callable[[], list[Figure]]] = {"merging": merging.measure, "day": day.measure}
ON_A_CLUSTER: dict[str, Callable[[Cluster], list[Figure]]] = {
    "starts": starts.measure,
    "calls": calls.measure,
    "many": many.measure,
    "rest": rest.measure,
}


def main(arguments: list[str]) -> int:
    """Measure, print, store; the exit code."""
    cases = arguments or [*ALONE, *ON_A_CLUSTER]
    if unknown := [case for case in cases if case not in ALONE and case not in ON_A_CLUSTER]:
        say(f"no such case: {', '.join(unknown)}; there are {', '.join([*ALONE, *ON_A_CLUSTER])}")
        return 2
    figures: dict[str, list[Figure]] = {}
    try:
        for case, found in measured(cases):
            figures[case] = found
            store(figures)
    except NoClusterError as missing:
        say(f"no control plane: {missing}")
        return 2
    everything = [figure for several in figures.values() for figure in several]
    print(table(everything))
    return 1 if any(figure.verdict == "OVER" for figure in everything) else 0


def measured(cases: list[str]) -> Iterator[tuple[str, list[Figure]]]:
    """Each case and its figures, one after another; those without a cluster first."""
    for case in (case for case in cases if case in ALONE):
        yield case, alone(ALONE[case])
    wanted = [case for case in cases if case in ON_A_CLUSTER]
    if wanted:
        with control_plane() as cluster:
            for case in wanted:
                yield case, ON_A_CLUSTER[case](cluster)


def alone(measure: Callable[[], list[Figure]]) -> list[Figure]:
    """What is measured in a fresh process, whose memory is its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:
        return processes.submit(measure).result()


def store(figures: dict[str, list[Figure]]) -> None:
    """Keep what was measured, for whoever wants to commit it."""
    machine = {"system": platform.platform(), "python": platform.python_version(), "cores": os.cpu_count()}
    cases = {case: [figure.to_json() for figure in several] for case, several in figures.items()}
    RESULTS.write_text(json.dumps({"machine": machine, "cases": cases}, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
