"""What a PerformanceBudget's own status says of the tests that it judges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from reconcile_world import budget

from loadgate.api.conditions import Outcome
from loadgate.api.faults import Fault
from loadgate.api.status import BudgetStatus, JudgedTest, LoadTestStatus, RunStatus, Violation
from loadgate.api.validate import validate_budget
from loadgate_operator.reconcile.budgets import BudgetSeen, SeenTest, decide_budget

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = 1_764_000_000.0
BROKEN = Violation(source="budget/shop", subject="* p95", limit="<=300ms", actual="412ms")
OTHER = Violation(source="threshold", subject="http_req_duration p(95)", limit="<500", actual="600ms")


def a_test(
    name: str, outcome: Outcome | None, violations: Sequence[Violation] = (), budgets: Sequence[str] = ("shop",)
) -> SeenTest:
    """A test with a run that came to this, or is under way."""
    run = RunStatus(id=f"{name}-7", number=7, verdict=outcome)
    return SeenTest(name, LoadTestStatus(run=run, violations=list(violations), budgets=list(budgets)))


def decided(*tests: SeenTest, before: BudgetStatus | None = None, now: float = NOW) -> BudgetStatus:
    seen = BudgetSeen(validate_budget(budget()), (), 2, before or BudgetStatus(), tests)
    return decide_budget(seen, now)


def conditions(status: BudgetStatus) -> dict[str, tuple[str, str]]:
    return {one.type: (one.status, one.reason) for one in status.conditions}


SATISFIED = [
    ((), "Unknown", "NoResults"),
    ((a_test("a", None),), "Unknown", "NoResults"),
    ((a_test("a", Outcome.Passed),), "True", "LimitsHeld"),
    ((a_test("a", Outcome.Failed, [OTHER]),), "True", "LimitsHeld"),
    ((a_test("a", Outcome.Inconclusive),), "Unknown", "NoResults"),
    ((a_test("a", Outcome.Passed), a_test("b", Outcome.Failed, [BROKEN])), "False", "BudgetViolated"),
    ((a_test("a", Outcome.Passed), a_test("b", None)), "True", "LimitsHeld"),
    ((a_test("a", Outcome.Passed, budgets=()),), "Unknown", "NoResults"),
]


@pytest.mark.parametrize(("tests", "status", "reason"), SATISFIED)
def test_a_budget_is_satisfied_when_no_test_broke_it_and_one_held_it(
    tests: tuple[SeenTest, ...], status: str, reason: str
) -> None:
    """What can't be known counts neither way, and limits of others aren't the budget's."""
    found = decided(*tests)
    assert conditions(found) == {"Ready": ("True", "Accepted"), "Satisfied": (status, reason)}
    assert found.observed_generation == 2


def test_who_broke_it_is_named_with_the_first_limit() -> None:
    """The message is what someone acts on."""
    found = decided(a_test("cart", Outcome.Failed, [BROKEN, OTHER]))
    message = found.conditions[1].message
    assert "cart" in message
    assert "412ms" in message
    assert found.load_tests == [JudgedTest(name="cart", run=7, satisfied=False, violations=[BROKEN])]


def test_a_test_under_way_stands_where_it_stood() -> None:
    """A new run doesn't take back what was known until it has a verdict."""
    known = JudgedTest(name="a", run=6, satisfied=True)
    found = decided(a_test("a", None), before=BudgetStatus(load_tests=[known]))
    assert found.load_tests == [known]
    assert conditions(found)["Satisfied"] == ("True", "LimitsHeld")


def test_an_invalid_budget_is_stalled_with_every_fault() -> None:
    """It judges nobody until someone puts it right."""
    faults = [Fault("spec.responseTime", "is wrong"), Fault("spec.metrics", "too")]
    found = decide_budget(BudgetSeen(None, faults, 3, BudgetStatus()), NOW)
    assert conditions(found)["Stalled"] == ("True", "InvalidSpec")
    assert conditions(found)["Ready"] == ("False", "InvalidSpec")
    assert all("spec.responseTime" in one.message and "spec.metrics" in one.message for one in found.conditions)


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    """Someone who reads since when a budget is broken reads the truth."""
    first = decided(a_test("a", Outcome.Passed))
    second = decided(a_test("a", Outcome.Passed), before=first, now=NOW + 60)
    third = decided(a_test("a", Outcome.Failed, [BROKEN]), before=second, now=NOW + 120)
    times = [status.conditions[1].last_transition_time for status in (first, second, third)]
    assert times[0] == times[1]
    assert times[1] != times[2]


def test_a_budget_lists_at_most_a_hundred_tests_and_counts_them_all() -> None:
    """Its status stays small however many tests it judges; one that broke it beyond the hundredth still counts."""
    tests = [a_test(f"t{n:03}", Outcome.Passed) for n in range(119)]
    found = decided(*tests, a_test("z", Outcome.Failed, [BROKEN]))
    assert len(found.load_tests) == 100
    assert conditions(found)["Satisfied"] == ("False", "BudgetViolated")
    assert "120" in found.conditions[0].message
