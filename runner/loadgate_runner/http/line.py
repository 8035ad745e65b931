"""A VU's line to one origin: at most one connection, made when needed, used by one request at a time."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, cast

from loadgate_runner.http.connection import Connection
from loadgate_runner.http.dial import Dialer, Phases
from loadgate_runner.http.failures import Failure, RequestFailed
from loadgate_runner.http.request import Request
from loadgate_runner.http.response import Response
from loadgate_runner.http.settings import Keeping
from loadgate_runner.http.watchdog import NEVER

if TYPE_CHECKING:
    from loadgate_runner.http.http2.seat import Seat
    from loadgate_runner.http.network import Network
    from loadgate_runner.http.pool import Borrower

_SECOND = 1_000_000_000


class Line:
    """Exchanges requests for responses. The peer may close the connection at any time; the next request makes another.

    A request that met a connection which the peer had closed meanwhile, before any byte of an answer, is sent once more
    on a new connection if its method is idempotent (RFC 9110, 9.2.2) or nothing of it had been sent. That is no
    failure; its time counts as `blocked`.
    """

    __slots__ = (
        "_clock",
        "_dialer",
        "_taken",
        "connection",
        "deadline",
        "keeping",
        "network",
        "seat",
        "turns",
        "watchdog",
        "watched",
    )

    def __init__(self, network: "Network", dialer: Dialer, keeping: Keeping | None = None) -> None:
        self.network = network
        self._clock = network.clock
        self._dialer = dialer
        self._taken = False
        self.keeping = keeping
        """How long a connection is kept, where that is bounded."""
        self.turns: deque[asyncio.Future[None]] | None = None
        """Requests that wait for others on the line."""
        self.connection: Connection | None = None
        self.seat: Seat | Borrower | None = None
        """Where HTTP/2 is spoken, or may be; `connection` is there all the same where the peer chose HTTP/1.1. Or where
        connections are of a pool."""
        self.watchdog = network.watchdog
        self.deadline = self.watched = NEVER

    @property
    def idle(self) -> bool:
        """Whether no request is on it."""
        return not self._taken and (self.connection is None or not self.connection.busy)

    @property
    def kept(self) -> bool:
        """Whether the last answer left an HTTP/1.1 connection that can be used again."""
        return self.connection is not None or (self.seat is not None and self.seat.kept)

    def close(self) -> None:
        """Drop the connection; a request on it fails."""
        if self.connection is not None:
            self.connection.abort()
            self.connection = None
        if self.seat is not None:
            self.seat.close()

    def watch(self, deadline: int) -> None:
        """Have `expire` called then, in ns of the clock, in place of any moment before."""
        self.deadline = deadline
        if deadline < self.watched:
            self.watchdog.watch(self)

    def expire(self) -> None:
        """The request in flight is out of time; without one, the connection has been idle for as long as it may."""
        if self.connection is None:
            if self.seat is not None:
                self.seat.expire()
            return
        if self.connection.response is not None:
            self.connection.late()
        elif self.keeping is not None and self.keeping.idle is not None:
            self.close()

    def answered(self, connection: Connection, now: int) -> None:
        """Hold a connection to what bounds it: called behind each answer where anything does."""
        keeping = self.keeping
        if keeping is None:
            return
        worn = keeping.requests is not None and connection.answers >= keeping.requests
        old = keeping.age is not None and now - connection.since >= keeping.age * _SECOND
        if worn or old:
            connection.keep = False
        elif keeping.idle is not None:
            self.deadline = now + int(keeping.idle * _SECOND)
            if self.deadline < self.watched:
                self.watchdog.watch(self)

    def made(self) -> None:
        """A connection stands."""
        self.network.open_connections += 1

    def lost(self, connection: Connection) -> None:
        """A connection is gone."""
        self.network.open_connections -= 1
        self.drop(connection)

    def drop(self, connection: Connection) -> None:
        """A connection isn't to be used again."""
        if self.connection is connection:
            self.connection = None

    async def exchange(self, request: Request, wire: bytes, started: int, total_at: int) -> Response:
        """Send a request and wait for what comes of it, connecting where needed. All moments are ns of the clock."""
        if not self.idle:
            await self._turn()
        self._taken = True
        try:
            connection = self.connection
            if connection is None:
                if self.seat is not None:
                    return await self.seat.exchange(request, wire, started, total_at)
                return await self._exchange_anew(request, wire, started, total_at)
            response = self._begin(connection, request, wire, started, total_at)
            await connection
        except (asyncio.CancelledError, GeneratorExit):
            self.close()  # whatever still comes isn't wanted
            raise
        else:
            response.settle(response.error, response.message)  # its turn may have been long in coming
            return response
        finally:
            self._taken = False
            if self.turns:
                self.pass_on()

    async def again(self, response: Response, wire: bytes, total_at: int) -> Response:
        """Look after what went wrong on the line: drop what can't be kept, repeat what met a closed connection."""
        if self.connection is not None and not self.connection.keep:
            self.close()
        stale = response.error is Failure.RESET and response.reused and not response.first
        if stale and (response.request.idempotent or not response.sent):
            response = await self.exchange(response.request, wire, response.started, total_at)
            if self.connection is not None and not self.connection.keep:
                self.close()
        return response

    async def _exchange_anew(self, request: Request, wire: bytes, started: int, total_at: int) -> Response:
        """The same on a new connection."""
        phases = Phases()
        connection = Connection(self)
        try:
            await self._dialer.dial(cast("asyncio.Protocol", connection), phases, total_at, connection)
        except RequestFailed as failed:
            connection.forsake()
            return unsent(failed, phases, request, started, self._clock())
        except (asyncio.CancelledError, GeneratorExit):
            connection.forsake()
            raise
        return await self.carry(connection, phases, request, wire, started, total_at)

    async def carry(  # noqa: PLR0913, PLR0917 - the parts of an exchange
        self, connection: Connection, phases: Phases, request: Request, wire: bytes, started: int, total_at: int
    ) -> Response:
        """Send a request on a connection that stands since now; `phases` are what that took."""
        self.connection = connection
        response = self._begin(connection, request, wire, started, total_at)
        response.reused = False
        await connection
        response.connecting, response.tls = phases.connect // 1000, phases.tls // 1000
        response.settle(response.error, response.message)
        return response

    def _begin(self, connection: Connection, request: Request, wire: bytes, started: int, total_at: int) -> Response:
        response = connection.begin(request, wire, started, self._clock(), total_at)
        if request.content is not None and request.content.size:
            connection.follow(request.content, request.patience)
        return response

    async def _turn(self) -> None:
        """Wait until no other request is on the line."""
        self.turns = self.turns or deque()
        while True:
            turn = self.network.loop.create_future()
            self.turns.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if self.idle:
                    self.pass_on()  # it may have been this one's turn
                raise
            if self.idle:
                return

    def pass_on(self) -> None:
        """Let the next one wake, skipping those that were cancelled meanwhile."""
        while self.turns:
            turn = self.turns.popleft()
            if not turn.done():
                turn.set_result(None)
                return


def unsent(failed: RequestFailed, phases: Phases, request: Request, started: int, ended: int) -> Response:
    """The response to a request that found no connection."""
    response = Response()
    response.request = request
    response.started, response.began, response.sent_at, response.first, response.ended = started, ended, ended, 0, ended
    response.status = response.sent = response.received = response.size = 0
    response.connecting, response.tls = phases.connect // 1000, phases.tls // 1000
    response.head, response.body = None, b""
    response.reused = response.truncated = response.plain = False
    response.hops = ()
    response.settle(failed.kind, failed.message)
    return response
