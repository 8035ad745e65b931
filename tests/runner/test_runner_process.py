"""A whole runner as a real process: armed, started, measured, acknowledged; and every way that can go otherwise."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import os
import signal
import socket
import sys

import httpx
import psutil
import pytest
import zstandard
from runner_processes import RUN, TOKEN, RunnerProcess, Target, plan_file, stalling_target, target

from loadgate.api.conditions import DoubtReason
from loadgate.control import LOG_PREFIX
from loadgate.metrics import Snapshot
from loadgate.plan import Plan
from loadgate.verdict import doubts_of

pytestmark = pytest.mark.processes

ITERATIONS = {"executor": "shared-iterations", "vus": 4, "iterations": 200}
STEADY = {"executor": "constant-vus", "vus": 4, "duration": "30s", "gracefulStop": "1s"}


@pytest.fixture
async def shop(tmp_path):
    """A target, a folder for plans, and the runners that a test started, which end with it."""
    server, url = await target()
    Target.requests = 0
    runners = []

    async def start(scenarios, *arguments, environ=None, at=url, how=None, **spec):
        plan = plan_file(tmp_path, at, scenarios, **spec)
        runner = await RunnerProcess.start(plan, *arguments, **(how or {}), **(environ or {}))
        runners.append(runner)
        return runner

    yield start
    for runner in runners:
        await runner.close()
    server.close()
    await server.wait_closed()


def _children(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


async def _gone(processes: list[psutil.Process], within: float = 5) -> None:
    async with asyncio.timeout(within):
        while any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes):  # noqa: ASYNC110 - the kernel changes it
            await asyncio.sleep(0.02)


def _iterations(snapshot: Snapshot) -> int:
    return sum(stats.completed for stats in snapshot.measurement.iterations.values())


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_a_run_from_arming_to_acknowledgement(shop, processes):
    """All iterations are made and measured, the last snapshot is served and logged, and then the runner ends with 0."""
    runner = await shop([ITERATIONS], "--processes", processes)
    await runner.until("Armed")
    assert (await runner.post("/start", in_seconds=0.05))["state"] == "Running"
    assert (await runner.post("/start", in_seconds=0.0))["state"] == "Running"
    report = await runner.until("Finished")
    snapshot = Snapshot.decode((await runner.http.get("/snapshot?view=full")).content)
    assert _iterations(snapshot) == 200 == Target.requests
    assert snapshot.complete
    assert snapshot.sequence == report["sequence"]
    assert snapshot.health.processes == int(processes)
    assert sum(piece.requests for piece in snapshot.measurement.slices.by_index.values()) == 200
    await runner.post("/ack", sequence=snapshot.sequence - 1)
    assert runner.process.returncode is None
    await runner.post("/ack", sequence=snapshot.sequence)
    code, out = await runner.wait()
    assert code == 0
    logged = out.removeprefix(LOG_PREFIX).strip()
    plain = zstandard.ZstdDecompressor().decompressobj().decompress(base64.b64decode(logged))
    assert Snapshot.decode(plain).encode() == snapshot.encode()
    assert not [line for line in runner.lines if TOKEN in line]


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_sigterm_ends_gracefully_and_still_hands_over(shop, processes):
    """A signal amid the load: what was measured so far is served until it is acknowledged; it isn't called complete."""
    runner = await shop([STEADY], "--processes", processes)
    await runner.until("Armed")
    await runner.post("/start", in_seconds=0.0)
    await asyncio.sleep(0.3)
    runner.process.send_signal(signal.SIGTERM)
    report = await runner.until("Finished", within=5)
    assert "SIGTERM" in report["message"]
    snapshot = Snapshot.decode((await runner.http.get("/snapshot")).content)
    assert 0 < _iterations(snapshot) == Target.requests
    assert not snapshot.complete
    await runner.post("/ack", sequence=snapshot.sequence)
    code, _ = await runner.wait()
    assert code == 0


