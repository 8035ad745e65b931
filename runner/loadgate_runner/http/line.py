"""A VU's line to one origin: at most one connection, made when needed, used by one request at a time."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from loadgate_runner.http.connection import Connection
from loadgate_runner.http.dial import Dialer, Phases
from loadgate_runner.http.failures import Failure, RequestFailed
from loadgate_runner.http.request import Request
from loadgate_runner.http.response import Response
from loadgate_runner.http.watchdog import NEVER

if TYPE_CHECKING:
    from loadgate_runner.http.network import Network


class Line:
    """Exchanges requests for responses. The peer may close the connection at any time; the next request makes another.

    A request that met a connection which the peer had closed meanwhile, before any byte of an answer, is sent once more
    on a new connection if its method is idempotent (RFC 9110, 9.2.2). That is no failure; its time counts as `blocked`.
    """

    __slots__ = ("_clock", "_dialer", "_taken", "_turns", "connection", "deadline", "network", "watchdog", "watched")

    def __init__(self, network: "Network", dialer: Dialer) -> None:
        self.network = network
        self._clock = network.clock
        self._dialer = dialer
        self._taken = False
        self._turns: deque[asyncio.Future[None]] | None = None
        self.connection: Connection | None = None
        self.watchdog = network.watchdog
        self.deadline = self.watched = NEVER

    @property
    def idle(self) -> bool:
        """Whether no request is on it."""
        return not self._taken

    @property
    def last_used(self) -> int:
        """When its connection began its last request, 0 when there is none."""
        return 0 if self.connection is None else self.connection.began

    def close(self) -> None:
        """Drop the connection; a request on it fails."""
        if self.connection is not None:
            self.connection.abort()
            self.connection = None

    def expire(self) -> None:
        """The request in flight is out of time."""
        if self.connection is not None and not self.connection.done:
            self.connection.late()

    def made(self) -> None:
        """A connection stands."""
        self.network.open_connections += 1

    def lost(self, connection: Connection) -> None:
        """A connection is gone."""
        self.network.open_connections -= 1
        if self.connection is connection:
            self.connection = None

    async def exchange(self, request: Request, wire: bytes, started: int, total_at: int) -> Response:
        """Send a request, wait for what comes of it. All moments are ns of the clock."""
        now = started
        if self._taken:
            await self._turn()
            now = self._clock()
        self._taken = True
        try:
            connection = self.connection
            if connection is None:
                return await self._exchange_anew(request, wire, started, total_at)
            connection.begin(wire, request, now, total_at)
            if not connection.done:
                await connection
            if connection.failure is Failure.RESET and not connection.received and request.idempotent:
                return await self._exchange_anew(request, wire, started, total_at)
            return self._outcome(connection, started)
        except (asyncio.CancelledError, GeneratorExit):
            self.close()  # whatever still comes isn't wanted
            raise
        finally:
            self.deadline = NEVER
            self._taken = False
            if self._turns:
                self._pass_on()

    async def _exchange_anew(self, request: Request, wire: bytes, started: int, total_at: int) -> Response:
        """The same on a new connection."""
        phases = Phases()
        self.close()
        try:
            self.connection = connection = await self._connect(phases, total_at)
        except RequestFailed as failed:
            return _unsent(failed, phases, started, self._clock())
        connection.begin(wire, request, self._clock(), total_at)
        if not connection.done:
            await connection
        return self._outcome(connection, started, phases)

    async def _connect(self, phases: Phases, total_at: int) -> Connection:
        connection = Connection(self)
        transport, sock = await self._dialer.dial(connection, phases, total_at)
        if transport.is_closing():
            raise RequestFailed(Failure.RESET, "the connection was closed as soon as it stood")
        if self._dialer.tls is None:
            connection.send_by(sock)
        return connection

    def _outcome(self, connection: Connection, started: int, phases: Phases | None = None) -> Response:
        """The response to what a connection carried; the connection is free then, or dropped."""
        if not connection.keep:
            self.close()
        response = Response()
        began = connection.began
        first = connection.first
        ended = connection.ended
        response.started = started
        response.ended = ended
        response.duration = duration = (ended - began) // 1000
        sent_at = connection.sent_at
        if first:
            response.receiving = receiving = (ended - first) // 1000
            response.sending = sending = ((min(first, sent_at)) - began) // 1000
        else:
            response.receiving = receiving = 0
            response.sending = sending = (sent_at - began) // 1000
        response.waiting = duration - sending - receiving
        response.reused = connection.used
        connection.used = True
        if phases is None:
            response.blocked = (began - started) // 1000
            response.connecting = response.tls = 0
        else:
            _add_phases(response, phases, began - started)
        response.status = connection.status
        response.sent = connection.sent
        response.received = connection.received
        response.error = connection.failure
        response.message = ""
        if connection.failure is not None:
            response.message = connection.message
            response.duration = (ended - started) // 1000
        response.head = connection.head
        response.body, response.size, response.truncated = connection.take_body()
        response.hops = ()
        return response

    async def _turn(self) -> None:
        """Wait until no other request is on the line."""
        self._turns = self._turns or deque()
        while self._taken:
            turn = self.network.loop.create_future()
            self._turns.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if self.idle:
                    self._pass_on()  # it may have been this one's turn
                raise

    def _pass_on(self) -> None:
        """Let the next one wake, skipping those that were cancelled meanwhile."""
        while self._turns:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
                return


def _add_phases(response: Response, phases: Phases, before_sending: int) -> None:
    """The times of connecting; what else passed before sending is `blocked`."""
    response.connecting = phases.connect // 1000
    response.tls = phases.tls // 1000
    response.blocked = max(0, before_sending // 1000 - response.connecting - response.tls)


def _unsent(failed: RequestFailed, phases: Phases, started: int, ended: int) -> Response:
    """The response to a request that found no connection."""
    response = Response()
    response.started, response.ended = started, ended
    response.status = response.sent = response.received = response.size = 0
    response.sending = response.waiting = response.receiving = 0
    response.duration = (ended - started) // 1000
    _add_phases(response, phases, ended - started)
    response.error, response.message = failed.kind, failed.message
    response.reused = response.truncated = False
    response.head, response.body = None, b""
    response.hops = ()
    return response
