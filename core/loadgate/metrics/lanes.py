"""A stretch of neighbouring counts, as bytes: small to keep and to send, and added to others in one stroke.

Adding many of them is the operator's largest piece of work. Read as one whole number in which every count has a lane of
its own, a stretch is added to another by one addition, which costs a fifth of a loop over the buckets.
"""

from __future__ import annotations

import sys
from array import array
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING

from loadgate.metrics.fields import MOST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_WIDTHS = {1: "B", 2: "H", 4: "I", 8: "Q"}
"""Bytes of a count, and the array that holds such."""

_AT_ONCE = 128
"""So many lanes of one byte add up to lanes of two, which are added in half the time that four take."""


@dataclass(slots=True)
class Lanes:
    """The counts of the buckets from `first` on, each of `width` bytes, the least byte first.

    Nothing changes them. That they aren't frozen is for the time it takes to make one.
    """

    first: int
    width: int
    data: bytes

    @classmethod
    def of(cls, counts: Mapping[int, int]) -> Lanes:
        """All buckets from the first to the last that is counted; there must be one."""
        first, last = min(counts), max(counts)
        width = _width_for(max(counts.values()))
        return cls(first, width, _bytes(array(_WIDTHS[width], map(counts.get, range(first, last + 1), repeat(0)))))

    def is_short(self, buckets: int) -> bool:
        """Whether they are written in fewer characters than so many buckets as pairs of numbers."""
        return len(self.data) * 4 // 3 <= buckets * (5 + 2 * self.width)

    def total(self) -> int:
        """Samples of all buckets."""
        return sum(_counts(self.data, self.width))

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Buckets that have samples, and how many."""
        return ((index, n) for index, n in enumerate(_counts(self.data, self.width), self.first) if n)

    def check(self, buckets: int) -> None:
        """Raise ValueError unless they are lanes of a histogram with so many buckets, as `of` makes them."""
        first, width, data = self.first, self.width, self.data
        if width not in _WIDTHS or len(data) % width or not any(data[:width]):
            raise ValueError("a histogram's lanes are 1, 2, 4 or 8 bytes wide, and the first is not empty")
        if first + len(data) // width > buckets:
            raise ValueError("a histogram's buckets lie beyond its end")
        if width == max(_WIDTHS) and max(_counts(data, width)) > MOST:
            raise ValueError("more samples in one bucket than any run makes")

    @classmethod
    def added(cls, several: Sequence[Lanes]) -> Lanes:
        """What all of them hold; there must be one."""
        if len(several) > _AT_ONCE:
            parts = range(0, len(several), _AT_ONCE)
            return cls.added([cls.added(several[begin : begin + _AT_ONCE]) for begin in parts])
        first = min([one.first for one in several])
        # No count is more than all of them could be at most, so no lane overflows into the next.
        width = _width_for(sum([(1 << 8 * one.width) - 1 for one in several]))
        number = 0
        for one in several:
            number += one.number(width) << 8 * width * (one.first - first)
        lanes = -(-number.bit_length() // (8 * width))
        return cls(first, width, number.to_bytes(width * lanes, "little"))

    def number(self, width: int) -> int:
        """All counts side by side, each in a lane of so many bytes."""
        if width == self.width:
            return int.from_bytes(self.data, "little")
        wide = bytearray(len(self.data) // self.width * width)
        for place in range(self.width):
            wide[place::width] = self.data[place :: self.width]
        return int.from_bytes(wide, "little")


def _width_for(largest: int) -> int:
    return next((width for width in _WIDTHS if largest < 1 << 8 * width), max(_WIDTHS))


def _counts(data: bytes, width: int) -> Sequence[int]:
    return data if width == 1 else _native(array(_WIDTHS[width], data))


def _bytes(counts: array[int]) -> bytes:
    return _native(counts).tobytes()


def _native(counts: array[int]) -> array[int]:
    """From or to the order of bytes of this machine."""
    if sys.byteorder == "big":
        counts.byteswap()
    return counts
