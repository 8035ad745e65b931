"""One request on a stream of an HTTP/2 connection, and its answer as it comes."""

from typing import TYPE_CHECKING

from loadgate_runner.http.failures import Failure
from loadgate_runner.http.http2.fields import Fields, Malformed, answer_head, field_lines, told_length
from loadgate_runner.http.response import Response

if TYPE_CHECKING:
    import asyncio

    from loadgate_runner.http.content import Pieces
    from loadgate_runner.http.http2.connection import Connection
    from loadgate_runner.http.line import Line
    from loadgate_runner.http.request import Request
    from loadgate_runner.http.settings import Limits

_FINAL = 200
_WITHOUT_BODY = frozenset({204, 304})  # whatever length they tell (RFC 9113, 8.1.1)
_NOTHING = memoryview(b"")


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
        "held",
        "left",
        "line",
        "over",
        "pieces",
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
        self.left = _NOTHING
        """Of the body, or of a piece of it, what is still to be sent."""
        self.pieces: Pieces | None = None
        """The rest of a body that isn't kept whole."""
        self.held: asyncio.TimerHandle | None = None
        """Until the peer asks for the body, or has been waited for long enough."""
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

    @property
    def unsent(self) -> bool:
        """Whether some of the body is still to be sent."""
        return bool(self.left) or (self.pieces is not None and self.pieces.left > 0)

    def refill(self) -> None:
        """Have the next piece of the body at hand, where there is one."""
        if not self.left and self.pieces is not None:
            self.left = memoryview(self.pieces.take())

    def let_go(self) -> None:
        """The body is held back no longer."""
        if self.held is not None:
            self.held.cancel()
            self.held = None

    def leave_off(self) -> None:
        """Send no more of the body."""
        self.left, self.pieces = _NOTHING, None
        self.let_go()

    def headed(self, fields: Fields, now: int) -> int:
        """A head came, with the status that this gives: the answer's, or an interim one. Raises Malformed."""
        response = self.response
        status, head = answer_head(fields)
        self._heads += len(head)
        if self._heads > self._limits.head:
            raise Malformed(f"its head is larger than {self._limits.head} bytes")
        if not response.first and (status >= _FINAL or not self.unsent):
            response.first = now
            self.line.watch(self.total_at)  # the first byte is there, the last one has until then
        if status >= _FINAL:
            response.status, response.head = status, head
        return status

    def ended_by_fields(self) -> None:
        """Nothing comes behind a head or trailers, where h2 compares no lengths. Raises Malformed."""
        response = self.response
        if response.request.head_only or response.status in _WITHOUT_BODY:
            return
        length = told_length(response.head or b"")
        if length is not None and length != self._size:
            raise Malformed(f"its body has {self._size} bytes, and {length} by its head")

    def trailed(self, fields: Fields) -> None:
        """Fields came behind the body. Raises Malformed."""
        lines = field_lines(fields)
        self._heads += len(lines)
        if self._heads > self._limits.head:
            raise Malformed(f"its head and trailers are larger than {self._limits.head} bytes")
        self.response.trail(lines)

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
        self.leave_off()
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
