"""Each doubt about ourselves, provoked for real: the kernel holds a runner to a limit, or a runner is stopped.

Whatever the limits of the test say, such a run ends, doesn't pass, doesn't blame the target, and says what to change.
"""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest
import whole_kit as kit
import whole_limits as limits

from loadgate_operator.embedded import Embedded, Options

pytestmark = pytest.mark.processes

HELD = {"http_req_failed": ["rate<0.5"], "http_req_duration": ["p(95)<60000"]}
"""Limits that would hold: without its doubt the run would pass."""
SCRIPT = {"configMapKeyRef": {"name": "journeys", "key": "main.py"}}
MIB = 1 << 20


def load_test(target, load, **more):
    """A test that tolerates nothing."""
    return kit.load_test(target, load, **{"thresholds": HELD, "tolerateDoubts": [], **more})


def journey(code):
    """A ConfigMap with a script."""
    return kit.config_map("journeys", main_py=code)


def doubted(status, reason):
    """The message of a doubt of an inconclusive run."""
    assert status["phase"] == "Inconclusive", status
    told = [doubt["message"] for doubt in status["doubts"] if doubt["reason"] == reason]
    assert told, status["doubts"]
    return " ".join(told)


async def judged(options, load, *objects, **more):
    """The status of a run in such surroundings."""
    async with kit.serving() as target, Embedded(options) as operator:
        return await kit.run(operator, *objects, load_test(target, load, **more))


BURN = """
async def journey(user):
    sum(range(1_000_000))
    await user.get("/")
"""


async def test_a_cpu_quota_is_a_doubt():
    """A journey that works hard in a quarter of a core uses all of it, and is stopped by the kernel again and again."""
    with limits.cpu_group(0.25) as group:
        load = kit.scenario("constant-vus", duration="5s", vus=4, script=SCRIPT)
        status = await judged(group.options(), load, journey(BURN))
    assert "limits.cpu" in doubted(status, "CPULimit")
    assert "(0.25 cores)" in doubted(status, "CPULimit")


FILL = """
HOLD = []
USAGE = {usage!r}

async def journey(user):
    while int(open(USAGE).read()) < {enough}:
        HOLD.append(b"x" * (1 << 20))
    await user.get("/")
    await user.think(0.05)
"""


async def test_memory_close_to_its_limit_is_a_doubt():
    """A journey that fills 95 % of what the control group may have, and goes on."""
    limit = 300 * MIB
    with limits.memory_group(limit) as group:
        script = FILL.format(usage=str(group.usage), enough=round(0.95 * limit))
        load = kit.scenario("constant-vus", vus=1, duration="4s", script=SCRIPT)
        status = await judged(group.options(), load, journey(script))
    assert "limits.memory" in doubted(status, "MemoryLimit")


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_runner_that_the_kernel_ends_for_its_memory_is_lost(processes):
    """A journey without bounds: whichever process is ended, the run is over soon, and it is said what it died of."""
    limit = 300 * MIB
    with limits.memory_group(limit) as group:
        script = FILL.format(usage=str(group.usage), enough=1 << 60)
        load = kit.scenario("constant-vus", vus=2, duration="60s", gracefulStop="0s", script=SCRIPT)
        status = await judged(group.options(), load, journey(script), processes=processes)
    told = doubted(status, "RunnerLost")
    assert "memory" in told
    assert processes == 1 or "out of memory" in told


async def test_too_few_open_files_are_a_doubt_and_not_the_targets_fault():
    """40 VUs that need 4 connections each where 110 files may be open: requests fail, and the target isn't blamed."""
    async with kit.serving() as target, kit.serving() as b, kit.serving() as c, kit.serving() as d:
        steps = [kit.get(f"{one.url}/", name="home") for one in (target, b, c, d)]
        load = kit.scenario("constant-vus", vus=40, duration="3s", steps=[*steps, {"think": "200ms"}])
        async with Embedded(limits.few_files(110)) as operator:
            test = load_test(target, load, thresholds={"http_req_failed": ["rate<0.01"]})
            status = await kit.run(operator, test)
    assert "ulimit -n" in doubted(status, "FileDescriptors")
    assert [one["source"] for one in status["violations"]] == ["threshold"]


async def test_too_few_ports_are_a_doubt_and_not_the_targets_fault():
    """80 VUs on a machine with 32 local ports: requests fail, and the target isn't blamed."""
    program = Path(__file__).with_name("whole_few_ports.py")
    status = json.loads(await asyncio.to_thread(limits.in_own_network, program))
    assert "ip_local_port_range" in doubted(status, "SourcePorts")
    assert [one["source"] for one in status["violations"]] == ["threshold"]


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (kit.scenario("constant-vus", vus=2, duration="8s", steps=[kit.get("/"), {"think": "20ms"}]), "LoopLag"),
        (kit.scenario("constant-arrival-rate", rate=50, duration="8s", preAllocatedVUs=200), "ScheduleSlip"),
    ],
    ids=["closed", "open"],
)
async def test_a_runner_that_is_stopped_for_a_while_is_a_doubt(load, reason):
    """SIGSTOP for 2 s of 8: what it measured is of its own standing still, in either model."""
    async with kit.serving() as target, Embedded(Options()) as operator:
        await operator.apply([load_test(target, load)])
        await kit.until(lambda: target.seen)
        await asyncio.sleep(1.0)
        runners = limits.runners_here()
        assert runners
        for runner in runners:
            os.kill(runner.pid, signal.SIGSTOP)
        await asyncio.sleep(2.0)
        for runner in runners:
            os.kill(runner.pid, signal.SIGCONT)
        status = await kit.verdict(operator)
    assert "spec.runners" in doubted(status, reason)


async def test_a_loop_that_a_journey_holds_is_a_doubt():
    """A script that sleeps without letting others have the loop, as a library that blocks does."""
    code = "import time\n\nasync def journey(user):\n    await user.get('/')\n    time.sleep(0.15)\n"
    load = kit.scenario("constant-vus", vus=2, duration="2s", script=SCRIPT)
    status = await judged(None, load, journey(code))
    assert "lagged by" in doubted(status, "LoopLag")


async def test_dropped_iterations_are_a_doubt():
    """20 a second of 0.5 s each by 2 VUs: 4 begin each second and 16 don't."""
    load = kit.scenario("constant-arrival-rate", rate=20, duration="3s", preAllocatedVUs=2, steps=[kit.get("/?ms=500")])
    status = await judged(None, load)
    assert "maxVUs" in doubted(status, "DroppedIterations")
