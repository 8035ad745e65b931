"""`decide` as a function: by rows of what is observed, with nothing but its arguments."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from reconcile_world import load_test

from loadgate.api.conditions import Cause, Outcome, Phase, Reason
from loadgate.api.status import LoadTestStatus, RunStatus
from loadgate.api.validate import validate_loadtest
from loadgate.control import BlockReport, BlockState, RunnerReport, RunnerState
from loadgate.metrics import Snapshot
from loadgate_operator.cluster.port import Kind
from loadgate_operator.collect.answers import RunnerAnswer
from loadgate_operator.reconcile.clock import moment
from loadgate_operator.reconcile.decide import decide
from loadgate_operator.reconcile.identity import spec_hash
from loadgate_operator.reconcile.ledger import End, Ledger
from loadgate_operator.reconcile.model import (
    Acknowledge,
    CreateRun,
    DeleteObject,
    Inputs,
    Observed,
    Owned,
    PodSeen,
    RecordEvent,
    RunSeen,
    RunSetup,
    RunTeardown,
    StartRunners,
    StopRunners,
    StoreResult,
    WriteLedger,
)
from loadgate_operator.reconcile.progress import STARTS_WITHIN

NOW = 1_764_000_100.0
STEPS = [{"request": {"name": "seed", "url": "/seed"}, "extract": {"id": {"json": "$.id"}}}]


def observed(phase: Phase | None = None, *, spec: dict[str, Any] | None = None, **parts: Any) -> Observed:
    """A LoadTest of two runners, with a run under way where a phase is given."""
    raw = load_test(**copy.deepcopy(spec or {}))
    raw["metadata"] |= {"uid": "t", "generation": 1}
    test = validate_loadtest(raw)
    run = RunStatus(id="r", number=1, spec_hash=spec_hash(test, Inputs()), created_at=moment(NOW - 10))
    status = LoadTestStatus(phase=phase, run=run) if phase else None
    return Observed("default", "checkout", load_test=raw, test=test, status=status, **parts)


def pods(*uids: str) -> tuple[PodSeen, ...]:
    """A running pod for each index."""
    return tuple(PodSeen(f"pod-{uid}", uid, index, "Running", created=uid) for index, uid in enumerate(uids))


def answer(index: int, uid: str, state: RunnerState, **parts: Any) -> RunnerAnswer:
    """What a runner says, just now."""
    report = RunnerReport(run="r", index=index, uid=uid, state=state, **parts)
    done = state in (RunnerState.FINISHED, RunnerState.RUNNING)
    snapshot = Snapshot("r", index, uid, 9, NOW, state.value, 20.0, complete=True) if done else None
    return RunnerAnswer(index, uid, report=report, snapshot=snapshot, answered_at=NOW)


def seen(*answers: RunnerAnswer, ledger: Ledger | None = None) -> RunSeen:
    """A run with the pods of these answers."""
    return RunSeen(
        job_name="r",
        job_uid="j",
        ledger=ledger or Ledger(),
        pods=pods(*(one.uid for one in answers)),
        answers={one.uid: one for one in answers},
    )


ARMED = (answer(0, "a", RunnerState.ARMED), answer(1, "b", RunnerState.ARMED))
BEGUN = Ledger(chosen=("a", "b"), start_at=NOW - 5, duration=20.0, tail=3.0)
RUNNING = (answer(0, "a", RunnerState.RUNNING), answer(1, "b", RunnerState.RUNNING))
FINISHED = (answer(0, "a", RunnerState.FINISHED), answer(1, "b", RunnerState.FINISHED))


def kinds(actions: Any) -> list[type]:
    """The kinds of actions in their order; events aside, which only tell people."""
    return [type(action) for action in actions if not isinstance(action, RecordEvent)]


SETUP_DONE = answer(0, "a", RunnerState.ARMED, setup=BlockReport(BlockState.DONE, {"id": "1"}))
SETUP_BEGUN = replace(BEGUN, start_at=None, setup=True)
ENDED = replace(BEGUN, end=End("Suspended", "spec.suspend is true", NOW, aborted=True))
TO_TEAR_DOWN = replace(BEGUN, teardown=True)
ROWS = {
    "a new test: the run is put into the status, and nothing is made": (observed(), Phase.Pending, []),
    "a run that was decided on is made": (observed(Phase.Pending), Phase.Starting, [CreateRun]),
    "a run whose status was never written isn't started": (
        observed(Phase.Pending, run=seen(*ARMED)),
        Phase.Starting,
        [],
    ),
    "not all are armed": (
        observed(Phase.Starting, run=seen(ARMED[0], answer(1, "b", RunnerState.ARMING))),
        Phase.Starting,
        [],
    ),
    "all are armed: put down, then told": (
        observed(Phase.Starting, run=seen(*ARMED)),
        Phase.Running,
        [WriteLedger, StartRunners],
    ),
    "all are armed, and there is setup": (
        observed(Phase.Starting, spec={"setup": {"steps": STEPS}}, run=seen(*ARMED)),
        Phase.Starting,
        [WriteLedger, RunSetup],
    ),
    "setup is done": (
        observed(Phase.Starting, spec={"setup": {"steps": STEPS}}, run=seen(SETUP_DONE, ARMED[1], ledger=SETUP_BEGUN)),
        Phase.Running,
        [WriteLedger, StartRunners],
    ),
    "load goes on": (observed(Phase.Running, run=seen(*RUNNING, ledger=BEGUN)), Phase.Running, []),
    "one hasn't heard of the start: put down as late, told": (
        observed(Phase.Running, run=seen(RUNNING[0], ARMED[1], ledger=BEGUN)),
        Phase.Running,
        [WriteLedger, StartRunners],
    ),
    "nobody has heard of the start: planned anew": (
        observed(Phase.Running, run=seen(*ARMED, ledger=BEGUN)),
        Phase.Running,
        [WriteLedger, StartRunners],
    ),
    "suspended: put down, then stopped": (
        observed(Phase.Running, spec={"suspend": True}, run=seen(*RUNNING, ledger=BEGUN)),
        Phase.Running,
        [WriteLedger, StopRunners],
    ),
    "the end is put down: nobody is told to start": (
        observed(Phase.Running, run=seen(RUNNING[0], ARMED[1], ledger=ENDED)),
        Phase.Running,
        [StopRunners],
    ),
    "all are finished": (
        observed(Phase.Running, run=seen(*FINISHED, ledger=BEGUN)),
        Phase.Inconclusive,
        [StoreResult, Acknowledge],
    ),
    "all are finished, and there is teardown": (
        observed(Phase.Running, spec={"teardown": {"steps": STEPS}}, run=seen(*FINISHED, ledger=TO_TEAR_DOWN)),
        Phase.Judging,
        [WriteLedger, RunTeardown],
    ),
}


@pytest.mark.parametrize(("world", "phase", "actions"), ROWS.values(), ids=ROWS)
def test_each_row_has_its_actions_and_its_phase(world: Observed, phase: Phase, actions: list[type]) -> None:
    """What is observed decides what is done, in this order, and what the status says of it."""
    decision = decide(world, NOW)
    assert kinds(decision.actions) == actions
    assert decision.status is not None
    assert decision.status.phase is phase
    assert decision.status.observed_generation == 1


@pytest.mark.parametrize("world", [row[0] for row in ROWS.values()], ids=ROWS)
def test_the_same_observation_is_decided_in_the_same_way(world: Observed) -> None:
    """Nothing is remembered and nothing that was observed is changed: asked twice, the answer is the same."""
    before = repr(world)
    assert decide(world, NOW) == decide(world, NOW)
    assert repr(world) == before


def test_the_claim_of_a_run_names_it_for_good() -> None:
    """The run's name is in the status before anything bears it; who asks again gets the same."""
    first, second = decide(observed(), NOW), decide(observed(), NOW + 60)
    assert first.status is not None
    assert second.status is not None
    assert first.status.run is not None
    assert second.status.run is not None
    assert first.status.run.id == second.status.run.id
    assert first.status.run.cause is Cause.Created
    assert first.requeue_after == 0


