"""One TCP or TLS connection to a target, carrying one request at a time: the hottest code of a runner.

A request is sent by `begin`; awaiting the connection then waits for its outcome, which the connection writes into the
response while it comes. Most answers come in one piece, and a busy server's answers to one request begin alike: where
head and length are those of an answer that was parsed before (`Request.plain`), there is nothing to parse. Everything
else (more pieces, other heads, interim answers, failures) goes through llhttp, in methods off that path.
"""

import asyncio
import os
import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from loadgate_runner.http.content import Content
from loadgate_runner.http.failures import Failure
from loadgate_runner.http.headers import Headers, final_head
from loadgate_runner.http.request import Request
from loadgate_runner.http.response import Response
from loadgate_runner.http.trailing import Trailing
from loadgate_runner.http.upload import Upload, tell_of_the_last_byte
from loadgate_runner.http.waiter import Waiter

if TYPE_CHECKING:
    from loadgate_runner.http.line import Line
    from loadgate_runner.http.plain import PlainSocket
    from loadgate_runner.http.secure import SecureSocket

_UNREADABLE = (HttpParserError, HttpParserUpgrade)
_LINE_ENDS = b"\r\n"
_ONE = ord("1")
_STATUS_AT = 9  # where a status begins: "HTTP/1.1 200"
_NO_PIECES = bytearray()
_LOWEST = 100
_CONTINUE = 100
_NANOSECONDS = 1_000_000_000
_SWITCHING = 101  # the one interim status that is final, since what follows it isn't HTTP
_OVERLAP = 3  # bytes of a head's end that may have come with the piece before


