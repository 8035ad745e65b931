"""Keys of what changed, each once however often it did since it was last taken."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadgate_operator.cluster.port import Key


class Changes:
    """A queue without repetitions, for one reader."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        """`keys` count as changed from the beginning."""
        self._pending = dict.fromkeys(keys)
        self._news = asyncio.Event()

    def put(self, key: Key) -> None:
        """Note that the object of `key` changed."""
        self._pending[key] = None
        self._news.set()

    async def take(self) -> Key:
        """The key that has waited longest; waits for one where there is none."""
        while not self._pending:
            self._news.clear()
            await self._news.wait()
        key = next(iter(self._pending))
        del self._pending[key]
        return key
