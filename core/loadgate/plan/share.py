"""Who does what: a run's VUs, iterations, arrivals and data rows dealt out like cards, exactly and without talk.

Things are numbered over the whole run, from 0. A share owns every `stride`-th of them, so the shares of all
runners together own each number once, and every moment's sum is what was asked for whatever the number of runners.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Share:
    """The numbers `start`, `start + stride`, `start + 2 * stride`, …"""

    start: int = 0
    stride: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stride:
            raise ValueError(f"a share starts at 0 to {self.stride - 1}, not {self.start}")

    @classmethod
    def of(cls, index: int, runners: int, offset: int = 0) -> Self:
        """Runner `index`'s share among `runners`.

        `offset` says which runner is dealt number 0: each scenario begins where the one before it stopped
        dealing, so that remainders don't pile up on the first runner.
        """
        if not 0 <= index < runners:
            raise ValueError(f"runner {index} is not one of {runners}")
        return cls((index - offset) % runners, runners)

    def divide(self, part: int, parts: int) -> Self:
        """Part `part` of `parts` of this share, for the processes of one runner."""
        if not 0 <= part < parts:
            raise ValueError(f"part {part} is not one of {parts}")
        return type(self)(self.start + part * self.stride, self.stride * parts)

    def owns(self, number: int) -> bool:
        """Whether a number is this share's."""
        return number % self.stride == self.start

    def count(self, total: int) -> int:
        """How many of the numbers below `total` are this share's."""
        return max(0, -((self.start - total) // self.stride))

    def nth(self, k: int) -> int:
        """This share's number `k`, counted from 0."""
        return self.start + k * self.stride

    def numbers(self, total: int) -> range:
        """This share's numbers below `total`, ascending."""
        return range(self.start, total, self.stride)

    def work(self, slots: int, total: int) -> Iterator[int]:
        """The pieces of work below `total` that fall to this share when they are dealt to `slots` VUs in turn.

        Dealing to VUs rather than to runners gives no work to a runner without VUs, and to a runner with more of
        them so much more.
        """
        laps = range(0, total, slots) if slots else range(0)
        return chain.from_iterable(range(lap + self.start, min(lap + slots, total), self.stride) for lap in laps)

    def work_count(self, slots: int, total: int) -> int:
        """How many numbers `work` gives."""
        if not slots:
            return 0
        laps, rest = divmod(total, slots)
        return self.count(slots) * laps + self.count(rest)
