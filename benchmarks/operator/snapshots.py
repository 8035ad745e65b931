"""Snapshots as runners write them: many endpoints, latencies of the usual shape, every phase of a request."""

import math
import random
from collections.abc import Iterator

from loadgate.metrics import CheckStats, Health, Histogram, IterationStats, Measurement, RequestStats, Snapshot, tags_of

RUN = "bench-1-abcde"
ENDPOINTS = 40
SIGMA = 0.4
"""Of the logarithm of a latency: half of all requests lie within a factor of 1.3 of the median."""


def snapshot(runner: int, requests: int, chance: random.Random) -> Snapshot:
    """What a runner has to tell after so many requests to each of 40 endpoints; one in ten of them fails sometimes."""
    out = Measurement(vus=10, vus_max=10, elapsed=60.0)
    for number in range(ENDPOINTS):
        name = f"endpoint {number:02}"
        slow = 2_000 * 1.14**number  # from 2 ms to 330 ms
        failed = 0 if number % 10 else max(1, requests // 100)
        for count, status in ((requests - failed, "200"), (failed, "503")):
            if not count:
                continue
            tags = tags_of(
                scenario="shop", name=name, method="GET", status=status, expected_response=str(status == "200").lower()
            )
            out.requests[tags] = _requests(count, slow, chance)
        out.checks[tags_of(scenario="shop", name=name, check="status is 200")] = CheckStats(requests - failed, failed)
    times = _latencies(requests, 5_000_000, chance)
    out.iterations[tags_of(scenario="shop")] = IterationStats(duration=Histogram(times), completed=requests)
    return Snapshot(
        run=RUN,
        runner=runner,
        uid=f"uid-{runner}",
        sequence=1,
        clock=1_764_000_000.0,
        state="Running",
        elapsed=60.0,
        measurement=out,
        health=Health(),
    )


def _requests(count: int, slow: float, chance: random.Random) -> RequestStats:
    times = list(_latencies(count, slow, chance))
    return RequestStats(
        duration=Histogram(times),
        phases={
            "sending": Histogram(_latencies(count, 20, chance)),
            "waiting": Histogram(times),
            "receiving": Histogram(_latencies(count, 40, chance)),
        },
        sent=count * 200,
        received=count * 2_000,
    )


def _latencies(count: int, median: float, chance: random.Random) -> Iterator[int]:
    """In microseconds."""
    return (round(chance.lognormvariate(math.log(median), SIGMA)) for _ in range(count))
