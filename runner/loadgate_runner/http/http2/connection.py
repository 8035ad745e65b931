"""One HTTP/2 connection: streams side by side, bounded whatever a peer sends.

h2 is the protocol's state machine; bytes, time and bounds are here. What comes goes past the meter and to h2 in slices,
since a piece of 256 KiB may hold thousands of frames, and other VUs have their turn in between. What is sent is put
together for a turn of the loop, so that the requests of VUs that share a connection leave as one.
"""

import asyncio
import socket
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    InformationalResponseReceived,
    RemoteSettingsChanged,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import H2Error, NoAvailableStreamIDError
from hpack.exceptions import HPACKError
from hyperframe.exceptions import HyperframeError

from loadgate_runner.http.content import Unreadable
from loadgate_runner.http.failures import Failure
from loadgate_runner.http.http2.exchange import Exchange
from loadgate_runner.http.http2.fields import Malformed
from loadgate_runner.http.http2.machine import Machine
from loadgate_runner.http.http2.meter import LARGEST, Flood, Meter
from loadgate_runner.http.upload import tell_of_the_last_byte

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgate_runner.http.http2.place import Place

_UNREADABLE = (H2Error, HPACKError, HyperframeError)
_REMEMBERED: Final = 100  # streams that are over, of one VU
_STREAMS: Final = 100  # at once, until the peer says how many (Go's client does the same)
_UNSENT: Final = 262_144  # bytes of bodies that wait for the kernel
_UNTAKEN: Final = 1_048_576  # bytes of all kinds that the peer doesn't take
_CONTINUE: Final = 100
_FINAL: Final = 200
_NANOSECONDS: Final = 1_000_000_000
_ANSWERS: Final = 4  # frames without content that a peer may well send for one of ours: windows, a ping


