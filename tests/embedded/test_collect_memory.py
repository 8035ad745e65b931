"""A run may be as long as it likes: what is kept of it doesn't grow."""

import gc
import tracemalloc

import pytest

from loadgate.control import RunnerReport, RunnerState
from loadgate.metrics import Histogram, Measurement, RequestStats, Snapshot, merge_all, tags_of
from loadgate_operator.collect import Collector, Runner

RUNNER = Runner(run="r", index=0, uid="u", url="", token="")
TIMES = Histogram(range(1_000, 3_000))


def document(second):
    """A snapshot as it comes over the wire, of a runner that counts on."""
    requests = {tags_of(name=f"endpoint {number}"): RequestStats(duration=TIMES) for number in range(10)}
    measured = Measurement(requests=requests, elapsed=float(second))
    return Snapshot("r", 0, "u", second, float(second), "Running", float(second), measurement=measured).encode()


class Client:
    """Answers each poll with new bytes."""

    second = 0

    async def state(self, runner):
        return RunnerReport(run="r", index=0, uid="u", state=RunnerState.RUNNING)

    async def snapshot(self, runner, view):
        return Snapshot.decode(document(self.second))


@pytest.fixture
def traced():
    """Memory is counted."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


async def test_a_collector_holds_the_newest_of_each_runner(traced):
    """After 400 polls a collector holds no more than after 40."""
    client = Client()
    collector = Collector(client, lambda: float(client.second))
    held = []
    for client.second in range(400):
        await collector.poll([RUNNER])
        if client.second in (40, 399):
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    assert held[1] - held[0] < 20_000


def test_what_is_merged_is_as_large_as_one(traced):
    """Merging 500 runners' measurements makes one that takes hardly more memory than that of two."""
    decoded = [Snapshot.decode(document(second)).measurement for second in range(500)]
    sizes = []
    for count in (2, 500):
        before = tracemalloc.get_traced_memory()[0]
        merged = merge_all(decoded[:count])
        sizes.append(tracemalloc.get_traced_memory()[0] - before)
        assert merged.request_counts()[0] == count * 10 * TIMES.count
        del merged
    assert sizes[1] < sizes[0] * 1.5
