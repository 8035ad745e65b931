"""A connection on which bytes come and go for longer than one answer: what event streams and WebSockets stand on.

It isn't the hot path: a coroutine reads pieces as they come, each with its moment. What isn't read yet is bounded, as
the peer is stopped then; so is every wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

from loadgate_runner.http.dial import Dialer, Phases
from loadgate_runner.http.failures import Failure, RequestFailed
from loadgate_runner.http.headers import Headers
from loadgate_runner.http.response import Response
from loadgate_runner.http.upload import tell_of_the_last_byte

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from loadgate_runner.http.cookies import CookieJar
    from loadgate_runner.http.network import Network
    from loadgate_runner.http.request import Request
    from loadgate_runner.http.urls import Origin

_MOST_UNREAD: Final = 256 * 1024
_NANOSECONDS: Final = 1_000_000_000
_UNAUTHORIZED: Final = 401


@dataclass(frozen=True, slots=True)
class Opening:
    """All that a stream begins with: where it goes, what is sent first, and whose it is."""

    network: Network
    dialer: Dialer
    request: Request
    wire: bytes
    origin: Origin
    path: bytes
    cookies: CookieJar
    headers: bytes = b""
    """The lines that it was given, beside those that are prepared."""

    def response(self) -> Response:
        """The response to be filled in; it begins now."""
        response = Response()
        response.request, response.origin, response.path = self.request, self.origin, self.path
        response.started = response.began = response.sent_at = response.ended = self.network.clock()
        response.first = response.status = response.sent = response.received = response.size = 0
        response.connecting = response.tls = 0
        response.head, response.body, response.hops = None, b"", ()
        response.reused = response.truncated = response.plain = False
        return response

    def again(self, response: Response) -> Opening | None:
        """The same signed anew, where the answer is a challenge that this may answer."""
        if response.status != _UNAUTHORIZED or not self.request.challenged(self.origin, response.head, self.wire):
            return None
        cookies = self.cookies.line(self.origin, self.path)
        return replace(self, wire=self.request.compose(self.origin, self.path, self.headers, None, cookies))

    def greet(self, response: Response, head: bytes) -> None:
        """Take note of an answer's head: its bytes where someone will look, its cookies in any case."""
        for text in Headers(head).all("set-cookie"):
            self.cookies.store(self.origin, self.path, text)
        response.head = head if self.request.needs_head else None


async def opened(opening: Opening, use: Callable[[Opening], Awaitable[Response]]) -> Response:
    """Open a stream; where that is challenged, once more, and the first answer is a hop of what comes of it."""
    first = await use(opening)
    again = opening.again(first)
    if again is None:
        return first
    response = await use(again)
    response.hops = (first,)
    return response


def after(moment: int, seconds: float) -> int:
    """The moment so many seconds later."""
    return moment + round(seconds * _NANOSECONDS)


class Stream(asyncio.Protocol):
    """One connection, used by one coroutine, closed by whoever opened it. All moments are ns of the network's clock."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._clock = network.clock
        self._transport = cast("asyncio.Transport", None)
        self._unread: deque[tuple[int, bytes]] = deque()
        self._size = 0
        self._paused = self._full = self._gone = False
        self._broken = ""
        self._waiter: asyncio.Future[None] | None = None
        self.sent = self.received = 0

    # ---- what its user does

    async def dial(self, opening: Opening, response: Response, until: int) -> None:
        """Connect, and note in the response how long that took. Raises RequestFailed."""
        phases = Phases()
        try:
            await opening.dialer.dial(self, phases, until)
        finally:
            response.connecting, response.tls = phases.connect // 1000, phases.tls // 1000
            response.began = response.sent_at = self._clock()

    async def read(self, until: int) -> tuple[int, bytes] | None:
        """The next piece with the moment at which it came; None at the orderly end. Raises RequestFailed.

        A peer that never pauses is stopped at `until` all the same, with `timeout`.
        """
        while not self._unread:
            if self._broken:
                raise RequestFailed(Failure.RESET, f"the connection broke: {self._broken}")
            if self._gone:
                return None
            await self._wait(until)
        if self._clock() >= until:
            raise _late()
        moment, piece = self._unread.popleft()
        self._size -= len(piece)
        if self._paused and self._size <= _MOST_UNREAD // 2:
            self._paused = False
            self._transport.resume_reading()
        return moment, piece

    async def write(self, data: bytes, until: int) -> None:
        """Send; returns when all of it is with the kernel. Raises RequestFailed."""
        if self._gone:
            raise RequestFailed(Failure.RESET, f"the connection broke: {self._broken or 'closed by the peer'}")
        self._transport.write(data)
        self.sent += len(data)
        while self._full and not self._gone:
            await self._wait(until)

    def close(self) -> None:
        """Drop the connection; nothing comes any more."""
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self, until: int) -> None:
        self._waiter = self._network.loop.create_future()
        try:
            async with asyncio.timeout((until - self._clock()) / _NANOSECONDS):
                await self._waiter
        except TimeoutError as fault:
            raise _late() from fault
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ---- what the loop tells it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)
        tell_of_the_last_byte(self._transport)
        self._network.open_connections += 1

    def data_received(self, data: bytes) -> None:
        """Keep a piece until it is read."""
        self._unread.append((self._clock(), data))
        self.received += len(data)
        self._size += len(data)
        if self._size > _MOST_UNREAD and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def pause_writing(self) -> None:
        """The socket's buffer is full."""
        self._full = True

    def resume_writing(self) -> None:
        """All is out."""
        self._full = False
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, by whomever."""
        self._network.open_connections -= 1
        self._gone, self._broken = True, str(exc) if exc else ""
        self._wake()


def _late() -> RequestFailed:
    return RequestFailed(Failure.TIMEOUT, "what was waited for didn't come in time")