class Connection:
    """It is an asyncio.Protocol by its methods, as the one of HTTP/1.1 is.

    `open`: it takes another request. One that doesn't ends with the last of its exchanges.
    """

    __slots__ = (
        "_armed", "_asked", "_backlog", "_clock", "_ending", "_exchanges", "_full", "_heard", "_loop", "_machine",
        "_meter", "_network", "_out", "_place", "_queue", "_rested", "_send", "_settled", "_transport", "_uploads",
        "_waiting", "_why", "answers", "open", "since", "stands",
    )  # fmt: skip

    def __init__(self, place: "Place") -> None:
        self._place = place
        self._network = place.network
        self._loop = place.network.loop
        self._clock = place.network.clock
        self._machine = Machine(place.network.limits.head, _REMEMBERED + 2 * place.share)
        self._meter = Meter(place.network.limits.head, self._clock())
        self._transport = cast("asyncio.Transport", None)
        self._send: Callable[[bytes], int] | None = None
        self._exchanges: dict[int, Exchange] = {}
        self._queue: deque[Exchange] = deque()
        self._uploads: deque[Exchange] = deque()
        self._out: list[bytes] = []
        self._waiting: list[Exchange] = []
        self._backlog: deque[tuple[int, bytes, int]] = deque()
        self._armed = self._full = self._settled = self._rested = self._ending = False
        self._why = ""
        self._heard = 0
        self._asked = 0
        self.open = True
        self.stands = False
        self.answers = 0
        self.since = 0
        """When it stood, in ns of the clock."""

    # ---- what a VU's seat does with it

    @property
    def idle(self) -> bool:
        """Whether no request is on it."""
        return not self._exchanges and not self._queue

    def send_by(self, plain: socket.socket) -> None:
        """Send on a plain socket: a loop's transport wouldn't say when it has sent."""
        self._send = plain.send

    def ask(self, exchange: Exchange) -> None:
        """Open a stream for a request, as soon as the peer lets there be one more."""
        exchange.connection = self
        exchange.response.reused = self._asked > 0
        self._rested = False
        self._asked += 1
        self._queue.append(exchange)
        self._admit()

    def leave(self, exchange: Exchange, kind: Failure | None = None, message: str = "") -> None:
        """Give an exchange up: nobody waits for it any more, or it is out of time."""
        now = self._clock()
        if exchange in self._queue:
            self._queue.remove(exchange)
        elif self._exchanges.get(exchange.stream) is exchange:
            self._reset(exchange)
            if self._heard <= exchange.response.began and not exchange.response.first:
                self.open = False  # not a word came since: it may well be dead
        exchange.end(now, kind or Failure.RESET, message)
        self._done(now)

    def close(self) -> None:
        """Close at once; what is on it fails."""
        self._cut(self._clock(), "the connection was closed by us")
        self._abort()

    def forsake(self) -> None:
        """Nobody will use it (see the other Connection)."""
        if self.stands:
            self._gone()
            self._transport.abort()

    # ---- what the loop tells it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, and send what a connection begins with."""
        self._transport = cast("asyncio.Transport", transport)
        tell_of_the_last_byte(self._transport)
        self.since = self._heard = self._clock()
        self.stands = True
        self._network.open_connections += 1
        self._collect()

    def data_received(self, data: bytes) -> None:
        """Read frames, at once where they are few."""
        now = self._clock()
        if not self._settled and data.startswith(b"HTTP/1."):
            self._broken(now, "the peer speaks HTTP/1.1, and no HTTP/2 with prior knowledge")
            return
        self._heard = now
        if self._backlog:
            self._backlog.append((now, data, 0))
            return
        at = self._read(now, data, 0)
        if at < len(data):
            self._backlog.append((now, data, at))
            if not self._transport.is_closing():
                self._transport.pause_reading()
            self._loop.call_soon(self._go_on)

    def pause_writing(self) -> None:
        """The kernel takes no more for now."""
        self._full = True

    def resume_writing(self) -> None:
        """It has all that it was given."""
        self._full = False
        self._gone_out()
        self._upload()

    def eof_received(self) -> None:
        """The peer sends no more; `connection_lost` will follow."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, by whomever; what came before is still read."""
        self._why = f"the connection broke: {exc}" if exc else self._why
        self._ending = True
        if not self._backlog:
            self._end()

    # ---- reading

    def _go_on(self) -> None:
        """Read the next slice of what came."""
        if not self._backlog:
            return
        moment, data, at = self._backlog.popleft()
        at = self._read(moment, data, at)
        if at < len(data):
            self._backlog.appendleft((moment, data, at))
        if self._backlog:
            self._loop.call_soon(self._go_on)
        elif self._ending:
            self._end()
        elif not self._transport.is_closing():
            self._transport.resume_reading()

    def _read(self, now: int, data: bytes, start: int) -> int:
        """Read one slice; where it ends."""
        try:
            end = self._meter.take(data, start, now)
            for stream, size in self._meter.shares:
                exchange = self._exchanges.get(stream)
                if exchange is not None:
                    exchange.response.received += size
            events = self._machine.receive_data(data if end - start == len(data) else data[start:end])
        except Flood as flood:
            self._broken(now, str(flood))
            return len(data)
        except _UNREADABLE as fault:
            self._broken(now, str(fault) or type(fault).__name__)
            return len(data)
        if events and type(events[-1]) is ConnectionTerminated:  # a slice ends behind it
            self._machine.went_on()  # before what came with it is looked at, which may have us send
        for event in events:
            self._handle(event, now)
        self._collect()
        self._done(now)
        return end

    def _handle(self, event: Event, now: int) -> None:
        kind = type(event)
        if kind is ResponseReceived or kind is InformationalResponseReceived:
            self._on_head(cast("ResponseReceived", event), now)
        elif kind is DataReceived:
            self._on_data(cast("DataReceived", event))
        elif kind is StreamEnded:
            self._on_end(cast("StreamEnded", event).stream_id, now)
        elif kind is StreamReset:
            self._on_reset(cast("StreamReset", event), now)
        elif kind is TrailersReceived:
            self._on_trailers(cast("TrailersReceived", event), now)
        elif kind is WindowUpdated:
            self._upload()
        elif kind is RemoteSettingsChanged:
            self._settled = True
            self._machine.bound()
            self._upload()
            self._admit()
        elif kind is ConnectionTerminated:
            self._on_goaway(cast("ConnectionTerminated", event), now)
        elif kind is RequestReceived:  # h2 lets a server open a stream; only a promise may (RFC 9113, 8.4)
            self._broken(now, "the peer began a stream of its own")

    def _on_head(self, event: ResponseReceived, now: int) -> None:
        exchange = self._exchanges.get(event.stream_id)
        if exchange is None:
            return
        try:
            status = exchange.headed(event.headers, now)
            if status < _FINAL:
                if status == _CONTINUE and exchange.held is not None:
                    self._let_go(exchange)
            elif event.stream_ended is not None:
                exchange.ended_by_fields()
        except Malformed as fault:
            self._malformed(exchange, fault, now)

    def _on_trailers(self, event: TrailersReceived, now: int) -> None:
        exchange = self._exchanges.get(event.stream_id)
        if exchange is None:
            return
        try:
            if exchange.response.request.needs_trailers:
                exchange.trailed(event.headers)
            exchange.ended_by_fields()
        except Malformed as fault:
            self._malformed(exchange, fault, now)

    def _malformed(self, exchange: Exchange, fault: Malformed, now: int) -> None:
        exchange.response.first = exchange.response.first or now
        self._reset(exchange, ErrorCodes.PROTOCOL_ERROR)
        exchange.end(now, Failure.PROTOCOL, f"not an HTTP/2 answer: {fault}")

    def _on_data(self, event: DataReceived) -> None:
        self._machine.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        exchange = self._exchanges.get(event.stream_id)
        if exchange is not None:
            exchange.came(event.data)

    def _on_end(self, stream: int, now: int) -> None:
        exchange = self._exchanges.get(stream)
        if exchange is None:
            return
        if exchange.unsent:
            self._reset(exchange)  # answered before it had all of the request, which is whole (RFC 9113, 8.1)
        else:
            del self._exchanges[stream]
        exchange.end(now)
        self.answers += 1
        if not self._place.keeps(self, now):
            self.open = False

    def _on_reset(self, event: StreamReset, now: int) -> None:
        exchange = self._exchanges.pop(event.stream_id, None)
        if exchange is None:
            return
        exchange.leave_off()
        code, response = _name(event.error_code), exchange.response
        if event.remote_reset:
            response.first = response.first or now  # it is the answer that the peer has, and none that got lost
            exchange.end(now, Failure.RESET, f"the peer reset the stream: {code}")
        else:
            exchange.end(now, Failure.PROTOCOL, f"the peer broke the stream's rules: {code}")

    def _on_goaway(self, event: ConnectionTerminated, now: int) -> None:
        """Streams above the last one that the peer names were not looked at, so that they may be sent again."""
        self.open = False
        why = f"the peer ended the connection: {_name(event.error_code)}"
        if event.error_code:  # else an end that follows is in order
            self._why = why
        refused = [one for stream, one in self._exchanges.items() if stream > (event.last_stream_id or 0)]
        for exchange in refused:
            del self._exchanges[exchange.stream]
        refused += self._queue
        self._queue.clear()
        for exchange in refused:
            exchange.leave_off()
            exchange.response.sent = exchange.response.first = 0
            exchange.end(now, Failure.RESET, why)

    # ---- sending

    def _admit(self) -> None:
        """Open streams for what waits, as far as the peer lets."""
        while self._queue and self.stands:
            most = self._machine.remote_settings.max_concurrent_streams if self._settled else _STREAMS
            if len(self._exchanges) >= most:
                return
            exchange = self._queue.popleft()
            try:
                exchange.stream = self._machine.get_next_available_stream_id()
            except NoAvailableStreamIDError:
                self.open = False
                exchange.end(self._clock(), Failure.RESET, "the connection has no stream left")
                continue
            self._open(exchange)

    def _open(self, exchange: Exchange) -> None:
        now = self._clock()
        response, wire = exchange.response, exchange.wire
        fields, end = self._place.fields_of(response.request, wire)
        exchange.left = memoryview(wire)[end:]
        exchange.wire = b""
        request = response.request
        if request.content is not None and request.content.size:
            exchange.pieces = request.content.pieces()
        self._machine.send_headers(exchange.stream, fields, end_stream=not exchange.unsent)
        self._exchanges[exchange.stream] = exchange
        response.began = response.sent_at = now
        first_byte = exchange.total_at if exchange.pieces is not None else now + request.first_byte
        exchange.line.watch(min(first_byte, exchange.total_at))
        self._meter.grant(_ANSWERS)
        self._collect(exchange)
        if exchange.unsent and request.patience:
            exchange.held = self._loop.call_later(request.patience / _NANOSECONDS, self._let_go, exchange)
        elif exchange.unsent:
            self._uploads.append(exchange)
            self._upload()

    def _let_go(self, exchange: Exchange) -> None:
        """Send a body that was held back: the peer wants it, or has been waited for long enough."""
        exchange.let_go()
        self._uploads.append(exchange)
        self._upload()

    def _upload(self) -> None:
        """Send of each body in turn a frame, until windows or the kernel take no more (RFC 9113, 5.2)."""
        blocked = 0
        while blocked < len(self._uploads) and not self._full and sum(map(len, self._out)) < _UNSENT:
            exchange = self._uploads.popleft()
            self._refill(exchange)
            if not exchange.left:
                continue
            room = min(self._machine.local_flow_control_window(exchange.stream), LARGEST, len(exchange.left))
            if room <= 0:
                self._uploads.append(exchange)
                blocked += 1
                continue
            blocked = 0
            piece, exchange.left = exchange.left[:room], exchange.left[room:]
            self._machine.send_data(exchange.stream, piece, end_stream=not exchange.unsent)
            self._meter.grant(_ANSWERS)
            self._collect(exchange)
            if exchange.unsent:
                self._uploads.append(exchange)
            elif exchange.pieces is not None and not exchange.response.first:
                exchange.line.watch(min(self._clock() + exchange.response.request.first_byte, exchange.total_at))

    def _refill(self, exchange: Exchange) -> None:
        try:
            exchange.refill()
        except Unreadable as fault:
            now = self._clock()
            self._reset(exchange)
            exchange.end(now, Failure.BODY, str(fault))
            self._done(now)

    def _collect(self, exchange: Exchange | None = None) -> None:
        """Take what h2 has to send, and send it at the end of the loop's turn."""
        data = self._machine.data_to_send()
        if data:
            self._out.append(data)
            if exchange is not None:
                exchange.response.sent += len(data)
                self._waiting.append(exchange)
            if not self._armed:
                self._armed = True
                self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._armed = False
        if not self.stands or not self._out:
            return
        data = b"".join(self._out)
        self._out.clear()
        untaken = self._transport.get_write_buffer_size()
        if untaken > _UNTAKEN:
            self._broken(self._clock(), "the peer doesn't take what it asks for")
            return
        if self._send is None or untaken:
            self._transport.write(data)
        else:
            try:
                count = self._send(data)
            except BlockingIOError:
                count = 0
            except OSError as fault:
                self._cut(self._clock(), f"sending: {fault.strerror}")
                self._abort()
                return
            if count < len(data):
                self._transport.write(data[count:])
        if not self._full:
            self._gone_out()
        if self._uploads:
            self._upload()

    def _gone_out(self) -> None:
        """Note the moment for whose frames were waiting."""
        now = self._clock()
        for exchange in self._waiting:
            exchange.response.sent_at = now
        self._waiting.clear()

    def _reset(self, exchange: Exchange, code: ErrorCodes = ErrorCodes.CANCEL) -> None:
        """End a stream on our side."""
        del self._exchanges[exchange.stream]
        exchange.leave_off()
        with suppress(H2Error):  # it may be over already
            self._machine.reset_stream(exchange.stream, code)
        self._collect()

    # ---- the end

    def _done(self, now: int) -> None:
        """See what is to be done once exchanges are over: others wait, or nothing is left to do."""
        if not self.stands:
            return
        if self._queue:
            if self.open:
                self._admit()
            else:
                for exchange in self._queue:
                    exchange.end(now, Failure.RESET, self._why or "the connection is given up")
                self._queue.clear()
        if self._exchanges:
            return
        if not self.open:
            self._abort()
        elif not self._rested:
            self._rested = True
            self._place.rest(now)

    def _broken(self, now: int, why: str) -> None:
        """What comes can't be read, or is more than it may be."""
        for exchange in self._all():
            exchange.response.first = exchange.response.first or now
            exchange.end(now, Failure.PROTOCOL, f"no HTTP/2: {why}")
        self._abort()

    def _cut(self, now: int, why: str) -> None:
        for exchange in self._all():
            exchange.cut_off(now, why)

    def _all(self) -> list[Exchange]:
        """Every exchange, taken off the connection."""
        these = [*self._exchanges.values(), *self._queue]
        self._exchanges.clear()
        self._queue.clear()
        return these

    def _abort(self) -> None:
        self.open = False
        self._backlog.clear()
        if self.stands:
            self._transport.abort()
        self._gone()

    def _end(self) -> None:
        """The peer closed it, and all that came before is read."""
        self._cut(self._clock(), self._why)
        self._gone()

    def _gone(self) -> None:
        self.open = False
        self._send = None
        if self.stands:
            self.stands = False
            self._network.open_connections -= 1
            self._place.lost(self)


def _name(code: int | None) -> str:
    """An error code as RFC 9113, 7, names it; where this is compiled, h2's member of it has become a number."""
    try:
        return ErrorCodes(code or 0).name
    except ValueError:
        return f"error {code}"
