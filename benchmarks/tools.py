"""The programs that a benchmark stands on: found, installed where apt can, or named in a clear message."""

import os
import shutil
import subprocess

PACKAGES = {"nginx": "nginx-light", "wrk": "wrk", "taskset": "util-linux"}


class ToolsMissingError(RuntimeError):
    """Programs that aren't there and couldn't be installed."""


def require_tools() -> None:
    """Make sure that all programs are there. Raises ToolsMissingError."""
    missing = {program: package for program, package in PACKAGES.items() if shutil.which(program) is None}
    if not missing:
        return
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise ToolsMissingError(
            f"please install {', '.join(sorted(missing))} (Debian: apt-get install {' '.join(missing.values())})"
        )
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *missing.values()]):
        subprocess.run(
            [apt, *command],
            check=False,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
    still = [program for program in missing if shutil.which(program) is None]
    if still:
        raise ToolsMissingError(f"apt-get could not install {', '.join(still)}; please install them by hand")


def pinned(core: int, *command: str) -> list[str]:
    """A command that runs on one core only."""
    return ["taskset", "-c", str(core), *command]
