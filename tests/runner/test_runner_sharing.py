"""Rows of data files are in memory once, however many processes take from them."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import psutil
import pytest
from runner_processes import RunnerProcess, plan_file

from loadgate.metrics import Snapshot

pytestmark = pytest.mark.processes

ROWS = 100_000
BYTES_A_ROW = 50
SLACK = 4 << 20
"""Bytes by which two runs of the same may differ."""
LOOK = "async def journey(user):\n    assert user.data.people['name']\n"
"""A journey that takes a row an iteration, and makes no request."""


def _people(folder: Path, rows: int) -> dict:
    """A file of so many rows, and how a test names it."""
    (folder / "maps").mkdir(exist_ok=True)
    lines = ["name,password", *(f"user-of-the-shop-{n:06},{n * 7919 % 1_000_003:012}" for n in range(rows))]
    (folder / "maps" / "people.csv").write_text("\n".join(lines))
    return {"people": {"csv": {"configMapKeyRef": {"name": "maps", "key": "people.csv"}}}}


def _family(runner: RunnerProcess) -> list[psutil.Process]:
    """A runner and all its processes."""
    parent = psutil.Process(runner.process.pid)
    return [parent, *parent.children(recursive=True)]


def _memory(runner: RunnerProcess) -> int:
    """Bytes of all of them, each page's share of it where several have it (PSS)."""
    texts = [Path(f"/proc/{one.pid}/smaps_rollup").read_text() for one in _family(runner)]
    return sum(_kilobytes("Pss", text) for text in texts)


def _mapped(runner: RunnerProcess) -> list[tuple[int, int]]:
    """Bytes of the rows in each process that maps them: resident, and its share of that."""
    parts = [
        re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", Path(f"/proc/{one.pid}/smaps").read_text()) for one in _family(runner)
    ]
    found = [part for of_one in parts for part in of_one if "loadgate-rows" in part]
    return [(_kilobytes("Rss", part), _kilobytes("Pss", part)) for part in found]


def _kilobytes(what: str, text: str) -> int:
    return 1024 * int(re.search(rf"^{what}: +(\d+) kB", text, re.MULTILINE)[1])


async def _runs(folder: Path, rows: int, processes: int) -> tuple[int, list[tuple[int, int]]]:
    """Memory of all, and of the rows where they are shared, behind a run that took every row there is."""
    data = _people(folder, rows)
    (folder / "maps" / "look.py").write_text(LOOK)
    script = {"configMapKeyRef": {"name": "maps", "key": "look.py"}}
    scenario = {"executor": "shared-iterations", "vus": 8, "iterations": ROWS, "script": script}
    runner = await RunnerProcess.start(
        plan_file(folder, "http://127.0.0.1:1", [scenario], data=data), "--processes", str(processes)
    )
    try:
        await runner.until("Armed")
        await runner.post("/start", in_seconds=0.0)
        await runner.until("Finished", within=60)
        snapshot = Snapshot.decode((await runner.http.get("/snapshot")).content)
        assert snapshot.health.processes == processes
        assert sum(stats.completed for stats in snapshot.measurement.iterations.values()) == ROWS
        return _memory(runner), _mapped(runner)
    finally:
        await runner.close()


def _tells_sharing() -> bool:
    return Path("/proc/self/smaps_rollup").exists()


@pytest.mark.skipif(not _tells_sharing(), reason="NOT TESTED: the kernel doesn't tell how memory is shared")
async def test_two_processes_hold_the_rows_of_one(tmp_path):
    """Each has all of 100,000 rows in its memory, it is one memory, and next to it there is no other copy of them."""
    small, _ = await _runs(tmp_path, 100, 2)
    large, mapped = await _runs(tmp_path, ROWS, 2)
    (resident, share), (also_resident, other_share) = mapped
    assert resident == also_resident > ROWS * 30
    assert share + other_share == pytest.approx(resident, rel=0.01)
    assert large - small < 3 * resident + SLACK


@pytest.mark.skipif(not _tells_sharing(), reason="NOT TESTED: the kernel doesn't tell how memory is shared")
async def test_rows_take_little_more_than_their_file(tmp_path):
    """In one process too: as dictionaries they would be ten times as large."""
    small, _ = await _runs(tmp_path, 100, 1)
    large, _ = await _runs(tmp_path, ROWS, 1)
    assert large - small < 3 * ROWS * BYTES_A_ROW + SLACK


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize(
    ("content", "told"), [("a,b\n1\n", "more or fewer fields"), ("a\n", "no rows"), (None, "can't be read")]
)
async def test_a_data_file_that_cannot_be_used_fails_the_arming(tmp_path, processes, content, told):
    """With its name and what is wrong, whoever reads it; and nobody is left."""
    data = _people(tmp_path, 1)
    path = tmp_path / "maps" / "people.csv"
    path.unlink()
    if content is not None:
        path.write_text(content)
    steps = [{"request": {"name": "home", "url": "/"}}]
    plan = plan_file(
        tmp_path,
        "http://127.0.0.1:1",
        [{"executor": "constant-vus", "vus": 2, "duration": "1s", "steps": steps}],
        data=data,
    )
    runner = await RunnerProcess.start(plan, "--processes", processes)
    try:
        report = await runner.until("Failed")
        assert "people" in report["message"]
        assert told in report["message"]
        children = psutil.Process(runner.process.pid).children(recursive=True)
        await runner.post("/ack", sequence=report["sequence"])
        code, _ = await runner.wait(within=10)
        assert code == 2
        async with asyncio.timeout(10):
            while any(child.is_running() for child in children):  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.05)
        assert not [line for line in runner.lines if "Traceback" in line]
    finally:
        await runner.close()
