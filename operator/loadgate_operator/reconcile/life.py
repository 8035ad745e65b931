"""A run under way: its pods arm, are chosen, start together, make load, are watched, and end.

Everything that may be done only once is written to the ledger first, and done by what the ledger says: so a step that
is repeated after a crash is the same step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loadgate.api.conditions import Phase, Reason
from loadgate.control import BlockState
from loadgate.plan import compile_plan
from loadgate_operator.cluster.port import Kind
from loadgate_operator.reconcile import ends, progress
from loadgate_operator.reconcile.begin import lost_job
from loadgate_operator.reconcile.clock import moment
from loadgate_operator.reconcile.finish import over
from loadgate_operator.reconcile.ledger import End, Ledger
from loadgate_operator.reconcile.model import (
    Action,
    Decision,
    DeleteObject,
    RecordEvent,
    RunSetup,
    RunTeardown,
    StartRunners,
    StopRunners,
    WriteLedger,
)
from loadgate_operator.reconcile.runners import Runner, Stand, armed_pods, chosen, lowest_live, patience, tolerance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from loadgate_operator.reconcile.model import PodSeen
    from loadgate_operator.reconcile.view import View


def live(view: View) -> Decision:
    """Go on with a run that has a Job, or pods of one."""
    if not view.seen.job_uid:
        return lost_job(view)
    if not view.seen.ledger.chosen:
        return _arming(view)
    return _chosen(view, chosen(view.seen, view.now, view.settings))


def _write(view: View, ledger: Ledger) -> WriteLedger:
    return WriteLedger(view.seen.job_name, view.seen.job_uid, ledger)


def _end(view: View, ledger: Ledger, end: End) -> tuple[Ledger, list[Action]]:
    """Put down why the run ends; from here on nothing begins any more."""
    ended = replace(ledger, end=end)
    return ended, [_write(view, ended), RecordEvent("Warning", end.reason, f"run {view.run.id}: {end.message}")]


# Starting: until all are armed


def _arming(view: View) -> Decision:
    ledger = view.seen.ledger
    if ledger.end:
        return over(view, (), ledger)
    armed = armed_pods(view.seen)
    if end := ends.before_choice(view, armed):
        ended, actions = _end(view, ledger, end)
        return over(view, (), ended, actions)
    ready = view.status.phase is Phase.Starting
    if ready and len(armed) == view.test.spec.runners.count:
        return _choose(view, tuple(armed[index].uid for index in sorted(armed)))
    # Without this phase in the stored status nothing was ever started: what tells a Job that is still to be made from
    # one that was deleted. So it is written before any runner is chosen.
    reason, message = progress.waiting(view, armed)
    return view.under_way(
        Phase.Starting,
        reason,
        message,
        actions=[DeleteObject(Kind.POD, pod.name, pod.uid) for pod in view.seen.pods if _is_left_over(view, pod)],
        after=view.settings.starting if ready else 0.0,
        runners=progress.arming(view, armed),
    )


def _is_left_over(view: View, pod: PodSeen) -> bool:
    """Whether a pod without a runner keeps its index from getting another, since something else in it goes on."""
    ended_at = view.now if pod.ended_at is None else pod.ended_at
    return pod.lingers and pod.deleting_since is None and view.now - ended_at > view.settings.lingering


def _choose(view: View, uids: tuple[str, ...]) -> Decision:
    plan = compile_plan(view.test, run=view.run.id)
    ledger = Ledger(
        chosen=uids,
        start_at=None if plan.setup else view.now + view.settings.start_lead,
        duration=plan.duration,
        tail=plan.tail,
        warmup=plan.warmup,
        setup=bool(plan.setup),
        teardown=bool(plan.teardown),
        iterations=progress.countable(plan),
    )
    first: list[Action] = [RunSetup(view.run.id, uids[0])]
    if ledger.start_at is not None:
        first = _Start(view, ledger, ledger.start_at, {}).of(range(len(uids)), tolerance(ledger.duration))
    return _starting(view, ledger, [_write(view, ledger), *first])


def _starting(view: View, ledger: Ledger, actions: Sequence[Action]) -> Decision:
    runners = progress.of_chosen(chosen(replace(view.seen, ledger=ledger), view.now, view.settings))
    if ledger.start_at is None:
        return view.under_way(
            Phase.Starting,
            Reason.SettingUp,
            "runner 0 does the setup steps; load begins when they are done",
            actions=actions,
            after=view.settings.starting,
            runners=runners,
        )
    return view.under_way(
        Phase.Running,
        Reason.Running,
        progress.under_load(view),
        actions=actions,
        after=max(view.settings.starting, ledger.start_at - view.now),
        runners=runners,
        run=view.run.model_copy(update={"started_at": moment(ledger.start_at)}),
    )


# From the choice of the runners on


def _chosen(view: View, runners: list[Runner]) -> Decision:
    ledger, actions = view.seen.ledger, list[Action]()
    done = all(runner.done for runner in runners)
    if ledger.end is None and (end := ends.of_chosen(view, runners, done=done)):
        ledger, actions = _end(view, ledger, end)
    if not done and ledger.end:
        return _stopping(view, runners, ledger, ledger.end, actions)
    if done:
        return _after_load(view, runners, ledger, actions)
    if ledger.start_at is None:
        return _setting_up(view, runners, ledger)
    return _running(view, runners, ledger)


def _setting_up(view: View, runners: list[Runner], ledger: Ledger) -> Decision:
    report = runners[0].answer.report if runners[0].answer else None
    state = report.setup.state if report else None
    if report and state is BlockState.DONE:
        begun = replace(ledger, start_at=view.now + view.settings.start_lead)
        return _starting(view, begun, _start_anew(view, ledger, report.setup.values))
    ask = [RunSetup(view.run.id, runners[0].uid)] if state is BlockState.NONE else []
    return _starting(view, ledger, ask)


def _running(view: View, runners: list[Runner], ledger: Ledger) -> Decision:
    start_at = view.now if ledger.start_at is None else ledger.start_at
    actions = [*_start_waiting(view, runners, ledger, start_at), *_take_away_silent(runners)]
    left = start_at + ledger.duration - view.now
    return view.under_way(
        Phase.Running,
        Reason.Running,
        progress.under_load(view),
        actions=actions,
        after=max(view.settings.starting, min(view.settings.live, left)),
        runners=progress.of_chosen(runners),
        load=progress.load(view, runners),
        progress=progress.percent(view, ledger, runners),
        run=view.run.model_copy(update={"started_at": moment(start_at)}),
    )


def _start_waiting(view: View, runners: list[Runner], ledger: Ledger, start_at: float) -> list[Action]:
    """Tell those that still wait. Told again, a runner changes nothing; told late, it begins at its place.

    Where nobody has heard of a start that is past, as after a crash in the worst moment, it is planned anew.
    """
    values = setup_values(runners)
    if ledger.setup and values is None:
        return []
    waited = {runner.index: _waited(runner, start_at) for runner in runners if runner.stand is Stand.ARMED}
    if len(waited) == len(runners) and min(waited.values()) > patience(ledger.duration, view.settings):
        return _start_anew(view, ledger, values or {})
    in_time = tolerance(ledger.duration)
    due = [index for index, seconds in waited.items() if seconds <= in_time]
    behind = [index for index in waited if index not in due]
    start = _Start(view, ledger, start_at, values or {})
    return [*(start.of(due, in_time) if due else []), *(_start_behind(start, behind) if behind else [])]


def _waited(runner: Runner, start_at: float) -> float:
    """For how many seconds past the planned start a runner is known to have waited."""
    answered_at = runner.answer.answered_at if runner.answer else None
    return (start_at if answered_at is None else answered_at) - start_at


def _start_anew(view: View, ledger: Ledger, values: Mapping[str, Any]) -> list[Action]:
    again = replace(ledger, start_at=view.now + view.settings.start_lead)
    start = _Start(view, again, view.now + view.settings.start_lead, values)
    return [_write(view, again), *start.of(range(len(ledger.chosen)), tolerance(ledger.duration))]


def _start_behind(start: _Start, behind: list[int]) -> list[Action]:
    """Who is told too late is put down as such first, with the time until which it may be told."""
    late, view = dict(start.ledger.late), start.view
    now = view.now - start.at
    written: list[Action] = []
    if any(late.get(index, 0.0) < now for index in behind):
        late |= dict.fromkeys(behind, now + view.settings.late_margin)
        written = [_write(view, replace(start.ledger, late=tuple(sorted(late.items()))))]
    return [*written, *start.of(behind, min(late[index] for index in behind))]


@dataclass(frozen=True)
class _Start:
    """A planned start: at which instant, and with which values of setup."""

    view: View
    ledger: Ledger
    at: float
    values: Mapping[str, Any]

    def of(self, indexes: Iterable[int], late: float) -> list[Action]:
        """Tell these runners, at most so many seconds late."""
        uids = tuple(self.ledger.chosen[index] for index in indexes)
        return [StartRunners(self.view.run.id, uids, self.at, self.at + late, self.values)]


def setup_values(runners: Sequence[Runner]) -> Mapping[str, Any] | None:
    """What setup extracted; None while the runner that did it can't be asked."""
    report = runners[0].answer.report if runners and runners[0].answer else None
    return report.setup.values if report and report.setup.state is BlockState.DONE else None


