"""The programs that a benchmark stands on: found, installed where apt can, or named in a clear message."""

import os
import shutil
import subprocess
from collections.abc import Mapping

PACKAGES = {"nginx": "nginx-light", "taskset": "util-linux"}


class ToolsMissingError(RuntimeError):
    """Programs that aren't there and couldn't be installed."""


def require(packages: Mapping[str, str]) -> None:
    """Make sure that programs are there, each with the Debian package that has it. Raises ToolsMissingError."""
    missing = {program: package for program, package in packages.items() if shutil.which(program) is None}
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
            stderr=subprocess.DEVNULL,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
    still = [program for program in missing if shutil.which(program) is None]
    if still:
        raise ToolsMissingError(f"apt-get could not install {', '.join(still)}; please install them by hand")


def pinned(cores: int | str, *command: str) -> list[str]:
    """A command that runs on one core only, or on a list of cores such as "0,1"."""
    return ["taskset", "-c", str(cores), *command]
