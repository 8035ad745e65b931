"""Each process may be told to end, or be killed, at any time: no other is left, and what was measured is kept."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest
import whole_kit as kit

from loadgate.report.result import Result
from loadgate_operator.embedded import Embedded

pytestmark = pytest.mark.processes

LOADGATE = Path(sys.executable).with_name("loadgate")


@contextlib.asynccontextmanager
async def command(tmp_path, target, **fields):
    """`loadgate run` of a test that goes on for minutes, as a process, and what it writes to standard error."""
    steps = [kit.get("/"), {"think": "20ms"}]
    load = kit.scenario("constant-vus", duration="10m", gracefulStop="1s", steps=steps)
    manifest = tmp_path / "test.json"
    manifest.write_text(json.dumps(kit.load_test(target, load, **fields)))
    log = tmp_path / "stderr"
    with log.open("w") as errors:
        process = await asyncio.create_subprocess_exec(
            LOADGATE,
            *("run", manifest, "--out", tmp_path / "out"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=errors,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
    try:
        yield process, log
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def family(process):
    """A process' descendants that live now."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(process.pid).children(recursive=True)
    return []


def alive(processes):
    """Those that still run."""
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


MOMENTS = {
    "at once": lambda process, log, target: log.exists(),
    "with its first runner": lambda process, log, target: family(process),
    "in mid-run": lambda process, log, target: len(target.seen) > 20,
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
async def test_a_signal_at_any_time_leaves_no_process(tmp_path, number, moment):
    """Whether asked or killed, early or late: every descendant of the command ends, and so does its load."""
    async with kit.serving() as target, command(tmp_path, target, runners=2, processes=2) as (process, log):
        known = []

        def reached():
            known.extend(one for one in family(process) if one not in known)
            return MOMENTS[moment](process, log, target)

        await kit.until(reached)
        process.send_signal(number)
        async with asyncio.timeout(kit.LIMIT):
            await process.wait()
        await kit.until(lambda: not alive(known))
        seen = len(target.seen)
        await asyncio.sleep(0.2)
        assert len(target.seen) == seen
    if number is not signal.SIGKILL:
        assert [path for path in tmp_path.iterdir() if path.name.startswith("loadgate")] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
async def test_an_interrupted_command_writes_what_it_measured(tmp_path, number):
    """Exit code 130, and a result with every request that the server saw."""
    async with kit.serving() as target, command(tmp_path, target, runners=2) as (process, log):
        await kit.until(lambda: len(target.seen) > 20)
        process.send_signal(number)
        async with asyncio.timeout(kit.LIMIT):
            assert await process.wait() == 130, log.read_text()
        (kept,) = [path for path in (tmp_path / "out").iterdir() if path.name.startswith("result")]
        data = kept.read_bytes()
        result = Result.decode(data) if kept.suffix == ".zst" else Result.from_json(json.loads(data))
    assert result.measurement.request_counts()[0] == len(target.seen)
    assert result.verdict.outcome == "Inconclusive"


async def test_two_interrupts_are_quick(tmp_path):
    """A second Ctrl-C waits for no iteration."""
    async with kit.serving() as target, command(tmp_path, target) as (process, log):
        await kit.until(lambda: len(target.seen) > 20)
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.05)
        async with asyncio.timeout(15):
            assert await process.wait() == 130, log.read_text()


@pytest.mark.parametrize("which", ["runner", "load process"])
async def test_a_killed_process_of_a_runner_is_noticed(which):
    """SIGKILL of a runner ends its load processes; SIGKILL of one of those is no pass either."""
    async with kit.serving() as target, Embedded() as operator:
        load = kit.scenario("constant-vus", duration="4s", steps=[kit.get("/"), {"think": "20ms"}])
        test = kit.load_test(target, load, processes=2, thresholds={"http_req_failed": ["rate<0.1"]})
        await operator.apply([test])
        await kit.until(lambda: len(target.seen) > 20)
        (runner,) = [one for one in psutil.Process().children() if "loadgate_runner" in one.cmdline()]
        children = runner.children()
        assert len(children) == 2
        (runner if which == "runner" else children[0]).kill()
        status = await kit.verdict(operator)
        await kit.until(lambda: not alive([runner, *children]))
    assert status["phase"] == "Inconclusive", status
    assert "RunnerLost" in kit.doubts(status)
