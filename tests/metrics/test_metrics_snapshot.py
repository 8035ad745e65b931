"""Snapshots: what a runner hands over, and what isn't one."""

import orjson
import pytest

from loadgate.metrics import Health, Histogram, Measurement, RequestStats, Snapshot, SnapshotError, tags_of


def snapshot():
    measurement = Measurement(requests={tags_of(name="a"): RequestStats(Histogram([1, 2, 3]))}, elapsed=4.5)
    measurement.slices.at(2.0).requests = 3
    return Snapshot("run-1", 2, "uid", 7, 1000.5, "Running", 4.5, True, measurement, Health(cpu_ratio=0.5, fds=12))


def test_round_trip():
    """A snapshot read back is the snapshot that was written; without slices only those are missing."""
    assert Snapshot.decode(snapshot().encode()) == snapshot()
    live = Snapshot.decode(snapshot().encode(slices=False))
    assert live.measurement.slices.by_index == {}
    assert live.measurement.requests == snapshot().measurement.requests


def broken(**changes):
    return orjson.dumps({**orjson.loads(snapshot().encode()), **changes})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b"null",
        broken(version=1),
        broken(sequence="x"),
        broken(measurement=None),
        broken(measurement={"vus": 1}),
        broken(health={"nonsense": 1}),
        broken(measurement=[]),
    ],
)
def test_garbage_is_no_snapshot(data):
    """Anything that isn't a whole snapshot of this version raises SnapshotError and nothing else."""
    with pytest.raises(SnapshotError):
        Snapshot.decode(data)
