"""A plan told to people: when, how much, by whom, and what judges it."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from loadgate.api.budget import PerformanceBudget
from loadgate.api.loadtest import LoadTest
from loadgate.api.units import format_duration
from loadgate.metrics import Measurement
from loadgate.plan import (
    ArrivalSchedule,
    IterationSchedule,
    Plan,
    PlanScenario,
    VUSchedule,
    length,
    most_vus,
    rate_at,
    vus_at,
)
from loadgate.report.rows import limit_row, printable
from loadgate.verdict import LimitResult, judge_budget, judge_thresholds, select_budgets
from loadgate_cli import curves
from loadgate_cli.curves import number
from loadgate_cli.forecast import Bounds, Expected, Portion, expect, portion
from loadgate_cli.terminal import Paint

Row = Sequence[str]


def outline(
    test: LoadTest, plan: Plan, budgets: Sequence[PerformanceBudget], paint: Paint, width: int
) -> Iterator[str]:
    """Lines of text, at most `width` wide where the names allow."""
    yield f"{paint.bold(f'LoadTest {test.metadata.namespace}/{test.metadata.name}')} on {printable(plan.target.url)}"
    yield from _times(plan)
    yield from _curves(plan, paint, width)
    expected = [expect(scenario) for scenario in plan.scenarios]
    yield from _titled("Scenarios", _scenario_rows(expected), paint)
    yield from _titled("Expected, if the target answers", _expected_rows(expected), paint)
    yield from _titled("Runners", _runner_rows(plan), paint)
    yield from _titled("Judged by", _limit_rows(test, budgets), paint)


def _times(plan: Plan) -> Iterator[str]:
    at_most = "at most " if any(isinstance(s.schedule, IterationSchedule) for s in plan.scenarios) else ""
    tail = f", and up to {format_duration(plan.tail)} more for iterations under way" if plan.tail else ""
    yield f"  takes {at_most}{format_duration(plan.duration)}{tail}"
    if plan.warmup:
        yield f"  the first {format_duration(plan.warmup)} are warm-up: measured, not judged"
    if plan.setup or plan.teardown:
        blocks = " and ".join(name for name, steps in (("setup", plan.setup), ("teardown", plan.teardown)) if steps)
        yield f"  {blocks} once, by one runner"


def _curves(plan: Plan, paint: Paint, width: int) -> Iterator[str]:
    looping = [s for s in plan.scenarios if not isinstance(s.schedule, ArrivalSchedule)]
    arriving = [s for s in plan.scenarios if isinstance(s.schedule, ArrivalSchedule)]
    for title, scenarios in (("VUs", looping), ("Iterations begun per second", arriving)):
        if scenarios:
            yield ""
            yield f"  {paint.bold(title)}"
            yield from ("  " + line for line in _curve(plan, scenarios, width - 2))


def _curve(plan: Plan, scenarios: Sequence[PlanScenario], width: int) -> list[str]:
    def height(moment: float) -> float:
        return sum(height_of(scenario, moment - scenario.start) for scenario in scenarios)

    return curves.draw(height, plan.duration, width=width)


def height_of(scenario: PlanScenario, moment: float) -> float:
    """VUs, or iterations per second, that a scenario asks for at a moment of its own time."""
    schedule = scenario.schedule
    if isinstance(schedule, ArrivalSchedule):
        return rate_at(schedule, moment)
    if isinstance(schedule, VUSchedule):
        return vus_at(schedule, moment)
    return schedule.vus if 0 <= moment < schedule.max_duration else 0


def _scenario_rows(expected: Sequence[Expected]) -> Iterator[Row]:
    for one in expected:
        scenario = one.scenario
        end = scenario.start + length(scenario.schedule)
        yield (
            printable(scenario.name),
            scenario.executor,
            f"{format_duration(scenario.start)} to {format_duration(end)}",
            _load(scenario),
            "a Python journey" if scenario.script else f"{_counted(one.journey.requests, 'request')} each",
        )


def _load(scenario: PlanScenario) -> str:
    schedule = scenario.schedule
    if isinstance(schedule, ArrivalSchedule):
        unit = "s" if schedule.time_unit == 1 else format_duration(schedule.time_unit)
        rates = [schedule.start, *(segment.target for segment in schedule.segments)]
        return f"{_range(min(rates), max(rates))}/{unit}, up to {_counted(Bounds(*[most_vus(schedule)] * 2), 'VU')}"
    if isinstance(schedule, VUSchedule):
        vus = [schedule.start, *(segment.target for segment in schedule.segments)]
        return f"{_range(min(vus), max(vus))} {'VU' if max(vus) == 1 else 'VUs'}"
    each = " each" if schedule.per_vu else " shared"
    return f"{_counted(Bounds(schedule.vus, schedule.vus), 'VU')}, {number(schedule.iterations)} iterations{each}"


def _expected_rows(expected: Sequence[Expected]) -> Iterator[Row]:
    iterations = sum((one.iterations for one in expected), Bounds(0, 0))
    requests = sum((one.requests for one in expected), Bounds(0, 0))
    yield ("iterations", _bounds(iterations))
    yield ("requests", _bounds(requests))


def _runner_rows(plan: Plan) -> Iterator[Row]:
    place = 0
    for share, runners in groupby(portion(plan, runner) for runner in range(plan.runners)):
        many = sum(1 for _ in runners)
        yield (_which(place, many), *_portion(share))
        place += many


def _which(first: int, many: int) -> str:
    return f"runner {first}" if many == 1 else f"runners {first} to {first + many - 1}, each"


def _portion(share: Portion) -> Row:
    vus = f"up to {_counted(Bounds(share.vus, share.vus), 'VU')}"
    return (vus, "" if share.iterations is None else f"{number(share.iterations)} iterations")


def _limit_rows(test: LoadTest, budgets: Sequence[PerformanceBudget]) -> Iterator[Row]:
    nothing = Measurement()  # a limit that is judged by nothing still says what it asks
    limits: list[LimitResult] = judge_thresholds(nothing, test.spec.thresholds)
    for budget in select_budgets(test, budgets):
        limits += judge_budget(nothing, budget)
    for limit in limits:
        row = limit_row(limit)
        yield (row.subject, row.allowed, row.source + ("" if limit.enforced else ", only a warning"))
    if not limits:
        yield ("nothing: it passes if it runs",)


def _titled(title: str, rows: Iterator[Row], paint: Paint) -> Iterator[str]:
    table = list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)] if table else []
    yield ""
    yield f"  {paint.bold(title)}"
    for row in table:
        yield ("    " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()


def _bounds(bounds: Bounds) -> str:
    if bounds.high is None:
        return (
            f"at least {number(bounds.low)}; the target's speed decides"
            if bounds.low
            else "as many as the target answers"
        )
    if bounds.low == bounds.high:
        return number(bounds.low)
    return f"{number(bounds.low)} to {number(bounds.high)}" if bounds.low else f"up to {number(bounds.high)}"


def _range(low: float, high: float) -> str:
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def _counted(bounds: Bounds, noun: str) -> str:
    if bounds.high is None:
        return f"{number(bounds.low)} or more {noun}s"
    return f"{_range(bounds.low, bounds.high)} {noun}{'' if bounds.high == 1 else 's'}"
