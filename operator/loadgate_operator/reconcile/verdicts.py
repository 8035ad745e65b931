"""A verdict in the status: of a run that just ended, and of a stored result that other limits judge again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from loadgate.api.conditions import Outcome, Reason
from loadgate.verdict import doubts_of_verdict, judge_again, summarise, summarise_endpoints, violations_of
from loadgate_operator.reconcile import summarise as rows
from loadgate_operator.reconcile.identity import limits_hash
from loadgate_operator.reconcile.model import Decision, RecordEvent, StoreResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadgate.api.budget import PerformanceBudget
    from loadgate.api.status import LoadTestStatus, Violation
    from loadgate.report.result import Result
    from loadgate.verdict import Verdict
    from loadgate_operator.reconcile.view import View


def verdict_changes(view: View, result: Result, judged_by: str) -> dict[str, Any]:
    """The changes that a verdict makes to a status whose run is over."""
    verdict = result.verdict
    run = view.run.model_copy(update={"verdict": verdict.outcome, "judged_by": judged_by})
    reason = Reason.Suspended if verdict.outcome is Outcome.Aborted and view.suspended else rows.why(verdict)
    return {
        "run": run,
        "summary": summarise(result.measurement),
        "endpoints": summarise_endpoints(result.measurement),
        "budgets": sorted(budget["metadata"]["name"] for budget in result.budgets),
        "violations": _counted(view.status, verdict),
        "doubts": doubts_of_verdict(verdict),
        **rows.judged(view.stamp, verdict.outcome, reason, verdict.message),
    }


def _counted(status: LoadTestStatus, verdict: Verdict) -> list[Violation]:
    """The violations, each with the number of runs in a row that had it.

    A status keeps the violations of the run before until it has a verdict of its own.
    """
    judged_before = status.run is not None and status.run.verdict is not None
    runs = {(one.source, one.subject, one.limit): one.runs + (0 if judged_before else 1) for one in status.violations}
    return [
        one.model_copy(update={"runs": runs.get((one.source, one.subject, one.limit), 1)})
        for one in violations_of(verdict)
    ]


def manifest_of(view: View) -> dict[str, Any]:
    """The LoadTest as its user wrote it: without its status, and without what the cluster put beside it."""
    raw = view.observed.load_test or {}
    kept = ("name", "namespace", "labels", "annotations", "uid", "generation")
    metadata = {key: value for key, value in raw.get("metadata", {}).items() if key in kept}
    return {
        **{key: raw[key] for key in ("apiVersion", "kind") if key in raw},
        "metadata": metadata,
        "spec": raw["spec"],
    }


def budget_manifests(budgets: Iterable[PerformanceBudget]) -> tuple[dict[str, Any], ...]:
    """The budgets as a result keeps them: what they ask for, without a status."""
    return tuple(
        {
            "apiVersion": budget.api_version,
            "kind": budget.kind,
            "metadata": {"name": budget.metadata.name, "namespace": budget.metadata.namespace},
            "spec": budget.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        }
        for budget in budgets
    )


def verdict_now(view: View) -> Decision:
    """The verdict of the run that is over: judged again where the limits are other ones, else as it was."""
    stored = view.observed.result
    settled = judged_as_wanted(view) and view.status.phase is (view.run.verdict or Outcome.Inconclusive).phase
    if settled or stored is None or stored.result.run.id != view.run.id:
        return _as_it_was(view)
    wanted = limits_hash(view.test, view.observed.budgets)
    if view.run.verdict is Outcome.Aborted or stored.judged_by == wanted:
        changes = verdict_changes(view, stored.result, stored.judged_by)
        return Decision((), view.status.model_copy(update=changes))
    return _again(view, stored.result, wanted)


def _again(view: View, result: Result, wanted: str) -> Decision:
    spec = view.test.spec
    verdict = judge_again(
        result.verdict,
        result.measurement,
        thresholds=spec.thresholds,
        budgets=view.observed.budgets,
        tolerated=spec.tolerate_doubts,
    )
    budgets = budget_manifests(view.observed.budgets)
    judged = replace(result, verdict=verdict, manifest=manifest_of(view), budgets=budgets)
    changes = verdict_changes(view, judged, wanted)
    said = RecordEvent("Normal", Reason.Judging, f"run {view.run.id} judged by other limits: {verdict.message}")
    keep = [] if view.observed.unstorable else [StoreResult(view.run.id, view.run.number, judged, wanted)]
    return Decision((*keep, said), view.status.model_copy(update=changes))


def judged_as_wanted(view: View) -> bool:
    """Whether the verdict is over the limits that are asked for now. A run that was called off has none to renew."""
    return view.run.verdict is Outcome.Aborted or view.run.judged_by == limits_hash(view.test, view.observed.budgets)


def _as_it_was(view: View) -> Decision:
    """Without the stored result nothing can be judged: the verdict stands while the limits are those it was over."""
    outcome = view.run.verdict or Outcome.Inconclusive
    if not judged_as_wanted(view):
        message = (
            f"the limits are other ones than run {view.run.id} was judged by, and its stored result is gone or "
            "damaged; set the annotation loadgate.dev/rerun to a new value to measure again"
        )
        changes = rows.blocked(view.stamp, Reason.ResultUnreadable, message)
        return Decision((), view.status.model_copy(update=changes))
    if view.status.phase is outcome.phase:
        return Decision((), view.status.model_copy(update=rows.again(view.stamp)))
    reason, message = _from_status(view, outcome)
    changes = rows.judged(view.stamp, outcome, reason, message)
    return Decision((), view.status.model_copy(update=changes))


def _from_status(view: View, outcome: Outcome) -> tuple[str, str]:
    status = view.status
    if outcome is Outcome.Aborted:
        return (Reason.Suspended if view.suspended else Reason.Aborted), f"run {view.run.id} was called off"
    if outcome is Outcome.Failed and status.violations:
        first = status.violations[0]
        reason = Reason.ThresholdViolated if first.source == "threshold" else Reason.BudgetViolated
        return reason, f"{first.subject} is {first.actual}, allowed is {first.limit} ({first.source})"
    if outcome is Outcome.Inconclusive and status.doubts:
        return status.doubts[0].reason, status.doubts[0].message
    return Reason.LimitsHeld, "every limit was measured and held"
