"""Requests of one turn of the loop, sent together at its end.

Sending each as it is made wakes the target's process once per request, and waking a process on another core costs more
than all else that a request costs. Sent together, the first wakes it and finds it busy with the rest.
"""

import asyncio
from typing import Protocol


class Sender(Protocol):
    """Something that has bytes to send."""

    def flush(self) -> None:
        """Send them. Called from the loop, within no task."""


class Outbox:
    """Flushes whoever was put in, once, when the loop has done what was ready."""

    __slots__ = ("_loop", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.waiting: list[Sender] = []
        """Append to it, after `arm` where it is empty."""

    def arm(self) -> None:
        """See that whoever waits is flushed at the end of this turn."""
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        waiting = self.waiting
        self.waiting = []
        for sender in waiting:
            sender.flush()
