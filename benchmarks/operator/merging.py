"""Putting runners' snapshots together: 1,000 at once, and a run of a day in virtual time."""

import gc
import random
import time

from benchmarks.operator import snapshots
from benchmarks.operator.cluster import say
from benchmarks.operator.figures import Figure
from loadgate.metrics import Snapshot, merge_all
from loadgate_operator import garbage

RUNNERS = 1_000
REQUESTS = 500
"""To each endpoint, by each runner: 20 million requests in all."""
KINDS = 10
"""Documents that differ; 1,000 of them would only take longer to make."""
ROUNDS = 3
SECOND = 1.0


def measure() -> list[Figure]:
    """Decode the documents that runners send while load is on, and merge them."""
    say(f"merging: making snapshots of {snapshots.ENDPOINTS} endpoints …")
    garbage.calm()  # as the operator does
    chance = random.Random(1)
    kinds = [snapshots.snapshot(runner, REQUESTS, chance).encode(slices=False) for runner in range(KINDS)]
    documents = [kinds[number % KINDS] for number in range(RUNNERS)]
    decoding, merging = [], []
    for number in range(ROUNDS):
        say(f"merging: round {number + 1} of {ROUNDS} …")
        took = _round(documents)
        decoding.append(took[0])
        merging.append(took[1])
    what = f"{RUNNERS:,} runners' snapshots, {snapshots.ENDPOINTS} endpoints each"
    how = (
        f"CPU time of one thread, best of {ROUNDS}; {len(kinds[0]):,} bytes a snapshot, "
        f"{REQUESTS} requests to each endpoint"
    )
    return [
        Figure(f"merging {what}", how, min(merging), "s", SECOND),
        Figure(f"decoding {what}, as they come in", how, min(decoding), "s"),
    ]


def _round(documents: list[bytes]) -> tuple[float, float]:
    """Seconds of CPU that decoding took, and merging."""
    gc.collect()
    begun = time.process_time()
    decoded = [Snapshot.decode(document) for document in documents]
    between = time.process_time()
    merged = merge_all(snapshot.measurement for snapshot in decoded)
    over = time.process_time()
    requests, _ = merged.request_counts()
    if requests != RUNNERS * REQUESTS * snapshots.ENDPOINTS:
        raise RuntimeError(f"{requests} requests are left of the merged snapshots")
    return between - begun, over - between
