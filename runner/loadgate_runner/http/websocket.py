"""A WebSocket (RFC 6455) on a stream: the handshake, bounds and failures are ours, the frames wsproto's."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import secrets
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping, TextMessage
from wsproto.utilities import LocalProtocolError

from loadgate_runner.http.failures import Failure, RequestFailed
from loadgate_runner.http.headers import Headers, final_head
from loadgate_runner.http.stream import Stream, after

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from loadgate_runner.http.response import Response
    from loadgate_runner.http.stream import Opening

_SWITCHED: Final = 101
_NORMAL: Final = 1000
_ORDERLY: Final = (_NORMAL, 1001)
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION: Final = b"HTTP/1."
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})[ \r]")
_LINGER: Final = 1.0
"""Seconds that a peer has to answer our close."""


class Received(NamedTuple):
    """A message with the moment at which its last piece came."""

    data: bytes
    text: bool
    moment: int


class Socket:
    """One WebSocket, used by one coroutine. Messages are bounded; pings are answered while something is waited for."""

    def __init__(self, opening: Opening, response: Response) -> None:
        self._opening = opening
        self._response = response
        self._limit = opening.network.limits.body
        self._stream = Stream(opening.network)
        self._frames: Connection | None = None
        self._inbox: deque[Received] = deque()
        self._kept = 0
        self._pieces: list[bytes] = []
        self._size = 0
        self._over: RequestFailed | None = None
        self._closed_with = 0
        self.clock = opening.network.clock
        self.opened_at = 0
        self.on_message: Callable[[Received], None] = _ignore

    @property
    def open(self) -> bool:
        """Whether the handshake succeeded."""
        return self.opened_at > 0

    async def connect(self, subprotocols: Sequence[str]) -> None:
        """Do the handshake. Raises RequestFailed; a refusal is no failure but an answer, and leaves it not `open`."""
        response, limits = self._response, self._opening.request.options.timeouts
        total = after(response.started, limits.total)
        await self._stream.dial(self._opening, response, total)
        until = min(total, after(response.began, limits.first_byte))
        key = base64.b64encode(secrets.token_bytes(16))
        await self._stream.write(_upgrade(self._opening.wire, key, subprotocols), until)
        response.sent_at = self.clock()
        head, rest = await self._head(until)
        self._opening.greet(response, head)
        response.ended = self.clock()
        if response.status != _SWITCHED:
            await self._refusal(Headers(head), rest, total)
            return
        _judge(Headers(head), key, subprotocols)
        self._frames = Connection(ConnectionType.CLIENT, [], rest)
        self.opened_at = response.ended

    async def send(self, data: str | bytes, seconds: float) -> None:
        """Send a message. Raises RequestFailed."""
        message = TextMessage(data) if isinstance(data, str) else BytesMessage(data)
        await self._send(message, after(self.clock(), seconds))

    async def receive(self, until: int) -> Received:
        """The next message; those that came before a close come first. Raises RequestFailed."""
        while not self._inbox:
            await self._pump(until)
        received = self._inbox.popleft()
        self._kept -= len(received.data)
        return received

    async def idle(self, seconds: float) -> None:
        """Let time pass; messages that come meanwhile are kept for later, up to the limit. Raises RequestFailed."""
        until = after(self.clock(), seconds)
        try:
            while True:
                await self._pump(until)
        except RequestFailed as failed:
            heard = failed is self._over and self._inbox  # what came before a close may be expected yet
            if failed.kind is not Failure.TIMEOUT and not heard:
                raise

    async def drain(self, seconds: float) -> None:
        """Let time pass; messages that come meanwhile are counted and dropped, and the peer may close in order.

        Raises RequestFailed.
        """
        until = after(self.clock(), seconds)
        try:
            while True:
                await self.receive(until)
        except RequestFailed as failed:
            if failed.kind is not Failure.TIMEOUT and self._closed_with not in _ORDERLY:
                raise

    def settle(self) -> None:
        """Raise RequestFailed where the peer's close tells of an error, though nobody waited for more."""
        if self._over is not None and self._closed_with not in _ORDERLY:
            raise self._over

    async def close(self, code: int = _NORMAL) -> None:
        """Close in order, if the peer does its part in time; what it does instead is no failure."""
        if self._frames is None or self._frames.state is not ConnectionState.OPEN:
            return
        until = after(self.clock(), _LINGER)
        try:
            await self._send(CloseConnection(code), until)
            while True:
                await self._pump(until)
                self._inbox.clear()
                self._kept = 0
        except RequestFailed:
            return

    def drop(self) -> None:
        """Close at once."""
        self._stream.close()
        self._response.sent, self._response.received = self._stream.sent, self._stream.received

    async def _send(self, event: Event, until: int) -> None:
        if self._frames is None:
            raise RequestFailed(Failure.PROTOCOL, "the WebSocket isn't open")
        try:
            wire = self._frames.send(event)
        except LocalProtocolError as fault:
            raise RequestFailed(Failure.CLOSED, "the WebSocket was closed before this was sent") from fault
        await self._stream.write(wire, until)

    async def _pump(self, until: int) -> None:
        """Take in the next bytes: messages go to the inbox, control frames are attended to. Raises RequestFailed."""
        if self._over is not None:
            raise self._over
        if self._frames is None:
            raise RequestFailed(Failure.PROTOCOL, "the WebSocket isn't open")
        moment, events = self.clock(), list(self._frames.events())
        if not events:
            came = await self._stream.read(until)
            if came is None:
                raise RequestFailed(Failure.RESET, "the connection was closed without a WebSocket's close")
            moment = came[0]
            self._frames.receive_data(came[1])
            events = list(self._frames.events())
        for event in events:
            if isinstance(event, Message):
                self._take(moment, event)
            elif isinstance(event, CloseConnection):
                await self._closed(event, until)
            elif isinstance(event, Ping) and self._frames.state is ConnectionState.OPEN:
                await self._send(event.response(), until)

    async def _closed(self, event: CloseConnection, until: int) -> None:
        """The peer closes, or broke the protocol, which wsproto tells in the same words: it is over after what came."""
        state = self._frames.state if self._frames is not None else None
        if state is ConnectionState.OPEN:
            self._over = RequestFailed(Failure.PROTOCOL, f"not a WebSocket's frames: {event.reason or event.code}")
            return
        self._closed_with = int(event.code)
        reason = f" ({event.reason[:100]})" if event.reason else ""
        told = f"the peer closed the WebSocket with code {self._closed_with}{reason}"
        self._over = RequestFailed(Failure.CLOSED, told)
        if state is ConnectionState.REMOTE_CLOSING:
            with contextlib.suppress(RequestFailed):  # it needn't wait for our answer
                await self._send(event.response(), until)

    def _take(self, moment: int, event: Message[Any]) -> None:
        data = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
        if data:  # a peer may send any number of empty pieces
            self._pieces.append(data)
            self._size += len(data)
        if self._size + self._kept > self._limit:
            what = "a message is" if self._size > self._limit else "messages that nobody waits for are"
            raise RequestFailed(Failure.PROTOCOL, f"{what} larger than {self._limit} bytes")
        if event.message_finished:
            received = Received(b"".join(self._pieces), isinstance(event, TextMessage), moment)
            self._pieces, self._size = [], 0
            self._kept += len(received.data)
            self._inbox.append(received)
            self.on_message(received)

    async def _head(self, until: int) -> tuple[bytes, bytes]:
        """The head of the answer, and what came behind it."""
        response, most, found = self._response, self._opening.network.limits.head, bytearray()
        begins = ends = 0
        while not ends:
            if len(found) > most:
                raise RequestFailed(Failure.PROTOCOL, f"the answer's head is larger than {most} bytes")
            came = await self._stream.read(until)
            if came is None:
                kind = Failure.PROTOCOL if found else Failure.RESET
                raise RequestFailed(kind, "the connection was closed before the answer's head was whole")
            response.first = response.first or came[0]
            found += came[1]
            if not found.startswith(_VERSION[: len(found)]):
                raise RequestFailed(Failure.PROTOCOL, "not an HTTP/1.1 answer")
            begins, ends = final_head(found, begins)
        head, rest = bytes(found[begins:ends]), bytes(found[ends:])
        status = _STATUS_LINE.match(head)
        if status is None:
            raise RequestFailed(Failure.PROTOCOL, "not an HTTP/1.1 answer: its first line is none")
        response.status = int(status[1])
        return head, rest

    async def _refusal(self, headers: Headers, rest: bytes, until: int) -> None:
        """Read the body of an answer that is no upgrade, as far as its length is told and it is kept."""
        length = headers.get("content-length") or "0"
        wanted = min(int(length), self._limit) if length.isascii() and length.isdigit() and len(length) < 19 else 0
        body = bytearray(rest)
        while len(body) < wanted and (came := await self._stream.read(until)) is not None:
            body += came[1]
        self._response.body = bytes(body[:wanted])
        self._response.size = len(self._response.body)


