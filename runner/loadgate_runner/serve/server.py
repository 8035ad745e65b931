"""HTTP/1.1 as far as a control port needs it: small requests, one answer after another, everything bounded.

The load loop runs in the same process, hence no framework: parsing is httptools', and an answer is written at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import httptools

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MOST_BODY = 1 << 20
"""Bytes of a request's body: messages have some hundred, setup values perhaps some thousand."""
MOST_HEAD = 16 << 10
"""Bytes of a request's line and headers."""
MOST_WAITING = 16
"""Requests that a client may send without waiting for answers."""
MOST_CONNECTIONS = 256
IDLE_SECONDS = 75.0
"""A connection on which nothing whole came for so long is closed."""


@dataclass
class Request:
    """One request, whole. Header names are lower-case."""

    method: str = ""
    path: str = ""
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    keep_alive: bool = True


@dataclass(frozen=True)
class Answer:
    """What goes back."""

    status: HTTPStatus
    body: bytes
    content_type: str = "application/json"
    encoding: str = ""


Handler = "Callable[[Request], Awaitable[Answer]]"


class _Refused(Exception):  # noqa: N818 - not an error of ours
    """The request is not to be read any further."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class _Connection(asyncio.Protocol):
    """Reads requests off one connection and answers them in their order."""

    def __init__(self, server: ControlServer) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[Request] = deque()
        self._answering: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._request = Request()
        self._url = b""
        self._head = 0
        self._refusal: HTTPStatus | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have asyncio's interface without being its subclasses.
        self._transport = cast("asyncio.Transport", transport)
        if not self._server.admit(self):
            self._transport.abort()
            return
        self._watch_idle()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - a protocol's
        self._server.forget(self)
        if self._idle is not None:
            self._idle.cancel()
        if self._answering is not None:
            self._answering.cancel()

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(HTTPStatus.BAD_REQUEST)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._refuse(cause.status if isinstance(cause, _Refused) else HTTPStatus.BAD_REQUEST)
        except httptools.HttpParserError:
            self._refuse(HTTPStatus.BAD_REQUEST)

    # httptools calls these while it is fed.

    def on_message_begin(self) -> None:
        self._request = Request()
        self._url = b""
        self._head = 0

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value))
        self._request.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, data: bytes) -> None:
        self._request.body += data
        if len(self._request.body) > MOST_BODY:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def on_message_complete(self) -> None:
        path, _, query = self._url.decode("latin-1").partition("?")
        request = self._request
        request.method = self._parser.get_method().decode("latin-1")
        request.path, request.query = path, query
        request.keep_alive = self._parser.should_keep_alive()
        if len(self._waiting) >= MOST_WAITING:
            raise _Refused(HTTPStatus.TOO_MANY_REQUESTS)
        self._waiting.append(request)
        if self._answering is None:
            self._answering = asyncio.get_running_loop().create_task(self._answer_waiting())

    def close(self) -> None:
        """Close the connection, what is written already is still sent."""
        if self._transport is not None:
            self._transport.close()

    def _count_head(self, size: int) -> None:
        self._head += size
        if self._head > MOST_HEAD:
            raise _Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _refuse(self, status: HTTPStatus) -> None:
        self._refusal = status
        if self._answering is None:
            self._write(Answer(status, b'{"message":"%s"}' % status.phrase.encode()), keep_alive=False)

    async def _answer_waiting(self) -> None:
        while self._waiting:
            request = self._waiting.popleft()
            answer = await self._server.handle(request)
            self._write(answer, keep_alive=request.keep_alive, head_only=request.method == "HEAD")
        self._answering = None
        if self._refusal is not None:
            self._refuse(self._refusal)
        self._watch_idle()

    def _write(self, answer: Answer, *, keep_alive: bool, head_only: bool = False) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        encoding = f"Content-Encoding: {answer.encoding}\r\n" if answer.encoding else ""
        head = (
            f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\n"
            f"Content-Type: {answer.content_type}\r\n"
            f"Content-Length: {len(answer.body)}\r\n"
            f"{encoding}Cache-Control: no-store\r\n"
            f"{'' if keep_alive else 'Connection: close' + chr(13) + chr(10)}\r\n"
        )
        self._transport.write(head.encode("latin-1") + (b"" if head_only else answer.body))
        if not keep_alive:
            self._transport.close()

    def _watch_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._close_idle)

    def _close_idle(self) -> None:
        if self._answering is None:
            self.close()


class ControlServer:
    """Listens, and hands whole requests to a handler."""

    def __init__(self, handle: Callable[[Request], Awaitable[Answer]]) -> None:
        self.handle = handle
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> int:
        """Listen there; returns the port. Raises OSError where it can't, which is before anything else is done."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Listen no more, and close what is open."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.close()
        await asyncio.sleep(0)

    def admit(self, connection: _Connection) -> bool:
        """Whether there may be one connection more."""
        if len(self._connections) >= MOST_CONNECTIONS:
            return False
        self._connections.add(connection)
        return True

    def forget(self, connection: _Connection) -> None:
        """It is gone."""
        self._connections.discard(connection)
