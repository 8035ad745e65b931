"""How much memory there is for what runners measured: a part of what the operator's container, or machine, has."""

from __future__ import annotations

import os
from pathlib import Path

PART = 4
"""A quarter: as documents they are smaller than as objects, and what is on its way or being merged takes some, too."""

LEAST = 64 << 20

_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Of version 2 of the kernel's control groups, and of version 1."""


def for_snapshots(limits: tuple[Path, ...] = _LIMITS) -> int:
    """Bytes of snapshots that may be held at one time."""
    return max(LEAST, min([_machine(), *filter(None, map(_read, limits))]) // PART)


def _machine() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _read(path: Path) -> int | None:
    """The limit in a file; None where there is no file, or no limit in it."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdecimal() else None
