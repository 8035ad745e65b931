"""The reconciler's small parts: the table of states, the ledger, the queue, and what pods say of themselves."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from loadgate.api.conditions import DoubtReason, Phase, Reason
from loadgate.verdict import Doubt
from loadgate_operator.cluster.port import Key, Kind
from loadgate_operator.reconcile import states
from loadgate_operator.reconcile.ledger import End, Ledger, LedgerError
from loadgate_operator.reconcile.pods import job_failed, job_trouble, pod_seen
from loadgate_operator.reconcile.queue import KeyQueue
from loadgate_operator.reconcile.summarise import bounded

A, B = Key(Kind.LOAD_TEST, "default", "a"), Key(Kind.LOAD_TEST, "default", "b")


def test_the_table_has_every_phase_once_and_each_can_be_reached_and_left() -> None:
    """No phase is a trap, and none is unreachable."""
    assert [state.phase for state in states.TABLE] == list(Phase)
    reached = {phase for state in states.TABLE for phase in state.to}
    assert reached == set(Phase)
    assert all(state.to and state.left_when and state.meaning for state in states.TABLE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Phase.Running, Phase.Starting),
        (Phase.Judging, Phase.Running),
        (Phase.Passed, Phase.Running),
        (Phase.Aborted, Phase.Passed),
        (Phase.Passed, Phase.Aborted),
    ],
)
def test_a_step_that_no_life_has_is_refused(before: Phase, after: Phase) -> None:
    """A bug in decide is stopped before anything is done of it."""
    with pytest.raises(states.IllegalTransitionError, match=f"from {before} to {after}"):
        states.check(before, after)


def test_staying_and_the_first_phase_are_steps_of_every_life() -> None:
    """A status may say again what it said, and begins with any phase."""
    for phase in Phase:
        states.check(phase, phase)
        states.check(None, phase)


def test_a_ledger_comes_back_as_it_was_written() -> None:
    """All that was put down is found again by the operator that comes next."""
    doubt = Doubt(DoubtReason.SetupFailed, "the setup failed", "setup")
    end = End("SetupFailed", "the setup failed", 12.5, graceful=True, doubt=doubt)
    ledger = Ledger(
        chosen=("a", "b"),
        start_at=10.25,
        duration=3.0,
        tail=1.0,
        setup=True,
        late=((1, 2.5),),
        teardown_by="a",
        end=end,
    )
    assert Ledger.decode(ledger.encode()) == ledger
    assert Ledger.decode(Ledger().encode()) == Ledger()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"chosen": 3}', "null"])
def test_what_is_no_ledger_is_refused(text: str) -> None:
    """An annotation that someone changed isn't taken for a decision of ours."""
    with pytest.raises(LedgerError):
        Ledger.decode(text)


def pod(**status: Any) -> dict[str, Any]:
    metadata = {"name": "p-0", "uid": "u", "labels": {"batch.kubernetes.io/job-completion-index": "0"}}
    return {"metadata": metadata, "spec": {}, "status": {"phase": "Pending", **status}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"containerStatuses": [{"name": "runner", "image": "img", "state": state}]}


TROUBLES: list[tuple[dict[str, Any], Reason | None, str]] = [
    ({}, None, ""),
    (
        {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}]},
        Reason.Unschedulable,
        "0/3 nodes",
    ),
    (waiting("ImagePullBackOff", "not found"), Reason.ImagePullFailed, "image img: not found"),
    (waiting("ErrImagePull"), Reason.ImagePullFailed, "ErrImagePull"),
    (waiting("CreateContainerConfigError", 'secret "s" not found'), Reason.SecretNotFound, 'secret "s"'),
    (waiting("CreateContainerConfigError", 'configmap "c" not found'), Reason.ConfigMapNotFound, 'configmap "c"'),
    (waiting("ContainerCreating"), None, ""),
    (
        {"phase": "Running", "containerStatuses": [{"name": "istio-proxy", "ready": False, "state": {"running": {}}}]},
        Reason.SidecarNotReady,
        "istio-proxy",
    ),
]


