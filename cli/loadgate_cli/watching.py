"""A folder seen again and again: what is in it, so that a change is noticed within a second."""

import os
from collections.abc import Iterator
from pathlib import Path

STATE = ".loadgate"
"""The folder, within a watched one, where statuses and results are kept."""
_DEPTH = 4

Fingerprint = dict[str, tuple[int, int, int]]
"""By path: when it was written, how large it is, and which file it is."""


def fingerprint(folder: Path) -> Fingerprint:
    """Every file that may matter, hidden ones left aside. Raises OSError where the folder itself can't be read."""
    found: Fingerprint = {}
    for entry in _walk(folder, _DEPTH):
        try:
            seen = entry.stat()
        except OSError:  # it went while we looked: the next look says so
            continue
        found[entry.path] = (seen.st_mtime_ns, seen.st_size, seen.st_ino)
    return found


def _walk(folder: Path | str, depth: int) -> Iterator["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith((".", "__pycache__")):
                continue
            if entry.is_file():
                yield entry
            elif depth and entry.is_dir():
                yield from _walk_within(entry, depth - 1)


def _walk_within(entry: "os.DirEntry[str]", depth: int) -> Iterator["os.DirEntry[str]"]:
    try:
        yield from _walk(entry.path, depth)
    except OSError:  # a folder that went or may not be read holds nothing that we could apply
        return
