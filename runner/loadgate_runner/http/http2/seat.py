"""A VU's seat at an HTTP/2 connection, its own or shared: what a line does where HTTP/1.1 isn't all that is spoken."""

import asyncio
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from loadgate_runner.http.connection import Connection as FirstConnection
from loadgate_runner.http.dial import Phases
from loadgate_runner.http.failures import Failure, RequestFailed
from loadgate_runner.http.http2.exchange import Exchange
from loadgate_runner.http.http2.place import Place, Places
from loadgate_runner.http.line import unsent

if TYPE_CHECKING:
    from loadgate_runner.http.line import Line
    from loadgate_runner.http.request import Request
    from loadgate_runner.http.response import Response


class Seat:
    """One request at a time, as a VU makes them. `make` gives a new place, where there is none with room."""

    __slots__ = ("_exchange", "_key", "_line", "_make", "_place", "_places", "kept")

    def __init__(self, line: "Line", places: Places, key: Hashable, make: Callable[[], Place]) -> None:
        self._line = line
        self._places = places
        self._key = key
        self._make = make
        self._place: Place | None = None
        self._exchange: Exchange | None = None
        self.kept = False
        """What an HTTP/1.1 connection is asked for: whether one was left."""

    async def exchange(self, request: "Request", wire: bytes, started: int, total_at: int) -> "Response":
        """Send a request and wait for what comes of it, connecting where needed (see Line.exchange)."""
        line, place = self._line, self._place or self._sit_down()
        connecting = tls = 0
        connection = place.connection
        if connection is None or not connection.open:
            phases = Phases()
            try:
                found = await place.connect(line, phases, total_at)
            except RequestFailed as failed:
                return unsent(failed, phases, request, started, line.network.clock())
            if isinstance(found, FirstConnection):
                return await line.carry(found, phases, request, wire, started, total_at)
            connection = found
            connecting, tls = phases.connect // 1000, phases.tls // 1000
        self._exchange = exchange = Exchange(line, request, wire, started, total_at)
        line.watch(total_at)
        try:
            connection.ask(exchange)
            await exchange.over
        except (asyncio.CancelledError, GeneratorExit):
            connection.leave(exchange)
            raise
        finally:
            self._exchange = None
        response = exchange.response
        if connecting or tls:
            response.connecting, response.tls = connecting, tls
            response.settle(response.error, response.message)
        return response

    def expire(self) -> None:
        """The request in flight is out of time."""
        exchange = self._exchange
        if exchange is None or exchange.connection is None or exchange.over.done():
            return
        if not exchange.stream:
            awaited = "a free stream"
        else:
            awaited = "the whole answer" if exchange.response.first else "the first byte of an answer"
        exchange.connection.leave(exchange, Failure.TIMEOUT, f"{awaited} didn't come in time")

    def close(self) -> None:
        """Leave; whoever is last closes the connection."""
        place, self._place = self._place, None
        if place is None:
            return
        place.members -= 1
        if not place.members:
            self._places.drop(self._key, place)
            place.close()

    def _sit_down(self) -> Place:
        place = self._places.find(self._key)
        if place is None:
            place = self._make()
            if place.share > 1:
                self._places.add(self._key, place)
        place.members += 1
        self._place = place
        return place
