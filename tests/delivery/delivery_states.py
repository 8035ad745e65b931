"""A LoadTest in every state that a pipeline can meet it in: how it comes to be, and how those who wait read it.

`fixtures` holds each as a real cluster had it (test_delivery_cluster.py records them). `made` makes the same with the
reconciler in memory, so that a status that drifts is noticed without a cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from reconcile_world import TEST, World, load_test

from loadgate.api.conditions import Phase

if TYPE_CHECKING:
    from collections.abc import Callable

FIXTURES = Path(__file__).parent / "fixtures"


@dataclass(frozen=True)
class State:
    """Argo CD's health, kstatus, the exit code of `loadgate wait` (None: it waits), and what is special of the spec."""

    health: str
    kstatus: str
    code: int | None
    spec: dict[str, Any]


STATES = {
    "unseen": State("Progressing", "InProgress", None, {}),
    "queued": State(
        "Progressing",
        "InProgress",
        None,
        {"secrets": {"password": {"secretKeyRef": {"name": "missing", "key": "password"}}}},
    ),
    "starting": State("Progressing", "InProgress", None, {}),
    "running": State("Progressing", "InProgress", None, {}),
    "judging": State("Progressing", "InProgress", None, {"teardown": {"steps": [{"think": "30s"}]}}),
    "suspended": State("Suspended", "Failed", 2, {"suspend": True}),
    "passed": State("Healthy", "Current", 0, {}),
    "failed": State("Degraded", "Failed", 1, {"thresholds": {"http_req_duration": ["p(95)<0.001"]}}),
    "invalid": State("Degraded", "Failed", 2, {"thresholds": {"nonsense": ["p(95)<1"]}}),
    "inconclusive": State("Degraded", "Failed", 3, {}),
    "aborted": State("Degraded", "Failed", 4, {}),
    "edited": State("Progressing", "InProgress", None, {}),
}


def fixture(state: str) -> dict[str, Any]:
    """The object in that state, as it is stored."""
    out: dict[str, Any] = orjson.loads((FIXTURES / f"{state}.json").read_bytes())
    return out


def conditions(obj: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """What machines read of it."""
    return {c["type"]: (c["status"], c["reason"]) for c in (obj.get("status") or {}).get("conditions", [])}


def made(state: str) -> dict[str, Any]:
    """The object in that state, made in memory."""
    world = World()
    try:
        world.put(load_test(**STATES[state].spec))
        _MOVES.get(state, World.settle)(world)
        return world.objects[TEST]
    finally:
        world.close()


def _queue(world: World) -> None:
    world.reconcile()
    world.reconcile()


def _start(world: World) -> None:
    world.until(Phase.Starting)
    while world.conditions["Reconciling"][1] != "WaitingForRunners":
        world.advance(0.1)
        world.reconcile()


def _judge(world: World) -> None:
    world.until(Phase.Running)
    for pod in world.pods.values():
        pod.teardown_hangs = True
    world.until(Phase.Judging)


def _suspend(world: World) -> None:
    world.until(Phase.Running)
    world.edit(lambda obj: obj["spec"].update(suspend=True))
    world.settle()


def _lose(world: World) -> None:
    world.until(Phase.Running)
    world.pods[min(world.pods)].phase = "Failed"
    world.settle()


def _edit(world: World) -> None:
    world.settle()
    world.edit(lambda obj: obj["spec"]["scenarios"][0].update(vus=6))


_MOVES: dict[str, Callable[[World], object]] = {
    "unseen": lambda _: None,
    "queued": _queue,
    "starting": _start,
    "running": lambda world: world.until(Phase.Running),
    "judging": _judge,
    "inconclusive": _lose,
    "aborted": _suspend,
    "edited": _edit,
}
