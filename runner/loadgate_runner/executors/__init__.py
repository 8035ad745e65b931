"""When load is made: executors say it as arithmetic, one drive loop sleeps, crews hold the VUs.

A plan knows the six executors of a manifest as three kinds of schedule (loadgate.plan), so there are three here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgate.plan.schedule import ArrivalSchedule, IterationSchedule
from loadgate_runner.executors.arrivals import Arrivals
from loadgate_runner.executors.drive import Drive
from loadgate_runner.executors.events import Begin, Event, Executor, Retire
from loadgate_runner.executors.iterations import Iterations
from loadgate_runner.executors.looping import Looping

if TYPE_CHECKING:
    from loadgate.plan.schedule import Schedule
    from loadgate.plan.share import Share

__all__ = ["Begin", "Drive", "Event", "Executor", "Retire", "executor_of"]


def executor_of(schedule: Schedule, share: Share) -> Executor:
    """The executor of a schedule, for one share of it."""
    if isinstance(schedule, IterationSchedule):
        return Iterations(schedule, share)
    if isinstance(schedule, ArrivalSchedule):
        return Arrivals(schedule, share)
    return Looping(schedule, share)
