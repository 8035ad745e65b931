"""Connections that are no faster than asked: what a user on a thin line sees, and what such a user costs a target.

A Paced stands between a loop's transport and a connection. To the loop it is the protocol, to the connection the
transport, and neither knows: bytes wait in between, the peer is stopped meanwhile, and a sender told to wait. Rates are
those of plain bytes, before TLS. Connections without a rate have nothing in between.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

from loadgate_runner.http.settings import Rates
from loadgate_runner.http.upload import tell_of_the_last_byte

BURST: Final = 0.05
"""Seconds whose bytes may go at once: what a bucket holds."""
_LEAST: Final = 0.001
"""Seconds that are waited at least: loops round to milliseconds."""
_NANOSECONDS: Final = 1_000_000_000


class Bucket:
    """A token bucket in bytes, full at first. Moments are ns of any clock."""

    __slots__ = ("_at", "_level", "_most", "_rate")

    def __init__(self, rate: float, now: int) -> None:
        """`rate` is in bytes a second."""
        self._rate = rate
        self._most = max(1, int(rate * BURST))
        self._level = float(self._most)
        self._at = now

    def take(self, wanted: int, now: int) -> int:
        """How many of these bytes may go now; they count as gone.

        All, or as many as the bucket holds, or none: given out one by one, they would take the CPU's time for theirs.
        """
        self._level = min(self._most, self._level + (now - self._at) * self._rate / _NANOSECONDS)
        self._at = now
        portion = min(wanted, self._most)
        if self._level < portion:
            return 0
        self._level -= portion
        return portion

    def until(self, wanted: int) -> float:
        """Seconds until these bytes may go, or as many of them as may go at once."""
        return max(_LEAST, (min(wanted, self._most) - self._level) / self._rate)


class Paced:
    """An asyncio.Protocol and Transport by its methods.

    A connection is told of each byte that doesn't go out at once, and again when all are out, whatever limits it sets.
    """

    def __init__(
        self, protocol: asyncio.Protocol, loop: asyncio.AbstractEventLoop, clock: Callable[[], int], rates: Rates
    ) -> None:
        self._protocol = protocol
        self._loop = loop
        self._clock = clock
        self._transport = cast("asyncio.Transport", None)
        self._up = Bucket(rates.up, clock()) if rates.up else None
        self._down = Bucket(rates.down, clock()) if rates.down else None
        self._unsent: deque[memoryview] = deque()
        self._unread: deque[memoryview] = deque()
        self._sending: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._full = self._told = self._held = self._stopped = self._closing = self._gone = self._over = False
        self._fault: Exception | None = None

    # ---- what the loop tells it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)
        tell_of_the_last_byte(self._transport)
        self._protocol.connection_made(cast("asyncio.Transport", self))

    def data_received(self, data: bytes) -> None:
        """Pass on what may be passed on, and stop the peer over the rest."""
        self._unread.append(memoryview(data))
        if self._reading is None:
            self._pass_on()

    def eof_received(self) -> None:
        """The peer sends no more; `connection_lost` will follow."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone; what came before is passed on first, in its time."""
        self._gone, self._fault = True, exc
        self._drop_unsent()
        if self._reading is None:
            self._pass_on()

    def pause_writing(self) -> None:
        """The kernel takes no more for now."""
        self._full = True

    def resume_writing(self) -> None:
        """It has all that it was given."""
        self._full = False
        if self._sending is None:
            self._send()

    # ---- what a connection does with it

    def write(self, data: bytes) -> None:
        """Send, in its time."""
        if data and not self._gone:
            self._unsent.append(memoryview(data))
            if self._sending is None:
                self._send()
            if (self._unsent or self._full) and not self._told:
                self._told = True
                self._protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        """Bytes that the kernel hasn't got yet."""
        return sum(map(len, self._unsent)) + self._transport.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing: see above."""

    def pause_reading(self) -> None:
        """Pass on nothing for now."""
        self._held = True
        self._stop()

    def resume_reading(self) -> None:
        """Go on."""
        self._held = False
        self._soon()

    def is_closing(self) -> bool:
        """Whether nothing goes out any more."""
        return self._closing or self._transport.is_closing()

    def close(self) -> None:
        """Close once all is out."""
        self._closing = True
        if not self._unsent:
            self._transport.close()

    def abort(self) -> None:
        """Close at once; what came isn't wanted any more."""
        self._closing, self._held = True, False
        self._unread.clear()
        self._drop_unsent()
        self._transport.abort()
        if self._gone:
            self._soon()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What is known of the socket or of TLS."""
        return self._transport.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        """Have another one behind it."""
        self._protocol = protocol

    # ---- both directions

    def _send(self) -> None:
        self._sending = None
        while self._unsent and not self._full:
            first = self._unsent[0]
            now = len(first) if self._up is None else self._up.take(len(first), self._clock())
            if not now:
                self._sending = self._loop.call_later(self._wait(self._up, len(first)), self._send)
                return
            self._unsent.popleft()
            if now < len(first):
                self._unsent.appendleft(first[now:])
            self._transport.write(first[:now])
        if not self._unsent and not self._full:
            self._sent()

    def _sent(self) -> None:
        """All is with the kernel."""
        if self._closing:
            self._transport.close()
        elif self._told:
            self._told = False
            self._protocol.resume_writing()

    def _soon(self) -> None:
        if self._reading is None:
            self._reading = self._loop.call_later(0, self._read_on)

    def _read_on(self) -> None:
        self._reading = None
        self._pass_on()

    def _pass_on(self) -> None:
        while self._unread and not self._held:
            first = self._unread[0]
            now = len(first) if self._down is None else self._down.take(len(first), self._clock())
            if not now:
                self._reading = self._loop.call_later(self._wait(self._down, len(first)), self._read_on)
                break
            self._unread.popleft()
            if now < len(first):
                self._unread.appendleft(first[now:])
            self._protocol.data_received(bytes(first[:now]))
        if self._unread:
            self._stop()
        elif self._gone:
            self._end()
        elif self._stopped and not self._held and not self._transport.is_closing():
            self._stopped = False
            self._transport.resume_reading()

    def _stop(self) -> None:
        """Let the peer send no more."""
        if not self._stopped and not self._gone and not self._transport.is_closing():
            self._stopped = True
            self._transport.pause_reading()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._protocol.connection_lost(self._fault)

    def _drop_unsent(self) -> None:
        self._unsent.clear()
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    @staticmethod
    def _wait(bucket: Bucket | None, wanted: int) -> float:
        return 0.0 if bucket is None else bucket.until(wanted)