async def converse(
    opening: Opening, subprotocols: Sequence[str], talk: Callable[[Socket], Awaitable[None]], code: int = _NORMAL
) -> Response:
    """Open a WebSocket, talk, close it, and say what came of it; what the target does never raises.

    The response ends with the handshake, so that its latency is of that alone; of a failure, it is all the time until
    then.
    """
    response = opening.response()
    socket = Socket(opening, response)
    try:
        await socket.connect(subprotocols)
        response.settle(None, "")
        if socket.open:
            await talk(socket)
            socket.settle()
            await socket.close(code)
    except RequestFailed as failed:
        response.ended = socket.clock()
        response.settle(failed.kind, failed.message)
    finally:
        socket.drop()
    return response


def _ignore(_message: Received) -> None:
    """Nobody counts."""


def _upgrade(wire: bytes, key: bytes, subprotocols: Sequence[str]) -> bytes:
    """The request with what makes it a handshake."""
    lines = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key
    if subprotocols:
        lines += b"\r\nSec-WebSocket-Protocol: " + ", ".join(subprotocols).encode("ascii", "replace")
    return wire[:-2] + lines + b"\r\n\r\n"


def _judge(headers: Headers, key: bytes, subprotocols: Sequence[str]) -> None:
    """Hold the answer to RFC 6455, 4.1. Raises RequestFailed."""
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest()).decode()
    tokens = {token.strip().lower() for token in (headers.get("connection") or "").split(",")}
    chosen = headers.get("sec-websocket-protocol")
    if (headers.get("upgrade") or "").lower() != "websocket" or "upgrade" not in tokens:
        raise RequestFailed(Failure.PROTOCOL, "the answer switches to something else than a WebSocket")
    if headers.get("sec-websocket-accept") != accept:
        raise RequestFailed(Failure.PROTOCOL, "the answer isn't to our handshake: Sec-WebSocket-Accept is wrong")
    if headers.get("sec-websocket-extensions") or (chosen is not None and chosen not in subprotocols):
        raise RequestFailed(Failure.PROTOCOL, "the answer chooses an extension or a subprotocol that wasn't offered")