def test_an_end_that_was_put_down_decides_the_outcome() -> None:
    """A run that was called off is Aborted, also when all its runners had finished by then."""
    world = observed(Phase.Running, spec={"suspend": True}, run=seen(*FINISHED, ledger=ENDED))
    decision = decide(world, NOW)
    assert decision.status is not None
    assert decision.status.run is not None
    assert decision.status.run.verdict is Outcome.Aborted


def test_load_that_is_done_cannot_be_suspended_any_more() -> None:
    """There is nothing left to call off: it is judged."""
    world = observed(Phase.Running, spec={"suspend": True, "thresholds": {}}, run=seen(*FINISHED, ledger=BEGUN))
    decision = decide(world, NOW)
    assert decision.status is not None
    assert decision.status.phase is Phase.Passed


@pytest.mark.parametrize("deleting", [False, True])
def test_a_test_that_goes_loses_its_jobs_and_gets_no_status(*, deleting: bool) -> None:
    """Load ends before the garbage collector comes by."""
    job = Owned(Kind.JOB, "r", "j", "r", "runner", "t")
    world = observed(Phase.Running, owned=(job,))
    raw = {**world.load_test, "metadata": {**world.load_test["metadata"], "deletionTimestamp": "2026-11-24T08:00:00Z"}}
    decision = decide(replace(world, load_test=raw if deleting else None), NOW)
    assert decision.actions == (DeleteObject(Kind.JOB, "r", "j"),)
    assert decision.status is None


