"""`constant-arrival-rate` and `ramping-arrival-rate`: iterations that are due whether or not the target keeps up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadgate.plan.pace import Arrivals as Instants
from loadgate.plan.pace import arrivals
from loadgate.plan.schedule import length
from loadgate_runner.executors.events import Arrive, Event, OpenExecutor

if TYPE_CHECKING:
    from collections.abc import Iterator

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

    def events(self) -> Iterator[Event]:
        """The share's arrivals, each at the instant when it is due."""
        instants = Instants(self.schedule)
        for number in self.share.work(self.schedule.max_vus, arrivals(self.schedule)):
            yield Arrive(instants.due(number), number)
