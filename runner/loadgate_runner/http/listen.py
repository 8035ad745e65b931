"""A request whose answer is a stream of server-sent events, heard as they come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from loadgate_runner.http.connection import ends_with_connection
from loadgate_runner.http.events import Event, EventParser, TooLarge
from loadgate_runner.http.failures import Failure, RequestFailed
from loadgate_runner.http.headers import END, Headers, final_head
from loadgate_runner.http.stream import Opening, Stream, after

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgate_runner.http.response import Response

MEDIA_TYPE: Final = "text/event-stream"


@dataclass(slots=True)
class Wish:
    """How long to listen, and for what. `seconds` count from the answer's head; else the request's `total` holds.

    Where nothing in particular is `awaited`, a stream has come to its end when the time is over, or when it ends.
    """

    hear: Callable[[Event, int], bool]
    """Takes an event and the moment at which it came; says whether it was what the stream is for."""
    awaited: bool
    seconds: float | None = None


async def listen(opening: Opening, wish: Wish) -> Response:
    """Open the stream, hear events, and say what came of it; what the target does never raises.

    The response ends with the answer's head, and its body is the last event's data: an open-model latency, from when
    the request was due to its end, is of the request and not of how long was listened. Of a failure it is all the time
    until then. Where the answer is no stream of events, it is an answer like any other.
    """
    response, stream = opening.response(), Stream(opening.network)
    answer = _Answer(opening, response)
    try:
        await _converse(opening, wish, stream, answer)
    except RequestFailed as failed:
        response.ended = opening.network.clock()
        response.settle(failed.kind, failed.message)
    else:
        response.ended = answer.headed_at if answer.streams else opening.network.clock()
        response.settle(None, "")
    finally:
        stream.close()
        response.sent, response.received = stream.sent, stream.received
    return response


async def _converse(opening: Opening, wish: Wish, stream: Stream, answer: _Answer) -> None:
    response, limits = answer.response, opening.request.options.timeouts
    total = after(response.started, limits.total)
    await stream.dial(opening, response, total)
    first = min(total, after(response.began, limits.first_byte))
    await stream.write(opening.wire, first)
    response.sent_at = opening.network.clock()
    until = first
    while not answer.headed_at:
        await answer.take(stream, until)
        until = total
    if not answer.streams:
        while not answer.complete:
            await answer.take(stream, total)
        answer.keep_body()
        return
    if wish.seconds is not None:
        until = after(answer.headed_at, wish.seconds)
    await _hear(answer, wish, stream, until)


async def _hear(answer: _Answer, wish: Wish, stream: Stream, until: int) -> None:
    response = answer.response
    try:
        while True:
            for event in answer.events():
                response.body = event.data.encode("utf-8", "replace")
                response.size = len(response.body)
                if wish.hear(event, answer.moment):
                    return
            if answer.complete:
                break
            await answer.take(stream, until)
    except RequestFailed as failed:
        if failed.kind is not Failure.TIMEOUT or wish.awaited:
            raise
        return
    if wish.awaited:
        raise RequestFailed(Failure.BODY, "the stream ended before what was waited for came")


@dataclass(slots=True)
class _Answer:
    """An answer in pieces, as llhttp calls it."""

    opening: Opening
    response: Response
    headed_at: int = 0
    moment: int = 0
    complete: bool = False
    streams: bool = False
    _parser: HttpResponseParser = field(init=False)
    _head: bytearray = field(default_factory=bytearray)
    _begun: bool = False
    _ends_with_connection: bool = False
    _pieces: list[bytes] = field(default_factory=list)
    _kept: int = 0
    _events: EventParser = field(init=False)

    def __post_init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._events = EventParser(self.opening.network.limits.body)

    async def take(self, stream: Stream, until: int) -> None:
        """Read a piece. Raises RequestFailed."""
        came = await stream.read(until)
        if came is None:
            self._close()
            return
        self.moment, piece = came
        self.response.first = self.response.first or self.moment
        if not self.headed_at:
            self._head += piece
        try:
            self._parser.feed_data(piece)
        except (HttpParserError, HttpParserUpgrade) as fault:
            if not self.complete:
                raise RequestFailed(Failure.PROTOCOL, f"not an HTTP/1.1 answer: {fault}") from fault
        if self._begun and not self.headed_at:
            self._greet()
        elif not self.headed_at and len(self._head) > self.opening.network.limits.head:
            raise RequestFailed(Failure.PROTOCOL, f"the answer's head is larger than {len(self._head)} bytes")

    def events(self) -> list[Event]:
        """The events that have come since. Raises RequestFailed."""
        pieces, self._pieces, self._kept = self._pieces, [], 0
        try:
            return self._events.feed(b"".join(pieces))
        except TooLarge as fault:
            most = self.opening.network.limits.body
            raise RequestFailed(Failure.PROTOCOL, f"an event is larger than {most} bytes") from fault

    def keep_body(self) -> None:
        """Of an answer that isn't a stream: its body, up to the limit."""
        response, most = self.response, self.opening.network.limits.body
        body = b"".join(self._pieces)
        response.truncated = len(body) > most
        response.body, response.size = body[:most], len(body)

    def _greet(self) -> None:
        start, end = final_head(self._head)
        head = bytes(self._head[start:end]) or b"HTTP/1.1 000" + END
        self._head.clear()
        self.headed_at = self.moment
        self.response.status = self._parser.get_status_code()
        self.opening.greet(self.response, head)
        headers = Headers(head)
        kind = (headers.get("content-type") or "").partition(";")[0].strip().lower()
        self.streams = self.response.status == 200 and kind == MEDIA_TYPE
        if self.response.status < 400 and not self.streams:
            came = f"status {self.response.status} with {kind[:100] or 'nothing'}"
            raise RequestFailed(Failure.PROTOCOL, f"no stream of events came, but {came}")
        if self.streams and (headers.get("content-encoding") or "identity").strip().lower() != "identity":
            raise RequestFailed(Failure.BODY, "the stream is compressed, which wasn't asked for")
        self._ends_with_connection = ends_with_connection(headers)

    def _close(self) -> None:
        if not self.headed_at:
            kind = Failure.PROTOCOL if self.response.first else Failure.RESET
            raise RequestFailed(kind, "the connection was closed before the answer's head was whole")
        if not self.complete and not self._ends_with_connection:
            raise RequestFailed(Failure.BODY, "the connection was closed within the answer")
        self.complete = True

    # ---- what llhttp calls

    def on_headers_complete(self) -> None:
        """A head is whole; an interim one isn't the answer's."""
        self._begun = self._parser.get_status_code() >= 200

    def on_body(self, piece: bytes) -> None:
        """Keep a piece until it is looked at. Of an answer that isn't a stream there may be more than is kept."""
        if self.streams or not self.headed_at or self._kept <= self.opening.network.limits.body:
            self._pieces.append(piece)
            self._kept += len(piece)

    def on_message_complete(self) -> None:
        """The answer is whole, unless it was an interim one."""
        self.complete = self._begun
