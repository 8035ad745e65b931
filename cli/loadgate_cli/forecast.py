"""What a plan comes down to before it runs: iterations and requests, between which bounds, and whose they are."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from loadgate.api.grammar.think import parse_think
from loadgate.api.steps import Step
from loadgate.plan import (
    IterationSchedule,
    Plan,
    PlanScenario,
    VUSchedule,
    most_vus,
    planned_iterations,
    vu_changes,
)


@dataclass(frozen=True)
class Bounds:
    """At least `low`, at most `high`; None where nothing bounds it."""

    low: float
    high: float | None

    def __add__(self, other: Self) -> Self:
        high = None if self.high is None or other.high is None else self.high + other.high
        return type(self)(self.low + other.low, high)

    def times(self, other: Self) -> Self:
        """The bounds of a product."""
        high = None if self.high is None or other.high is None else self.high * other.high
        return type(self)(self.low * other.low, 0.0 if 0 in (self.high, other.high) else high)

    def either(self, other: Self) -> Self:
        """The bounds of one or the other."""
        high = None if self.high is None or other.high is None else max(self.high, other.high)
        return type(self)(min(self.low, other.low), high)


NOTHING = Bounds(0, 0)
ANYTHING = Bounds(0, None)


@dataclass(frozen=True)
class Journey:
    """One iteration: its requests, and its seconds of thinking."""

    requests: Bounds
    thinking: Bounds


@dataclass(frozen=True)
class Expected:
    """What a scenario will do."""

    scenario: PlanScenario
    journey: Journey
    iterations: Bounds
    requests: Bounds


@dataclass(frozen=True)
class Portion:
    """One runner's part: VUs at most, and iterations where they are known beforehand."""

    vus: int
    iterations: int | None


def expect(scenario: PlanScenario) -> Expected:
    """The bounds of one scenario, if every request is answered."""
    journey = ANY_JOURNEY if scenario.steps is None else journey_of(scenario.steps)
    iterations = _iterations(scenario, journey)
    return Expected(scenario, journey, iterations, iterations.times(journey.requests))


def journey_of(steps: Iterable[Step]) -> Journey:
    """Count one iteration's steps."""
    requests, thinking = NOTHING, NOTHING
    for step in steps:
        part = _of_step(step)
        requests, thinking = requests + part.requests, thinking + part.thinking
    return Journey(requests, thinking)


def portion(plan: Plan, runner: int) -> Portion:
    """One runner's part of all scenarios."""
    vus, iterations, known = 0, 0, True
    for scenario in plan.scenarios:
        share = scenario.share(runner, plan.runners)
        vus += share.count(most_vus(scenario.schedule))
        planned = planned_iterations(scenario)
        if planned is None:
            known = False
        else:
            iterations += share.work_count(most_vus(scenario.schedule), planned)
    return Portion(vus, iterations if known else None)


ANY_JOURNEY = Journey(ANYTHING, ANYTHING)


def _of_step(step: Step) -> Journey:
    if step.call:
        return Journey(Bounds(1, 1), NOTHING)
    if step.think:
        return Journey(NOTHING, Bounds(*parse_think(step.think)))
    if step.group:
        return journey_of(step.group.steps)
    if step.repeat:
        return _scaled(journey_of(step.repeat.steps), Bounds(step.repeat.times, step.repeat.times))
    if step.while_:
        return _scaled(journey_of(step.while_.steps), Bounds(0, step.while_.max))
    if step.if_:
        return _either([journey_of(step.if_.then), journey_of(step.if_.else_ or [])])
    return _either([journey_of(branch.steps) for branch in step.choice or []])


def _scaled(journey: Journey, times: Bounds) -> Journey:
    return Journey(journey.requests.times(times), journey.thinking.times(times))


def _either(journeys: list[Journey]) -> Journey:
    first, *others = journeys
    for other in others:
        first = Journey(first.requests.either(other.requests), first.thinking.either(other.thinking))
    return first


def _iterations(scenario: PlanScenario, journey: Journey) -> Bounds:
    planned = planned_iterations(scenario)
    if planned is None:
        return _of_loop(scenario.schedule, journey) if isinstance(scenario.schedule, VUSchedule) else ANYTHING
    # A number of iterations may be cut off by maxDuration; arrivals are begun or counted as dropped.
    return Bounds(0 if isinstance(scenario.schedule, IterationSchedule) else planned, planned)


def _of_loop(schedule: VUSchedule, journey: Journey) -> Bounds:
    """VUs that begin again as soon as they are done: thinking alone bounds how often they can."""
    if not journey.thinking.low:
        return ANYTHING
    turns = _vu_seconds(schedule) / journey.thinking.low
    return Bounds(0, math.ceil(turns) + most_vus(schedule))


def _vu_seconds(schedule: VUSchedule) -> float:
    area, since, vus = 0.0, 0.0, 0
    for moment, then in vu_changes(schedule):
        area += (moment - since) * vus
        since, vus = moment, then
    return area