def test_another_runs_pods_are_waited_for() -> None:
    """A Job that is deleted leaves pods that make load for a while yet."""
    pod = Owned(Kind.POD, "old-0", "p", "old", "runner", "j")
    decision = decide(observed(Phase.Pending, owned=(pod,)), NOW)
    assert decision.status is not None
    assert decision.status.phase is Phase.Pending
    assert decision.status.conditions[0].reason == Reason.Queued
    assert kinds(decision.actions) == [DeleteObject]
    going = replace(pod, deleting=True)
    assert kinds(decide(observed(Phase.Pending, owned=(going,)), NOW).actions) == []


def test_a_start_is_told_only_until_it_would_be_too_late() -> None:
    """The action carries the last instant at which it may be done, so that a slow pass can't start load unnoticed."""
    decision = decide(observed(Phase.Starting, run=seen(*ARMED)), NOW)
    start = next(action for action in decision.actions if isinstance(action, StartRunners))
    assert NOW < start.at < start.until <= start.at + 0.2


def test_what_setup_extracted_shows_in_no_text() -> None:
    """The values may be secret: they go to the runners, and into no log line."""
    world, _, _ = ROWS["setup is done"]
    start = next(action for action in decide(world, NOW).actions if isinstance(action, StartRunners))
    assert start.setup == {"id": "1"}
    assert "'id'" not in repr(start)


@pytest.mark.parametrize(("silence", "reason"), [(0.5, "WaitingForRunners"), (STARTS_WITHIN, "RunnerUnreachable")])
def test_a_port_that_does_not_answer_yet_is_no_trouble(silence: float, reason: str) -> None:
    """A container that has just begun takes a moment; only one that stays silent is told of."""
    silent = RunnerAnswer(1, "b", silent_since=NOW - silence, silent_until=NOW, fault="connection refused")
    decision = decide(observed(Phase.Starting, run=seen(ARMED[0], silent)), NOW)
    (reconciling,) = [one for one in decision.status.conditions if one.type == "Reconciling"]
    assert reconciling.reason == reason
    assert "1 of 2 runners are armed" in reconciling.message