@pytest.mark.parametrize(("status", "reason", "words"), TROUBLES)
def test_what_keeps_a_pod_is_named(status: dict[str, Any], reason: Reason | None, words: str) -> None:
    """Whoever waits for a start reads what it waits for."""
    seen = pod_seen(pod(**status), 0.0)
    assert seen is not None
    assert (seen.trouble[0] if seen.trouble else None) is reason
    assert words in (seen.trouble[1] if seen.trouble else "")


def test_how_a_pod_ended_is_told() -> None:
    """The exit code and the last words are where someone looks first."""
    ended = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "message": "so long\nout of memory\n"}}
    seen = pod_seen(pod(phase="Failed", containerStatuses=[{"name": "runner", "state": ended}]), 0.0)
    assert seen is not None
    assert seen.over
    assert seen.exit == "OOMKilled, exit code 137, out of memory"


def test_a_pod_without_an_index_is_no_runner() -> None:
    """Someone's own pod with our label isn't taken for one."""
    stranger = pod()
    stranger["metadata"]["labels"] = {}
    assert pod_seen(stranger, 0.0) is None


def test_what_keeps_a_job_from_making_pods_is_found_in_its_events() -> None:
    """Kubernetes says it nowhere else; events about others are let be."""
    job = {"metadata": {"uid": "j"}}

    def event(uid: str, message: str, at: str) -> dict[str, Any]:
        about = {"involvedObject": {"uid": uid}, "lastTimestamp": at}
        return {**about, "reason": "FailedCreate", "message": message}

    events = [event("j", "exceeded quota: q", "2"), event("j", "denied by policy", "1"), event("x", "other", "3")]
    assert job_trouble(job, events) == (Reason.QuotaExceeded, "exceeded quota: q")
    assert job_trouble(job, events[1:]) == (Reason.PodRefused, "denied by policy")
    assert job_trouble(job, events[2:]) is None


def test_a_job_that_gave_up_says_why() -> None:
    """The Failed condition's reason and message."""
    failed = {"type": "Failed", "status": "True", "reason": "FailedIndexes", "message": "Job has failed indexes"}
    assert job_failed({"status": {"conditions": [failed]}}) == "FailedIndexes: Job has failed indexes"
    assert job_failed({}) == ""


async def test_a_key_is_taken_once_however_often_it_was_added() -> None:
    """Ten changes of an object are one look at it."""
    queue = KeyQueue()
    for _ in range(10):
        queue.add(A)
    queue.add(B)
    assert [await queue.take(), await queue.take()] == [A, B]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.take(), 0.01)


async def test_a_key_that_changes_while_it_is_worked_on_comes_again_afterwards() -> None:
    """Never two workers at one object, and no change is missed."""
    queue = KeyQueue()
    queue.add(A)
    await queue.take()
    queue.add(A)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.take(), 0.01)
    queue.done(A)
    assert await queue.take() == A


@pytest.mark.looptime
async def test_a_later_look_is_taken_at_its_time_or_at_a_change_before() -> None:
    """A timer never comes late, and doesn't come twice."""
    loop = asyncio.get_running_loop()
    queue = KeyQueue()
    queue.add_after(A, 10)
    queue.add_after(B, 100)
    begun = loop.time()
    assert await queue.take() == A
    assert loop.time() - begun == pytest.approx(10)
    queue.add(B)
    assert await queue.take() == B
    queue.done(B)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.take(), 200)
    queue.close()


def test_a_status_that_grows_too_large_loses_its_oldest_parts() -> None:
    """It stays under 32 KB whatever the test; the newest run and the busiest endpoint stay longest."""
    entry = {"number": 1, "verdict": "Passed", "p95": "1ms", "finishedAt": "2026-11-24T08:15:00Z"}
    history = [{**entry, "number": 1000 - n} for n in range(100)]
    endpoints = [{"name": f"{n}" * 150} for n in range(50)]
    small = bounded({"history": history, "endpoints": endpoints, "doubts": ["x" * 12_000]})
    assert len(orjson.dumps(small)) <= 32_000
    assert small["history"] == history[: len(small["history"])]
    assert small["endpoints"] == endpoints[: len(small["endpoints"])]
    assert 0 < len(small["history"]) < 100
    assert bounded({"history": history[:3]}) == {"history": history[:3]}
