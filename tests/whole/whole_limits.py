"""Limits that the kernel holds a runner to in tests: control groups, open files, a network of its own."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from loadgate_operator.cluster.local.pods import programs
from loadgate_operator.embedded import Options
from loadgate_operator.manifests.job import PROGRAM

ROOT = Path("/sys/fs/cgroup")


def started_by(*words: str) -> Options:
    """An operator whose runners are started by another program, which becomes them."""
    return Options(programs={PROGRAM: (*words, *programs()[PROGRAM])})


@dataclass(frozen=True)
class Group:
    """A control group of a test's own, of either version."""

    folder: Path
    usage: Path
    """The file that says what memory is charged."""

    def options(self) -> Options:
        """An operator whose runners live in it."""
        return started_by("sh", "-c", f'echo $$ > {self.folder}/cgroup.procs && exec "$@"', "sh")


@contextlib.contextmanager
def cpu_group(cores: float) -> Iterator[Group]:
    """A group that may use so many cores, and gets them however busy the machine is."""
    quota = round(cores * 100_000)
    with _group("cpu") as (folder, version):
        if version == 2:
            (folder / "cpu.max").write_text(f"{quota} 100000")
            (folder / "cpu.weight").write_text("10000")
        else:
            (folder / "cpu.cfs_period_us").write_text("100000")
            (folder / "cpu.cfs_quota_us").write_text(f"{quota}")
            (folder / "cpu.shares").write_text("100000")
        yield Group(folder, folder / "none")


@contextlib.contextmanager
def memory_group(limit: int) -> Iterator[Group]:
    """A group that may use so many bytes, and swap nothing out."""
    with _group("memory") as (folder, version):
        names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
        (folder / names[0]).write_text(f"{limit}")
        with contextlib.suppress(OSError):  # where the kernel counts no swap
            (folder / ("memory.swap.max" if version == 2 else "memory.memsw.limit_in_bytes")).write_text(
                "0" if version == 2 else f"{limit}"
            )
        yield Group(folder, folder / names[1])


@contextlib.contextmanager
def _group(controller: str) -> Iterator[tuple[Path, int]]:
    """A new group with a controller, and its version. Skips the test, and says so, where there can be none."""
    name = f"loadgate-test-{os.getpid()}"
    try:
        parent, version = _parent(controller)
        folder = parent / name
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"NOT TESTED: no control group with {controller} can be made here ({error})")
    try:
        yield folder, version
    finally:
        _end_all(folder)
        folder.rmdir()


def _parent(controller: str) -> tuple[Path, int]:
    old = ROOT / controller
    if (old / "cgroup.procs").exists() and not (ROOT / "cgroup.controllers").exists():
        return old, 1
    if controller not in (ROOT / "cgroup.subtree_control").read_text().split():
        (ROOT / "cgroup.subtree_control").write_text(f"+{controller}")
    return ROOT, 2


def _end_all(folder: Path) -> None:
    """End who is left in a group of ours: by then it should be nobody."""
    left = [psutil.Process(int(pid)) for pid in (folder / "cgroup.procs").read_text().split()]
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=10)


def few_files(limit: int) -> Options:
    """An operator whose runners may have so many files open each."""
    prlimit = shutil.which("prlimit")
    if prlimit is None:
        pytest.skip("NOT TESTED: there is no prlimit here")
    return started_by(prlimit, f"--nofile={limit}:{limit}")


def in_own_network(program: Path, *arguments: str) -> str:
    """What a Python program prints that runs in a network of its own, of loopback and nothing else."""
    unshare, ip = shutil.which("unshare"), shutil.which("ip")
    if unshare is None or ip is None:
        pytest.skip("NOT TESTED: there is no unshare or no ip here")
    inside = [unshare, "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("NOT TESTED: no network of our own can be had here")
    script = f'{ip} link set lo up && exec "$@"'
    words = [*inside, "sh", "-c", script, "sh", sys.executable, str(program), *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(words, capture_output=True, text=True, timeout=90, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def runners_here() -> list[psutil.Process]:
    """The runners that this process has started, with their children."""
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if any(word.startswith("loadgate_runner") for word in process.cmdline())
    ]
