"""A request whose answer is a stream of server-sent events, heard as they come."""

from __future__ import annotations

from collections import deque
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
    listening = Listening(opening)
    failed: RequestFailed | None = None
    try:
        await listening.begin()
        if listening.streams:
            await _hear(listening, wish)
    except RequestFailed as fault:
        failed = fault
    finally:
        listening.end(failed)
    return listening.response


async def _hear(listening: Listening, wish: Wish) -> None:
    until = listening.until(wish.seconds)
    try:
        while (event := await listening.next(until)) is not None:
            if wish.hear(event, listening.moment):
                return
    except RequestFailed as failed:
        if failed.kind is not Failure.TIMEOUT or wish.awaited:
            raise
        return
    if wish.awaited:
        raise ended_early()


def ended_early() -> RequestFailed:
    """What a stream is that ended before what is waited for came."""
    return RequestFailed(Failure.BODY, "the stream ended before what was waited for came")


class Listening:
    """One stream of events, read by one coroutine, event by event."""

    def __init__(self, opening: Opening) -> None:
        self.response = opening.response()
        """What came of it; whole once `end` was called."""
        self._opening = opening
        self._stream = Stream(opening.network)
        self._answer = _Answer(opening, self.response)
        self._heard: deque[Event] = deque()
        self._total = after(self.response.started, opening.request.options.timeouts.total)

    @property
    def streams(self) -> bool:
        """Whether a stream of events came; else it is an answer like any other."""
        return self._answer.streams

    @property
    def moment(self) -> int:
        """When the last event came."""
        return self._answer.moment

    def until(self, seconds: float | None) -> int:
        """When it is over that is listened to for so many seconds, or for as long as a request may take."""
        return self._total if seconds is None else after(self._answer.headed_at, seconds)

    async def begin(self) -> None:
        """Ask for the stream. Raises RequestFailed; an answer that is no stream is read whole."""
        response, answer, limits = self.response, self._answer, self._opening.request.options.timeouts
        await self._stream.dial(self._opening, response, self._total)
        until = min(self._total, after(response.began, limits.first_byte))
        await self._stream.write(self._opening.wire, until)
        response.sent_at = self._opening.network.clock()
        while not answer.headed_at:
            await answer.take(self._stream, until)
            until = self._total
        if answer.streams:
            response.ended = answer.headed_at
            response.settle(None, "")  # so far
            return
        while not answer.complete:
            await answer.take(self._stream, self._total)
        answer.keep_body()

    async def next(self, until: int) -> Event | None:
        """The next event; None where the stream has ended in order. Raises RequestFailed."""
        while not self._heard:
            self._heard.extend(self._answer.events())
            if not self._heard:
                if self._answer.complete:
                    return None
                await self._answer.take(self._stream, until)
        event = self._heard.popleft()
        self.response.body = event.data.encode("utf-8", "replace")
        self.response.size = len(self.response.body)
        return event

    def end(self, failed: RequestFailed | None = None) -> None:
        """Close it, and derive what the response says."""
        response, answer = self.response, self._answer
        response.ended = answer.headed_at if answer.streams and failed is None else self._opening.network.clock()
        response.settle(failed.kind if failed else None, failed.message if failed else "")
        self._stream.close()
        response.sent, response.received = self._stream.sent, self._stream.received


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
        if len(head) == 1:
            raise RequestFailed(Failure.PROTOCOL, "not an HTTP/1.1 answer: an empty line stands in its head's place")
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

    def on_message_begin(self) -> None:
        """Stop where something begins behind the answer."""
        if self.complete:
            raise HttpParserError("a second answer to one request")

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
