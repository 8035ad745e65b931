"""The contents of ConfigMaps that were read, for as long as the watch says that they are what they were."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadgate_operator.cluster.port import Key

MOST_BYTES, LARGEST = 32 << 20, 1 << 18
"""Bytes in all, and of one: a stored result is larger, and is read once."""


class Contents:
    """JSON of objects by key and version; the least used are let go."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, tuple[int, bytes]] = OrderedDict()
        self._size = 0

    def get(self, key: Key, version: int) -> bytes | None:
        """What it held at that version, if that is known."""
        kept = self._kept.get(key)
        if kept is None or kept[0] != version:
            return None
        self._kept.move_to_end(key)
        return kept[1]

    def put(self, key: Key, version: int, data: bytes) -> None:
        """Keep it, unless it is large."""
        self._drop(key)
        if len(data) > LARGEST:
            return
        self._kept[key] = (version, data)
        self._size += len(data)
        while self._size > MOST_BYTES:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._size -= len(kept[1])