class Connection(Waiter):
    """`busy` from `begin` until who asked goes on; `response` is there while its answer isn't whole.

    `keep` says whether another request may follow. It is an asyncio.Protocol by its methods and not by inheritance: a
    class that is compiled has no base that isn't.
    """

    __slots__ = (
        "_body",
        "_body_size",
        "_clock",
        "_complete",
        "_full",
        "_head",
        "_head_at",
        "_headed",
        "_lean",
        "_limits",
        "_line",
        "_parser",
        "_pieces",
        "_plain",
        "_sockets",
        "_total_at",
        "_trailing",
        "_transport",
        "_turn",
        "_upload",
        "_wire",
        "answers",
        "busy",
        "fresh",
        "keep",
        "response",
        "since",
        "stands",
    )

    def __init__(self, line: "Line") -> None:
        Waiter.__init__(self, line.network.loop)
        self._clock = line.network.clock
        self._limits = line.network.limits
        self._line = line
        self._turn = line.network.turn
        self._wire = b""
        self._upload: Upload | None = None
        self._trailing: Trailing | None = None
        self._lean: Any = None
        self._full: Any = None
        self._parser: Any = None
        self._transport = cast("asyncio.Transport", None)
        self._sockets = line.network.sockets
        self._plain: PlainSocket | None = None
        self.response: Response | None = None
        self.busy = False
        self.fresh = False
        self.keep = True
        self.stands = False
        self.answers = 0
        """Counted where a bound asks for it."""
        self.since = 0
        """When it stood, in ns of the clock."""

    _head: bytes
    _head_at: int
    _pieces: bytearray
    _headed: bool
    _complete: bool
    _body: bytes | bytearray
    _body_size: int
    _total_at: int

    # ---- what a line does with it

    def stand_on(self, sock: socket.socket) -> None:
        """Use a socket that is connected, without a transport of the loop. Raises OSError."""
        self.stand(self._sockets.take(sock, self))

    def secure_on(self, sock: socket.socket, context: Any, server_name: str) -> "SecureSocket":
        """The same with TLS: once its handshake is done, the connection stands. Raises OSError and ValueError."""
        return self._sockets.secure(sock, self, context, server_name)

    def stand(self, plain: "PlainSocket") -> None:
        """From now on requests go out there."""
        self._plain = plain
        self._stand(cast("asyncio.Transport", plain))

    def begin(self, request: Request, wire: bytes, started: int, now: int, total_at: int) -> Response:
        """Send a request, at the end of the loop's turn, and give its response, complete once `self` was awaited.

        `started` is when it was asked for, `now` is now, `total_at` when it has to be over, all in ns of the clock.
        """
        response = Response()
        response.request = request
        response.started = started
        response.began = response.sent_at = now
        response.first = response.ended = 0
        response.status = response.received = response.size = 0
        response.blocked = response.connecting = response.tls = 0
        response.error = response.head = None
        response.message = ""
        response.body = b""
        response.hops = ()
        response.truncated = False
        response.reused = True
        response.sent = len(wire)
        self.response = response
        self.busy = self.fresh = True
        self._total_at = total_at
        if self._plain is None:
            self._transport.write(wire)
        else:
            self._wire = wire
            turn = self._turn
            turn.asking.append(self)
            if not turn.armed:
                turn.arm()
        line = self._line
        deadline = now + request.first_byte
        if deadline > total_at:  # noqa: PLR1730 - a branch seldom taken is cheaper here than a call of min()
            deadline = total_at
        line.deadline = deadline
        if deadline < line.watched:
            line.watchdog.watch(line)
        return response

    def follow(self, content: Content, patience: int) -> None:
        """Have a body follow the head that `begin` sends: once the peer asks for it, or is silent for so long (ns)."""
        response = self.response
        if response is not None and self.keep:
            self._upload = Upload(self, self._transport, response, content, patience / _NANOSECONDS)
            self._line.watch(self._total_at)  # the first byte's limit counts from the body's last

    def uploaded(self) -> None:
        """The last byte of a body is with the kernel."""
        response = self.response
        if response is not None and self.fresh:
            self._line.watch(min(response.sent_at + response.request.first_byte, self._total_at))

    def now(self) -> int:
        """The moment, in ns of the clock."""
        return self._clock()

    def resume(self) -> None:
        """Let who asked go on, as part of the loop's turn."""
        self.busy = False
        self.wake()

    def flush(self, now: int) -> int:
        """Send what `begin` left for the end of the turn; gives the moment behind it."""
        response, plain = self.response, self._plain
        if response is None or plain is None or not self.keep:
            return now  # it was given up meanwhile
        response.began = now
        fault = plain.send(self._wire)
        if fault:
            self.fail(Failure.RESET, f"sending: {os.strerror(fault)}")
            return self._clock()
        self._wire = b""
        response.sent_at = sent_at = self._clock()
        return sent_at

    def abort(self) -> None:
        """Close at once."""
        self.keep = False
        self._line.drop(self)
        self._transport.abort()

    def forsake(self) -> None:
        """Nobody will use it: a loop that is told to stop while it hands one over may neither close it nor say so."""
        if self.stands:
            self._gone()
            self._transport.abort()

    def _gone(self) -> None:
        self.keep = False
        if self.stands:
            self.stands = False
            self._line.lost(self)

    def fail(self, kind: Failure, message: str) -> None:
        """End the request in flight with a failure, and the connection with it."""
        self._end(self._clock(), kind, message)
        self.abort()
        self.resume()

    def late(self) -> None:
        """The request's time is over."""
        awaited = "the first byte of an answer" if self.fresh else "the whole answer"
        self.fail(Failure.TIMEOUT, f"{awaited} didn't come in time")

    # ---- what the loop tells it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; `resume_writing` is to say when all is out."""
        tell_of_the_last_byte(cast("asyncio.Transport", transport))
        self._stand(cast("asyncio.Transport", transport))

    def _stand(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.since = self._clock()
        self.stands = True
        self._line.made()

    def data_received(self, data: bytes) -> None:
        """Read an answer, or a piece of one, that came just now as far as a loop's transport tells."""
        self.take(data, self._clock())

    def take(self, data: bytes, now: int) -> None:
        """Read an answer, or a piece of one, that came at some moment."""
        response = self.response
        if response is None:
            self.abort()  # nothing was asked
            return
        if self.fresh:
            self.fresh = False
            now = max(now, response.began)  # sent before it was asked for: a peer that guesses
            response.first = now
            request = response.request
            head, size, status = request.plain
            if len(data) == size and data.startswith(head):
                response.ended = now
                response.received = size
                response.status = status
                response.plain = True
                began, sent_at = response.began, response.sent_at
                if now < sent_at:
                    response.sent_at = sent_at = now  # the peer answered before the kernel told us that it had all
                response.blocked = (began - response.started) // 1000
                response.duration = duration = (now - began) // 1000
                response.sending = sending = (sent_at - began) // 1000
                response.waiting = duration - sending
                response.receiving = 0
                if request.needs_head:
                    response.head = head
                    if request.needs_body:
                        response.body = body = data[len(head) :]
                        response.size = len(body)
                self.response = None
                turn = self._turn
                turn.answered.append(self)
                if not turn.armed:
                    turn.arm()
                return
            self._begin_to_read(request)
        elif now < response.first:
            now = response.first  # the wall clock was set meanwhile
        self._read(response, data, now)

    def resume_writing(self) -> None:
        """The last byte of a request that didn't fit the socket's buffer is out."""
        if self.fresh and self.response is not None:
            self.response.sent_at = self._clock()
        if self._upload is not None:
            self._upload.resume()

    def pause_writing(self) -> None:
        """More of a request is to be sent than the socket's buffer holds; `resume_writing` will follow."""
        if self._upload is not None:
            self._upload.pause()

    def eof_received(self) -> None:
        """The peer sends no more; `connection_lost` will follow."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, by whomever."""
        self._gone()
        if self.response is not None:
            self._end(self._clock(), *self._cut_off(self.response, exc))
            self.resume()
        self._lean = self._full = self._parser = self._trailing = None  # each holds a method of this object

    # ---- reading what isn't as before

    def _begin_to_read(self, request: Request) -> None:
        """Choose the parser that calls no more than the request needs."""
        self._trailing = None
        if request.head_only:
            parser = HttpResponseParser(
                SimpleNamespace(on_message_begin=self._on_begin, on_headers_complete=self._on_head_only)
            )
        elif request.needs_trailers:
            self._trailing = trailing = Trailing(self._limits.head, self._on_begin, self._on_complete, self._on_body)
            parser = HttpResponseParser(trailing)
        elif request.needs_body:
            parser = self._full
            if parser is None:
                calls = SimpleNamespace(
                    on_message_begin=self._on_begin, on_message_complete=self._on_complete, on_body=self._on_body
                )
                parser = self._full = HttpResponseParser(calls)
        else:
            parser = self._lean
            if parser is None:
                parser = self._lean = HttpResponseParser(
                    SimpleNamespace(on_message_begin=self._on_begin, on_message_complete=self._on_complete)
                )
        self._parser = parser
        self._headed = self._complete = False
        self._pieces = _NO_PIECES
        self._body = b""
        self._body_size = 0
        self._head = b""
        self._head_at = 0
        self._line.deadline = self._total_at  # the first byte is there, the last one has until then

    def _read(self, response: Response, data: bytes, now: int) -> None:
        first = not response.received
        response.received += len(data)
        if first and data[0] in _LINE_ENDS:  # the parser would skip them, and a head would begin we know not where
            self.fail(Failure.PROTOCOL, "not an HTTP/1.1 answer: it begins with an empty line")
            return
        try:
            self._parser.feed_data(data)
        except _UNREADABLE as fault:
            if not self._complete:
                self.fail(Failure.PROTOCOL, f"not an HTTP/1.1 answer: {fault}")
                return
            self.keep = False  # the answer is whole; what follows it isn't for us
        if self._trailing is not None and self._trailing.fed(len(data)):
            self.fail(Failure.PROTOCOL, f"the answer's trailers are larger than {self._limits.head} bytes")
            return
        if self._complete and first and len(data) <= self._limits.head and data[_STATUS_AT] != _ONE:
            self._head = data
        elif not self._headed and not self._gather(response, data):
            return
        if self._upload is not None and not self._headed and self._head_at == len(self._pieces):
            self._await_anew(response, self._upload)
        if self._complete:
            self._end(now)
            self._turn.answered.append(self)
            if not self._turn.armed:
                self._turn.arm()

    def _gather(self, response: Response, data: bytes) -> bool:
        """Keep the pieces of a head together until it is whole; False where there are too many."""
        searched = max(0, len(self._pieces) - _OVERLAP)
        if self._pieces is _NO_PIECES:
            self._pieces = bytearray(data)
        else:
            self._pieces += data
        self._head_at, end = final_head(self._pieces, self._head_at, searched)
        if (end or len(self._pieces)) > self._limits.head:
            self.fail(Failure.PROTOCOL, f"the answer's head is larger than {self._limits.head} bytes")
            return False
        if end:
            self._head = bytes(self._pieces[:end])
            self._headed = True
            self._pieces = _NO_PIECES
            if self._head[self._head_at] in _LINE_ENDS:
                response.status = 0
                self.fail(Failure.PROTOCOL, "not an HTTP/1.1 answer: an empty line stands behind an interim one")
                return False
            response.status = response.status or self._parser.get_status_code()
            if response.status < _LOWEST:
                self.fail(Failure.PROTOCOL, f"not an HTTP/1.1 answer: its status is {response.status:03d}")
                return False
        return True

    def _await_anew(self, response: Response, upload: Upload) -> None:
        """Nothing but interim answers came: to a request whose body isn't out yet, no answer has begun with them."""
        if upload.whole or self._complete:
            return
        if response.received > self._limits.head:
            self.fail(Failure.PROTOCOL, f"more than {self._limits.head} bytes of interim answers")
            return
        self.fresh = True
        response.first = 0

    def _on_begin(self) -> None:
        """Stop where something begins behind the answer: its parts would be taken for the answer's."""
        if self._complete:
            raise HttpParserError("a second answer to one request")

    def _on_complete(self) -> None:
        parser = self._parser
        status = parser.get_status_code()
        if self.response is not None and (status >= 200 or status == _SWITCHING):
            self.response.status = status
            self.keep = parser.should_keep_alive() and status != _SWITCHING
            self._complete = True
        else:
            self._on_interim(status)

    def _on_interim(self, status: int) -> None:
        """An answer that says what is to be done meanwhile."""
        if self._upload is not None and status == _CONTINUE:
            self._upload.go()

    def _on_body(self, piece: bytes) -> None:
        self._body_size += len(piece)
        kept = len(self._body)
        if kept == 0:
            self._body = piece[: self._limits.body]
        elif kept < self._limits.body:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += piece[: self._limits.body - kept]

    def _on_head_only(self) -> None:
        """The answer to HEAD ends with its head, whatever it says about a body."""
        status = self._parser.get_status_code()
        if self.response is not None and (status >= 200 or status == _SWITCHING):
            self.response.status = status
            self._complete = True
        else:
            self._on_interim(status)

    def _end(self, now: int, kind: Failure | None = None, message: str = "") -> None:
        """Write the outcome down. The connection is free then, if it is to be kept."""
        response = self.response
        if response is None:
            return
        self.response = None
        if self._wire:
            self._wire = b""
            response.sent = 0  # it was still to be sent
        if self._upload is not None:
            self._leave_off(self._upload)
        response.plain = False
        response.ended = now
        if not self.fresh:
            response.head = self._head
            response.body, response.size = bytes(self._body), self._body_size
            response.truncated = self._body_size > len(self._body)
            if self._trailing is not None:
                response.trail(bytes(self._trailing.lines))
            if response.request.head_only and self._complete:
                start, end = final_head(self._head)
                stray = end != response.received  # a body that may not be there would be the next answer's beginning
                self.keep = self.keep and not stray and stays_open(self._head[start:end])
        response.settle(kind, message)
        self.fresh = False
        if self._line.keeping is not None:
            self.answers += 1
            self._line.answered(self, now)

    def _leave_off(self, upload: Upload) -> None:
        """Send no more of a body that the answer didn't wait for, and nothing in its place (RFC 9112, 9.3)."""
        self._upload = None
        if not upload.whole:
            upload.stop()
            self.keep = False

    def _cut_off(self, response: Response, exc: Exception | None) -> tuple[Failure | None, str]:
        """The connection ended before the answer: or was its end the answer's?"""
        if exc is not None:
            return Failure.RESET, f"the connection broke: {exc}"
        if self.fresh:
            return Failure.RESET, "the connection was closed instead of an answer"
        if not self._headed:
            return Failure.PROTOCOL, "the connection was closed within the answer's head"
        if ends_with_connection(Headers(self._head[self._head_at :])):
            return None, ""
        return Failure.BODY, f"the connection was closed within the body, after {response.received} bytes in all"


def stays_open(head: bytes) -> bool:
    """Whether a connection outlives an answer (RFC 9112, 9.3), going by its head."""
    connection = (Headers(head).get("connection") or "").lower()
    tokens = {token.strip() for token in connection.split(",")}
    return "close" not in tokens and (not head.startswith(b"HTTP/1.0") or "keep-alive" in tokens)


def ends_with_connection(headers: Headers) -> bool:
    """Whether a body has no other end (RFC 9112, 6.3)."""
    return "content-length" not in headers and "transfer-encoding" not in headers
