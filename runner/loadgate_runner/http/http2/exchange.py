"""One request on a stream of an HTTP/2 connection, and its answer as it comes."""

from typing import TYPE_CHECKING

from loadgate_runner.http.failures import Failure
from loadgate_runner.http.http2.fields import Fields, Malformed, answer_head
from loadgate_runner.http.response import Response

if TYPE_CHECKING:
    import asyncio

    from loadgate_runner.http.http2.connection import Connection
    from loadgate_runner.http.line import Line
    from loadgate_runner.http.request import Request
    from loadgate_runner.http.settings import Limits

_FINAL = 200


class Exchange:
    """What its connection writes into the response, in the order in which it comes; `over` is set at the end of it.

    `stream` is 0 until it is opened: a peer bounds how many are at once.
    """

    __slots__ = (
        "_heads",
        "_kept",
        "_limits",
        "_size",
        "connection",
        "left",
        "line",
        "over",
        "response",
        "stream",
        "total_at",
        "wire",
    )

    def __init__(self, line: "Line", request: "Request", wire: bytes, started: int, total_at: int) -> None:
        self.line = line
        self.wire = wire
        self.total_at = total_at
        self.stream = 0
        self.connection: Connection | None = None
        self.left = memoryview(b"")
        """Of the body, what is still to be sent."""
        self.over: asyncio.Future[None] = line.network.loop.create_future()
        self._limits: Limits = line.network.limits
        self._heads = 0
        self._kept = bytearray()
        self._size = 0
        self.response = response = Response()
        response.request = request
        response.started = response.began = response.sent_at = response.ended = started
        response.first = response.status = response.sent = response.received = response.size = 0
        response.blocked = response.connecting = response.tls = 0
        response.error = response.head = None
        response.message, response.body, response.hops = "", b"", ()
        response.truncated = response.plain = False
        response.reused = True

    def headed(self, fields: Fields, now: int) -> None:
        """A head came: the answer's, or an interim one. Raises Malformed."""
        response = self.response
        status, head = answer_head(fields)
        self._heads += len(head)
        if self._heads > self._limits.head:
            raise Malformed(f"its head is larger than {self._limits.head} bytes")
        if not response.first:
            response.first = now
            self.line.watch(self.total_at)  # the first byte is there, the last one has until then
        if status >= _FINAL:
            response.status, response.head = status, head

    def came(self, data: bytes) -> None:
        """A piece of the body: counted, and kept up to the limit where someone looks."""
        self._size += len(data)
        if self.response.request.needs_body:
            room = self._limits.body - len(self._kept)
            if room > 0:
                self._kept += data[:room]

    def end(self, now: int, kind: Failure | None = None, message: str = "") -> None:
        """Write the outcome down, and let who asked go on."""
        response = self.response
        if self.over.done():
            return
        response.ended = now
        if response.request.needs_body:
            response.body, response.size = bytes(self._kept), self._size
            response.truncated = self._size > len(self._kept)
        response.settle(kind, message)
        self.over.set_result(None)

    def cut_off(self, now: int, why: str) -> None:
        """The connection ended before the answer did; without a reason, in order."""
        received = self.response.received
        if why or self.response.head is None:
            self.end(now, Failure.RESET, why or "the connection was closed instead of an answer")
        else:
            self.end(now, Failure.BODY, f"the connection was closed within the body, after {received} bytes in all")
