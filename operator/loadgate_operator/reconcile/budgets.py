"""How the tests stand that a PerformanceBudget judges, and what its own status says of that. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loadgate.api.conditions import ConditionStatus, ConditionType, Outcome, Reason
from loadgate.api.status import BudgetStatus, Condition, JudgedTest
from loadgate.verdict import violations_of
from loadgate_operator.reconcile.clock import moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from loadgate.api.budget import PerformanceBudget
    from loadgate.api.faults import Fault
    from loadgate.api.status import LoadTestStatus, Violation
    from loadgate.verdict import Verdict

MOST_TESTS = 100


@dataclass(frozen=True)
class SeenTest:
    """A LoadTest that the budget judges. `verdict` is the stored result's, where it was needed and could be read."""

    name: str
    status: LoadTestStatus
    verdict: Verdict | None = None


@dataclass(frozen=True)
class BudgetSeen:
    """A PerformanceBudget, the status it has, and the tests that it judges; `budget` is None where `faults` say why."""

    budget: PerformanceBudget | None
    faults: Sequence[Fault]
    generation: int
    before: BudgetStatus
    tests: Sequence[SeenTest] = ()


def decide_budget(seen: BudgetSeen, now: float) -> BudgetStatus:
    """The status of a budget at `now` (Unix seconds)."""
    if seen.budget is None:
        message = "; ".join(str(fault) for fault in seen.faults)
        return _status(
            seen,
            now,
            [],
            [
                (ConditionType.Ready, ConditionStatus.No, Reason.InvalidSpec, message),
                (ConditionType.Stalled, ConditionStatus.Yes, Reason.InvalidSpec, message),
                (ConditionType.Satisfied, ConditionStatus.Unknown, Reason.InvalidSpec, message),
            ],
        )
    known = {one.name: one for one in seen.before.load_tests}
    judged = [_judged(test, seen.budget, known.get(test.name)) for test in seen.tests]
    count = len(judged)
    ready = f"judges {count} LoadTest{'' if count == 1 else 's'}"
    return _status(
        seen,
        now,
        judged[:MOST_TESTS],
        [
            (ConditionType.Ready, ConditionStatus.Yes, Reason.Accepted, ready),
            (ConditionType.Satisfied, *_satisfied(judged)),
        ],
    )


def _judged(test: SeenTest, budget: PerformanceBudget, before: JudgedTest | None) -> JudgedTest:
    """A test under way, or one whose verdict isn't over this budget yet, stands where it stood."""
    status, name = test.status, budget.metadata.name
    run = status.run
    if run is None or run.verdict is None or name not in status.budgets:
        return before or JudgedTest(name=test.name)
    violations = _violations(test, f"budget/{name}")
    known = run.verdict in (Outcome.Passed, Outcome.Failed)
    satisfied = False if violations else True if known else None
    return JudgedTest(name=test.name, run=run.number, satisfied=satisfied, violations=violations)


def _violations(test: SeenTest, source: str) -> list[Violation]:
    if test.verdict is not None:
        # A budget that only warns changes no verdict, and so is in no test's own status.
        counted = tuple(replace(limit, enforced=True) for limit in test.verdict.limits)
        return violations_of(replace(test.verdict, limits=counted), source=source)
    return [one for one in test.status.violations if one.source == source]


def _satisfied(judged: Iterable[JudgedTest]) -> tuple[ConditionStatus, Reason, str]:
    tests = list(judged)
    broken = [one for one in tests if one.satisfied is False]
    if broken:
        names = ", ".join(one.name for one in broken[:10])
        first = broken[0].violations[0] if broken[0].violations else None
        example = f": {first.subject} is {first.actual}, allowed is {first.limit}" if first else ""
        return (
            ConditionStatus.No,
            Reason.BudgetViolated,
            f"{len(broken)} of {len(tests)} LoadTests broke it ({names}){example}",
        )
    if any(one.satisfied for one in tests):
        held = sum(1 for one in tests if one.satisfied)
        return ConditionStatus.Yes, Reason.LimitsHeld, f"{held} of {len(tests)} LoadTests held it, none broke it"
    return ConditionStatus.Unknown, Reason.NoResults, "no LoadTest that it judges has a verdict yet"


def _status(
    seen: BudgetSeen,
    now: float,
    tests: list[JudgedTest],
    conditions: Sequence[tuple[ConditionType, ConditionStatus, Reason, str]],
) -> BudgetStatus:
    times = {(one.type, one.status): one.last_transition_time for one in seen.before.conditions}
    return BudgetStatus(
        observed_generation=seen.generation,
        conditions=[
            Condition(
                type=kind,
                status=status,
                reason=reason,
                message=message[:4000],
                last_transition_time=times.get((kind, status)) or moment(now),
                observed_generation=seen.generation,
            )
            for kind, status, reason, message in conditions
        ],
        load_tests=tests,
    )
