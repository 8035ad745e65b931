"""Bodies that go out apart from their heads: a piece at a time as the peer takes them, and where asked for only once it
says that it will (RFC 9110, 10.1.1).
"""

import asyncio
from typing import TYPE_CHECKING

from loadgate_runner.http.content import Content, Unreadable
from loadgate_runner.http.failures import Failure

if TYPE_CHECKING:
    from loadgate_runner.http.connection import Connection
    from loadgate_runner.http.response import Response


class Upload:
    """One body on its way over an HTTP/1.1 connection.

    A piece follows the one before in another turn of the loop, and only once that is with the kernel, so that neither
    memory nor the other VUs pay for a large body. `whole`: nothing of it is on our side any more.
    """

    __slots__ = ("_connection", "_full", "_held", "_loop", "_pieces", "_response", "_stopped", "_transport")

    def __init__(
        self,
        connection: "Connection",
        transport: asyncio.WriteTransport,
        response: "Response",
        content: Content,
        patience: float,
    ) -> None:
        """`patience` is how long the peer is waited for, in seconds; with 0 the body follows its head."""
        self._connection = connection
        self._transport = transport
        self._response = response
        self._pieces = content.pieces()
        self._loop = asyncio.get_running_loop()
        self._full = self._stopped = False
        # Behind the turn of the loop at whose end the head is sent.
        self._held: asyncio.Handle | None = (
            self._loop.call_later(patience, self.go) if patience else self._loop.call_soon(self.go)
        )

    @property
    def whole(self) -> bool:
        """Whether all of it is with the kernel."""
        return not self._pieces.left and not self._full

    def go(self) -> None:
        """The peer wants the body, or has been waited for long enough."""
        if self._held is not None:
            self._held.cancel()
            self._held = None
            self._loop.call_soon(self._send)  # what tells us so is read to its end first

    def stop(self) -> None:
        """Send no more."""
        self._stopped = True
        if self._held is not None:
            self._held.cancel()
            self._held = None

    def pause(self) -> None:
        """The kernel takes no more for now."""
        self._full = True

    def resume(self) -> None:
        """It has all that it was given."""
        self._full = False
        if self._held is None:
            self._send()

    def _send(self) -> None:
        if self._stopped or self._full or self._transport.is_closing():
            return
        try:
            piece = self._pieces.take()
        except Unreadable as fault:
            self._connection.fail(Failure.BODY, str(fault))
            return
        if piece:
            self._response.sent += len(piece)
            self._transport.write(piece)
            self._response.sent_at = self._connection.now()
        self._go_on()

    def _go_on(self) -> None:
        """See to what follows a piece, unless the kernel didn't take all of it: then `resume` will."""
        if self._full:
            return
        if self._pieces.left:
            self._loop.call_soon(self._send)
        else:
            self._connection.uploaded()


def tell_of_the_last_byte(transport: asyncio.WriteTransport) -> None:
    """Have a protocol called as soon as anything that it wrote is waiting, and again when nothing is.

    Of TLS, a loop's transports compare otherwise: with a bound of 0 they pause where nothing is waiting, for good.
    """
    transport.set_write_buffer_limits(high=0 if transport.get_extra_info("sslcontext") is None else 1)
