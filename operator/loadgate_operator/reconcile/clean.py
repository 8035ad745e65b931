"""What a run leaves behind and is not wanted any more: pods after a while, old results, jobs that nobody waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgate.api.loadtest import LoadTestSpec
from loadgate.control import RunnerState
from loadgate_operator.cluster.port import Kind
from loadgate_operator.reconcile.model import Acknowledge, Decision, DeleteObject, Owned, StopRunners

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from loadgate_operator.reconcile.model import Action
    from loadgate_operator.reconcile.view import View

RESULT = "result"
"""The component label of a stored result; everything else of a run is needed only by its pods."""

SOON_GONE = 5.0
"""Seconds until pods that were told to go are looked at again."""

_TTL = float(LoadTestSpec.model_fields["ttl_seconds_after_finished"].default)


def clean(view: View, *, just_over: bool = False) -> Decision:
    """Clear away what isn't wanted; nothing of a run that isn't over. Says when there will be more to clear."""
    waste = [owned for owned in view.observed.owned if not owned.deleting]
    gone = [*_other_runs(view, waste), *_old_results(view, waste)]
    actions: list[Action] = [DeleteObject(owned.kind, owned.name, owned.uid) for owned in gone]
    left = _time_left(view, just_over=just_over)
    if left is not None and left <= 0:
        kept = (*gone, *(owned for owned in waste if owned.kind is Kind.POD))
        mine = [owned for owned in waste if owned not in kept and owned.component != RESULT]
        return Decision((*actions, *(DeleteObject(owned.kind, owned.name, owned.uid) for owned in mine)))
    letting_go = [] if just_over else list(_let_go(view))
    # A pod that was told to stop still has to be told that it may exit, and a message may be lost.
    soon = [SOON_GONE] if letting_go else []
    waits = [*soon, *([left] if left is not None else [])]
    return Decision((*actions, *letting_go), requeue_after=min(waits, default=None))


def _other_runs(view: View, waste: Iterable[Owned]) -> Iterator[Owned]:
    """Jobs, pods, plans and tokens of runs that the status no longer speaks of."""
    mine = view.status.run.id if view.status.run else ""
    yield from (owned for owned in waste if owned.component != RESULT and owned.run != mine)


def _old_results(view: View, waste: Iterable[Owned]) -> Iterator[Owned]:
    """Results beyond the history limit; the newest run's own stays whatever the limit."""
    if view.problem:
        return
    results = sorted((owned for owned in waste if owned.component == RESULT), key=lambda one: one.number, reverse=True)
    current = view.status.run.number if view.status.run else 0
    earlier = [one for one in results if one.number != current]
    yield from earlier[view.test.spec.history_limit :]


def _time_left(view: View, *, just_over: bool) -> float | None:
    """Seconds until the pods of the finished run are to go; None where there is nothing to wait for."""
    run = view.status.run
    if (
        run is None
        or run.finished_at is None
        or not any(o.kind is Kind.JOB and o.run == run.id for o in view.observed.owned)
    ):
        return None
    if not just_over and not view.seen.ledger.chosen:
        return 0.0  # Its pods never were runners of a run: they hold resources for nothing.
    if not just_over and view.seen.pods and all(pod.deleting_since is not None for pod in view.seen.pods):
        # Kubernetes keeps a failed pod until its Job has another in its place, which in a namespace that is being
        # deleted never comes: without its Job the pod goes, and the namespace with it.
        return 0.0
    ttl = _TTL if view.problem else float(view.test.spec.ttl_seconds_after_finished)
    return max(0.0, min(run.finished_at.timestamp() + ttl, _lingers_until(view)) - view.now)


def _lingers_until(view: View) -> float:
    """Until when pods are left to end by themselves in which something goes on without a runner.

    A Job has no other end then than to be removed. Never, where there are none, or where a runner isn't done yet.
    """
    pods = view.seen.pods
    ends = [pod.ended_at for pod in pods if pod.lingers and pod.ended_at is not None]
    if not ends or not all(pod.over for pod in pods):
        return float("inf")
    return max(ends) + view.settings.lingering


def _let_go(view: View) -> Iterator[Action]:
    """Pods of a finished run that are still there: their last snapshots aren't needed any more, and nothing else is."""
    run = view.status.run
    if run is None:
        return
    sequences, idle = {}, []
    for pod in view.seen.pods:
        answer = view.seen.answers.get(pod.uid)
        report = answer.report if answer else None
        if (
            pod.over
            or pod.deleting_since is not None
            or answer is None
            or report is None
            or answer.silent_since is not None
        ):
            continue
        if report.state in {RunnerState.FINISHED, RunnerState.FAILED}:
            sequences[pod.uid] = report.sequence
        else:
            idle.append(pod.uid)
    if sequences:
        yield Acknowledge(run.id, sequences)
    if idle:
        yield StopRunners(run.id, tuple(idle), graceful=False, reason="the run is over")
