"""When: the executors of a manifest, brought down to three kinds of schedule with plain numbers.

All times are seconds from the scenario's own start.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from loadgate.api.base import Model


class Stated(Model):
    """A part of a plan: it says all its fields, while the steps in it say only what their author wrote.

    The difference matters to a step (`default: null` is not the same as no default), so a plan is written without
    unset fields, and its own parts count as set in full.
    """

    def model_post_init(self, _context: object) -> None:
        """Count every field as set."""
        self.model_fields_set.update(type(self).model_fields)


class Segment(Stated):
    """A straight line from the target before to `target`, in `duration` seconds; 0 is a jump."""

    duration: float
    target: int


class IterationSchedule(Stated):
    """`iterations` in all, shared by `vus` VUs or, with `per_vu`, done by each; cut off after `max_duration`."""

    kind: Literal["iterations"] = "iterations"
    vus: int
    iterations: int
    per_vu: bool
    max_duration: float


class VUSchedule(Stated):
    """A number of looping VUs over time. VUs that a falling line takes away have `graceful_ramp_down` seconds."""

    kind: Literal["vus"] = "vus"
    start: int
    segments: list[Segment]
    graceful_ramp_down: float = 0.0


class ArrivalSchedule(Stated):
    """Iterations that begin when due, whatever becomes of those before; targets are per `time_unit` seconds."""

    kind: Literal["arrivals"] = "arrivals"
    start: int
    time_unit: float
    segments: list[Segment]
    pre_allocated_vus: int
    max_vus: int


Schedule = Annotated[IterationSchedule | VUSchedule | ArrivalSchedule, Field(discriminator="kind")]


def length(schedule: Schedule) -> float:
    """How long a schedule gives work for, in seconds, at most; graceful ends come on top."""
    if isinstance(schedule, IterationSchedule):
        return schedule.max_duration
    return sum(segment.duration for segment in schedule.segments)


def most_vus(schedule: Schedule) -> int:
    """The most VUs that a schedule can have at once, leaving aside those that end gracefully."""
    if isinstance(schedule, IterationSchedule):
        return schedule.vus
    if isinstance(schedule, ArrivalSchedule):
        return schedule.max_vus
    return max([schedule.start, *(segment.target for segment in schedule.segments)])
