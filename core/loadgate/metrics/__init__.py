"""What is measured, in a form that can be added up: histograms, slices of time, snapshots, metric names."""

from loadgate.metrics.histogram import DenseHistogram, Histogram
from loadgate.metrics.measurement import (
    CheckStats,
    IterationStats,
    Measurement,
    RequestStats,
    Tags,
    matches,
    merge_all,
    tags_of,
)
from loadgate.metrics.slices import Slice, Slices
from loadgate.metrics.snapshot import Health, Snapshot, SnapshotError
from loadgate.metrics.traces import Trace, TraceStats

__all__ = [
    "CheckStats",
    "DenseHistogram",
    "Health",
    "Histogram",
    "IterationStats",
    "Measurement",
    "RequestStats",
    "Slice",
    "Slices",
    "Snapshot",
    "SnapshotError",
    "Tags",
    "Trace",
    "TraceStats",
    "matches",
    "merge_all",
    "tags_of",
]
