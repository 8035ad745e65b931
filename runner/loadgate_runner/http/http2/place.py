"""Where VUs find an HTTP/2 connection: one at a time in each place, for as many VUs as share it."""

import asyncio
from collections.abc import Hashable
from typing import TYPE_CHECKING, cast

from loadgate_runner.http.connection import Connection as FirstConnection
from loadgate_runner.http.dial import Dialer, Phases
from loadgate_runner.http.failures import Failure, RequestFailed
from loadgate_runner.http.http2.arrival import Arrival
from loadgate_runner.http.http2.connection import Connection
from loadgate_runner.http.http2.fields import Fields, request_fields
from loadgate_runner.http.request import Request
from loadgate_runner.http.settings import Keeping
from loadgate_runner.http.watchdog import NEVER

if TYPE_CHECKING:
    from loadgate_runner.http.line import Line
    from loadgate_runner.http.network import Network

_SECOND = 1_000_000_000


class Place:
    """A connection that is there, or will be when a request needs it. `either`: the peer may choose HTTP/1.1."""

    __slots__ = (
        "_dialer",
        "_dialling",
        "_keeping",
        "_known",
        "_scheme",
        "connection",
        "deadline",
        "either",
        "members",
        "network",
        "share",
        "watched",
    )

    def __init__(  # noqa: PLR0913 - a seat's network makes it
        self,
        network: "Network",
        dialer: Dialer,
        keeping: Keeping | None,
        known: dict[tuple[bytes, bytes], tuple[Fields, int]],
        *,
        share: int,
        either: bool,
    ) -> None:
        self.network = network
        self.share = share
        self.either = either
        self.members = 0
        self.connection: Connection | None = None
        self._dialer = dialer
        self._keeping = keeping
        self._known = known
        self._scheme = dialer.origin.scheme.encode()
        self._dialling: asyncio.Future[RequestFailed | None] | None = None
        self.deadline = self.watched = NEVER

    async def connect(self, line: "Line", phases: Phases, until: int) -> Connection | FirstConnection:
        """The connection that stands, or a new one; who comes while it is made waits for it. Raises RequestFailed.

        `phases` tell what connecting took whoever connects.
        """
        while self._dialling is not None:
            dialling = self._dialling
            await asyncio.wait([dialling], timeout=max(0, until - self.network.clock()) / _SECOND)
            if not dialling.done():
                raise RequestFailed(Failure.TIMEOUT, f"no connection to {self._dialer.origin.authority} in time")
            failed = dialling.result()
            if failed is not None:
                raise RequestFailed(failed.kind, failed.message)
            if self.connection is not None and self.connection.open:
                return self.connection
        return await self._connect(line, phases, until)

    async def _connect(self, line: "Line", phases: Phases, until: int) -> Connection | FirstConnection:
        failure: RequestFailed | None = None
        self._dialling = dialling = self.network.loop.create_future()
        try:
            if self._dialer.origin.secure:
                return await self._dial_securely(until, phases, line)
            return await self._dial(until, phases)
        except RequestFailed as failed:
            failure = failed
            raise
        finally:
            self._dialling = None
            dialling.set_result(failure)

    async def _dial(self, until: int, phases: Phases) -> Connection:
        connection = Connection(self)
        try:
            sock = await self._dialer.dial(cast("asyncio.Protocol", connection), phases, until)
        except (RequestFailed, asyncio.CancelledError, GeneratorExit):
            connection.forsake()
            raise
        if self._dialer.plain:
            connection.send_by(sock)
        self.connection = connection
        return connection

    async def _dial_securely(self, until: int, phases: Phases, line: "Line") -> Connection | FirstConnection:
        arrival = Arrival(self, line)
        try:
            await self._dialer.dial(cast("asyncio.Protocol", arrival), phases, until)
            connection = arrival.become()
        except (RequestFailed, asyncio.CancelledError, GeneratorExit):
            arrival.forsake()
            raise
        if isinstance(connection, Connection):
            self.connection = connection
        return connection

    def fields_of(self, request: Request, wire: bytes) -> tuple[Fields, int]:
        """See `request_fields`; of a request that is the same each time they are kept."""
        if wire is not request.wire:
            return request_fields(wire, self._scheme)
        fields = self._known.get((self._scheme, wire))
        if fields is None:
            fields = self._known[self._scheme, wire] = request_fields(wire, self._scheme)
        return fields

    def keeps(self, connection: Connection, now: int) -> bool:
        """Whether a connection is kept behind an answer."""
        keeping = self._keeping
        if keeping is None:
            return True
        worn = keeping.requests is not None and connection.answers >= keeping.requests
        return not worn and (keeping.age is None or now - connection.since < keeping.age * _SECOND)

    def rest(self, now: int) -> None:
        """Its connection has no request on it."""
        if self._keeping is not None and self._keeping.idle is not None:
            self.deadline = now + int(self._keeping.idle * _SECOND)
            if self.deadline < self.watched:
                self.network.watchdog.watch(self)

    def expire(self) -> None:
        """It may have been idle for as long as it may."""
        if self.connection is not None and self.connection.idle:
            self.connection.close()

    def lost(self, connection: Connection) -> None:
        """A connection is gone."""
        if self.connection is connection:
            self.connection = None

    def close(self) -> None:
        """Nobody sits here any more."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Places:
    """All places of a process where VUs share connections, by what must be the same for them to."""

    def __init__(self) -> None:
        self.known: dict[tuple[bytes, bytes], tuple[Fields, int]] = {}
        """Fields of requests that are the same each time, by scheme and request."""
        self._by_key: dict[Hashable, list[Place]] = {}

    def find(self, key: Hashable) -> Place | None:
        """A place with room for one more."""
        return next((place for place in self._by_key.get(key, ()) if place.members < place.share), None)

    def add(self, key: Hashable, place: Place) -> None:
        """A new place."""
        self._by_key.setdefault(key, []).append(place)

    def drop(self, key: Hashable, place: Place) -> None:
        """A place that nobody sits at."""
        places = self._by_key.get(key, [])
        if place in places:
            places.remove(place)
        if not places:
            self._by_key.pop(key, None)
