"""One turn of the loop in three strides: all answers are taken in, then all VUs go on, then all requests go out.

Sending each request as it is made would wake the target's process once per request, and waking a process on another
core costs more than all else that a request costs; sent together, the first wakes it and finds it busy with the rest.
And a VU that went on as soon as its answer is there would hold up the answers behind it, which would be timed too long.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadgate_runner.http.connection import Connection


class Turn:
    """What the rest of the loop's turn has to do. Append to a list, then `arm` unless it is armed."""

    __slots__ = ("_clock", "_loop", "answered", "armed", "asking")

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], int]) -> None:
        self._loop = loop
        self._clock = clock
        self.armed = False
        self.answered: list[Connection] = []
        self.asking: list[Connection] = []

    def arm(self) -> None:
        """See that everything is done once the loop is through with what is ready."""
        self.armed = True
        self._loop.call_soon(self.complete)

    def complete(self) -> None:
        """Do it. A request begins when the one before it is out: what it waited for that isn't the target's doing."""
        try:
            while self.answered or self.asking:
                answered, self.answered = self.answered, []
                for connection in answered:
                    connection.resume()
                asking, self.asking = self.asking, []
                if asking:
                    now = self._clock()
                    for connection in asking:
                        now = connection.flush(now)
        finally:
            self.armed = False
            if self.answered or self.asking:  # the process is told to end, but others may yet want to finish
                self.arm()
