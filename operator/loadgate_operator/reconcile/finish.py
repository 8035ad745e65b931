"""The end of a run: what its runners measured is merged, judged and stored, and the status says what came of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import loadgate
from loadgate.api.conditions import DoubtReason, Outcome, Reason
from loadgate.api.status import ObjectRef, ResultRef, RunnersStatus
from loadgate.api.timestamps import format_timestamp
from loadgate.api.units import format_duration
from loadgate.metrics import Health, merge_all
from loadgate.plan import compile_plan, planned_iterations
from loadgate.report.result import Result, RunFacts, RunnerFacts
from loadgate.verdict import Doubt, doubts_of, judge, late_start, summarise
from loadgate_operator.manifests import names
from loadgate_operator.reconcile import summarise as rows
from loadgate_operator.reconcile.clock import moment
from loadgate_operator.reconcile.identity import limits_hash
from loadgate_operator.reconcile.model import Acknowledge, Decision, RecordEvent, StoreResult
from loadgate_operator.reconcile.runners import Stand, tolerance
from loadgate_operator.reconcile.settle import settle
from loadgate_operator.reconcile.verdicts import budget_manifests, manifest_of, verdict_changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadgate.metrics import Measurement
    from loadgate.plan import Plan
    from loadgate.verdict import Verdict
    from loadgate_operator.reconcile.ledger import Ledger
    from loadgate_operator.reconcile.model import Action
    from loadgate_operator.reconcile.runners import Runner
    from loadgate_operator.reconcile.view import View

_FINISHED, _LOST = "Finished", "Lost"


def over(view: View, runners: Sequence[Runner], ledger: Ledger, actions: Sequence[Action] = ()) -> Decision:
    """Close a run whose runners are all finished or lost, and go on to what follows.

    The result is stored before the status says so, and is never merged again once it is stored: the runners may be
    gone by then. A run whose spec is another one now leaves no result, since nothing says any more what it was of.
    """
    if view.problem or view.wanted != view.run.spec_hash:
        return _next(view, _called_off(view, runners, ledger), actions)
    stored = view.observed.result
    if stored is None or stored.result.run.id != view.run.id:
        result = _result(view, runners, ledger)
        judged_by = limits_hash(view.test, view.observed.budgets)
        keep = [StoreResult(view.run.id, view.run.number, result, judged_by)] if view.storable else []
    else:
        result, judged_by, keep = stored.result, stored.judged_by, []
    finished = _status(view, result, judged_by)
    said = RecordEvent(
        "Normal" if result.verdict.outcome is Outcome.Passed else "Warning",
        result.verdict.outcome.value,
        f"run {view.run.id}: {result.verdict.message}",
    )
    return _next(view, finished, [*actions, *keep, *acknowledge(view.run.id, runners), said])


def acknowledge(run: str, runners: Sequence[Runner]) -> list[Action]:
    """Let the finished runners go whose last snapshot is stored, or not wanted."""
    sequences = {
        runner.uid: runner.snapshot.sequence
        for runner in runners
        if runner.stand is Stand.FINISHED and runner.live and runner.snapshot
    }
    return [Acknowledge(run, sequences)] if sequences else []


def _next(view: View, status: dict[str, Any], actions: Sequence[Action]) -> Decision:
    """A run that is followed by another at once is never seen to be over: nobody who waits sees it fail in between."""
    following = settle(view.of(view.status.model_copy(update=status)), just_over=True)
    return replace(following, actions=(*actions, *following.actions))


def _called_off(view: View, runners: Sequence[Runner], ledger: Ledger) -> dict[str, Any]:
    measured = _measured(runners)
    message = ledger.end.message if ledger.end else view.changed
    times = {"load_ended_at": _load_ended(view, runners, ledger), "finished_at": moment(view.now)}
    run = view.run.model_copy(update={"verdict": Outcome.Aborted, **times})
    return {
        "run": run,
        "load": None,
        "runners": _counts(view, [runner.stand is Stand.FINISHED for runner in runners]),
        "summary": summarise(measured) if measured.requests else None,
        **rows.judged(view.stamp, Outcome.Aborted, Reason.Aborted, message),
    }


def _measured(runners: Sequence[Runner]) -> Measurement:
    """All that is known, also of runners that were lost: the doubts say what is missing."""
    return merge_all(runner.snapshot.measurement for runner in runners if runner.snapshot)


def _result(view: View, runners: Sequence[Runner], ledger: Ledger) -> Result:
    plan = compile_plan(view.test, run=view.run.id)
    measurement = _measured(runners)
    return Result(
        loadgate=loadgate.__version__,
        run=_facts(view, runners, ledger),
        manifest=manifest_of(view),
        budgets=budget_manifests(view.observed.budgets),
        plan=_plan_facts(plan),
        measurement=measurement,
        runners=tuple(_runner_facts(runner) for runner in runners),
        verdict=_verdict(view, plan, measurement, runners, ledger),
    )


def _load_ended(view: View, runners: Sequence[Runner], ledger: Ledger) -> datetime | None:
    """When the last runner that is known of stopped making load; None where no load was made."""
    elapsed = max((runner.snapshot.elapsed for runner in runners if runner.snapshot), default=0.0)
    if ledger.start_at is None or elapsed <= 0:
        return None
    return moment(min(ledger.start_at + elapsed, view.now))


def _facts(view: View, runners: Sequence[Runner], ledger: Ledger) -> RunFacts:
    started = view.now if ledger.start_at is None else ledger.start_at
    load_ended = _load_ended(view, runners, ledger)
    return RunFacts(
        id=view.run.id,
        number=view.run.number,
        cause=view.run.cause,
        started_at=format_timestamp(moment(started)),
        load_ended_at=format_timestamp(load_ended) if load_ended else "",
        finished_at=format_timestamp(moment(view.now)),
        spec_hash=view.run.spec_hash,
        test=view.observed.name,
        namespace=view.observed.namespace,
    )


def _plan_facts(plan: Plan) -> dict[str, Any]:
    return {
        "duration": plan.duration,
        "warmup": plan.warmup,
        "tail": plan.tail,
        "runners": plan.runners,
        "scenarios": [
            {"name": one.name, "executor": one.executor, "iterations": planned_iterations(one)}
            for one in plan.scenarios
        ],
    }


def _runner_facts(runner: Runner) -> RunnerFacts:
    return RunnerFacts(
        index=runner.index,
        uid=runner.uid,
        node=runner.pod.node if runner.pod else "",
        state=_FINISHED if runner.stand is Stand.FINISHED else _LOST,
        health=runner.snapshot.health if runner.snapshot else Health(),
    )


def _verdict(view: View, plan: Plan, measurement: Measurement, runners: Sequence[Runner], ledger: Ledger) -> Verdict:
    end = ledger.end
    spec = view.test.spec
    return judge(
        measurement,
        thresholds=spec.thresholds,
        budgets=view.observed.budgets,
        doubts=[
            *_doubts(plan, runners, ledger, view.settings.silent_after),
            *([end.doubt] if end and end.doubt else []),
        ],
        tolerated=spec.tolerate_doubts,
        crossed=end.crossed if end else (),
        aborted=end.message if end and end.aborted else "",
    )


def _doubts(plan: Plan, runners: Sequence[Runner], ledger: Ledger, silent_after: float) -> list[Doubt]:
    """A runner that went without a word is lost; silent is one whose pod was there and asked in vain until given up."""
    finished = [runner.snapshot for runner in runners if runner.stand is Stand.FINISHED and runner.snapshot]
    lost = [runner for runner in runners if runner.stand is not Stand.FINISHED]
    named = {r.index: f"runner {r.index} ({r.why})" for r in lost}
    silent = [named[r.index] for r in lost if r.answer and r.answer.silent_for > silent_after]
    gone = [name for name in named.values() if name not in silent]
    late = [
        late_start(f"runner {index} was told up to {format_duration(seconds)} late to begin", seconds)
        for index, seconds in ledger.late
        if seconds > tolerance(ledger.duration)
    ]
    return [*doubts_of(plan, finished, lost=gone, silent=silent, cut=ledger.end is not None), *late]


def job_deleted(run: str, runners: int) -> Doubt:
    """The run's Job was deleted while it was under way."""
    message = f"the Job of run {run} was deleted by someone, and its pods with it; run it again"
    return Doubt(DoubtReason.RunnerLost, message, f"{runners} of {runners}")


def _status(view: View, result: Result, judged_by: str) -> dict[str, Any]:
    """The changes that a result makes to the status."""
    kept = names.result_name(view.observed.name, view.run.number) if view.storable else None
    ended, finished = result.run.load_ended_at, result.run.finished_at
    times = {
        "load_ended_at": datetime.fromisoformat(ended) if ended else None,
        "finished_at": datetime.fromisoformat(finished),
    }
    changes: dict[str, Any] = {
        "run": view.run.model_copy(update=times),
        "load": None,
        "progress": view.status.progress if result.verdict.outcome is Outcome.Aborted else 100,
        "runners": _counts(view, [runner.state == _FINISHED for runner in result.runners]),
        "result": ResultRef(config_map_ref=ObjectRef(name=kept)) if kept else None,
    }
    return changes | verdict_changes(view.of(view.status.model_copy(update=changes)), result, judged_by)


def _counts(view: View, finished: Sequence[bool]) -> RunnersStatus:
    """Runners at the end: of those that were chosen, which handed over their results."""
    before = view.status.runners or RunnersStatus()
    if not finished:
        return before
    done = sum(finished)
    desired = max(before.desired, len(finished))
    return RunnersStatus(desired=desired, ready=done, finished=done, lost=len(finished) - done)
