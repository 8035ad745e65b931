"""A runner takes the plan that its Job was made for and the files that the plan was made with, or none."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from runner_processes import RunnerProcess, plan_file

from loadgate.plan import Plan
from loadgate_runner.unchanged import changed_files, is_same

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = {
    "executor": "shared-iterations",
    "vus": 1,
    "iterations": 1,
    "maxDuration": "5s",
    "script": {"configMapKeyRef": {"name": "journeys", "key": "main.py"}},
}
CODE = "async def journey(user):\n    await user.get('/')\n"


def digest(text: str) -> str:
    """As the operator makes it."""
    return sha256(text.encode()).hexdigest()


def plan_with_script(folder: Path) -> Path:
    """A plan that knows what its script was."""
    (folder / "journeys").mkdir()
    (folder / "journeys" / "main.py").write_text(CODE, encoding="utf-8")
    path = plan_file(folder, "http://127.0.0.1:1", [SCRIPT])
    plan = Plan.decode(path.read_bytes()).model_copy(update={"digests": {"journeys/main.py": digest(CODE)}})
    path.write_bytes(plan.encode())
    return path


@pytest.mark.processes
async def test_another_plan_than_the_jobs_is_refused(tmp_path: Path) -> None:
    """A plan that was changed since the Job was made ends the runner with what to do, and no other would do better."""
    path = plan_with_script(tmp_path)
    runner = await RunnerProcess.start(path, LOADGATE_PLAN_SHA256=digest("another"))
    try:
        code, _ = await runner.wait()
    finally:
        await runner.close()
    assert code == 2
    assert "isn't the one that run" in runner.lines[-1]
    assert "run the test again" in runner.lines[-1]


@pytest.mark.processes
@pytest.mark.parametrize("processes", ["1", "2"])
async def test_the_plan_of_the_job_is_taken(tmp_path: Path, processes: str) -> None:
    """A plan as the Job knows it, with files as it knows them, is armed with."""
    path = plan_with_script(tmp_path)
    known = Plan.decode(path.read_bytes()).digest
    runner = await RunnerProcess.start(path, "--processes", processes, LOADGATE_PLAN_SHA256=known)
    try:
        await runner.until("Armed")
    finally:
        await runner.close()


@pytest.mark.processes
@pytest.mark.parametrize("processes", ["1", "2"])
async def test_a_file_that_was_changed_is_not_run(tmp_path: Path, processes: str) -> None:
    """A script that isn't the one of the plan is not even loaded: the runner can't arm, and names the ConfigMap."""
    path = plan_with_script(tmp_path)
    proof = tmp_path / "ran"
    (tmp_path / "journeys" / "main.py").write_text(f"open({str(proof)!r}, 'w')\n{CODE}", encoding="utf-8")
    runner = await RunnerProcess.start(path, "--processes", processes)
    try:
        report = await runner.until("Failed")
    finally:
        await runner.close()
    assert "key main.py of ConfigMap journeys isn't what it was" in report["message"]
    assert not proof.exists()


def test_only_what_is_known_is_looked_at(tmp_path: Path) -> None:
    """Without digests any plan and any file will do, as by hand; a file that isn't there is told of where it is read."""
    assert is_same(b"anything", "")
    path = plan_with_script(tmp_path)
    plan = Plan.decode(path.read_bytes())
    assert changed_files(plan, tmp_path) == []
    (tmp_path / "journeys" / "main.py").unlink()
    assert changed_files(plan, tmp_path) == []
    assert changed_files(plan.model_copy(update={"digests": {}}), tmp_path) == []


def test_a_plans_digest_is_that_of_its_document(tmp_path: Path) -> None:
    """What the operator puts into the Job is the digest of the file that a pod finds."""
    path = plan_with_script(tmp_path)
    assert Plan.decode(path.read_bytes()).digest == sha256(path.read_bytes()).hexdigest()