async def test_nobody_reading_its_output_holds_nobody_up(shop):
    """A last snapshot larger than the pipe holds, and nobody reads: the port is served, and the runner ends."""
    out, into = os.pipe()
    fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, 4096)
    names = [{"request": {"name": f"page {i} {'x' * (i % 50)}", "url": f"/{i}"}} for i in range(300)]
    scenario = {**ITERATIONS, "iterations": 8, "steps": names}
    runner = await shop([scenario], "--processes", "1", how={"stdout": into})
    os.close(into)
    await runner.until("Armed")
    await runner.post("/start", in_seconds=0.0)
    report = await runner.until("Finished")
    snapshot = Snapshot.decode((await runner.http.get("/snapshot")).content)
    assert snapshot.sequence == report["sequence"]
    await runner.post("/ack", sequence=report["sequence"])
    async with asyncio.timeout(10):
        assert await runner.process.wait() == 0
    assert len(os.read(out, 65536)) == 4096
    os.close(out)


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_a_second_signal_ends_at_once_and_leaves_nobody(shop, processes):
    """Told twice, a runner goes without handing over, and so do its children."""
    runner = await shop([STEADY], "--processes", processes)
    await runner.until("Armed")
    await runner.post("/start", in_seconds=0.0)
    await asyncio.sleep(0.2)
    children = _children(runner.process.pid)
    runner.process.send_signal(signal.SIGINT)
    await runner.until("Finished", "Stopping")
    runner.process.send_signal(signal.SIGTERM)
    code, _ = await runner.wait(within=5)
    assert code == 128 + signal.SIGINT
    await _gone(children)


async def test_a_signal_before_the_start_ends_without_a_result(shop):
    """An armed runner that is told to end has nothing to hand over, and says by its exit code that it did nothing."""
    runner = await shop([STEADY])
    await runner.until("Armed")
    runner.process.send_signal(signal.SIGTERM)
    code, out = await runner.wait(within=5)
    assert (code, out) == (128 + signal.SIGTERM, "")


async def test_a_signal_before_the_plan_is_read_ends_at_once(tmp_path):
    """A runner listens from its first moment on: as a container's first process it would else not get the signal."""
    plan = tmp_path / "plan"
    os.mkfifo(plan)
    environ = {**os.environ, "LOADGATE_RUN": RUN, "LOADGATE_TOKEN": TOKEN, "LOADGATE_POD_UID": "pod-1"}
    arguments = ("-m", "loadgate_runner", "--plan", str(plan), "--files", str(tmp_path), "--port", "0")
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, env=environ)
    waiting = await asyncio.to_thread(os.open, plan, os.O_WRONLY)
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(5):
        assert await process.wait() == 128 + signal.SIGTERM
    os.close(waiting)


async def test_sigkill_of_the_runner_leaves_no_child(shop):
    """Children die with their parent even when it could not say a word."""
    runner = await shop([STEADY], "--processes", "2")
    await runner.until("Armed")
    await runner.post("/start", in_seconds=0.0)
    children = _children(runner.process.pid)
    assert len(children) == 2
    runner.process.kill()
    await _gone(children)


async def test_sigkill_of_a_child_is_noticed_and_said(shop):
    """The runner fails with a message that names the process, and what the others measured is still there."""
    runner = await shop([STEADY], "--processes", "2")
    await runner.until("Armed")
    await runner.post("/start", in_seconds=0.0)
    await asyncio.sleep(0.3)
    children = _children(runner.process.pid)
    children[0].kill()
    report = await runner.until("Failed", within=10)
    assert "process" in report["message"]
    assert "SIGKILL" in report["message"]
    snapshot = Snapshot.decode((await runner.http.get("/snapshot")).content)
    assert not snapshot.complete
    assert _iterations(snapshot) > 0
    await runner.post("/ack", sequence=snapshot.sequence)
    code, _ = await runner.wait(within=5)
    assert code == 1
    await _gone(children)


