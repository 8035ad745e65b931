"""A VU's HTTP client: its own connections and cookies, redirects followed, failures as values."""

import asyncio
import re
from typing import TYPE_CHECKING

from loadgate_runner.http.cookies import CookieJar
from loadgate_runner.http.decode import Undecodable, decode
from loadgate_runner.http.failures import Failure
from loadgate_runner.http.headers import END, Headers, final_head
from loadgate_runner.http.line import Line
from loadgate_runner.http.network import Network
from loadgate_runner.http.request import Request
from loadgate_runner.http.response import Response
from loadgate_runner.http.stream import Opening
from loadgate_runner.http.urls import Origin, follow

_AS_GET = frozenset({301, 302, 303})
_REDIRECTS = _AS_GET | {307, 308}
_MAY_ASK = re.compile(
    rb"-(?:cookie|encoding):", re.IGNORECASE
)  # Set-Cookie, Content- and Transfer-Encoding; or a value
_ONE = b"1"[0]  # "HTTP/1.1 1xx"

if TYPE_CHECKING:
    from collections.abc import Hashable


class Client:
    """Sends the requests of one VU."""

    __slots__ = ("_clock", "_lines", "_network", "cookies")

    def __init__(self, network: Network, cookies: CookieJar | None = None) -> None:
        self._network = network
        self._clock = network.clock
        self._lines: dict[Hashable, Line] = {}
        self.cookies = cookies or CookieJar()

    async def send(
        self,
        request: Request,
        path: bytes | None = None,
        headers: bytes = b"",
        body: bytes | None = None,
        origin: Origin | None = None,
    ) -> Response:
        """Send a request, with its dynamic parts if it has any, and follow redirects.

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
        line = self._lines.get(key) or self._new_line(key, request, origin)
        connection = line.connection
        if connection is None or connection.busy:
            response = await line.exchange(request, wire, started, total_at)
        else:
            response = connection.begin(request, wire, started, started, total_at)
            try:
                await connection
            except (asyncio.CancelledError, GeneratorExit):
                line.close()
                raise
            if line.turns:
                line.pass_on()
        response.origin = origin
        response.path = path
        if response.plain:
            return response
        if response.error is not None or line.connection is None or not line.connection.keep:
            response = await self._again(line, response, wire, total_at)
        self._attend(line, response)
        if response.status in _REDIRECTS and request.max_redirects and response.error is None:
            response = await self._follow(request, response, headers, body, total_at)
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
        return Opening(self._network, self._network.dialer(request, origin), request, wire, origin, path, self.cookies)

    def reset(self) -> None:
        """As a VU that begins: no cookies, no connections."""
        self.cookies.clear()
        self.close()

    def close(self) -> None:
        """Drop all connections. The client can be used again."""
        for line in self._lines.values():
            line.close()
        self._lines.clear()

    async def _hop(self, request: Request, origin: Origin, path: bytes, total_at: int) -> Response:
        """Send what a redirect asks for."""
        cookies = self.cookies.line(origin, path) if self.cookies.size else b""
        wire = request.compose(origin, path, cookies=cookies)
        key = request.key_of(origin)
        line = self._lines.get(key) or self._new_line(key, request, origin)
        response = await line.exchange(request, wire, self._clock(), total_at)
        response.origin = origin
        response.path = path
        response = await self._again(line, response, wire, total_at)
        self._attend(line, response)
        return response

    async def _again(self, line: Line, response: Response, wire: bytes, total_at: int) -> Response:
        """See to a line that isn't as before; the response may be that of a second attempt then."""
        origin, path = response.origin, response.path
        response = await line.again(response, wire, total_at)
        response.origin, response.path = origin, path
        return response

    def _new_line(self, key: "Hashable", request: Request, origin: Origin) -> Line:
        """A line to an origin that this VU hasn't been at, or not lately."""
        if len(self._lines) >= self._network.limits.origins:
            idle = [(line.deadline, other) for other, line in self._lines.items() if line.idle]
            if idle:
                self._lines.pop(min(idle, key=lambda one: one[0])[1]).close()
        line = Line(self._network, self._network.dialer(request, origin), request.options.keeping)
        self._lines[key] = line
        return line

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
            and line.connection is not None
            and line.keeping is None  # else each answer is looked at
            and response.status not in _REDIRECTS
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

    async def _follow(
        self, request: Request, response: Response, headers: bytes, body: bytes | None, total_at: int
    ) -> Response:
        """Go where redirects lead. Each answer on the way is a hop of the last one, which also carries what failed."""
        hops: list[Response] = []
        while response.status in _REDIRECTS and response.error is None:
            location = Headers(response.head or b"").get("location")
            if location is None:
                break
            try:
                origin, path = follow(response.origin, response.path, location)
            except ValueError as fault:
                response.error, response.message = Failure.REDIRECTS, f"a redirect leads nowhere: {fault}"
                break
            if len(hops) == request.max_redirects:
                response.error, response.message = Failure.REDIRECTS, f"more than {len(hops)} redirects"
                break
            hops.append(response)
            request = request.redirected(response.status in _AS_GET, origin == response.origin, headers, body)
            headers, body = b"", None
            response = await self._hop(request, origin, path, total_at)
        response.hops = tuple(hops)
        return response
