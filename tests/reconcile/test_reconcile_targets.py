"""Where load may go, as the operator holds to it: nothing begins that leads elsewhere, and nothing passes that was led there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from reconcile_world import TEST, World, load_test

from loadgate.api.conditions import Phase
from loadgate_operator.cluster.port import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

ALLOWED = ("*.shop.svc", "10.0.0.0/8")


@pytest.fixture
def world() -> Iterator[World]:
    out = World(targets=ALLOWED)
    yield out
    out.close()


def at(url: str, **spec: Any) -> dict[str, Any]:
    """The test, with another target."""
    return load_test(target={"url": url}, **spec)


def narrow(world: World, *rules: str) -> None:
    """The platform restarts its operator with other rules."""
    world.targets = rules
    world.restart()


@pytest.mark.parametrize("url", ["http://192.0.2.1", "http://169.254.169.254/", "http://[::1]:8080"])
def test_a_target_that_is_not_allowed_starts_nothing(world: World, url: str) -> None:
    """The test is stalled with the path, what is allowed and what to change; there is no run, no Job and no plan."""
    world.put(at(url))
    status = world.settle()
    assert world.conditions == {
        "Stalled": ("True", "TargetNotAllowed"),
        "Ready": ("False", "TargetNotAllowed"),
        "Complete": ("False", "TargetNotAllowed"),
        "Passed": ("Unknown", "TargetNotAllowed"),
    }
    assert (status["phase"], status.get("run")) == ("Pending", None)
    assert world.message("Stalled").startswith("spec.target.url: load may not go to ")
    assert "allowedTargets" in world.message("Stalled")
    assert {key.kind for key in world.objects} == {Kind.LOAD_TEST}
    assert [reason for _, reason, _ in world.events] == ["TargetNotAllowed"]


def test_reserved_addresses_are_refused_without_any_rule(world: World) -> None:
    """An operator without rules lets load go anywhere but there."""
    narrow(world)
    world.put(at("http://169.254.169.254/latest"))
    world.settle()
    assert world.conditions["Stalled"] == ("True", "TargetNotAllowed")
    world.put(at("http://192.0.2.1"))
    assert world.settle()["phase"] == "Passed"


def test_every_url_that_is_written_out_counts(world: World) -> None:
    """A step that leads elsewhere outright is a fault with its own path; one that a template makes is the runners' to judge."""
    steps = [{"request": {"name": "home", "url": url}} for url in ("/", "http://192.0.2.1/x", "http://${vu.id}.evil/")]
    scenario = {"name": "browse", "executor": "constant-vus", "vus": 4, "duration": "20s", "steps": steps}
    world.put(at("http://a.shop.svc", scenarios=[scenario], setup={"steps": [steps[1]]}))
    world.settle()
    assert world.message("Stalled").startswith(
        "2 faults: spec.setup.steps[0].request.url: load may not go to 192.0.2.1"
    )
    assert "spec.scenarios[0].steps[1].request.url" in world.message("Stalled")


def test_a_target_that_is_allowed_runs_by_a_plan_with_the_rules(world: World) -> None:
    """What the operator holds to, the runners are told to hold to."""
    world.put(at("http://a.shop.svc"))
    world.until(Phase.Running)
    assert world.plan(world.jobs()[0]).allowed_targets == list(ALLOWED)
    assert world.settle()["phase"] == "Passed"


def test_a_name_that_may_resolve_into_a_network_is_left_to_the_runners(world: World) -> None:
    """Its address isn't known before."""
    world.put(at("http://elsewhere.example"))
    assert world.settle()["phase"] == "Passed"


def test_mending_the_target_starts_the_run(world: World) -> None:
    """No more than that is needed."""
    world.put(at("http://192.0.2.1"))
    world.settle()
    world.edit(lambda obj: obj["spec"]["target"].update(url="http://a.shop.svc"))
    assert world.settle()["phase"] == "Passed"


