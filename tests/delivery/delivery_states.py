"""A LoadTest in every state that a pipeline can meet it in, as the real reconciler wrote its status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconcile_world import TEST, World, load_test

from loadgate.api.conditions import Phase

if TYPE_CHECKING:
    from collections.abc import Callable


def _suspend(world: World) -> None:
    world.put(load_test())
    world.until(Phase.Running)
    world.edit(lambda obj: obj["spec"].update(suspend=True))
    world.settle()


def _lose(world: World) -> None:
    world.put(load_test())
    world.until(Phase.Running)
    world.pods[min(world.pods)].phase = "Failed"
    world.settle()


def _edited(world: World) -> None:
    world.put(load_test())
    world.settle()
    world.edit(lambda obj: obj["spec"]["scenarios"][0].update(vus=6))


def _to(phase: Phase, **spec: Any) -> Callable[[World], object]:
    def move(world: World) -> None:
        world.put(load_test(**spec))
        world.until(phase)

    return move


def _settled(**spec: Any) -> Callable[[World], object]:
    def move(world: World) -> None:
        world.put(load_test(**spec))
        world.settle()

    return move


STATES: dict[str, tuple[Callable[[World], object], str, str, int | None]] = {
    # state: how it comes to be, Argo CD's health, kstatus, the exit code of `loadgate wait` (None: it waits)
    "unseen": (lambda world: world.put(load_test()), "Progressing", "InProgress", None),
    "starting": (_to(Phase.Starting), "Progressing", "InProgress", None),
    "running": (_to(Phase.Running), "Progressing", "InProgress", None),
    "suspended": (_settled(suspend=True), "Suspended", "Failed", 2),
    "passed": (_settled(), "Healthy", "Current", 0),
    "failed": (_settled(thresholds={"http_req_duration": ["p(95)<0.001"]}), "Degraded", "Failed", 1),
    "invalid": (_settled(thresholds={"nonsense": ["p(95)<1"]}), "Degraded", "Failed", 2),
    "inconclusive": (_lose, "Degraded", "Failed", 3),
    "aborted": (_suspend, "Degraded", "Failed", 4),
    "edited": (_edited, "Progressing", "InProgress", None),
}


def made(state: str) -> dict[str, Any]:
    """The object in that state."""
    world = World()
    try:
        STATES[state][0](world)
        out: dict[str, Any] = world.objects[TEST]
        out["metadata"].setdefault("generation", 1)
        out.setdefault("status", {"observedGeneration": -1})
        return out
    finally:
        world.close()


def conditions(obj: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """What machines read of it."""
    return {c["type"]: (c["status"], c["reason"]) for c in obj["status"].get("conditions", [])}
