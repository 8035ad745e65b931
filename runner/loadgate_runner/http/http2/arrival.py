"""What a TLS connection meets first: the handshake says which protocol it is for (ALPN, RFC 7301)."""

import asyncio
from typing import TYPE_CHECKING, cast

from loadgate_runner.http.connection import Connection as FirstConnection
from loadgate_runner.http.failures import Failure, RequestFailed
from loadgate_runner.http.http2.connection import Connection

if TYPE_CHECKING:
    from loadgate_runner.http.http2.place import Place
    from loadgate_runner.http.line import Line

ALPN = "h2"


class Arrival:
    """An asyncio.Protocol by its methods until it is known which one follows."""

    __slots__ = ("_chosen", "_connection", "_line", "_place", "_transport")

    def __init__(self, place: "Place", line: "Line") -> None:
        self._place = place
        self._line = line
        self._chosen: str | None = None
        self._connection: Connection | FirstConnection | None = None
        self._transport: asyncio.Transport | None = None

    def become(self) -> Connection | FirstConnection:
        """The connection that it is now. Raises RequestFailed where the peer doesn't take HTTP/2, and has to."""
        if self._connection is None:
            chosen = f"it chose {self._chosen}" if self._chosen else "it chose no protocol"
            raise RequestFailed(Failure.TLS, f"the peer doesn't agree to HTTP/2 (ALPN): {chosen}")
        return self._connection

    def forsake(self) -> None:
        """Nobody will use it."""
        if self._connection is not None:
            self._connection.forsake()
        elif self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is over."""
        self._transport = cast("asyncio.Transport", transport)
        self._chosen = transport.get_extra_info("ssl_object").selected_alpn_protocol()
        connection: Connection | FirstConnection
        if self._chosen == ALPN:
            connection = Connection(self._place)
        elif self._place.either:
            connection = FirstConnection(self._line)
        else:
            return
        self._connection = connection
        self._transport.set_protocol(cast("asyncio.Protocol", connection))
        connection.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Not for us."""

    def eof_received(self) -> None:
        """The end follows."""

    def pause_writing(self) -> None:
        """Nothing is written."""

    def resume_writing(self) -> None:
        """Nothing was."""

    def connection_lost(self, exc: Exception | None) -> None:
        """It wasn't to be."""
