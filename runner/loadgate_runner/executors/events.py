"""What an executor asks for, and when: plain values, to be held against formulas without a clock."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadgate.plan.share import Share


@dataclass(frozen=True, slots=True)
class Begin:
    """VU number `vu` (counted from 0 over the whole run) begins to iterate."""

    at: float
    vu: int


@dataclass(frozen=True, slots=True)
class Retire:
    """VU number `vu` begins no further iteration; the one it is in has `gracefulRampDown` to end."""

    at: float
    vu: int


Event = Begin | Retire

Take = Callable[[int], int | None]
"""Gives a VU (by its number) the number of the iteration it is to begin, or None when there is none left for it."""


class Executor(ABC):
    """When a scenario's share begins what, as arithmetic: no executor sleeps, and none reads a clock.

    All times are seconds from the scenario's start.
    """

    share: Share
    by_iterations = False
    """Whether the scenario is over when its VUs have nothing left to do, or only when its time is."""

    @property
    @abstractmethod
    def until(self) -> float:
        """From here on no iteration begins."""

    @abstractmethod
    def events(self) -> Iterator[Event]:
        """Which VUs of this share begin and retire, in order of time."""


class ClosedExecutor(Executor):
    """VUs iterate one after another; how many iterations there are is the target's doing."""

    @property
    def ramp_down(self) -> float:
        """How long a VU that retires before the end has to end its iteration, in seconds."""
        return 0.0

    @abstractmethod
    def deal(self) -> Take:
        """A fresh dealer of iteration numbers, each unique over the whole run."""


class OpenExecutor(Executor):
    """Iterations arrive when they are due, whether or not the target keeps up."""

    def events(self) -> Iterator[Event]:
        """None: VUs are there for arrivals."""
        return iter(())

    @abstractmethod
    def numbers(self) -> Iterator[int]:
        """This share's arrivals (counted from 0 over the whole run), in order of time."""

    @abstractmethod
    def due_at(self) -> Callable[[int], float]:
        """What says when an arrival is due; to be asked in order of time."""

    @property
    @abstractmethod
    def pre_allocated(self) -> int:
        """VUs of this share that are made before the start."""

    @property
    @abstractmethod
    def most(self) -> int:
        """VUs of this share at most; an arrival that finds none free is dropped."""
