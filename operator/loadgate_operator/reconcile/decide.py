"""What to do next for one LoadTest: a pure function of what is observed and of the time. Nothing is remembered.

The durable memory is outside: the status says which run there is and whether it is over, the ledger on the run's Job
who makes its load and from when, the stored result what came of it. Each is written before what depends on it is
done, so an operator that dies at any line is followed by one that goes on from there.
"""

from __future__ import annotations

from loadgate_operator.cluster.port import Kind
from loadgate_operator.reconcile import states
from loadgate_operator.reconcile.begin import begin
from loadgate_operator.reconcile.life import live
from loadgate_operator.reconcile.model import Decision, DeleteObject, Observed
from loadgate_operator.reconcile.settle import settle
from loadgate_operator.reconcile.view import View


def decide(observed: Observed, now: float) -> Decision:
    """What to do for this LoadTest at `now` (Unix seconds), and what its status is to say.

    Raises IllegalTransitionError for a bug in here, before anything is done of it.
    """
    view = View(observed, now)
    if observed.load_test is None or view.deleting:
        return _going(view)
    decision = _present(view)
    if decision.status:
        states.check(view.status.phase, decision.status.phase)
    return decision


def _present(view: View) -> Decision:
    if not view.active:
        return settle(view)
    if view.observed.run is None:
        return begin(view)
    return live(view)


def _going(view: View) -> Decision:
    """The LoadTest goes or is gone: so do its Jobs, without waiting for the collector of garbage. Load ends first."""
    jobs = [owned for owned in view.observed.owned if owned.kind is Kind.JOB and not owned.deleting]
    return Decision(tuple(DeleteObject(Kind.JOB, job.name, job.uid) for job in jobs))
