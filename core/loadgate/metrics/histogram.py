"""A log-linear histogram: fixed buckets, so that merging is adding and percentiles of many runners are exact.

Values are whole microseconds. Up to 255 µs each value has its own bucket; above, every octave is cut into 128
equal buckets, so a bucket's midpoint is at most 1/256 (0.39 %) off any value in it. This is HdrHistogram's
layout (https://hdrhistogram.org) with 128 sub-buckets. Buckets never move, hence merging is commutative,
associative and bit-identical in any order, which t-digests and the like are not.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from loadgate.metrics.fields import MOST, count

if TYPE_CHECKING:
    from collections.abc import Iterable

HIGHEST_US = 3_600_000_000
"""One hour. Longer values count in the last bucket; `maximum` still tells the truth."""


def index_of(us: int) -> int:
    """The bucket of a value of `us` microseconds (0 and up)."""
    shift = us.bit_length() - 8
    return (shift << 7) + (us >> shift) if shift > 0 else us


def bounds_of(index: int) -> tuple[int, int]:
    """The lowest and the highest value, in whole microseconds, that fall into a bucket."""
    if index < 256:
        return index, index
    shift = (index >> 7) - 1
    low = ((index & 127) + 128) << shift
    return low, low + (1 << shift) - 1


def value_of(index: int) -> float:
    """The value, in microseconds, that stands for a bucket: its midpoint."""
    low, high = bounds_of(index)
    return (low + high) / 2


BUCKETS = index_of(HIGHEST_US) + 1

INDEXED = 1 << 16
"""Microseconds below which a bucket's index is looked up: most answers take less, and looking up costs a third."""
INDEX = tuple(index_of(us) for us in range(INDEXED))


class Histogram:
    """Counts by bucket, sparse, with the exact count, sum, minimum and maximum beside them."""

    __slots__ = ("count", "counts", "maximum", "minimum", "total")

    def __init__(self, values: Iterable[int] = ()) -> None:
        self.counts: dict[int, int] = {}
        self.count = 0
        self.total = 0
        self.minimum = 0
        self.maximum = 0
        for value in values:
            self.record(value)

    def record(self, us: int, n: int = 1) -> None:
        """Add `n` samples of `us` microseconds; below 0 counts as 0."""
        us = max(us, 0)
        index = index_of(min(us, HIGHEST_US))
        self.counts[index] = self.counts.get(index, 0) + n
        if not self.count or us < self.minimum:
            self.minimum = us
        self.maximum = max(self.maximum, us)
        self.count += n
        self.total += us * n

    def merge(self, other: Histogram) -> None:
        """Add another histogram's samples to this one's."""
        if not other.count:
            return
        counts = self.counts
        for index, n in other.counts.items():
            counts[index] = counts.get(index, 0) + n
        self.minimum = min(self.minimum, other.minimum) if self.count else other.minimum
        self.maximum = max(self.maximum, other.maximum)
        self.count += other.count
        self.total += other.total

    def copy(self) -> Histogram:
        """A histogram of the same samples that shares nothing with this one."""
        twin = Histogram()
        twin.merge(self)
        return twin

    def quantile(self, q: float) -> float:
        """The value, in microseconds, that the share `q` (0 to 1) of samples doesn't exceed: nearest rank.

        An empty histogram answers NaN, since no number would be true.
        """
        if not self.count:
            return math.nan
        # The product may miss a whole number by a rounding error, and ceil would make a rank of that.
        rank = max(1, math.ceil(round(q * self.count, 6)))
        seen = 0
        for index in sorted(self.counts):
            seen += self.counts[index]
            if seen >= rank:
                return float(min(max(value_of(index), self.minimum), self.maximum))
        raise AssertionError("the counts of a histogram add up to its count")

    @property
    def mean(self) -> float:
        """The exact mean in microseconds; NaN where there is no sample."""
        return self.total / self.count if self.count else math.nan

    def below(self, us: int) -> int:
        """How many samples lie in buckets whose midpoint is at most `us` microseconds."""
        return sum(n for index, n in self.counts.items() if value_of(index) <= us)

    def to_json(self) -> dict[str, Any]:
        """`{sum, min, max, b: [index, count, index, count, …]}` with indexes ascending."""
        flat: list[int] = []
        for index in sorted(self.counts):
            flat += (index, self.counts[index])
        return {"sum": self.total, "min": self.minimum, "max": self.maximum, "b": flat}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Histogram:
        """Read what `to_json` wrote. Raises ValueError for anything that no histogram writes."""
        flat = document["b"]
        if len(flat) % 2 or any(type(n) is not int or not 0 <= n <= MOST for n in flat):
            raise ValueError("a histogram's buckets are pairs of whole numbers")
        if any(index >= BUCKETS for index in flat[::2]):
            raise ValueError("a histogram's bucket lies beyond the last one")
        self = cls()
        self.counts = dict(zip(flat[::2], flat[1::2], strict=True))
        self.count = sum(self.counts.values())
        self.total, self.minimum, self.maximum = (count(document[name]) for name in ("sum", "min", "max"))
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]  # a histogram changes

    def __repr__(self) -> str:
        return f"Histogram(count={self.count}, p50={self.quantile(0.5):.0f}µs, max={self.maximum}µs)"


class DenseHistogram:
    """The hot path's histogram: a plain list of counts, so that recording is one index and one addition.

    It takes about 26 kB. The minimum and the count are derived when someone asks, not while load is made.
    """

    __slots__ = ("counts", "maximum", "total")

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS
        self.total = 0
        self.maximum = 0

    def record(self, us: int) -> None:
        """Add one sample of `us` microseconds (0 to an hour; longer is counted as an hour)."""
        if us < INDEXED:
            self.counts[INDEX[us]] += 1
        else:
            self.counts[min(index_of(us), BUCKETS - 1)] += 1
        self.total += us
        if us > self.maximum:  # noqa: PLR1730 - a branch seldom taken is cheaper here than a call of max()
            self.maximum = us

    def to_histogram(self) -> Histogram:
        """The same samples as a sparse histogram; its minimum is the lowest bucket's, at most 0.4 % low."""
        out = Histogram()
        out.counts = {index: n for index, n in enumerate(self.counts) if n}
        out.count = sum(out.counts.values())
        out.total = self.total
        out.maximum = self.maximum
        out.minimum = min(bounds_of(min(out.counts))[0], self.maximum) if out.counts else 0
        return out
