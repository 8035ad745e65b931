"""A VU's HTTP client: its own connections and cookies, redirects followed, failures as values."""

import asyncio
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from loadgate_runner.http.content import Content
from loadgate_runner.http.cookies import CookieJar
from loadgate_runner.http.decode import Undecodable, decode
from loadgate_runner.http.failures import Failure
from loadgate_runner.http.headers import END, Headers, final_head
from loadgate_runner.http.line import Line
from loadgate_runner.http.network import Closing, Network
from loadgate_runner.http.request import Request
from loadgate_runner.http.response import Response
from loadgate_runner.http.stream import Opening
from loadgate_runner.http.urls import Origin, follow

_AS_GET = frozenset({301, 302, 303})
_REDIRECTS = _AS_GET | {307, 308}
_UNAUTHORIZED = 401
_MAY_ASK = re.compile(
    rb"-(?:cookie|encoding):", re.IGNORECASE
)  # Set-Cookie, Content- and Transfer-Encoding; or a value
_ONE = b"1"[0]  # "HTTP/1.1 1xx"

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator, Hashable

    from loadgate_runner.http.connection import Connection


class Sent(NamedTuple):
    """What a request went out as, for the case that it, or what a redirect makes of it, has to be sent again."""

    wire: bytes
    headers: bytes
    body: bytes | None
    total_at: int


class Exchange:
    """What is awaited for a request on a connection that stands. Each line has one: asking allocates nothing."""

    __slots__ = ("_client", "body", "connection", "headers", "line", "response", "total_at", "wire")

    connection: "Connection"
    response: Response
    wire: bytes
    headers: bytes
    body: bytes | None
    total_at: int

    def __init__(self, client: "Client", line: Line) -> None:
        self._client = client
        self.line = line

    def __await__(self) -> "Generator[Any, Any, Response]":
        """Wait for the answer, and see to it."""
        line, response = self.line, self.response
        try:
            if self.connection.busy:
                yield self.connection
        except (asyncio.CancelledError, GeneratorExit):
            line.close()
            raise
        if line.turns:
            line.pass_on()
        if response.plain:
            return response
        sent = Sent(self.wire, self.headers, self.body, self.total_at)
        return (yield from self._client.complete(line, response, sent).__await__())