def _take_away_silent(runners: list[Runner]) -> list[Action]:
    """When only silent runners are left, nobody waits for them any more: without its pod one makes no load for sure."""
    rest = [runner for runner in runners if not runner.done]
    if any(runner.stand is not Stand.SILENT for runner in rest):
        return []
    return _take_away(rest)


def _take_away(runners: Sequence[Runner]) -> list[Action]:
    pods = [runner.pod for runner in runners if runner.pod and runner.pod.deleting_since is None]
    return [DeleteObject(Kind.POD, pod.name, pod.uid) for pod in pods]


def _stopping(view: View, runners: list[Runner], ledger: Ledger, end: End, actions: list[Action]) -> Decision:
    """Stop who is still at it, hurry who takes too long, and take away who takes longer still."""
    rest = [runner for runner in runners if not runner.done]
    hurry_at = end.at + (ledger.tail if end.graceful else 0.0) + view.settings.stop_margin
    uids = tuple(runner.uid for runner in rest if runner.live)
    if uids:
        graceful = end.graceful and view.now <= hurry_at
        actions.append(StopRunners(view.run.id, uids, graceful=graceful, reason=end.message))
    gone = _take_away(rest) if view.now > hurry_at + view.settings.stop_margin else _take_away_silent(runners)
    phase = Phase.Starting if ledger.start_at is None else Phase.Running
    return view.under_way(
        phase,
        Reason.Stopping,
        f"run {view.run.id} is stopped: {end.message}",
        actions=[*actions, *gone],
        after=view.settings.starting,
        runners=progress.of_chosen(runners),
        load=progress.load(view, runners),
    )


