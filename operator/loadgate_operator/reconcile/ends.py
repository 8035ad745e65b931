"""Why a run ends before its load is through, each reason in one place. Pure; who asks writes the answer down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgate.api.conditions import DoubtReason, Reason
from loadgate.api.units import format_duration
from loadgate.control import BlockState
from loadgate.metrics import merge_all
from loadgate.verdict import Doubt, deadline_exceeded, denied_sentence, live_abort, setup_failed
from loadgate_operator.reconcile import progress
from loadgate_operator.reconcile.begin import by_hand, start_deadline
from loadgate_operator.reconcile.ledger import End
from loadgate_operator.reconcile.runners import Stand, patience
from loadgate_operator.reconcile.view import GOING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadgate_operator.reconcile.ledger import Ledger
    from loadgate_operator.reconcile.model import PodSeen
    from loadgate_operator.reconcile.runners import Runner
    from loadgate_operator.reconcile.view import View


def called_off(view: View, *, done: bool = False) -> End | None:
    """Someone wants something else. A load that is `done` can't be called off any more, and is judged."""
    if view.changed:
        return End(Reason.Aborted, view.changed, view.now, aborted=True)
    if view.suspended and not done:
        return End(Reason.Suspended, "spec.suspend is true", view.now, aborted=True, graceful=True)
    if view.observed.going and not done:
        return End(Reason.Aborted, GOING, view.now, aborted=True)
    if view.observed.interrupted and not done:
        ledger = view.seen.ledger
        elapsed = 0.0 if ledger.start_at is None else max(0.0, view.now - ledger.start_at)
        return by_hand(view, elapsed, ledger.duration)
    return None


def before_choice(view: View, armed: Mapping[int, PodSeen]) -> End | None:
    """Why a run ends that has no runners yet."""
    if end := called_off(view):
        return end
    reason, message = progress.waiting(view, armed)
    if view.seen.job_failed or reason is Reason.RunnerNotArmed:
        why = "; ".join(part for part in (view.seen.job_failed, message) if part)
        doubt = Doubt(DoubtReason.ArmingFailed, f"the runners can't get ready: {why}", f"{len(armed)} armed")
        return End(doubt.reason, doubt.message, view.now, doubt=doubt)
    return start_deadline(view, message)


def of_chosen(view: View, runners: Sequence[Runner], *, done: bool) -> End | None:
    """Why a run ends whose runners are chosen."""
    if end := called_off(view, done=done):
        return end
    ledger = view.seen.ledger
    if ledger.start_at is None:
        return _in_setup(view, runners)
    if done:
        return None
    elapsed = view.now - ledger.start_at
    if all(runner.stand is Stand.ARMED for runner in runners):
        # Nobody has begun, however late it is: as long as there is time, the start is planned anew.
        late = elapsed > patience(ledger.duration, view.settings)
        return start_deadline(view, "no runner could be told to start") if late else None
    return (
        _denied(view, runners)
        or _over_deadline(view, ledger, elapsed)
        or _overdue(view, ledger, elapsed)
        or _without_setup(view, runners)
        or _crossed(view, runners, ledger, elapsed)
    )


def _in_setup(view: View, runners: Sequence[Runner]) -> End | None:
    if gone := [runner for runner in runners if runner.stand in (Stand.LOST, Stand.SILENT)]:
        # The doubt comes from the runners' own stand.
        message = f"runner {gone[0].index} was lost before the load began: {gone[0].why}"
        return End(DoubtReason.RunnerLost, message, view.now)
    report = runners[0].answer.report if runners[0].answer else None
    if report and report.setup.state is BlockState.FAILED:
        doubt = setup_failed(report.setup.message)
        return End(doubt.reason, doubt.message, view.now, doubt=doubt)
    if late := start_deadline(view, "the setup steps took too long"):
        return late
    return None


def _denied(view: View, runners: Sequence[Runner]) -> End | None:
    """A runner was led to where load may not go: whatever else is measured, there is no verdict any more."""
    healths = [runner.snapshot.health for runner in runners if runner.snapshot]
    first = next((health for health in healths if health.denied), None)
    if first is None:
        return None
    # The doubt comes from the runners' last snapshots, which say how often.
    return End(DoubtReason.ConnectionDenied, denied_sentence(first.first_denied), view.now)


def _over_deadline(view: View, ledger: Ledger, elapsed: float) -> End | None:
    deadline = view.test.spec.deadline
    if deadline is None or elapsed <= deadline.seconds:
        return None
    doubt = deadline_exceeded(deadline.seconds, elapsed, ledger.duration)
    return End(doubt.reason, doubt.message, view.now, doubt=doubt)


def _overdue(view: View, ledger: Ledger, elapsed: float) -> End | None:
    planned = ledger.duration + ledger.tail
    if elapsed <= planned + view.settings.stop_margin:
        return None
    message = (
        f"the load was planned to be over after {format_duration(planned)} and wasn't after "
        f"{format_duration(elapsed)}; look at the runners' logs"
    )
    doubt = Doubt(DoubtReason.DeadlineExceeded, message, format_duration(elapsed))
    return End(doubt.reason, message, view.now, doubt=doubt)


def _without_setup(view: View, runners: Sequence[Runner]) -> End | None:
    """Runners wait for what setup extracted, and the one that has it is gone."""
    waiting = any(runner.stand is Stand.ARMED for runner in runners)
    first = runners[0]
    if not view.seen.ledger.setup or not waiting or first.stand not in (Stand.LOST, Stand.SILENT):
        return None
    return End(DoubtReason.RunnerLost, f"runner 0 was lost with what setup extracted: {first.why}", view.now)


def _crossed(view: View, runners: Sequence[Runner], ledger: Ledger, elapsed: float) -> End | None:
    thresholds = view.test.spec.thresholds
    if not any(one.abort_on_fail for several in thresholds.values() for one in several):
        return None
    measured = merge_all(runner.snapshot.measurement for runner in runners if runner.snapshot)
    crossed = live_abort(measured, thresholds, elapsed - ledger.warmup)
    if not crossed:
        return None
    message = f"{crossed[0].sentence()}, which ends the run (abortOnFail)"
    return End(Reason.ThresholdViolated, message, view.now, crossed=tuple(crossed))
