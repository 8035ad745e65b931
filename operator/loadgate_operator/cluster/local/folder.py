"""A private temporary folder that is gone when we are, at the latest when the next of us begins.

Which folders are left over is told by a lock that the kernel frees when its process dies, however it died: unlike a
process id, it can't come to mean another process.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "loadgate-embedded-"
_UNLOCKED_PREFIX = "loadgate-new-"
_LOCK = ".lock"

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def private_folder(parent: Path | None = None) -> Iterator[Path]:
    """A new folder that only we can read, removed at the end. Left-over ones of dead processes are removed first."""
    parent = parent or Path(tempfile.gettempdir())
    remove_stale(parent)
    made = Path(tempfile.mkdtemp(prefix=_UNLOCKED_PREFIX, dir=parent))  # mkdtemp makes it 0700
    lock = os.open(made / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    # Under its real name it is locked from the first moment on, so nobody takes it for a left-over one.
    folder = made.rename(parent / made.name.replace(_UNLOCKED_PREFIX, _PREFIX))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def remove_stale(parent: Path) -> list[Path]:
    """Remove the folders of processes that are gone; answers which they were."""
    removed = []
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            stale = _is_stale(folder)
        except OSError:
            continue  # not ours to look into, or gone by now
        if stale:
            shutil.rmtree(folder, ignore_errors=True)
            logger.info("removed %s, left over from a process that was killed", folder)
            removed.append(folder)
    return removed


def _is_stale(folder: Path) -> bool:
    status = folder.lstat()
    if status.st_uid != os.getuid() or folder.is_symlink() or not folder.is_dir():
        return False
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(lock)
