"""Clocks that are set by hours, in the operator's pod and in runners' pods: the machine's own is never touched."""

import time
from datetime import datetime
from pathlib import Path

import pytest
from e2e_cluster import until

pytestmark = [pytest.mark.cluster, pytest.mark.processes, pytest.mark.timeout(400, func_only=True)]

STEPS = ["+3h", "-3h"]


@pytest.fixture(scope="module", autouse=True)
def _clocks(kube, helm, operator):
    """The operator and its runners with clocks of their own."""
    if not kube.local:
        pytest.skip("only in the cluster of tests/cluster can images be made")
    kube.tool("need", "faketime", seconds=300)
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    built = {
        part: kube.build(f"{image}-clock", "clock", image, files=[library])
        for part, image in (("operator", kube.operator_image), ("runner", kube.runner_image))
    }
    operator.install(helm, **built)
    yield
    operator.install(helm)


def clock_of(process):
    """The file in a process's own /tmp that says what its clock shows."""
    return Path("/proc", str(process), "root", "tmp", "clock")


@pytest.fixture
def clock(kube):
    """Sets the clock of a container; all are right again afterwards."""
    set_ones = []

    def set_to(pod, container, step):
        clock_of(kube.processes(pod, container)[0]).write_text(step)
        set_ones.append((pod, container))
        time.sleep(1.5)  # The library looks for it once a second.

    yield set_to
    for pod, container in set_ones:
        for process in kube.processes(pod, container)[:1]:
            clock_of(process).unlink(missing_ok=True)


def timely(status, began):
    """The run's times are those at which things happened, whatever a pod's clock said."""
    times = [
        datetime.fromisoformat(status["run"][name]).timestamp() for name in ("createdAt", "startedAt", "finishedAt")
    ]
    assert began - 5 <= times[0] <= times[1] <= times[2] <= time.time() + 5, status["run"]


@pytest.mark.parametrize("step", STEPS)
def test_the_operators_clock_is_set_in_mid_run(stage, clock, step):
    """A run whose operator's clock jumps by hours goes on to its end, is judged, and keeps its times."""
    began = time.time()
    stage.apply(seconds=8)
    stage.until_load()
    clock(stage.operator.pods()[0], "operator", step)
    status = stage.finish("Passed")
    timely(status, began)
    stage.removed()


@pytest.mark.parametrize("step", STEPS)
def test_an_operator_whose_clock_is_off_takes_over(stage, clock, step):
    """A run is finished by an operator whose clock is hours off that of the one that began it."""
    began = time.time()
    stage.apply(seconds=8)
    stage.until_load()
    pod = stage.operator.pods()[0]
    clock(pod, "operator", step)
    assert stage.operator.kill()
    until(lambda: stage.cluster.processes(pod, "operator"), 30)
    status = stage.finish("Passed")
    assert status["run"]["number"] == 1
    timely(status, began)
    stage.removed()


def test_the_runners_clocks_are_set_in_mid_run(stage, clock):
    """Runners whose clocks jump apart by hours make their load as planned, and count all of it."""
    before, began = stage.shop.requests(), time.time()
    stage.apply(seconds=8, count=len(STEPS))
    stage.until_load()
    for pod, step in zip(stage.pods(), STEPS, strict=True):
        clock(pod, "runner", step)
    status = stage.finish("Passed")
    assert status["summary"]["requests"] == stage.shop.requests() - before
    timely(status, began)
    stage.removed()
