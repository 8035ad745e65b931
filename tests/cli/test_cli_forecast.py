"""How much a plan will do, between bounds."""

from typing import Any

import pytest

from loadgate.api.documents import validate_loadtest
from loadgate.plan import Plan, compile_plan
from loadgate_cli.forecast import Bounds, expect, portion

GET = {"request": {"url": "/"}}
THINK = {"think": "1s..3s"}


def plan(scenario: dict[str, Any], runners: int = 1) -> Plan:
    """The plan of a test with one scenario."""
    scenario = {"name": "s", "steps": [GET], **scenario}
    spec = {"target": {"url": "http://h"}, "runners": {"count": runners}, "scenarios": [scenario]}
    raw = {"apiVersion": "loadgate.dev/v1alpha1", "kind": "LoadTest", "metadata": {"name": "t"}, "spec": spec}
    return compile_plan(validate_loadtest(raw), run="r")


@pytest.mark.parametrize(
    ("steps", "requests", "thinking"),
    [
        ([GET, GET, THINK], Bounds(2, 2), Bounds(1, 3)),
        ([{"repeat": {"times": 3, "steps": [GET, THINK]}}], Bounds(3, 3), Bounds(3, 9)),
        ([{"group": {"name": "g", "steps": [GET]}}, GET], Bounds(2, 2), Bounds(0, 0)),
        ([{"while": {"value": "${vu.id}", "is": ">3", "max": 5, "steps": [GET]}}], Bounds(0, 5), Bounds(0, 0)),
        ([{"if": {"value": "a", "is": "a", "then": [GET, THINK]}}], Bounds(0, 1), Bounds(0, 3)),
        ([{"if": {"value": "a", "is": "a", "then": [GET], "else": [GET, GET]}}], Bounds(1, 2), Bounds(0, 0)),
        ([{"choice": [{"steps": [GET]}, {"steps": [THINK]}, {"steps": [GET, GET]}]}], Bounds(0, 2), Bounds(0, 3)),
    ],
)
def test_one_iteration(steps: list[Any], requests: Bounds, thinking: Bounds):
    """Requests and thinking of an iteration, whichever way it goes."""
    (scenario,) = plan({"executor": "constant-vus", "duration": "1s", "steps": steps}).scenarios
    journey = expect(scenario).journey
    assert (journey.requests, journey.thinking) == (requests, thinking)


@pytest.mark.parametrize(
    ("scenario", "iterations"),
    [
        ({"executor": "shared-iterations", "vus": 2, "iterations": 7}, Bounds(0, 7)),
        ({"executor": "per-vu-iterations", "vus": 2, "iterations": 7}, Bounds(0, 14)),
        ({"executor": "constant-arrival-rate", "rate": 5, "duration": "3s", "preAllocatedVUs": 1}, Bounds(15, 15)),
        ({"executor": "constant-vus", "duration": "10s", "vus": 3}, Bounds(0, None)),
        ({"executor": "constant-vus", "duration": "10s", "vus": 3, "steps": [GET, THINK]}, Bounds(0, 33)),
    ],
)
def test_iterations_of_a_scenario(scenario: dict[str, Any], iterations: Bounds):
    """What is asked for is known; how often loops turn is bounded by thinking alone, or not at all."""
    assert expect(plan(scenario).scenarios[0]).iterations == iterations


def test_a_ramp_is_weighed_by_its_area():
    """VUs that come late begin fewer iterations."""
    stages = [{"duration": "10s", "target": 10}]
    ramp = plan({"executor": "ramping-vus", "startVUs": 0, "stages": stages, "steps": [THINK, GET]})
    assert expect(ramp.scenarios[0]).iterations.high == 45 + 10


@pytest.mark.parametrize("runners", [1, 2, 3, 7])
def test_portions_add_up(runners: int):
    """The runners' parts together are the whole."""
    whole = plan({"executor": "constant-arrival-rate", "rate": 7, "duration": "3s", "preAllocatedVUs": 5}, runners)
    parts = [portion(whole, runner) for runner in range(runners)]
    assert sum(part.vus for part in parts) == 5
    assert sum(part.iterations or 0 for part in parts) == 21


def test_a_python_journey_can_do_anything():
    """Nothing is claimed of code."""
    script = {"script": {"configMapKeyRef": {"name": "j", "key": "j.py"}}, "steps": None}
    (scenario,) = plan({"executor": "shared-iterations", "iterations": 3, **script}).scenarios
    assert expect(scenario).requests == Bounds(0, None)
