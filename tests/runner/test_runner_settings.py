"""What a runner is told, and what it makes of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from loadgate_runner import limits, orphan
from loadgate_runner.settings import SettingsError, read
from loadgate_runner.telemetry.cgroup import Cgroup

if TYPE_CHECKING:
    from pathlib import Path

ARGUMENTS = ("--plan", "/p/plan.json", "--files", "/p/files")
ENVIRON = {"LOADGATE_RUN": "shop-1-abcde", "LOADGATE_TOKEN": "t", "LOADGATE_POD_UID": "u"}
NO_CGROUP = Cgroup((), ())


def _quota(tmp_path: Path, cores: float) -> Cgroup:
    (tmp_path / "cpu.max").write_text(f"{round(cores * 100_000)} 100000\n")
    return Cgroup((tmp_path,), (tmp_path,))


def test_defaults_are_those_of_the_contract():
    """Port 9119, loopback, a linger of a quarter of an hour, index 0."""
    settings = read(ARGUMENTS, ENVIRON, NO_CGROUP)
    assert (settings.host, settings.port, settings.linger) == ("127.0.0.1", 9119, 900.0)
    assert (settings.identity.run, settings.identity.index, settings.identity.uid) == ("shop-1-abcde", 0, "u")
    assert settings.processes is None


@pytest.mark.parametrize(
    ("environ", "index"),
    [
        ({"LOADGATE_INDEX": "3"}, 3),
        ({"JOB_COMPLETION_INDEX": "4"}, 4),
        ({"LOADGATE_INDEX": "", "JOB_COMPLETION_INDEX": "5"}, 5),
    ],
)
def test_the_index_is_the_jobs(environ, index):
    """Ours goes before Kubernetes's own variable."""
    assert read(ARGUMENTS, {**ENVIRON, **environ}, NO_CGROUP).identity.index == index


@pytest.mark.parametrize(
    ("arguments", "environ", "named"),
    [
        ((), {"LOADGATE_RUN": ""}, "LOADGATE_RUN"),
        ((), {"LOADGATE_TOKEN": ""}, "LOADGATE_TOKEN"),
        ((), {"LOADGATE_INDEX": "-1"}, "LOADGATE_INDEX"),
        ((), {"LOADGATE_CPU_LIMIT": "0"}, "LOADGATE_CPU_LIMIT"),
        ((), {"LOADGATE_CPU_LIMIT": "a lot"}, "LOADGATE_CPU_LIMIT"),
        (("--processes", "0"), {}, "--processes"),
        (("--port", "70000"), {}, "--port"),
    ],
)
def test_what_is_wrong_is_named(arguments, environ, named):
    """Each fault says which variable or option it is about, and never a token."""
    with pytest.raises(SettingsError, match=named):
        read((*ARGUMENTS, *arguments), {**ENVIRON, **environ}, NO_CGROUP)


def test_cores_are_the_least_of_limit_quota_and_affinity(tmp_path):
    """A stated limit, a control group's quota, or the CPUs that the scheduler lets us have."""
    assert read(ARGUMENTS, {**ENVIRON, "LOADGATE_CPU_LIMIT": "0.25"}, NO_CGROUP).cores == 0.25
    assert read(ARGUMENTS, {**ENVIRON, "LOADGATE_CPU_LIMIT": "0.5"}, _quota(tmp_path, 0.1)).cores == 0.1
    assert read(ARGUMENTS, ENVIRON, NO_CGROUP).cores == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("told", "planned", "limit", "vus", "count"),
    [
        ((), None, "0.5", 100, 1),
        ((), None, "1", 100, 1),
        ((), None, "1.5", 100, min(2, os.cpu_count() or 1)),
        ((), 3, "1", 100, 3),
        (("--processes", "5"), 3, "1", 100, 5),
        (("--processes", "5"), None, "1", 2, 2),
        ((), None, "1", 0, 1),
    ],
)
def test_there_is_a_process_a_core_unless_told_and_none_without_vus(told, planned, limit, vus, count):
    """The command line goes before the plan, the plan before the cores; each process has a VU at least."""
    settings = read((*ARGUMENTS, *told), {**ENVIRON, "LOADGATE_CPU_LIMIT": limit}, NO_CGROUP)
    assert settings.process_count(planned, vus) == count


@pytest.mark.parametrize(
    ("arguments", "parent"),
    [
        ((), None),
        (("--port", "1"), None),
        (("--die-with-parent",), os.getppid()),
        (("--die-with-parent=77",), 77),
    ],
)
def test_whom_to_die_with_is_read_before_all_else(arguments, parent):
    """The process that is named, or the parent that is there."""
    assert orphan.parent_in(arguments) == parent
    assert read((*ARGUMENTS, *arguments), ENVIRON, NO_CGROUP).port in {1, 9119}


def test_descriptors_suffice_or_the_message_says_how_many_are_needed():
    """10 VUs always fit here, and a thousand million never do."""
    assert limits.descriptor_fault(10) == ""
    assert "1000000064" in limits.descriptor_fault(1_000_000_000)


def test_descriptors_of_a_pool_are_those_of_its_connections():
    """Any number of VUs fit that take ten connections in turn; of too many connections the message says so, not of VUs."""
    assert limits.descriptor_fault(1_000_000_000, 10) == ""
    fault = limits.descriptor_fault(2_000_000_000, 1_000_000_000)
    assert fault.startswith(
        "1000000000 connections for 2000000000 VUs need 1000000064 file descriptors and this process"
    )
    assert fault.endswith("lower target.connection.maxConnections, or take more runners or processes")
    few = limits.descriptor_fault(1_000_000_000, 2_000_000_000)
    assert few == limits.descriptor_fault(1_000_000_000)
    assert few.startswith("1000000000 VUs need 1000000064 ")
