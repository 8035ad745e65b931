"""No run is under way: whether another is to begin, what the verdict is now, and what can be cleared away."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from loadgate.api.conditions import Cause, DoubtReason, Outcome, Phase, Reason
from loadgate.api.status import HistoryEntry, LoadTestStatus, RunnersStatus, RunStatus
from loadgate_operator.reconcile import summarise
from loadgate_operator.reconcile.clean import clean
from loadgate_operator.reconcile.clock import moment
from loadgate_operator.reconcile.identity import cause_of_change, run_id
from loadgate_operator.reconcile.model import Decision, RecordEvent
from loadgate_operator.reconcile.verdicts import verdict_now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadgate.api.faults import Fault
    from loadgate_operator.reconcile.view import View


def settle(view: View, *, just_over: bool = False) -> Decision:
    """What follows when no run is under way. `just_over`: the run ended in this very pass."""
    tidy = clean(view, just_over=just_over)
    decision = _settled(view, just_over=just_over)
    # A run that is just over leaves things behind that only the next look sees.
    wanted = (decision.requeue_after, tidy.requeue_after, 0.0 if just_over else None)
    after = [seconds for seconds in wanted if seconds is not None]
    return Decision((*decision.actions, *tidy.actions), decision.status, min(after) if after else None)


def _settled(view: View, *, just_over: bool) -> Decision:
    if view.problem:
        return _blocked(view, Reason.InvalidSpec, _all(view.observed.faults))
    if view.observed.budget_faults:
        return _blocked(view, Reason.BudgetNotFound, "; ".join(view.observed.budget_faults))
    cause = _cause(view, just_over=just_over)
    if cause is None:
        # What just ended was judged just now.
        return Decision((), view.status) if just_over else _trimmed(view, verdict_now(view))
    if view.forbidden:
        return _blocked(view, Reason.TargetNotAllowed, _all(view.forbidden))
    if view.held:
        return _blocked(view, Reason.Suspended, view.held)
    return _claim(view, cause)


def _trimmed(view: View, decision: Decision) -> Decision:
    if decision.status is None:
        return decision
    kept = decision.status.history[: view.test.spec.history_limit]
    return replace(decision, status=decision.status.model_copy(update={"history": kept}))


def _all(faults: Sequence[Fault]) -> str:
    said = "; ".join(str(fault) for fault in faults)
    return said if len(faults) == 1 else f"{len(faults)} faults: {said}"


def _blocked(view: View, reason: str, message: str) -> Decision:
    changes = summarise.blocked(view.stamp, reason, message)
    return Decision((), view.status.model_copy(update=changes))


def _cause(view: View, *, just_over: bool) -> Cause | None:
    """Why there is to be another run; None where there isn't."""
    run = view.status.run
    if run is None:
        return Cause.Created
    if run.spec_hash != view.wanted:
        return cause_of_change(run.spec_hash, view.wanted)
    if run.verdict is Outcome.Aborted:
        return None if view.held else Cause.Resumed
    return Cause.Retry if just_over and not view.held and _is_worth_another(view, run) else None


def _is_worth_another(view: View, run: RunStatus) -> bool:
    """Whether an inconclusive run is to be tried again. One that was led to where load may not go would be again."""
    denied = any(doubt.reason is DoubtReason.ConnectionDenied for doubt in view.status.doubts)
    tries_left = run.attempt <= view.test.spec.on_inconclusive.retries
    return run.verdict is Outcome.Inconclusive and tries_left and not denied


def _claim(view: View, cause: Cause) -> Decision:
    """Decide on a run. Only the status says so yet: nothing of the run is made before that is written."""
    before = view.status.run
    number = max([before.number if before else 0, *(owned.number for owned in view.observed.owned)]) + 1
    attempt = before.attempt + 1 if before and cause is Cause.Retry else 1
    run = RunStatus(
        id=run_id(view.test, number, view.wanted, attempt),
        number=number,
        cause=cause,
        spec_hash=view.wanted,
        created_at=moment(view.now),
        attempt=attempt,
    )
    fresh = LoadTestStatus(
        conditions=view.status.conditions,
        run=run,
        runners=RunnersStatus(desired=view.test.spec.runners.count),
        budgets=sorted(budget.metadata.name for budget in view.observed.budgets),
        violations=view.status.violations,
        history=history(view),
    )
    reason = Reason.Retrying if cause is Cause.Retry else Reason.Preparing
    said = RecordEvent("Normal", reason, f"run {run.id} ({cause}: {cause.doc})")
    message = f"run {run.id} is prepared ({cause}: {cause.doc})"
    decision = view.of(fresh).under_way(Phase.Pending, reason, message, after=0.0)
    return Decision((said,), decision.status, decision.requeue_after)


def history(view: View) -> list[HistoryEntry]:
    """The earlier runs once the present one is one of them, the newest first."""
    run, summary = view.status.run, view.status.summary
    entries = list(view.status.history)
    if run and run.verdict and all(entry.number != run.number for entry in entries):
        entry = HistoryEntry(
            number=run.number,
            verdict=run.verdict,
            p95=summary.p95 if summary else None,
            requests_per_second=summary.requests_per_second if summary else 0.0,
            finished_at=run.finished_at,
        )
        entries.insert(0, entry)
    return entries[: view.test.spec.history_limit]
