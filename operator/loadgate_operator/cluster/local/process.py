"""One child process: in a group of its own, its output in a bounded file, ended with all its descendants."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

logger = logging.getLogger(__name__)

MOST_LOG = 4 << 20
"""A log grows to this many bytes, becomes `NAME.1` in place of an older one, and begins anew."""

_CHUNK = 1 << 16


@dataclass(frozen=True)
class Launch:
    """What is to be started, where, and where what it writes goes."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path


class Process:
    """A running child. `start` makes one; `wait` must be awaited in the end, or `kill` called."""

    def __init__(self, child: asyncio.subprocess.Process, output: int, log: Path) -> None:
        self._child = child
        self._pump = asyncio.create_task(_keep(output, log), name=f"log of {child.pid}")

    @classmethod
    async def start(cls, launch: Launch) -> Self:
        """Start a child. Raises OSError where that can't be done."""
        # A pipe of our own: asyncio's would make `wait` wait for all who hold its other end, descendants too.
        output, inlet = os.pipe()
        with contextlib.ExitStack() as unread:
            unread.callback(os.close, output)
            with contextlib.closing(os.fdopen(inlet, "wb", 0)):
                child = await asyncio.create_subprocess_exec(
                    *launch.arguments,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=inlet,
                    stderr=asyncio.subprocess.STDOUT,
                    env=dict(launch.environment),
                    cwd=launch.folder,
                    # A group of its own: Ctrl-C in a terminal reaches us alone, and what it starts ends with it.
                    start_new_session=True,
                )
            unread.pop_all()
        return cls(child, output, launch.log)

    async def wait(self) -> int:
        """The exit code, -N where signal N ended it. Descendants that it left are ended."""
        code = await self._child.wait()
        self._signal(signal.SIGKILL)
        await self._pump
        return code

    def terminate(self) -> None:
        """Ask it, and no other of its group, to end."""
        # Not by the child's own send_signal: that polls, and takes the exit code from who waits for it.
        if self._child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it and all of its group at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        # Its group has its pid and lives on while any member does; where none does, there is nothing to end.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, number)


async def _keep(output: int, log: Path) -> None:
    """Write what comes out of a pipe to a log until it ends, never holding more than a chunk.

    What can't be written, as on a full disk, is lost and said once; a child is not to end for it.
    """
    reader = asyncio.StreamReader(limit=_CHUNK)
    protocol = asyncio.StreamReaderProtocol(reader)
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(output, "rb", 0))
    try:
        lost = 0
        while chunk := await reader.read(_CHUNK):
            try:
                _append(log, chunk)
            except OSError as error:
                if not lost:
                    logger.warning("%s can't be written: %s", log, error.strerror or error)
                lost += len(chunk)
    finally:
        pipe.close()


def _append(log: Path, chunk: bytes) -> None:
    with log.open("ab", buffering=0) as file:
        if file.tell() + len(chunk) <= MOST_LOG:
            file.write(chunk)
            return
    log.replace(_earlier(log))
    log.write_bytes(chunk)


def _earlier(log: Path) -> Path:
    return log.with_name(log.name + ".1")


def remove_log(log: Path) -> None:
    """Remove a log, and what came before it began anew."""
    for part in (log, _earlier(log)):
        part.unlink(missing_ok=True)


def tail_of(log: Path, limit: int) -> str:
    """The last `limit` bytes of a log and of what came before it began anew; "" where there is none."""
    data = b""
    for part in (log, _earlier(log)):
        if len(data) < limit and part.exists():
            data = part.read_bytes() + data
    return data[-limit:].decode(errors="replace")
