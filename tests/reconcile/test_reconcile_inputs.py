"""What runners' pods can't start without holds a run up by its name, whoever asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from reconcile_world import NAMESPACE, TEST, World, config_map, load_test

from loadgate.api.conditions import Phase
from loadgate.api.validate import validate_pods
from loadgate_operator.cluster.port import Key, Kind
from loadgate_operator.manifests.job import RunnerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

VOLUME = {
    "volumes": [{"name": "rows", "configMap": {"name": "rows"}}],
    "volumeMounts": [{"name": "rows", "mountPath": "/rows"}],
}
VARIABLE = {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "rows", "key": "a"}}}]}
SECRET = {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "user", "key": "a"}}}]}


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def reason(world: World) -> tuple[str, str]:
    """Why the run isn't further."""
    world.reconcile()
    world.reconcile()
    found = next(one for one in world.status["conditions"] if one["type"] == "Reconciling")
    return found["reason"], found["message"]


@pytest.mark.parametrize(
    ("pods", "wanted", "words"),
    [
        (VOLUME, "ConfigMapNotFound", "create ConfigMap rows: it is missing"),
        (VARIABLE, "ConfigMapNotFound", "create ConfigMap key rows/a: it is missing"),
        (SECRET, "SecretNotFound", "create Secret key user/a: it is missing"),
    ],
    ids=["volume", "variable", "secret"],
)
@pytest.mark.parametrize("whose", ["test", "installation"])
def test_what_is_missing_is_named(world: World, whose: str, pods: dict[str, Any], wanted: str, words: str) -> None:
    """A ConfigMap or Secret that pods need and isn't there is told before any pod is made, also where defaults name it."""
    if whose == "installation":
        world.settings = RunnerSettings(pods=validate_pods(pods))
        world.restart()
    world.put(load_test(runners={"count": 2, **(pods if whose == "test" else {})}))
    told, message = reason(world)
    assert told == wanted
    assert words in message
    assert not world.pods


def test_its_appearance_sets_the_run_off(world: World) -> None:
    """Once it is there the run begins, and new contents of it later are no other run."""
    world.put(load_test(runners={"count": 2, **VOLUME}))
    assert reason(world)[0] == "ConfigMapNotFound"
    world.put(config_map("rows", a="1"))
    assert world.until(Phase.Passed)["run"]["number"] == 1
    world.put(config_map("rows", a="2"))
    world.settle()
    assert world.status["run"]["number"] == 1


def test_other_pods_of_the_installation_are_for_the_next_run(world: World) -> None:
    """A run that is over isn't repeated because the operator begins anew with other defaults; the next one has them."""
    world.put(load_test())
    world.until(Phase.Passed)
    world.settings = RunnerSettings(pods=validate_pods({"nodeSelector": {"pool": "load"}}))
    world.restart()
    world.settle()
    assert world.status["run"]["number"] == 1
    world.edit(lambda test: test["metadata"].setdefault("annotations", {}).update({"loadgate.dev/rerun": "1"}))
    run = world.until(Phase.Running)["run"]
    assert run["number"] == 2
    job = world.objects[Key(Kind.JOB, NAMESPACE, run["id"])]
    assert job["spec"]["template"]["spec"]["nodeSelector"] == {"pool": "load"}
    assert TEST in world.objects