async def test_a_child_lost_while_armed_fails_the_start(shop):
    """There is no load by half of the processes: the runner has failed as soon as it is to begin."""
    runner = await shop([STEADY], "--processes", "2")
    await runner.until("Armed")
    children = _children(runner.process.pid)
    children[1].kill()
    await _gone(children[1:])
    await runner.post("/start", in_seconds=0.0)
    report = await runner.until("Failed", within=10)
    assert "SIGKILL" in report["message"]


async def test_a_runner_that_dies_with_its_parent_does(shop):
    """With --die-with-parent a SIGKILL of whoever started the runner ends it and its children."""
    shell = ("sh", "-c", 'python=$0; "$python" "$@" & wait', os.sys.executable)
    runner = await shop([STEADY], "--die-with-parent", "--processes", "2", how={"wrapper": shell})
    await runner.until("Armed")
    family = _children(runner.process.pid)
    assert len(family) == 3
    runner.process.kill()
    await _gone(family)


async def test_a_runner_whose_parent_is_gone_already_ends_before_it_begins(shop):
    """Told to die with a process that isn't its parent (any more), it goes at once."""
    runner = await shop([STEADY], "--die-with-parent=1")
    code, _ = await runner.wait(within=10)
    assert code == 1
    assert runner.lines == []


async def test_a_port_in_use_is_one_clear_line_and_exit_2(shop):
    """Nothing is armed when the control port can't be had."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        runner = await shop([ITERATIONS], "--port", str(taken.getsockname()[1]))
        code, _ = await runner.wait(within=10)
    assert code == 2
    assert len(runner.lines) == 1
    assert "cannot listen" in runner.lines[0]


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"LOADGATE_TOKEN": ""}, "LOADGATE_TOKEN"),
        ({"LOADGATE_RUN": "another-1-zzzzz"}, "another-1-zzzzz"),
        ({"LOADGATE_INDEX": "7"}, "LOADGATE_INDEX"),
        ({"LOADGATE_INDEX": "x"}, "LOADGATE_INDEX"),
        ({"LOADGATE_CPU_LIMIT": "many"}, "LOADGATE_CPU_LIMIT"),
    ],
)
async def test_what_a_runner_is_told_wrongly_is_one_clear_line_and_exit_2(shop, environ, told):
    """Faults of the environment are named before anything else is done."""
    runner = await shop([ITERATIONS], environ=environ)
    code, _ = await runner.wait(within=10)
    assert code == 2
    assert len(runner.lines) == 1
    assert told in runner.lines[0]


async def test_too_few_descriptors_fail_before_load_begins(shop):
    """More VUs than the limit allows: Failed, with how many are needed and what to do; exit 2 once acknowledged."""
    many = {"executor": "constant-vus", "vus": 1_000_000, "duration": "1s"}
    runner = await shop([many], "--processes", "1")
    report = await runner.until("Failed")
    assert "file descriptors" in report["message"]
    assert (await runner.post("/start", in_seconds=0.0))["state"] == "Failed"
    await runner.post("/ack", sequence=report["sequence"] or 1)
    code, _ = await runner.wait()
    assert code == 2
    assert Target.requests == 0


@pytest.mark.parametrize("most", [999_999, 10])
async def test_descriptors_are_counted_by_the_pool_where_there_is_one(shop, most):
    """A million VUs that share ten connections arm; that they share too many is told of the pool, and what to do."""
    many = {"executor": "constant-vus", "vus": 1_000_000, "duration": "1s"}
    pooled = {"url": "http://127.0.0.1:9", "connection": {"maxConnections": most}}
    runner = await shop([many], "--processes", "1", target=pooled)
    report = await runner.until("Failed" if most > 10 else "Armed")
    assert (report["message"] or "").startswith("999999 connections for 1000000 VUs need 1000063 file desc") is (
        most > 10
    )


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_a_file_that_is_not_there_fails_the_arming(shop, processes):
    """What can't be compiled is said with its scenario, before load begins."""
    file = {"configMapKeyRef": {"name": "bodies", "key": "cart.json"}}
    steps = [{"request": {"name": "cart", "method": "POST", "url": "/cart", "file": file}}]
    runner = await shop([{**ITERATIONS, "steps": steps}], "--processes", processes)
    report = await runner.until("Failed")
    assert "s0" in report["message"]
    assert "cart.json" in report["message"]


