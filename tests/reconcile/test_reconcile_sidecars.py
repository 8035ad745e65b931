"""Containers that others put beside a runner: they are waited for, never taken for the runner, and keep no run from ending."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from reconcile_world import World, load_test
from test_reconcile_decide import ARMED, NOW, answer, observed, seen

from loadgate.api.conditions import Outcome, Phase, Reason
from loadgate.api.status import LoadTestStatus
from loadgate.control import RunnerState
from loadgate_operator.cluster.port import Kind
from loadgate_operator.reconcile.clock import moment
from loadgate_operator.reconcile.decide import decide
from loadgate_operator.reconcile.ledger import Ledger
from loadgate_operator.reconcile.model import DeleteObject, Observed, Owned, PodSeen, RunSeen, Settings
from loadgate_operator.reconcile.pods import pod_seen

GRACE = Settings.lingering
ENDED = "2026-11-24T08:15:00Z"
SIDECAR = {"initContainers": [{"name": "istio-proxy", "restartPolicy": "Always"}, {"name": "istio-init"}]}

RUNNING = {"state": {"running": {}}, "ready": True}
STARTING = {"state": {"running": {}}, "ready": False}
TO_COME = {"state": {"waiting": {"reason": "PodInitializing"}}, "ready": False}


def over(code: int = 0, message: str = "") -> dict[str, Any]:
    """The state of a container that ended."""
    reason = "Completed" if code == 0 else "Error"
    ended = {"exitCode": code, "reason": reason, "message": message, "finishedAt": ENDED}
    return {"state": {"terminated": ended}, "ready": False}


def pod(phase: str, init: dict[str, Any] | None = None, **containers: dict[str, Any]) -> PodSeen:
    """A pod of a mesh, with the states of its containers."""

    def statuses(states: dict[str, Any] | None) -> list[dict[str, Any]]:
        return [{"name": name.replace("_", "-"), "image": "img", **state} for name, state in (states or {}).items()]

    raw = {
        "metadata": {"name": "p-0", "uid": "u", "labels": {"batch.kubernetes.io/job-completion-index": "0"}},
        "spec": SIDECAR,
        "status": {
            "phase": phase,
            "initContainerStatuses": statuses(init),
            "containerStatuses": statuses(containers),
        },
    }
    found = pod_seen(raw, NOW)
    assert found is not None
    return found


PULL = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
LOOP = {"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}, "restartCount": 3}


@pytest.mark.parametrize(
    ("init", "runner", "reason", "words"),
    [
        ({"istio_init": RUNNING, "istio_proxy": TO_COME}, TO_COME, None, ""),
        ({"istio_init": over(), "istio_proxy": STARTING}, TO_COME, Reason.SidecarNotReady, "istio-proxy isn't ready"),
        ({"istio_init": over(), "istio_proxy": LOOP}, TO_COME, Reason.SidecarNotReady, "back-off 10s"),
        ({"istio_init": over(), "istio_proxy": PULL}, TO_COME, Reason.ImagePullFailed, "img: no such image"),
        ({"istio_init": PULL, "istio_proxy": TO_COME}, TO_COME, Reason.ImagePullFailed, "no such image"),
        ({"istio_init": over(), "istio_proxy": RUNNING}, RUNNING, None, ""),
    ],
)
def test_a_sidecar_that_holds_a_pod_up_is_named(
    init: dict[str, Any], runner: dict[str, Any], reason: Reason | None, words: str
) -> None:
    """A native sidecar that isn't ready, or can't be pulled, is what the start waits for; one that is to come isn't."""
    found = pod("Pending", init, runner=runner)
    assert (found.trouble[0] if found.trouble else None) is reason
    assert words in (found.trouble[1] if found.trouble else "")


@pytest.mark.parametrize("sidecar", [RUNNING, STARTING, over(137, "killed"), {**RUNNING, "restartCount": 4}])
def test_a_sidecars_end_is_not_the_runners(sidecar: dict[str, Any]) -> None:
    """Whatever becomes of another container, the runner's pod is over when the runner is, and its exit is the runner's."""
    at_it = pod("Running", {"istio_proxy": sidecar}, runner=RUNNING, agent=sidecar)
    assert (at_it.over, at_it.exit, at_it.lingers) == (False, "", False)
    done = pod("Failed", {"istio_proxy": sidecar}, agent=sidecar, runner=over(3, "why\nbecause"))
    assert done.over
    assert done.exit == "Error, exit code 3, because"


def test_a_runner_that_ended_is_over_before_its_pod_is() -> None:
    """While the node still ends the sidecars there is no runner any more; only a second main container lingers."""
    ending = pod("Running", {"istio_proxy": RUNNING}, runner=over(1))
    assert (ending.over, ending.lingers) == (True, False)
    stuck = pod("Running", runner=over(1), agent=RUNNING)
    assert (stuck.over, stuck.lingers) == (True, True)
    assert not pod("Running", runner=over(), agent=over()).lingers


