"""What a runner is told on its command line and in its environment."""

from __future__ import annotations

import argparse
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from loadgate.control import DEFAULT_PORT
from loadgate_runner import orphan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadgate_runner.telemetry.cgroup import Cgroup

DEFAULT_LINGER = 900.0
"""Seconds that a finished runner waits for its last snapshot to be acknowledged."""


class SettingsError(ValueError):
    """The command line or the environment lacks something, or says what can't be."""


@dataclass(frozen=True)
class Identity:
    """Which runner of which run this is."""

    run: str
    index: int
    uid: str


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A runner's settings. `cores` and `memory_limit` (bytes, 0 for none) are the whole runner's.

    `plan_digest` is the SHA-256 of the only plan that will do, in hexadecimal; any will, where it is empty.
    """

    identity: Identity
    plan: Path
    files: Path
    host: str
    port: int
    linger: float
    processes: int | None
    cores: float
    memory_limit: int
    token: str
    plan_digest: str = ""

    def process_count(self, planned: int | None, vus: int) -> int:
        """How many processes make load: as told, as planned, or one for each core that we may use.

        Never more than the runner has VUs, since one without any would only be in the way.
        """
        cores = min(math.ceil(self.cores), os.cpu_count() or 1)
        return max(1, min(self.processes or planned or cores, vus))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    out = argparse.ArgumentParser(prog="loadgate-runner", description="Makes the load of one share of a plan.")
    out.add_argument("--plan", type=Path, required=True, help="the plan, a JSON document")
    out.add_argument("--files", type=Path, required=True, help="folder with CONFIGMAP/KEY files that the plan names")
    out.add_argument("--host", default="127.0.0.1", help="address of the control port")
    out.add_argument("--port", type=int, default=DEFAULT_PORT, help="the control port; 0 takes a free one")
    out.add_argument("--linger", type=float, default=DEFAULT_LINGER, help="seconds to wait for the acknowledgement")
    out.add_argument("--processes", type=int, help="processes that make load; as many as there are cores to use")
    out.add_argument(
        orphan.OPTION, nargs="?", type=int, const=0, metavar="PID", help="end at once when the parent process does"
    )
    return out


def read(arguments: Sequence[str], environ: Mapping[str, str], cgroup: Cgroup) -> Settings:
    """Settings of a command line and an environment. Raises SettingsError; a wrong option exits as argparse does."""
    options = parser().parse_args(arguments)
    if options.processes is not None and options.processes < 1:
        raise SettingsError("--processes must be 1 or more")
    if not 0 <= options.port <= 65535:
        raise SettingsError(f"--port must be 0 to 65535, not {options.port}")
    return Settings(
        identity=identity(environ),
        plan=options.plan,
        files=options.files,
        host=options.host,
        port=options.port,
        linger=options.linger,
        processes=options.processes,
        cores=_cores(environ, cgroup),
        memory_limit=cgroup.memory_limit(),
        token=_needed(environ, "LOADGATE_TOKEN"),
        plan_digest=environ.get("LOADGATE_PLAN_SHA256", ""),
    )


def identity(environ: Mapping[str, str]) -> Identity:
    """Who we are, from the environment of the Job's pod."""
    index = environ.get("LOADGATE_INDEX") or environ.get("JOB_COMPLETION_INDEX") or "0"
    if not index.isdigit():
        raise SettingsError(f"LOADGATE_INDEX must be a whole number, not {index!r}")
    return Identity(_needed(environ, "LOADGATE_RUN"), int(index), environ.get("LOADGATE_POD_UID", ""))


def _cores(environ: Mapping[str, str], cgroup: Cgroup) -> float:
    stated = environ.get("LOADGATE_CPU_LIMIT", "")
    try:
        limit = float(stated) if stated else math.inf
    except ValueError:
        raise SettingsError(f"LOADGATE_CPU_LIMIT must be a number of cores, not {stated!r}") from None
    if limit <= 0:
        raise SettingsError("LOADGATE_CPU_LIMIT must be more than 0")
    affinity = len(psutil.Process().cpu_affinity() or [1])
    return min(limit, cgroup.cores() or math.inf, float(affinity))


def _needed(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "")
    if not value:
        raise SettingsError(f"the environment variable {name} is not set")
    return value