async def test_a_source_that_is_not_the_runners_fails_the_arming(shop):
    """Before any load, and by its field."""
    where = {"url": "http://127.0.0.1:1", "connection": {"sourceAddresses": ["127.0.0.1", "192.0.2.1"]}}
    runner = await shop([ITERATIONS], "--processes", "1", target=where)
    report = await runner.until("Failed")
    assert "sourceAddresses: no connection can come from 192.0.2.1" in report["message"]


async def test_a_run_goes_to_a_unix_socket(shop, tmp_path):
    """All requests of a run, and none to the host that the target's URL has."""
    server = await asyncio.get_running_loop().create_unix_server(Target, str(tmp_path / "shop.sock"))
    where = {"url": "http://shop.invalid", "connection": {"unixSocket": str(tmp_path / "shop.sock")}}
    runner = await shop([ITERATIONS], "--processes", "1", target=where)
    await runner.until("Armed")
    await runner.post("/start", in_seconds=0.05)
    await runner.until("Finished")
    snapshot = Snapshot.decode((await runner.http.get("/snapshot?view=full")).content)
    assert _iterations(snapshot) == 200 == Target.requests
    server.close()


STUBBORN = """
import asyncio

async def journey(user):
    while True:
        try:
            await user.get("/")
            await asyncio.sleep(60)
        except BaseException:
            pass
"""


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_a_journey_that_withstands_everything_holds_nobody_up(shop, tmp_path, processes):
    """A script that catches its own cancelling: the run ends all the same, the log says so, the process goes."""
    (tmp_path / "journeys").mkdir()
    (tmp_path / "journeys" / "stubborn.py").write_text(STUBBORN)
    script = {"configMapKeyRef": {"name": "journeys", "key": "stubborn.py"}}
    vus = {"executor": "constant-vus", "vus": 2, "duration": "300ms", "gracefulStop": "0s", "script": script}
    runner = await shop([vus], "--processes", processes)
    await runner.until("Armed")
    await runner.post("/start", in_seconds=0.0)
    report = await runner.until("Finished", within=15)
    assert any("went on after they were cancelled" in line for line in runner.lines)
    await runner.post("/ack", sequence=report["sequence"])
    code, _ = await runner.wait(within=5)
    assert code == 0


async def test_setup_and_teardown_are_done_once_by_who_is_told(shop):
    """Setup's values come back in the state, reach the iterations, and nothing of either is measured."""
    setup = {"steps": [{"request": {"name": "seed", "url": "/seed"}, "extract": {"item": {"json": "$.id"}}}]}
    steps = [{"request": {"name": "item", "url": "/item/${setup.item}"}, "check": {"json": {"$.id": "7"}}}]
    runner = await shop(
        [{**ITERATIONS, "iterations": 10, "steps": steps}],
        "--processes",
        "2",
        setup=setup,
        teardown={"steps": [{"request": {"name": "clean", "url": "/clean"}}]},
    )
    await runner.until("Armed")
    await runner.post("/setup")
    await runner.post("/setup")
    report = await runner.until_block("setup")
    assert report["setup"]["values"] == {"item": "7"}
    await runner.post("/start", in_seconds=0.0, setup=report["setup"]["values"])
    report = await runner.until("Finished")
    await runner.post("/teardown", setup={"item": "7"})
    await runner.until_block("teardown")
    snapshot = Snapshot.decode((await runner.http.get("/snapshot")).content)
    assert {dict(tags)["name"] for tags in snapshot.measurement.requests} == {"item"}
    assert sum(stats.passes for stats in snapshot.measurement.checks.values()) == 10
    assert Target.requests == 12


