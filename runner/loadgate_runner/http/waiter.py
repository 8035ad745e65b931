"""Waiting for an answer without a Future and without a turn of the event loop.

A task that awaits an asyncio Future is woken one loop turn after the result is set, through a handle that the loop
allocates. A VU does that once per request, so here the connection itself is what its task awaits, again and again, and
it resumes the task from within the loop's own callback. This is asyncio's protocol for Future-like objects
(`_asyncio_future_blocking`, `add_done_callback`, `result`, `cancel`, `get_loop`), which a task follows for any class.
"""

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any


class Waiter:
    """One place to wait at, for one task at a time, reusable."""

    __slots__ = ("_asyncio_future_blocking", "_cancelled", "_context", "_loop", "_wakeup")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asyncio_future_blocking = False
        self._wakeup: Callable[[Any], object] | None = None
        self._context: Context | None = None
        self._cancelled = False

    def __await__(self) -> Generator[Any, None, None]:
        """Suspend the running task until `wake`, or until it is cancelled (then CancelledError is raised here)."""
        self._asyncio_future_blocking = True
        yield self

    def wake(self) -> None:
        """Resume the waiting task now, inside this call; nothing happens when none waits.

        Only for callbacks that the loop makes (data arrived, connection lost, a timer): never within a task.
        """
        wakeup = self._wakeup
        if wakeup is not None and self._context is not None:
            self._wakeup = None
            self._context.run(wakeup, self)

    get_loop = staticmethod(asyncio.get_running_loop)
    """The loop whose tasks may wait here; asked by the task, hence a function in C."""

    def add_done_callback(self, wakeup: Callable[[Any], object], *, context: Context) -> None:
        """How the task says what resumes it."""
        self._wakeup = wakeup
        self._context = context

    def cancel(self, msg: Any | None = None) -> bool:  # noqa: ARG002  the signature is asyncio's
        """Resume the waiting task with CancelledError, on the loop's next turn since a task may be calling."""
        self._cancelled = True
        self._loop.call_soon(self.wake)
        return True

    def result(self) -> None:
        """What the task asks when it resumes: nothing, or the cancellation."""
        if self._cancelled:
            self._cancelled = False
            raise asyncio.CancelledError
