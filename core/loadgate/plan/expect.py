"""What a plan asks for in numbers: iterations by scenario, and how far a run is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgate.plan.pace import arrivals
from loadgate.plan.schedule import ArrivalSchedule, IterationSchedule

if TYPE_CHECKING:
    from loadgate.plan.document import Plan, PlanScenario


def planned_iterations(scenario: PlanScenario) -> int | None:
    """How many iterations a scenario asks for; None where that depends on how fast the target answers."""
    schedule = scenario.schedule
    if isinstance(schedule, IterationSchedule):
        return schedule.iterations * (schedule.vus if schedule.per_vu else 1)
    if isinstance(schedule, ArrivalSchedule):
        return arrivals(schedule)
    return None


def progress(plan: Plan, elapsed: float) -> float:
    """The share (0 to 1) of the planned time that is over after `elapsed` seconds of the run."""
    if plan.duration <= 0:
        return 1.0
    return min(max(elapsed / plan.duration, 0.0), 1.0)
