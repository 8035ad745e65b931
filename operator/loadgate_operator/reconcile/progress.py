"""How a run under way stands, in a status' words and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgate.api.conditions import Reason
from loadgate.api.status import Load, RunnersStatus
from loadgate.control import RunnerState
from loadgate.plan import IterationSchedule, planned_iterations
from loadgate_operator.reconcile.runners import Stand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadgate.plan import Plan
    from loadgate_operator.reconcile.ledger import Ledger
    from loadgate_operator.reconcile.model import PodSeen
    from loadgate_operator.reconcile.runners import Runner
    from loadgate_operator.reconcile.view import View

STARTS_WITHIN = 5.0
"""Seconds that a container which runs may take until its control port answers; before that it is no trouble to tell."""


def waiting(view: View, armed: Mapping[int, PodSeen]) -> tuple[Reason, str]:
    """What the start waits for: the first thing that holds it up, and how many runners are armed."""
    count = view.test.spec.runners.count
    so_far = f"{len(armed)} of {count} runners are armed"
    reason, trouble = _trouble(view, armed)
    return reason, f"{so_far}; {trouble}" if trouble else so_far


def _trouble(view: View, armed: Mapping[int, PodSeen]) -> tuple[Reason, str]:
    pods = [pod for pod in view.seen.pods if pod.index not in armed and not pod.over and pod.deleting_since is None]
    for pod in pods:
        answer = view.seen.answers.get(pod.uid)
        if answer and answer.report and answer.report.state is RunnerState.FAILED:
            return Reason.RunnerNotArmed, f"pod {pod.name} can't run the plan: {answer.report.message}"
    for pod in pods:
        if pod.trouble:
            return pod.trouble[0], f"pod {pod.name}: {pod.trouble[1]}"
    if view.seen.trouble:
        return view.seen.trouble
    for pod in pods:
        answer = view.seen.answers.get(pod.uid)
        if pod.phase == "Running" and answer and answer.silent_for >= STARTS_WITHIN:
            return Reason.RunnerUnreachable, f"pod {pod.name} doesn't answer on its control port ({answer.fault})"
    ended = [pod for pod in view.seen.pods if pod.over and pod.index not in armed]
    if ended:
        pod = ended[-1]
        return Reason.WaitingForRunners, f"pod {pod.name} ended ({pod.exit or pod.phase})"
    return Reason.WaitingForRunners, ""


def arming(view: View, armed: Mapping[int, PodSeen]) -> RunnersStatus:
    """The runners before they are chosen."""
    return RunnersStatus(desired=view.test.spec.runners.count, ready=len(armed))


def of_chosen(runners: Sequence[Runner]) -> RunnersStatus:
    """The runners once they are chosen; a silent one may still come back, so it isn't lost, but isn't ready either."""
    stands = [runner.stand for runner in runners]
    lost = stands.count(Stand.LOST)
    return RunnersStatus(
        desired=len(runners),
        ready=len(runners) - lost - stands.count(Stand.SILENT),
        finished=stands.count(Stand.FINISHED),
        lost=lost,
    )


def under_load(view: View) -> str:
    """What a run that makes load is doing; without figures, so that it stays the same from look to look."""
    count = view.test.spec.runners.count
    return f"run {view.run.id}: {count} runner{'s' if count > 1 else ''} on {view.test.spec.target.url}"


def load(view: View, runners: Sequence[Runner]) -> Load:
    """The load at this moment."""
    at_it = [runner.snapshot for runner in runners if runner.snapshot and runner.stand is Stand.ACTIVE]
    vus = sum(snapshot.measurement.vus for snapshot in at_it)
    return Load(vus=vus, requests_per_second=round(view.seen.rate, 1) if at_it else 0.0)


def countable(plan: Plan) -> int:
    """How many iterations a run is over after, where that is so for each of its scenarios; else 0."""
    if plan.warmup or not all(isinstance(scenario.schedule, IterationSchedule) for scenario in plan.scenarios):
        return 0
    return sum(planned_iterations(scenario) or 0 for scenario in plan.scenarios)


def percent(view: View, ledger: Ledger, runners: Sequence[Runner]) -> int:
    """Percent of the planned time, or of the iterations where those end a run.

    It is 99 at most until the verdict, and never less than it was.
    """
    before = view.status.progress or 0
    if ledger.start_at is None or not ledger.duration:
        return before
    share = (view.now - ledger.start_at) / ledger.duration
    if ledger.iterations:
        share = max(share, sum(_iterations(runner) for runner in runners) / ledger.iterations)
    return max(before, min(99, int(share * 100)), 0)


def _iterations(runner: Runner) -> int:
    if runner.snapshot is None:
        return 0
    rows = runner.snapshot.measurement.iterations.values()
    return sum(stats.completed + stats.failed + stats.interrupted for stats in rows)
