"""A sparse histogram for the hot path, for what has few samples or is counted anew each second."""

from __future__ import annotations

from loadgate.metrics import Histogram
from loadgate.metrics.histogram import BUCKETS, INDEX, INDEXED, bounds_of, index_of


class Track:
    """Durations in microseconds: cheap to record, small while there are few, a histogram when someone asks."""

    __slots__ = ("counts", "maximum", "total")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.total = 0
        self.maximum = 0

    def record(self, us: int) -> None:
        """Add one sample, of 0 or more."""
        index = INDEX[us] if us < INDEXED else min(index_of(us), BUCKETS - 1)
        self.counts[index] = self.counts.get(index, 0) + 1
        self.total += us
        if us > self.maximum:  # noqa: PLR1730 - a branch seldom taken is cheaper here than a call of max()
            self.maximum = us

    def take(self) -> Histogram:
        """What was counted, as a histogram; counting begins anew."""
        out = self.copy()
        self.counts = {}
        self.total = self.maximum = 0
        return out

    def copy(self) -> Histogram:
        """What was counted so far."""
        out = Histogram()
        if self.counts:
            out.counts = dict(self.counts)
            out.count = sum(out.counts.values())
            out.total, out.maximum = self.total, self.maximum
            out.minimum = min(bounds_of(min(out.counts))[0], self.maximum)
        return out
