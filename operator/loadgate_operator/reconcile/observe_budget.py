"""Looking at the world for one PerformanceBudget: itself, and the tests that it judges with what came of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from loadgate.api.status import BudgetStatus, LoadTestStatus
from loadgate.api.validate import validate_budget, validate_loadtest
from loadgate.verdict import select_budgets
from loadgate_operator.cluster.port import Kind
from loadgate_operator.reconcile.budgets import BudgetSeen, SeenTest
from loadgate_operator.reconcile.observe import read_status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from loadgate.api.budget import PerformanceBudget
    from loadgate.verdict import Verdict
    from loadgate_operator.cluster.port import Cluster, Object
    from loadgate_operator.reconcile.observe import Observer


async def observe_budget(cluster: Cluster, observer: Observer, raw: Object) -> BudgetSeen:
    """All there is to know of one budget."""
    budget, faults = observer.validate(raw, validate_budget)
    namespace = raw["metadata"]["namespace"]
    tests = [test async for test in _tests(cluster, observer, namespace, budget)] if budget else []
    return BudgetSeen(
        budget=budget,
        faults=faults,
        generation=int(raw["metadata"].get("generation", 0)),
        before=_before(raw),
        tests=tests,
    )


async def _tests(
    cluster: Cluster, observer: Observer, namespace: str, budget: PerformanceBudget
) -> AsyncIterator[SeenTest]:
    for raw in await cluster.list(Kind.LOAD_TEST, namespace):
        test, _ = observer.validate(raw, validate_loadtest)
        if test is not None and select_budgets(test, [budget]):
            status = read_status(raw) or LoadTestStatus()
            yield SeenTest(test.metadata.name, status, await _verdict(observer, namespace, budget, status))


async def _verdict(
    observer: Observer, namespace: str, budget: PerformanceBudget, status: LoadTestStatus
) -> Verdict | None:
    if budget.spec.enforcement != "Warn" or status.result is None:
        return None
    stored = await observer.read_result(namespace, status.result.config_map_ref.name)
    return stored.result.verdict if stored else None


def _before(raw: Object) -> BudgetStatus:
    try:
        return BudgetStatus.model_validate(raw.get("status") or {}, by_alias=True, by_name=False)
    except ValidationError:
        return BudgetStatus()