# After the load


def _after_load(view: View, runners: list[Runner], ledger: Ledger, actions: list[Action]) -> Decision:
    had_setup = not ledger.setup or setup_values(runners) is not None
    began = ledger.start_at is not None or (ledger.setup and had_setup)
    if not ledger.teardown or not began:
        return over(view, runners, ledger, actions)
    if not ledger.teardown_by:
        return _begin_teardown(view, runners, ledger, actions)
    who = next((runner for runner in runners if runner.uid == ledger.teardown_by), None)
    report = who.answer.report if who and who.answer else None
    state = report.teardown.state if report else None
    if state is BlockState.DONE:
        return over(view, runners, ledger, actions)
    why = _teardown_fails(view, who, ledger, report.teardown.message if report and state is BlockState.FAILED else None)
    if why:
        said = RecordEvent("Warning", Reason.TeardownFailed, f"run {view.run.id}: teardown was not done: {why}")
        return over(view, runners, ledger, [*actions, said])
    if state is BlockState.NONE:
        actions.append(RunTeardown(view.run.id, ledger.teardown_by, setup_values(runners) or {}))
    return _tearing_down(view, runners, actions)


def _teardown_fails(view: View, who: Runner | None, ledger: Ledger, message: str | None) -> str:
    if message is not None:
        return message or "its steps failed"
    if who is None or who.pod is None or who.pod.over:
        return "the runner that did it is gone"
    if view.now > ledger.teardown_at + view.settings.teardown:
        return f"it took more than {view.settings.teardown:g}s"
    return ""


def _begin_teardown(view: View, runners: list[Runner], ledger: Ledger, actions: list[Action]) -> Decision:
    who = lowest_live(runners)
    if who is None:
        said = RecordEvent("Warning", Reason.TeardownFailed, f"run {view.run.id}: no runner is left to do the teardown")
        return over(view, runners, ledger, [*actions, said])
    asked = replace(ledger, teardown_by=who.uid, teardown_at=view.now)
    tell = RunTeardown(view.run.id, who.uid, setup_values(runners) or {})
    return _tearing_down(view, runners, [*actions, _write(view, asked), tell])


def _tearing_down(view: View, runners: list[Runner], actions: list[Action]) -> Decision:
    return view.under_way(
        Phase.Judging,
        Reason.TearingDown,
        "the load is over; one runner does the teardown steps",
        actions=actions,
        after=view.settings.starting,
        runners=progress.of_chosen(runners),
        load=None,
    )
