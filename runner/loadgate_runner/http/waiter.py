"""Waiting for an answer without a Future, without a turn of the event loop, and mostly without the task.

A task that awaits an asyncio Future is woken one loop turn after the result is set, through a handle that the loop
allocates. A VU does that once per request, so here the connection itself is what is awaited, again and again, and it
resumes who waits from within the loop's own callback. Two can wait at it. A plain task does by asyncio's protocol for
Future-like objects (`_asyncio_future_blocking`, `add_done_callback`, `result`, `cancel`, `get_loop`), which a task
follows for any class. A VU's task does through its Strand, which goes on without it.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any


class Waiter:
    """One place to wait at, for one at a time, reusable."""

    __slots__ = ("_asyncio_future_blocking", "_cancelled", "_context", "_loop", "_wakeup", "strand")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asyncio_future_blocking = True
        self._wakeup: Callable[[Any], object] | None = None
        self._context: Context | None = None
        self._cancelled = False
        self.strand: Strand | None = None
        """Who waits here, where it isn't a plain task."""

    def __await__(self) -> Generator[Any, None, None]:
        """Suspend the running task until `wake`, or until it is cancelled (then CancelledError is raised here)."""
        yield self

    def wake(self) -> None:
        """Resume who waits now, inside this call; nothing happens when nobody does.

        Only for callbacks that the loop makes (data arrived, connection lost, a timer): never within a task.
        """
        strand = self.strand
        if strand is not None:
            self.strand = None
            strand.go_on()
            return
        wakeup = self._wakeup
        if wakeup is not None and self._context is not None:
            self._wakeup = None
            self._context.run(wakeup, self)

    get_loop = staticmethod(asyncio.get_running_loop)
    """The loop whose tasks may wait here; asked by the task, hence a function in C."""

    def add_done_callback(self, wakeup: Callable[[Any], object], *, context: Context) -> None:
        """How the task says what resumes it, having noted that it knows of this wait: the next one is another."""
        self._asyncio_future_blocking = True
        self._wakeup = wakeup
        self._context = context

    def cancel(self, msg: Any | None = None) -> bool:  # noqa: ARG002  the signature is asyncio's
        """Resume the waiting task with CancelledError, on the loop's next turn since a task may be calling."""
        self._cancelled = True
        self._loop.call_soon(self._interrupt)
        return True

    def result(self) -> None:
        """What the task asks when it resumes: nothing, or the cancellation."""
        if self._cancelled:
            self._cancelled = False
            raise asyncio.CancelledError

    def _interrupt(self) -> None:
        if self._cancelled:  # else an answer came first, and the task has met its cancellation already
            self.wake()


async def on_a_strand(work: Coroutine[Any, Any, None]) -> None:
    """Do the work of a task on a Strand: it costs less where it mostly waits at Waiters."""
    await Strand(work)


async def in_task() -> None:
    """Be in the task again, where a Strand went on without it: for what asks which task it is in (`asyncio.timeout`,
    task groups), and for code of others, which may. Elsewhere it does nothing.
    """
    if asyncio.current_task() is None:
        await _HOME


class _Home:
    """What a Strand understands as "go on in the task"."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, None]:
        yield self


_HOME = _Home()


class Strand:
    """A coroutine that its task runs, but that goes on without the task where it has waited at a Waiter.

    For the task all such steps are one wait, at the strand. It ends with the first step that waits for something else,
    which is then awaited by the task as ever, or when the coroutine ends, or with cancellation, which the coroutine
    meets where it waits. Between two such steps `asyncio.current_task()` is None, and context variables aren't the
    task's: see `in_task`.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_awaited",
        "_cancelled",
        "_context",
        "_ended",
        "_fault",
        "_loop",
        "_steps",
        "_wakeup",
    )

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._steps = work.__await__()
        self._awaited: Any = None
        self._ended = False
        self._fault: BaseException | None = None
        self._asyncio_future_blocking = True
        self._wakeup: Callable[[Any], object] | None = None
        self._context: Context | None = None
        self._cancelled = False

    def __await__(self) -> Generator[Any, Any, None]:
        """The task's part of it."""
        self._step(None)
        while not self._ended:
            awaited = self._awaited
            thrown: BaseException | None = None
            try:
                if isinstance(awaited, Waiter):
                    awaited.strand = self
                    yield self
                    continue  # `go_on` came to something that isn't a Waiter
                if awaited is not _HOME:
                    yield awaited
            except BaseException as fault:  # noqa: BLE001 - thrown by the task, it is the coroutine's to deal with
                thrown = fault
            self._step(thrown)
        if self._fault is not None:
            raise self._fault

    def go_on(self) -> None:
        """Do the step after a Waiter, within the loop's callback; the hot path."""
        try:
            awaited = next(self._steps)
        except StopIteration:
            self._ended = True
        except BaseException as fault:  # noqa: BLE001 - the task raises it
            self._ended, self._fault = True, fault
        else:
            self._awaited = awaited
            if isinstance(awaited, Waiter):
                awaited.strand = self
                return
        self._wake()

    def _step(self, thrown: BaseException | None) -> None:
        """The same within the task."""
        if self._ended:  # cancelled by its own last step
            self._fault = thrown
            return
        try:
            self._awaited = next(self._steps) if thrown is None else self._steps.throw(thrown)
        except StopIteration:
            self._ended = True
        except BaseException as fault:  # noqa: BLE001 - for the task to raise
            self._ended, self._fault = True, fault

    # ---- asyncio's protocol for what a task awaits

    get_loop = staticmethod(asyncio.get_running_loop)

    def add_done_callback(self, wakeup: Callable[[Any], object], *, context: Context) -> None:
        """How the task says what resumes it, having noted that it knows of this wait: the next one is another."""
        self._asyncio_future_blocking = True
        self._wakeup = wakeup
        self._context = context

    def cancel(self, msg: Any | None = None) -> bool:  # noqa: ARG002  the signature is asyncio's
        """Resume the task with CancelledError, on the loop's next turn; no answer resumes the coroutine any more."""
        self._cancelled = True
        self._leave()
        self._loop.call_soon(self._interrupt)
        return True

    def result(self) -> None:
        """What the task asks when it resumes: nothing, or the cancellation."""
        if self._cancelled:
            self._cancelled = False
            raise asyncio.CancelledError

    def _interrupt(self) -> None:
        if self._cancelled:
            self._leave()  # it was cancelled by its own step, which came to another Waiter
            self._wake()

    def _leave(self) -> None:
        waiter = self._awaited
        if isinstance(waiter, Waiter) and waiter.strand is self:
            waiter.strand = None

    def _wake(self) -> None:
        wakeup = self._wakeup
        if wakeup is not None and self._context is not None:
            self._wakeup = None
            self._context.run(wakeup, self)