def test_an_edit_to_where_load_may_not_go_ends_the_run(world: World) -> None:
    """The run under way is called off as at any edit, and no other begins."""
    world.put(at("http://a.shop.svc"))
    world.until(Phase.Running)
    world.edit(lambda obj: obj["spec"]["target"].update(url="http://192.0.2.1"))
    status = world.settle()
    assert world.conditions["Stalled"] == ("True", "TargetNotAllowed")
    assert (status["run"]["number"], status["run"]["verdict"]) == (1, "Aborted")
    assert not any(pod.loads for pod in world.live())


def test_other_rules_count_from_the_next_run_on(world: World) -> None:
    """A run under way goes on by the rules that it began with, its verdict stands, and the next one is refused."""
    world.put(at("http://a.shop.svc"))
    world.until(Phase.Running)
    narrow(world, "b.shop.svc")
    assert world.settle()["phase"] == "Passed"
    assert world.settle()["phase"] == "Passed"
    world.edit(lambda obj: obj["metadata"].update(annotations={"loadgate.dev/rerun": "1"}))
    world.settle()
    assert world.conditions["Stalled"] == ("True", "TargetNotAllowed")
    narrow(world, *ALLOWED)
    assert world.settle()["run"]["number"] == 2
    assert world.status["phase"] == "Passed"


def test_a_run_that_has_no_job_yet_is_held_to_the_new_rules(world: World) -> None:
    """An operator that comes back with other rules makes nothing of what was only decided on."""
    world.put(at("http://a.shop.svc"))
    world.reconcile()
    assert world.status["run"]["number"] == 1
    narrow(world, "b.shop.svc")
    world.settle()
    assert world.conditions["Stalled"] == ("True", "TargetNotAllowed")
    assert world.jobs() == []


def test_limits_are_judged_again_whatever_the_rules_are_now(world: World) -> None:
    """That makes no load."""
    world.put(at("http://a.shop.svc"))
    world.settle()
    narrow(world, "b.shop.svc")
    world.edit(lambda obj: obj["spec"].update(thresholds={"http_req_duration": ["p(95)<1"]}))
    assert world.settle()["phase"] == "Failed"


def test_a_run_that_was_led_elsewhere_ends_at_once_and_never_passes(world: World) -> None:
    """One runner that denied a connection ends the load of all, and the verdict says where it led and what to change."""
    world.put(at("http://elsewhere.example", runners={"count": 3}))
    world.until(Phase.Running)
    pod = world.live()[1]
    pod.deny(world.now)
    pod.denied = 4
    began = world.now
    status = world.settle()
    assert world.now - began < 20
    assert status["phase"] == "Inconclusive"
    assert world.conditions["Stalled"] == ("True", "ConnectionDenied")
    assert world.conditions["Passed"] == ("False", "Inconclusive")
    assert world.message("Stalled").startswith("load may not go to evil.example; the run ended there")
    assert [doubt["figure"] for doubt in status["doubts"]] == ["4 connections denied"]


def test_denials_never_pass_where_nothing_was_asked_for(world: World) -> None:
    """Also a run that was over before the operator looked, and that no limit judges."""
    world.put(at("http://elsewhere.example", thresholds={}))
    world.until(Phase.Running)
    for pod in world.live():
        pod.denied = 1
        pod.finish(world.now, complete=False)
    assert world.settle()["phase"] == "Inconclusive"
    assert world.conditions["Stalled"] == ("True", "ConnectionDenied")


def test_a_run_that_was_led_elsewhere_is_not_tried_again(world: World) -> None:
    """`onInconclusive` is for what may go better another time."""
    world.put(at("http://elsewhere.example", onInconclusive={"retries": 3}))
    world.until(Phase.Running)
    world.live()[0].deny(world.now)
    status = world.settle()
    assert (status["run"]["number"], status["phase"]) == (1, "Inconclusive")
    assert world.conditions["Stalled"] == ("True", "ConnectionDenied")


def test_denials_cannot_be_tolerated(world: World) -> None:
    """`tolerateDoubts` is the test's own word, and this isn't the test's to say."""
    world.put(at("http://a.shop.svc", tolerateDoubts=["ConnectionDenied"]))
    world.settle()
    assert world.conditions["Stalled"] == ("True", "InvalidSpec")
    assert "spec.tolerateDoubts[0]: can't be tolerated" in world.message("Stalled")
    assert TEST in world.objects
