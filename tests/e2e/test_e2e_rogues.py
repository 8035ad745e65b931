"""Runners that break the contract, against the real operator."""

from dataclasses import replace

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.processes, pytest.mark.timeout(400, func_only=True)]

NEVER_ARMED = ("garbage", "nonsense", "mute", "slow", "endless", "locked", "stranger", "failed")
NEVER_DONE = ("liar", "bomb", "quitter")
SETUP = {"setup": {"steps": [{"request": {"name": "seed", "url": "/products"}}]}}

ROGUES = {
    **{kind: {"startDeadline": "15s"} for kind in NEVER_ARMED},
    **{kind: {} for kind in NEVER_DONE},
    "wordy": {**SETUP, "startDeadline": "30s"},
    "names": {"thresholds": {"http_req_duration": ["p(95)<5000"]}},
    "honest": {},
}


@pytest.fixture(scope="module", autouse=True)
def _rogues(kube, helm, operator):
    """The operator with runners that do as their LoadTest is named."""
    if not kube.local:
        pytest.skip("only in the cluster of tests/cluster can images be made")
    runner = kube.build(f"{kube.runner_image}-rogue", "rogue", kube.runner_image, files=["rogue_runner.py"])
    operator.install(helm, runner=runner)
    yield
    operator.install(helm)


def restarts(stage):
    """How often the operator was begun anew."""
    return [status["restartCount"] for pod in stage.operator.pods() for status in pod["status"]["containerStatuses"]]


def test_runners_that_break_the_contract(stage):
    """All at once, beside an honest one: none is a pass but the honest one's, no status grows, and the operator lives."""
    stages = {kind: replace(stage, name=kind) for kind in ROGUES}
    for kind, spec in ROGUES.items():
        stages[kind].apply(seconds=6, **spec)
    # The honest one makes load that the others can't be blamed for: it is first to be over.
    stages["honest"].until_phase("Passed", seconds=90)
    for kind in (*NEVER_ARMED, *NEVER_DONE, "wordy"):
        status = stages[kind].finish("Inconclusive", seconds=180)
        assert status["doubts"], kind
        stages[kind].small()
    stages["names"].finish("Passed", seconds=60)
    stages["names"].small()
    assert restarts(stage) == [0]
    last = stages.pop("honest")
    for one in stages.values():
        one.cluster.delete("LoadTest", one.namespace, one.name)
    last.removed()  # it looks at the whole namespace, so all else is deleted by then