class Client:
    """Sends the requests of one VU."""

    __slots__ = ("_clock", "_exchanges", "_held", "_network", "cookies")

    def __init__(self, network: Network, cookies: CookieJar | None = None) -> None:
        self._network = network
        self._clock = network.clock
        self._exchanges: dict[Hashable, Exchange] = {}
        self._held: dict[Hashable, Closing] | None = None
        self.cookies = cookies or CookieJar()

    def send(
        self,
        request: Request,
        path: bytes | None = None,
        headers: bytes = b"",
        body: bytes | None = None,
        origin: Origin | None = None,
    ) -> "Awaitable[Response]":
        """Send a request, with its dynamic parts if it has any, and follow redirects. To be awaited at once.

        `path` is encoded (see `encode_path`), `headers` are whole lines (see `header_line`); what isn't given is as
        prepared. Whatever the target does comes back as a response, failures too; only CancelledError is raised.
        """
        started = self._clock()
        total_at = started + request.total
        wire = request.wire
        if wire is None or path is not None or headers or body is not None or origin is not None or self.cookies.size:
            origin = origin or request.origin
            path = path or request.path
            cookies = self.cookies.line(origin, path) if self.cookies.size else b""
            wire = request.compose(origin, path, headers, body, cookies)
            key = request.key if origin is request.origin else request.key_of(origin)
        else:
            origin, path, key = request.origin, request.path, request.key
        exchange = self._exchanges.get(key) or self._new_exchange(key, request, origin)
        line = exchange.line
        connection = line.connection
        if connection is None or connection.busy:
            return self._exchange(line, request, Sent(wire, headers, body, total_at), (origin, path), started)
        exchange.connection = connection
        exchange.wire = wire
        exchange.headers = headers
        exchange.body = body
        exchange.total_at = total_at
        exchange.response = response = connection.begin(request, wire, started, started, total_at)
        response.origin = origin
        response.path = path
        return exchange

    def deliver(
        self,
        request: Request,
        path: bytes | None = None,
        headers: bytes = b"",
        body: bytes | Content | None = None,
        origin: Origin | None = None,
    ) -> "Awaitable[Response]":
        """As `send`, for a request whose body goes out apart from its head (`Request.content`)."""
        started = self._clock()
        origin, path = origin or request.origin, path or request.path
        if body is not None:
            request = request.carrying(Content(body) if isinstance(body, bytes) else body)
        cookies = self.cookies.line(origin, path) if self.cookies.size else b""
        wire = request.compose(origin, path, headers, None, cookies)
        key = request.key_of(origin)
        line = (self._exchanges.get(key) or self._new_exchange(key, request, origin)).line
        return self._exchange(
            line, request, Sent(wire, headers, None, started + request.total), (origin, path), started
        )

    async def complete(self, line: Line, response: Response, sent: Sent) -> Response:
        """See to what an answer asks for, or a failure, before it is the outcome."""
        if response.plain:
            return response
        if response.error is not None or line.connection is None or not line.connection.keep:
            response = await self._again(line, response, sent)
        self._attend(line, response)
        request = response.request
        if response.error is None and (
            (response.status in _REDIRECTS and request.max_redirects)
            or (response.status == _UNAUTHORIZED and request.signer is not None and request.signer.answers)
        ):
            response = await self._follow(request, response, sent)
        if not request.needs_head:
            response.head = None
        return response

    def opening(
        self, request: Request, path: bytes | None = None, headers: bytes = b"", origin: Origin | None = None
    ) -> Opening:
        """What a stream begins with, on a connection of its own; the parts are those of `send`."""
        origin, path = origin or request.origin, path or request.path
        cookies = self.cookies.line(origin, path) if self.cookies.size else b""
        wire = request.compose(origin, path, headers, None, cookies)
        dialer = self._network.dialer(request, origin)
        return Opening(self._network, dialer, request, wire, origin, path, self.cookies, headers)

    def hold(self, key: "Hashable", thing: "Closing") -> None:
        """Keep what else the VU has open, to be closed with its connections."""
        if self._held is None:
            self._held = {}
        self._held[key] = thing

    def held(self, key: "Hashable") -> "Closing | None":
        """What is kept by that key."""
        return None if self._held is None else self._held.get(key)

    def reset(self) -> None:
        """As a VU that begins: no cookies, no connections."""
        self.cookies.clear()
        self.close()

    def close(self) -> None:
        """Drop all connections. The client can be used again."""
        for exchange in self._exchanges.values():
            exchange.line.close()
        self._exchanges.clear()
        if self._held is not None:
            for thing in self._held.values():
                thing.close()
            self._held = None

    async def _exchange(
        self, line: Line, request: Request, sent: Sent, place: tuple[Origin, bytes], started: int
    ) -> Response:
        """Send where a line isn't ready at once."""
        response = await line.exchange(request, sent.wire, started, sent.total_at)
        response.origin, response.path = place
        return await self.complete(line, response, sent)

    async def _hop(self, request: Request, origin: Origin, path: bytes, wire: bytes, total_at: int) -> Response:
        """Send what an answer asks for."""
        key = request.key_of(origin)
        line = (self._exchanges.get(key) or self._new_exchange(key, request, origin)).line
        response = await line.exchange(request, wire, self._clock(), total_at)
        response.origin = origin
        response.path = path
        response = await self._again(line, response, Sent(wire, b"", None, total_at))
        self._attend(line, response)
        return response

    async def _again(self, line: Line, response: Response, sent: Sent) -> Response:
        """See to a line that isn't as before; the response may be that of a second attempt then."""
        origin, path = response.origin, response.path
        response = await line.again(response, sent.wire, sent.total_at)
        response.origin, response.path = origin, path
        return response

    def _new_exchange(self, key: "Hashable", request: Request, origin: Origin) -> Exchange:
        """On a line to an origin that this VU hasn't been at, or not lately."""
        if len(self._exchanges) >= self._network.limits.origins:
            lines = [(other, exchange.line) for other, exchange in self._exchanges.items()]
            idle = [(line.deadline, other) for other, line in lines if line.idle]
            if idle:
                self._exchanges.pop(min(idle, key=lambda one: one[0])[1]).line.close()
        line = Line(self._network, self._network.dialer(request, origin), request.options.keeping)
        line.seat = self._network.seat(line, key, request, origin)
        self._exchanges[key] = exchange = Exchange(self, line)
        return exchange

    def _attend(self, line: Line, response: Response) -> None:
        """Do what an answer asks for beyond being counted. Where it asks for nothing, the request takes note of it."""
        head = response.head
        if head is None:
            return
        end = head.find(END) + len(END)
        if end < len(END):
            return
        interim = head[9] == _ONE
        if interim:
            start, end = final_head(head)
            head = head[start:end]
        elif end != len(head):
            head = head[:end]
        response.head = head
        if _MAY_ASK.search(head) is not None:
            self._grant(response, Headers(head))
        elif (
            response.error is None
            and not interim
            and line.keeping is None  # else each answer is looked at
            and response.request.content is None  # the same
            and line.kept
            and response.status not in _REDIRECTS
            and (response.status != _UNAUTHORIZED or response.request.signer is None)
        ):
            response.request.plain = (head, response.received, response.status)

    def _grant(self, response: Response, headers: Headers) -> None:
        """Store cookies, undo codings."""
        for text in headers.all("set-cookie"):
            self.cookies.store(response.origin, response.path, text)
        codings = headers.get("content-encoding")
        if codings is not None and response.body:
            self._unpack(response, codings)

    def _unpack(self, response: Response, codings: str) -> None:
        """Undo a body's content coding."""
        whole = not response.truncated and response.error is None
        try:
            response.body, complete = decode(codings, response.body, self._network.limits.decoded, whole=whole)
        except Undecodable as fault:
            response.body = b""
            if response.error is None:
                response.error, response.message = Failure.BODY, f"the body can't be decoded: {fault}"
                response.duration = (response.ended - response.started) // 1000
            return
        response.truncated = response.truncated or not complete
        response.size = response.size if response.truncated else len(response.body)

    async def _follow(self, request: Request, response: Response, sent: Sent) -> Response:
        """Go where redirects lead, and answer one challenge on the way.

        Each answer on the way is a hop of the last one, which also carries what failed.
        """
        hops: list[Response] = []
        wire, headers, body, asked = sent.wire, sent.headers, sent.body, False
        while response.error is None:
            origin, path = response.origin, response.path
            if response.status in _REDIRECTS and request.max_redirects:
                place = _place(response, len(hops) - asked)
                if place is None:
                    break
                origin, path = place
                request = request.redirected(response.status in _AS_GET, origin == response.origin, headers, body)
                headers, body = b"", None
            elif not asked and response.status == _UNAUTHORIZED and request.challenged(origin, response.head, wire):
                asked = True
            else:
                break
            hops.append(response)
            cookies = self.cookies.line(origin, path) if self.cookies.size else b""
            wire = request.compose(origin, path, headers, body, cookies)
            response = await self._hop(request, origin, path, wire, sent.total_at)
        response.hops = tuple(hops)
        return response


def _place(response: Response, before: int) -> tuple[Origin, bytes] | None:
    """Where a redirect leads; None, and perhaps a failure, where nowhere. So many were followed `before`."""
    location = Headers(response.head or b"").get("location")
    if location is None:
        return None
    try:
        place = follow(response.origin, response.path, location)
    except ValueError as fault:
        response.error, response.message = Failure.REDIRECTS, f"a redirect leads nowhere: {fault}"
        return None
    if before == response.request.max_redirects:
        response.error, response.message = Failure.REDIRECTS, f"more than {before} redirects"
        return None
    return place
