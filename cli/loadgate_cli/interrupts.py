"""Ctrl-C and SIGTERM: once to stop gracefully with what was measured, twice to stop at once."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop(Protocol):
    """Ends what runs, gracefully or at once, and returns when it is over."""

    def __call__(self, *, graceful: bool) -> Awaitable[None]:
        """Begin to."""


class Interrupts:
    """Counts signals and starts what each asks for."""

    def __init__(self, stop: Stop, tell: Callable[[str], None]) -> None:
        self._stop = stop
        self._tell = tell
        self._before: dict[signal.Signals, signal._HANDLER] = {}
        self._stopping: list[asyncio.Future[None]] = []
        self.count = 0

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Take signals until the block ends."""
        loop = asyncio.get_running_loop()
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.hit)
        try:
            yield
        finally:
            self._release(loop)

    def hit(self) -> None:
        """One more signal; the third does what it did before, should even stopping at once hang."""
        self.count += 1
        if self.count == 1:
            self._tell("stopping: iterations under way may end, then comes what was measured (again to stop at once)")
        else:
            self._tell("stopping at once")
            self._release(asyncio.get_running_loop())
        self._stopping.append(asyncio.ensure_future(self._stop(graceful=self.count == 1)))

    async def finished(self) -> None:
        """Wait until stopping is over, if it was asked for, and raise what it raised."""
        await asyncio.gather(*self._stopping)

    def _release(self, loop: asyncio.AbstractEventLoop) -> None:
        for number, handler in self._before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