async def test_a_stall_is_charged_to_all_that_it_held_up(shop):
    """200 a second for 3 s against a target that freezes for 1 s: a third of all wait, on average half a second."""
    server, url = await stalling_target(after=1.0, seconds=1.0)
    rate = {"executor": "constant-arrival-rate", "rate": 200, "duration": "3s", "preAllocatedVUs": 250}
    runner = await shop([rate], "--processes", "1", at=url)
    await runner.until("Armed")
    await runner.post("/start", in_seconds=0.0)
    await runner.until("Finished")
    snapshot = Snapshot.decode((await runner.http.get("/snapshot")).content)
    server.close()
    stats = snapshot.measurement.select_requests()
    assert stats.duration.count == 600
    assert 0.2 * 1e6 < stats.duration.quantile(0.8) < 0.7 * 1e6
    assert stats.duration.quantile(0.99) > 0.9 * 1e6


async def test_one_slow_connection_shows_corrected_and_uncorrected_times(shop):
    """With a single VU the same stall drops arrivals, and they are counted: begun and dropped make the whole."""
    server, url = await stalling_target(after=0.5, seconds=0.5)
    rate = {"executor": "constant-arrival-rate", "rate": 100, "duration": "2s", "preAllocatedVUs": 1}
    runner = await shop([rate], at=url)
    await runner.until("Armed")
    await runner.post("/start", in_seconds=0.0)
    await runner.until("Finished")
    snapshot = Snapshot.decode((await runner.http.get("/snapshot")).content)
    server.close()
    (stats,) = snapshot.measurement.iterations.values()
    assert stats.completed + stats.dropped == 200
    assert stats.dropped >= 40
    assert sum(piece.dropped for piece in snapshot.measurement.slices.by_index.values()) == stats.dropped


async def test_messages_of_others_are_refused(shop):
    """No token or a wrong one is 401, another run's message 409, nonsense 400, and none of them changes anything."""
    runner = await shop([ITERATIONS], "--processes", "1")
    await runner.until("Armed")
    async with httpx.AsyncClient(base_url=runner.url, trust_env=False) as stranger:
        for path in ("/state", "/snapshot", "/nowhere"):
            assert (await stranger.get(path)).status_code == 401
        wrong = await stranger.post("/start", headers={"Authorization": "Bearer x"}, json={"run": RUN, "in_seconds": 0})
        assert wrong.status_code == 401
        assert (await stranger.get("/healthz")).status_code == 200
        assert (await stranger.get("/metrics")).status_code == 200
    assert (await runner.http.post("/start", json={"run": "other-1-x", "in_seconds": 0})).status_code == 409
    assert (await runner.http.post("/start", content=b"{")).status_code == 400
    assert (await runner.http.post("/start", json={"run": RUN, "in_seconds": -1})).status_code == 400
    assert (await runner.http.post("/start", json={"run": RUN})).status_code == 400
    assert (await runner.http.get("/start")).status_code == 405
    assert (await runner.http.get("/nowhere")).status_code == 404
    assert (await runner.get("/state"))["state"] == "Armed"


async def test_a_runner_that_is_held_up_before_its_start_says_how_late_it_began(shop, tmp_path):
    """Told to begin in 0.5 s and stopped for 1.5 s: it begins a second late, and says so; that alone is a doubt."""
    runner = await shop([{**STEADY, "duration": "3s"}], "--processes", "1")
    await runner.until("Armed")
    await runner.post("/start", in_seconds=0.5)
    runner.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(1.5)
    runner.process.send_signal(signal.SIGCONT)
    await runner.until("Finished")
    snapshot = Snapshot.decode((await runner.http.get("/snapshot")).content)
    assert 0.9 < snapshot.health.began_late < 3
    plan = Plan.decode((tmp_path / "plan.json").read_bytes())
    assert DoubtReason.LateStart in [doubt.reason for doubt in doubts_of(plan, [snapshot])]
