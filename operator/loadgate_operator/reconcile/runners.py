"""How each chosen runner stands, from its pod and its answers: the one place that says who is finished, silent or lost.

Pure. Only pods that the ledger names count; one that Kubernetes put in their place is never a runner of the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from loadgate.control import RunnerState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from loadgate.metrics import Snapshot
    from loadgate_operator.collect.answers import RunnerAnswer
    from loadgate_operator.reconcile.model import PodSeen, RunSeen, Settings


class Stand(Enum):
    """Where a chosen runner stands."""

    ARMED = auto()
    """It waits to be started."""
    ACTIVE = auto()
    """It makes load, ends its iterations, or hasn't said yet how it stands."""
    FINISHED = auto()
    """Its last snapshot is here."""
    SILENT = auto()
    """Its pod is there, but it hasn't answered for too long; it may still make load."""
    LOST = auto()
    """Its pod is over, gone or replaced, and its last snapshot isn't here."""


@dataclass(frozen=True)
class Runner:
    """A chosen runner. `why` says what happened to it where it is lost or silent."""

    index: int
    uid: str
    stand: Stand
    pod: PodSeen | None
    answer: RunnerAnswer | None
    why: str = ""

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest snapshot that is known of it."""
        return self.answer.snapshot if self.answer else None

    @property
    def done(self) -> bool:
        """Whether it makes no load any more."""
        return self.stand in (Stand.FINISHED, Stand.LOST)

    @property
    def live(self) -> bool:
        """Whether it can be told something."""
        return self.pod is not None and not self.pod.over and self.stand not in (Stand.LOST, Stand.SILENT)


def chosen(run: RunSeen, now: float, settings: Settings) -> list[Runner]:
    """The runners of the ledger, by index."""
    pods = {pod.uid: pod for pod in run.pods}
    return [_stand(run, index, pods.get(uid), now, settings) for index, uid in enumerate(run.ledger.chosen)]


def _stand(run: RunSeen, index: int, pod: PodSeen | None, now: float, settings: Settings) -> Runner:
    uid = run.ledger.chosen[index]
    answer = run.answers.get(uid)
    stand, why = _judge(answer, pod, now, settings)
    if stand is Stand.LOST and (other := _replacement(run.pods, index, uid)):
        why = f"{why}; {other} took its place and was not started"
    return Runner(index, uid, stand, pod, answer, why)


def _judge(answer: RunnerAnswer | None, pod: PodSeen | None, now: float, settings: Settings) -> tuple[Stand, str]:
    state = answer.report.state if answer and answer.report else None
    there = pod is not None and not pod.over
    ended = answer and answer.snapshot and answer.snapshot.state == RunnerState.FINISHED
    # A live view may be of the last moment too; while the pod is there the whole of it can still be had.
    if ended and (state is RunnerState.FINISHED or not there):
        return Stand.FINISHED, ""
    if pod is None:
        return Stand.LOST, "its pod is gone"
    if pod.over:
        return Stand.LOST, f"pod {pod.name} ended ({pod.exit or pod.phase})"
    if pod.deleting_since is not None and now - pod.deleting_since > settings.silent_after:
        return Stand.LOST, f"pod {pod.name} was deleted"
    if answer is None:
        return Stand.ACTIVE, ""
    if answer.silent_since is not None:
        if answer.silent_for <= settings.silent_after:
            return Stand.ACTIVE, ""
        return Stand.SILENT, f"pod {pod.name} doesn't answer ({answer.fault or 'silent'})"
    if state is RunnerState.FAILED:
        return Stand.LOST, f"pod {pod.name} failed: {answer.report.message if answer.report else ''}"
    return (Stand.ARMED if state is RunnerState.ARMED else Stand.ACTIVE), ""


def _replacement(pods: Iterable[PodSeen], index: int, uid: str) -> str:
    return next((f"pod {pod.name}" for pod in pods if pod.index == index and pod.uid != uid and not pod.over), "")


def tolerance(duration: float) -> float:
    """How many seconds late a runner may begin without a doubt: a hundredth of the load, as for iterations that are
    missing, and what a message may take on a busy machine.
    """
    return max(0.1, duration / 100)


def patience(duration: float, settings: Settings) -> float:
    """How many seconds past a start that nobody has heard of it is planned anew: while it could still be made good,
    and never so late that it would be in doubt, as where an operator died between its ledger and its first word.
    """
    return min(settings.start_late, tolerance(duration))


def armed_pods(run: RunSeen) -> dict[int, PodSeen]:
    """The pod to choose of each index that has an armed one: the oldest, so that every pass chooses the same."""
    out: dict[int, PodSeen] = {}
    for pod in sorted(run.pods, key=lambda pod: (pod.created, pod.uid)):
        if not pod.over and pod.deleting_since is None and _says(run, pod.uid) is RunnerState.ARMED:
            out.setdefault(pod.index, pod)
    return out


def _says(run: RunSeen, uid: str) -> RunnerState | None:
    answer = run.answers.get(uid)
    if answer is None or answer.report is None or answer.silent_since is not None:
        return None
    return answer.report.state


def lowest_live(runners: Sequence[Runner]) -> Runner | None:
    """The runner that does what one does for all; None where nobody is left."""
    return next((runner for runner in runners if runner.live), None)