def test_a_pod_that_failed_before_its_runner_began_says_in_what() -> None:
    """An init container's failure is told as such."""
    failed = pod("Failed", {"istio_init": over(1, "no iptables")}, runner=TO_COME)
    assert failed.exit == "container istio-init: Error, exit code 1, no iptables"


def lingering(index: int, *, since: float) -> PodSeen:
    """A pod whose runner ended, and in which something else goes on."""
    uid = "ab"[index]
    return PodSeen(f"pod-{uid}", uid, index, "Running", exit="Error, exit code 1", ended_at=NOW - since, lingers=True)


def deleted(world: Observed) -> list[tuple[Kind, str]]:
    """What is removed at NOW."""
    return [(one.kind, one.name) for one in decide(world, NOW).actions if isinstance(one, DeleteObject)]


@pytest.mark.parametrize(("since", "removed"), [(GRACE - 1, []), (GRACE + 1, [(Kind.POD, "pod-b")])])
def test_a_pod_without_a_runner_makes_place_for_another(since: float, removed: list[Any]) -> None:
    """Before the load a pod in which only a sidecar is left is removed, so that its index gets a runner."""
    run = seen(*ARMED)
    run = replace(run, pods=(run.pods[0], lingering(1, since=since)), answers={"a": ARMED[0]})
    assert deleted(observed(Phase.Starting, run=run)) == removed


def test_a_runner_that_ends_in_mid_run_is_lost_at_once() -> None:
    """Its pod goes on for the sidecar's sake, but nobody waits for it, and it is said how the runner ended."""
    running = answer(0, "a", RunnerState.RUNNING), answer(1, "b", RunnerState.RUNNING)
    run = seen(*running, ledger=Ledger(chosen=("a", "b"), start_at=NOW - 5, duration=20.0))
    run = replace(run, pods=(run.pods[0], lingering(1, since=0)))
    status = decide(observed(Phase.Running, run=run), NOW).status
    assert status is not None
    assert status.runners is not None
    assert status.runners.lost == 1


def finished(*pods: PodSeen) -> Observed:
    """A run that passed a minute ago, and the pods that are left of it."""
    base = observed(Phase.Passed)
    assert base.status is not None
    assert base.status.run is not None
    run = base.status.run.model_copy(update={"finished_at": moment(NOW - 60), "verdict": Outcome.Passed})
    status = LoadTestStatus(phase=Phase.Passed, run=run)
    answers = {pod.uid: answer(pod.index, pod.uid, RunnerState.FINISHED) for pod in pods}
    left = RunSeen("r", "j", ledger=Ledger(chosen=("a", "b"), start_at=NOW - 90), pods=pods, answers=answers)
    owned = (Owned(Kind.JOB, "r", "j", "r", "runner", "t"), Owned(Kind.POD, "pod-a", "a", "r", "runner", "j"))
    return replace(base, status=status, run=left, owned=owned)


ALIVE = PodSeen("pod-b", "b", 1, "Running")
DONE = PodSeen("pod-b", "b", 1, "Succeeded", ended_at=NOW - 50)


@pytest.mark.parametrize(
    ("pods", "removed"),
    [
        ((lingering(0, since=GRACE + 1), DONE), [(Kind.JOB, "r")]),
        ((lingering(0, since=GRACE - 1), DONE), []),
        ((lingering(0, since=GRACE + 1), ALIVE), []),
        ((DONE,), []),
    ],
    ids=["lingers", "may end by itself", "another isn't done", "none lingers"],
)
def test_a_job_that_would_not_end_is_removed(pods: tuple[PodSeen, ...], removed: list[Any]) -> None:
    """After a run, pods that only a sidecar keeps alive go with their Job; all others stay as long as was asked for."""
    assert deleted(finished(*pods)) == removed


def test_it_is_looked_again_when_the_time_is_over() -> None:
    """A pod that may still end by itself is looked at when it has had its time."""
    after = decide(finished(lingering(0, since=GRACE - 4), DONE), NOW).requeue_after
    assert after is not None
    assert after <= 4


@pytest.mark.parametrize("ahead", [0.0, 7_200.0, -7_200.0])
def test_a_nodes_clock_changes_no_grace(ahead: float) -> None:
    """Other containers have their time after the runner whatever the node's clock says, and then make place."""
    world = World()
    world.put(load_test())
    world.until(Phase.Starting)
    world.advance(1)
    left = world.live()[0]
    left.left_with, left.mute_until = ahead, float("inf")
    seen_at = world.now
    while left.deleting_at is None:
        world.advance(world.reconcile() or 0.5)
        assert world.now - seen_at < 2 * GRACE
    assert left.deleting_at - seen_at == pytest.approx(GRACE, abs=1.5)
    assert world.settle()["phase"] == "Passed"
    world.close()
