"""The demo shop as a child process, which ends when we do, however we do."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_SECONDS_TO_STOP = 5


class ShopError(Exception):
    """The shop can't be found, or doesn't start."""


def examples(package: Path = _PACKAGE) -> Path:
    """The folder of examples: in the repository, or within the package when installed. Raises ShopError."""
    for folder in (package / "examples", package.parents[1] / "examples"):
        if (folder / "shop" / "__main__.py").is_file():
            return folder
    raise ShopError(f"the demo shop is missing from this installation: there is no {package / 'examples' / 'shop'}")


@contextmanager
def serving(folder: Path, fault: str) -> Iterator[str]:
    """The shop's address, for as long as the block lasts. Raises ShopError."""
    command = [sys.executable, "-m", "shop", "--port", "0", "--fault", fault, "--with-parent"]
    process = subprocess.Popen(  # noqa: S603 - our own module
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdin=subprocess.PIPE,  # it stops when this closes: at the end of the block, or with our own death
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for us: the shop is needed until the runners are done
        text=True,
    )
    with process:
        try:
            yield _address(process)
        finally:
            _stop(process)


def _address(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline() if process.stdout else ""
    if "http://" in line:
        return line.split()[-1]
    said = process.stderr.read().strip().splitlines() if process.stderr else []
    raise ShopError(f"the demo shop doesn't start: {said[-1] if said else 'it says nothing'}")


def _stop(process: subprocess.Popen[str]) -> None:
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
