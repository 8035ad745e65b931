"""One TCP or TLS connection to a target, carrying one request at a time: the hottest code of a runner.

An answer that comes in one piece costs one call of `data_received`, one of the parser's callbacks and the waking of the
VU's task. Everything rarer (more pieces, interim answers, failures) is off that path, in methods of its own.
"""

import asyncio
import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from loadgate_runner.http.failures import Failure
from loadgate_runner.http.headers import Headers, final_head
from loadgate_runner.http.request import Request
from loadgate_runner.http.waiter import Waiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgate_runner.http.line import Line

_UNREADABLE = (HttpParserError, HttpParserUpgrade)
_NO_PIECES = bytearray()
_SWITCHING = 101  # the one interim status that is final, since what follows it isn't HTTP
_OVERLAP = 3  # bytes of a head's end that may have come with the piece before


class Connection(Waiter, asyncio.Protocol):
    """`begin` sends a request, awaiting the connection waits for its outcome, which is then in the attributes."""

    __slots__ = (
        "_body",
        "_clock",
        "_feed",
        "_full",
        "_headed",
        "_lean",
        "_limits",
        "_line",
        "_parser",
        "_pieces",
        "_send",
        "_total_at",
        "_transport",
        "began",
        "body_size",
        "done",
        "ended",
        "failure",
        "first",
        "head",
        "keep",
        "message",
        "received",
        "sent",
        "sent_at",
        "status",
        "used",
    )

    def __init__(self, line: "Line") -> None:
        Waiter.__init__(self, line.network.loop)
        self._clock = line.network.clock
        self._limits = line.network.limits
        self._line = line
        self._lean: Any = None
        self._full: Any = None
        self._parser: Any = None
        self._feed: Callable[[bytes], object] = _nothing
        self._transport = cast("asyncio.Transport", None)
        self._send: Callable[[bytes], int] | None = None
        self.used = False
        self.keep = True
        self.done = True  # nothing is asked, so whatever comes is unasked for
        self.first = 1

    failure: Failure | None
    message: str
    status: int
    head: bytes | None
    began: int
    sent_at: int
    first: int
    ended: int
    sent: int
    received: int
    body_size: int
    keep: bool
    """Whether another request may follow."""
    _body: bytes | bytearray
    _total_at: int
    _headed: bool
    _pieces: bytearray

    # ---- what a line does with it

    def send_by(self, plain: socket.socket) -> None:
        """Send on a plain socket at once; the loop's transports may queue requests until the end of the loop's turn,
        which would also hide when they were sent.
        """
        self._send = plain.send

    def begin(self, wire: bytes, request: Request, now: int, total_at: int) -> None:
        """Send a request. `now` and `total_at`, when it has to be over, are ns of the clock."""
        if request.needs_body:
            if self._full is None:
                self._full = HttpResponseParser(
                    SimpleNamespace(on_message_complete=self._on_complete, on_body=self._on_body)
                )
            parser = self._full
        elif request.head_only:
            parser = HttpResponseParser(SimpleNamespace(on_headers_complete=self._on_head_only))
        else:
            parser = self._lean
            if parser is None:
                parser = self._lean = HttpResponseParser(SimpleNamespace(on_message_complete=self._on_complete))
        self._parser = parser
        self._feed = parser.feed_data
        self._total_at = total_at
        self._headed = self.done = False
        self.failure = None
        self.first = self.received = self.status = self.body_size = 0
        self.head = None
        self._pieces = _NO_PIECES
        self._body = b""
        self.began = now
        self.sent = len(wire)
        self.sent_at = now
        if self._send is None:
            self._transport.write(wire)
        else:
            try:
                count = self._send(wire)
            except BlockingIOError:
                count = 0
            except OSError as fault:
                self.fail(Failure.RESET, f"sending: {fault.strerror}")
                return
            if count != len(wire):
                self._transport.write(wire[count:])
        self.sent_at = self._clock()
        deadline = now + request.first_byte
        line = self._line
        line.deadline = deadline = min(total_at, deadline)
        if deadline < line.watched:
            line.watchdog.watch(line)

    def take_body(self) -> tuple[bytes, int, bool]:
        """What was kept of the body as it came, how many bytes came, and whether more came than was kept."""
        body = self._body
        return body if isinstance(body, bytes) else bytes(body), self.body_size, self.body_size > len(body)

    def abort(self) -> None:
        """Close at once."""
        self.keep = False
        self._transport.abort()

    def fail(self, kind: Failure, message: str) -> None:
        """End the request in flight with a failure, and the connection with it."""
        self.failure = kind
        self.message = message
        self.ended = self._clock()
        self.done = True
        self.abort()
        self.wake()

    def late(self) -> None:
        """The request's time is over."""
        awaited = "the whole answer" if self.first else "the first byte of an answer"
        self.fail(Failure.TIMEOUT, f"{awaited} didn't come in time")

    # ---- what the loop tells it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; `resume_writing` is to say when all is out."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=0)
        self._line.made()

    def data_received(self, data: bytes) -> None:
        """Read an answer, or a piece of one."""
        now = self._clock()
        if self.first:
            if self.done:
                self.abort()  # nothing was asked
            else:
                self._more(data, now)
            return
        self.first = now
        self.head = data
        self.received = len(data)
        try:
            self._feed(data)
        except _UNREADABLE as fault:
            self._unreadable(fault)
            return
        if self.done:
            self.ended = now
            self.wake()
        else:
            self._line.deadline = self._total_at  # the first byte is there, the last one has until then
            self._pieces = bytearray(data)
            self._look_for_head(0)

    def resume_writing(self) -> None:
        """The last byte of a request that didn't fit the socket's buffer is out."""
        if not self.first:
            self.sent_at = self._clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, by whomever."""
        self.keep = False
        self._line.lost(self)
        if not self.done:
            self.ended = self._clock()
            self._cut_off(exc)
            self.done = True
            self.wake()
        self._lean = self._full = self._parser = None  # each holds a method of this object
        self._feed = _nothing
        self._send = None

    # ---- what the parser tells it

    def _on_complete(self) -> None:
        parser = self._parser
        status = parser.get_status_code()
        if self.done:
            self.keep = False  # a second answer to one request: the first counts, the connection doesn't
        elif status >= 200 or status == _SWITCHING:
            self.status = status
            self.keep = parser.should_keep_alive() and status != _SWITCHING
            self.done = True

    def _on_body(self, piece: bytes) -> None:
        self.body_size += len(piece)
        kept = len(self._body)
        if kept == 0:
            self._body = piece if len(piece) <= self._limits.body else piece[: self._limits.body]
        elif kept < self._limits.body:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += piece[: self._limits.body - kept]

    def _head_so_far(self) -> bytes:
        pieces = bytes(self._pieces) or self.head or b""
        found = final_head(pieces)
        return pieces if found is None else pieces[found[0] : found[1]]

    def _on_head_only(self) -> None:
        """The answer to HEAD ends with its head, whatever it says about a body."""
        status = self._parser.get_status_code()
        if status >= 200 or status == _SWITCHING:
            self.status = status
            self.keep = stays_open(self._head_so_far()) and status != _SWITCHING
            self.done = True

    # ---- off the hot path

    def _more(self, data: bytes, now: int) -> None:
        """Read a further piece. The pieces of a head are kept together until it is whole."""
        self.received += len(data)
        searched = len(self._pieces) - _OVERLAP
        if not self._headed:
            self._pieces += data
        try:
            self._feed(data)
        except _UNREADABLE as fault:
            self._unreadable(fault)
            return
        if not self._headed:
            self._look_for_head(searched)
        if self.done:
            self.ended = now
            self.wake()

    def _look_for_head(self, searched: int) -> None:
        found = final_head(self._pieces, searched)
        size = len(self._pieces) if found is None else found[1] - found[0]
        if size > self._limits.head:
            self.fail(Failure.PROTOCOL, f"the answer's head is larger than {self._limits.head} bytes")
        elif found is not None:
            self.head = bytes(self._pieces[found[0] : found[1]])
            self.status = self._parser.get_status_code()
            self._headed = True
            self._pieces = bytearray()

    def _unreadable(self, fault: Exception) -> None:
        if self.done:  # the answer was whole; what follows it is not for us
            self.ended = self._clock()
            self.abort()
            self.wake()
        else:
            self.fail(Failure.PROTOCOL, f"not an HTTP/1.1 answer: {fault}")

    def _cut_off(self, exc: Exception | None) -> None:
        """The connection ended before the answer: or was its end the answer's?"""
        if self._headed and exc is None and _ends_with_connection(Headers(self.head or b"")):
            return
        if exc is not None:
            self.failure, self.message = Failure.RESET, f"the connection broke: {exc}"
        elif not self.received:
            self.failure, self.message = Failure.RESET, "the connection was closed instead of an answer"
        elif not self._headed:
            self.failure, self.message = Failure.PROTOCOL, "the connection was closed within the answer's head"
        else:
            self.failure, self.message = Failure.BODY, "the connection was closed within the body"


def stays_open(head: bytes) -> bool:
    """Whether a connection outlives an answer (RFC 9112, 9.3), going by its head."""
    connection = (Headers(head).get("connection") or "").lower()
    tokens = {token.strip() for token in connection.split(",")}
    return "close" not in tokens and (not head.startswith(b"HTTP/1.0") or "keep-alive" in tokens)


def _ends_with_connection(headers: Headers) -> bool:
    """Whether a body has no other end (RFC 9112, 6.3)."""
    return "content-length" not in headers and "transfer-encoding" not in headers


def _nothing(data: bytes) -> None:
    """Stands where a parser is while there is none."""
