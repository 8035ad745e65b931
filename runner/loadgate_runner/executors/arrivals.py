"""`constant-arrival-rate` and `ramping-arrival-rate`: iterations that are due whether or not the target keeps up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadgate.plan.pace import Arrivals as Instants
from loadgate.plan.pace import arrivals
from loadgate.plan.schedule import length
from loadgate_runner.executors.events import OpenExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadgate.plan.schedule import ArrivalSchedule
    from loadgate.plan.share import Share


@dataclass(frozen=True)
class Arrivals(OpenExecutor):
    """Arrival k belongs to the share that has VU slot k modulo `maxVUs`; within a share any free VU takes it."""

    schedule: ArrivalSchedule
    share: Share

    @property
    def until(self) -> float:
        """The end of the last stage."""
        return length(self.schedule)

    @property
    def pre_allocated(self) -> int:
        """The share of `preAllocatedVUs`."""
        return self.share.count(self.schedule.pre_allocated_vus)

    @property
    def most(self) -> int:
        """The share of `maxVUs`."""
        return self.share.count(self.schedule.max_vus)

    def numbers(self) -> Iterator[int]:
        """The share's arrivals."""
        return self.share.work(self.schedule.max_vus, arrivals(self.schedule))

    def due_at(self) -> Callable[[int], float]:
        """By the schedule's lines."""
        return Instants(self.schedule).due
