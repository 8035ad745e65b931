"""A run that was decided on and has no Job: it waits for what it needs, and is made; or its Job was taken from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgate.api.conditions import Phase, Reason
from loadgate.api.units import format_duration
from loadgate.verdict import interrupted, start_deadline_exceeded
from loadgate_operator.cluster.port import Kind
from loadgate_operator.reconcile.finish import job_deleted, over
from loadgate_operator.reconcile.identity import run_id
from loadgate_operator.reconcile.ledger import End, Ledger
from loadgate_operator.reconcile.model import CreateRun, Decision, DeleteObject, Owned
from loadgate_operator.reconcile.view import GOING

if TYPE_CHECKING:
    from loadgate_operator.reconcile.view import View


def begin(view: View) -> Decision:
    """Go on with a run that has neither a Job nor pods."""
    if view.status.phase is not Phase.Pending:
        return lost_job(view)
    if called_off := _called_off(view):
        return over(view, (), Ledger(end=called_off))
    if view.wanted != view.run.spec_hash:
        return _renamed(view)
    others, trouble = of_other_runs(view), missing_inputs(view)
    if end := start_deadline(view, trouble[1] if trouble else _last_word(view)):
        return over(view, (), Ledger(end=end))
    if others:
        return _wait_for(view, others)
    if trouble:
        return view.under_way(Phase.Pending, *trouble, after=view.settings.live)
    return view.under_way(
        Phase.Starting,
        Reason.Preparing,
        f"run {view.run.id} is being made: its plan, its token and {_pods(view)}",
        actions=[CreateRun(view.run.id, view.run.number)],
        after=view.settings.starting,
    )


def _pods(view: View) -> str:
    count = view.test.spec.runners.count
    return f"{count} runner pods" if count > 1 else "one runner pod"


def _called_off(view: View) -> End | None:
    if view.problem or view.observed.budget_faults:
        return End(Reason.Aborted, "the spec was changed and can't be used any more", view.now, aborted=True)
    if view.forbidden:
        return End(
            Reason.TargetNotAllowed, f"load may not go there any more: {view.forbidden[0]}", view.now, aborted=True
        )
    if view.suspended:
        return End(Reason.Suspended, "suspended before it began", view.now, aborted=True)
    if view.observed.going:
        return End(Reason.Aborted, GOING, view.now, aborted=True)
    return by_hand(view, 0.0, 0.0) if view.observed.interrupted else None


def by_hand(view: View, elapsed: float, planned: float) -> End:
    """The end of a run that whoever runs the operator calls off; both in seconds."""
    doubt = interrupted(elapsed, planned)
    return End(doubt.reason, doubt.message, view.now, graceful=True, doubt=doubt)


def _renamed(view: View) -> Decision:
    """Nothing of the run exists yet, so what is asked for now is simply what it will be."""
    name = run_id(view.test, view.run.number, view.wanted, view.run.attempt)
    run = view.run.model_copy(update={"id": name, "spec_hash": view.wanted})
    return view.under_way(Phase.Pending, Reason.Preparing, f"run {name} is prepared", after=0.0, run=run)


def of_other_runs(view: View) -> list[Owned]:
    """Jobs and pods of other runs, or of an earlier LoadTest of this name. Two runs never make load together."""
    uid = (view.observed.load_test or {}).get("metadata", {}).get("uid", "")
    mine = view.status.run.id if view.status.run else ""
    return [
        owned
        for owned in view.observed.owned
        if (owned.kind in (Kind.JOB, Kind.POD) and owned.run != mine) or (owned.kind is Kind.JOB and owned.owner != uid)
    ]


def _wait_for(view: View, others: list[Owned]) -> Decision:
    runs = sorted({owned.run for owned in others})
    message = f"waits until the pods of {', '.join(runs)} are gone"
    actions = [DeleteObject(one.kind, one.name, one.uid) for one in others if not one.deleting]
    return view.under_way(Phase.Pending, Reason.Queued, message, actions=actions, after=view.settings.starting)


def missing_inputs(view: View) -> tuple[str, str] | None:
    """The reason and the message of what the test takes from its namespace and isn't there."""
    inputs, namespace = view.observed.inputs, view.observed.namespace
    if config_maps := (*inputs.missing_config_maps, *inputs.missing_for_pods):
        return Reason.ConfigMapNotFound, f"{_list('ConfigMap', config_maps)} in namespace {namespace}"
    if secrets := inputs.missing_secrets:
        return Reason.SecretNotFound, f"{_list('Secret', secrets)} in namespace {namespace}"
    return None


def _list(kind: str, missing: tuple[str, ...]) -> str:
    names = ", ".join(f"{kind} key {name}" if "/" in name else f"{kind} {name}" for name in missing)
    return f"create {names}: {'they are' if len(missing) > 1 else 'it is'} missing"


def _last_word(view: View) -> str:
    """What the status says already of why nothing could be made."""
    return next((one.message for one in view.status.conditions), "the run's objects could not be made")


def start_deadline(view: View, why: str) -> End | None:
    """The end of a run that wasn't ready in time; `why` says what held it up."""
    limit = view.test.spec.start_deadline.seconds
    since = view.run.created_at.timestamp() if view.run.created_at else view.now
    if view.now - since <= limit:
        return None
    doubt = start_deadline_exceeded(limit, f"{why} (it waited {format_duration(view.now - since)})")
    return End(doubt.reason, doubt.message, view.now, doubt=doubt)


def lost_job(view: View) -> Decision:
    """Someone deleted the Job of a run under way. What its pods measured is gone; that they are is made sure of."""
    left = [pod for pod in view.seen.pods if not pod.over and not _given_up(view, pod.deleting_since)]
    if left:
        actions = [DeleteObject(Kind.POD, pod.name, pod.uid) for pod in left if pod.deleting_since is None]
        message = f"the Job of run {view.run.id} was deleted; waits until its pods are gone"
        return view.under_way(Phase.Starting, Reason.Stopping, message, actions=actions, after=view.settings.starting)
    return over(view, (), Ledger(end=_deleted(view)))


def _given_up(view: View, deleting_since: float | None) -> bool:
    return deleting_since is not None and view.now - deleting_since > view.settings.silent_after


def _deleted(view: View) -> End:
    if view.changed or view.suspended:
        reason = Reason.Suspended if view.suspended else Reason.Aborted
        return End(reason, view.changed or "suspended: spec.suspend is true", view.now, aborted=True)
    return End(Reason.RunFinished, "", view.now, doubt=job_deleted(view.run.id, view.test.spec.runners.count))
