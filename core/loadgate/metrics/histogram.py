"""A log-linear histogram: fixed buckets, so that merging is adding and percentiles of many runners are exact.

Values are whole microseconds. Up to 255 µs each value has its own bucket; above, every octave is cut into 128
equal buckets, so a bucket's midpoint is at most 1/256 (0.39 %) off any value in it. This is HdrHistogram's
layout (https://hdrhistogram.org) with 128 sub-buckets. Buckets never move, hence merging is commutative,
associative and bit-identical in any order, which t-digests and the like are not.
"""

from __future__ import annotations

import math
from base64 import b64encode
from binascii import a2b_base64
from itertools import chain
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from loadgate.metrics.fields import MOST, count
from loadgate.metrics.lanes import Lanes

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


BUCKETS: Final = index_of(HIGHEST_US) + 1

INDEXED: Final = 1 << 16
"""Microseconds below which a bucket's index is looked up: most answers take less, and looking up costs a third."""
INDEX: Final = tuple(index_of(us) for us in range(INDEXED))


class Histogram:
    """Counts by bucket, sparse, with the exact count, sum, minimum and maximum beside them.

    One that was read stays as it came, a byte or so a bucket, until someone asks for its `counts`: most are only added.
    """

    __slots__ = ("_count", "_counts", "_lanes", "maximum", "minimum", "total")

    def __init__(self, values: Iterable[int] = ()) -> None:
        self._counts: dict[int, int] = {}
        self._lanes: Lanes | None = None
        self._count: int | None = 0
        self.total = 0
        self.minimum = 0
        self.maximum = 0
        for value in values:
            self.record(value)

    @property
    def counts(self) -> dict[int, int]:
        """Samples by bucket, where there are any."""
        if self._lanes is not None:
            self._counts, self._lanes = dict(self._lanes.pairs()), None
        return self._counts

    @counts.setter
    def counts(self, counts: dict[int, int]) -> None:
        self._counts, self._lanes = counts, None

    @property
    def count(self) -> int:
        """All samples."""
        if self._count is None:
            self._count = sum(self._counts.values()) if self._lanes is None else self._lanes.total()
        return self._count

    @count.setter
    def count(self, count: int) -> None:
        self._count = count

    def record(self, us: int, n: int = 1) -> None:
        """Add `n` samples of `us` microseconds; below 0 counts as 0."""
        us = max(us, 0)
        index = index_of(min(us, HIGHEST_US))
        if not self.count or us < self.minimum:
            self.minimum = us
        self.maximum = max(self.maximum, us)
        self.count += n
        self.total += us * n
        counts = self.counts
        counts[index] = counts.get(index, 0) + n

    def merge(self, *others: Histogram) -> None:
        """Add other histograms' samples to this one's. Many at once cost less than one after another."""
        counts, lanes = self.counts, list[Lanes]()
        low, high = self.minimum if counts else math.inf, self.maximum
        for other in others:
            if other.give(counts, lanes):
                low, high = min(low, other.minimum), max(high, other.maximum)
                self.total += other.total
        if lanes:
            _add(counts, Lanes.added(lanes).pairs())
        if counts:
            self.minimum, self.maximum, self._count = int(low), high, None

    def give(self, counts: dict[int, int], lanes: list[Lanes]) -> bool:
        """Add the counts to `counts`, or leave the lanes, if that is what there is, for whoever adds up many.

        Whether there was anything to give.
        """
        if self._lanes is not None:
            lanes.append(self._lanes)
            return True
        _add(counts, self._counts.items())
        return bool(self._counts)

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

    def to_json(self) -> dict[str, Any] | str:
        """`{sum, min, max, b: [index, count, index, count, …]}` with indexes ascending.

        Where samples lie close, a text in base64, which is shorter: sum, minimum, maximum (8 bytes each, the least
        first), the first bucket (2), the width of a count (1), and the counts of that bucket and those after it.
        """
        counts = self.counts
        if counts and (lanes := Lanes.of(counts)).is_short(len(counts)):
            head = _HEAD.pack(self.total, self.minimum, self.maximum, lanes.first, lanes.width)
            return b64encode(head + lanes.data).decode()
        pairs = list(chain.from_iterable(sorted(counts.items())))
        return {"sum": self.total, "min": self.minimum, "max": self.maximum, "b": pairs}

    @classmethod
    def from_json(cls, document: Any) -> Histogram:
        """Read what `to_json` wrote. Raises KeyError, TypeError or ValueError for anything that no histogram writes."""
        self = cls()
        self._count = None
        if isinstance(document, str):
            data = a2b_base64(document, strict_mode=True)
            if len(data) <= _HEAD.size:
                raise ValueError("a histogram's text is too short")
            self.total, self.minimum, self.maximum, first, width = _HEAD.unpack_from(data)
            if self.total > MOST or self.minimum > MOST or self.maximum > MOST:
                raise ValueError("a histogram's sum, minimum or maximum is more than any run makes")
            self._lanes = Lanes(first, width, data[_HEAD.size :])
            self._lanes.check(BUCKETS)
        else:
            self.total, self.minimum, self.maximum = (count(document[name]) for name in ("sum", "min", "max"))
            self._counts = _read_pairs(document["b"])
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]  # a histogram changes

    def __repr__(self) -> str:
        return f"Histogram(count={self.count}, p50={self.quantile(0.5):.0f}µs, max={self.maximum}µs)"


_HEAD = Struct("<QQQHB")
"""Sum, minimum, maximum, first bucket, bytes of a count."""


def _add(counts: dict[int, int], pairs: Iterable[tuple[int, int]]) -> None:
    for index, n in pairs:
        counts[index] = counts.get(index, 0) + n


def _read_pairs(flat: list[int]) -> dict[int, int]:
    if len(flat) % 2 or set(map(type, flat)) - {int} or min(flat, default=0) < 0:
        raise ValueError("a histogram's buckets are pairs of whole numbers")
    if max(flat[::2], default=0) >= BUCKETS or max(flat, default=0) > MOST:
        raise ValueError("a histogram's bucket lies beyond the last one, or has more samples than any run makes")
    return dict(zip(flat[::2], flat[1::2], strict=True))


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
