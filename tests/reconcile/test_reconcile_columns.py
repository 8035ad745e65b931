"""What `kubectl get` shows of a LoadTest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from reconcile_world import World, budget, load_test

from loadgate.api.conditions import Phase
from loadgate.api.status import Load, LoadTestStatus, Summary
from loadgate_operator.reconcile.columns import columns

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def world() -> Iterator[World]:
    """A world."""
    it = World()
    yield it
    it.close()


def shown(world: World) -> dict[str, Any]:
    """The columns of the status as it was written."""
    found: dict[str, Any] = world.status["columns"]
    return found


def test_columns_follow_a_run(world: World) -> None:
    """What holds a run up is its reason, a phase isn't said twice, and runners are counted of those that are wanted."""
    world.put(budget())
    world.put(load_test())
    world.until(Phase.Starting)
    world.reconcile()
    assert (shown(world)["reason"], shown(world)["runners"]) == ("WaitingForRunners", "0/2")
    world.until(Phase.Running)
    world.advance(5)
    world.reconcile()
    assert shown(world)["reason"] == ""
    assert float(shown(world)["requestsPerSecond"]) >= 0
    world.settle()
    assert (shown(world)["reason"], shown(world)["runners"]) == ("LimitsHeld", "2/2")
    assert shown(world)["budgets"] == "shop"


def test_an_inconclusive_run_says_why(world: World) -> None:
    """Not that it is inconclusive, which its phase says, but what made it so."""
    world.cannot_arm = True
    world.put(load_test())
    world.settle()
    assert shown(world)["reason"] == "ArmingFailed"


@pytest.mark.parametrize(
    ("rate", "text"), [(0.0, "0.0"), (0.04, "0.0"), (812.44, "812.4"), (1234.5, "1234"), (1_234_567.8, "1234568")]
)
def test_a_rate_is_a_plain_number(rate: float, text: str) -> None:
    """However large, without an exponent, which is what kubectl makes of a million; load goes before its average."""
    assert columns(LoadTestStatus(summary=Summary(requests_per_second=rate))).requests_per_second == text
    live = LoadTestStatus(load=Load(requests_per_second=rate), summary=Summary(requests_per_second=7.0))
    assert columns(live).requests_per_second == text


@pytest.mark.parametrize(
    ("names", "text"),
    [([], ""), (["a"], "a"), (["a", "b", "c"], "a,b,c"), (["a", "b", "c", "d", "e"], "a,b,c and 2 more")],
)
def test_few_budgets_are_named(names: list[str], text: str) -> None:
    """As many as fit into a line."""
    assert columns(LoadTestStatus(budgets=names)).budgets == text


def test_nothing_is_shown_of_what_is_not_known() -> None:
    """A status of which nothing is known has empty columns."""
    assert columns(LoadTestStatus()).to_json() in ({}, dict.fromkeys(columns(LoadTestStatus()).to_json(), ""))
