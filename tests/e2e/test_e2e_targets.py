"""Where load may go, as whoever installs the chart says it: the API server, the operator and the runners hold to it."""

import pytest
from e2e_cluster import until
from e2e_stage import SHOP

pytestmark = [pytest.mark.cluster, pytest.mark.processes, pytest.mark.timeout(600)]

ELSEWHERE = "http://192.0.2.1"
"""Nobody's address (RFC 5737)."""


@pytest.fixture
def restricted(stage, helm):
    """The stage, where load may go to the shop's namespace only."""
    stage.operator.install(helm, f"allowedTargets={{*.{SHOP}.svc}}", "admissionPolicy.enabled=true")
    yield stage
    stage.operator.install(helm)


def led(where):
    """Steps that go where a variable says, which only a runner sees."""
    rows = {"where": {"inline": [{"url": where}]}}
    steps = [{"request": {"name": "led", "url": "${data.where.url}"}}]
    scenario = {"name": "shop", "executor": "constant-vus", "vus": 2, "duration": "60s", "steps": steps}
    return {"data": rows, "scenarios": [scenario]}


def refusal(stage):
    """What the API server says against a target elsewhere; empty while it takes it."""
    try:
        stage.apply(target={"url": ELSEWHERE}, suspend=True)
    except AssertionError as error:
        return str(error)
    stage.removed()
    return ""


def test_the_chart_says_where_load_may_go(restricted):
    """A target elsewhere is refused at once, a step elsewhere before there is a run, a step led there by a runner; the shop passes."""
    stage = restricted
    assert "load may not go to" in until(lambda: refusal(stage), 60)

    scenario = {**stage.manifest()["spec"]["scenarios"][0], "steps": [{"request": {"name": "x", "url": ELSEWHERE}}]}
    stage.apply(scenarios=[scenario])
    status = stage.until_reason("TargetNotAllowed")
    assert "run" not in status
    assert "spec.scenarios[0].steps[0].request.url: load may not go to 192.0.2.1" in str(status["conditions"])
    stage.removed()

    before = stage.shop.requests()
    stage.apply(**led(ELSEWHERE))
    status = stage.until_phase("Inconclusive")
    assert {doubt["reason"] for doubt in status["doubts"]} - {"NoSamples"} == {"ConnectionDenied"}
    assert stage.shop.requests() == before
    stage.removed()

    stage.apply(seconds=2)
    stage.finish("Passed")
    stage.removed()
