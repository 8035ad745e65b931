"""The same for https: TLS on a socket of our own, by buffers in memory, so that answers have the kernel's moments.

An event loop's transport would do it too. It asks the TLS library once more than there is something to read, which the
library answers with an exception, and tells of an answer when it gets round to it.
"""

import errno
import os
import socket
import ssl
from typing import TYPE_CHECKING, Any

from loadgate_runner.http.plain import PlainSocket

if TYPE_CHECKING:
    import asyncio

    from loadgate_runner.http.connection import Connection
    from loadgate_runner.http.sockets import Sockets

_RECORD = 64 * 1024  # bytes read at most at once: more than the 16 KiB that a record holds (RFC 8446, 5.1)


class SecureSocket(PlainSocket):
    """Once `shaken` is done the connection stands on it; a handshake that fails is that future's OSError."""

    __slots__ = ("_incoming", "_outgoing", "_stands", "_tls", "shaken")

    def __init__(self, sockets: "Sockets", poller: Any, sock: socket.socket, connection: "Connection") -> None:
        PlainSocket.__init__(self, sockets, poller, sock, connection)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: Any = None
        self._stands = False
        self.shaken: asyncio.Future[None] = sockets.loop.create_future()

    def wrap(self, context: Any, server_name: str) -> None:
        """Say with what TLS, and whose. `context` is an ssl.SSLContext as far as `wrap_bio` goes. Raises ValueError."""
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    def shake(self) -> None:
        """Go on with the handshake, as far as what came allows."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._pass_on()
            return
        except OSError as fault:
            self._pass_on()  # the alert that says why
            self._lose(fault)
            return
        self._pass_on()
        if self.closed:
            return
        self._stands = True
        self.connection.stand(self)
        if not self.shaken.done():
            self.shaken.set_result(None)

    def take(self, data: bytes, now: int) -> None:
        """Read what came: a handshake's part, or answers."""
        if self.closed:
            return
        self._incoming.write(data)
        if not self._stands:
            self.shake()
        if self._stands and self._incoming.pending:
            self._decrypt(now)

    def send(self, data: bytes) -> int:
        """See PlainSocket."""
        try:
            self._tls.write(data)
        except OSError:
            return errno.EPROTO
        return super().send(self._outgoing.read())

    def forsake(self) -> None:
        """Nobody waits for the handshake any more."""
        if not self._stands and not self.closed:
            self._close()
            self.shaken.cancel()

    def _decrypt(self, now: int) -> None:
        """Hand over what there is; an exception of the library's costs more than to see that there is nothing left."""
        tls, incoming, connection = self._tls, self._incoming, self.connection
        while not self.closed:
            try:
                data: bytes = tls.read(_RECORD)
            except ssl.SSLWantReadError:
                break
            except OSError as fault:
                self._lose(fault)
                return
            if not data:
                self._lose(None)
                return
            connection.take(data, now)
            if not incoming.pending and not tls.pending():
                break
        if self._outgoing.pending and not self.closed:
            self._pass_on()

    def _pass_on(self) -> None:
        """Send what the library has for the peer besides what it was given."""
        data = self._outgoing.read()
        if data:
            fault = super().send(data)
            if fault:
                self._lose(OSError(fault, os.strerror(fault)))

    def _lose(self, fault: OSError | None) -> None:
        if self._stands:
            super()._lose(fault)
        elif not self.closed:
            self._close()
            if not self.shaken.done():
                cut = ConnectionResetError(errno.ECONNRESET, "the connection was closed within the handshake")
                self.shaken.set_exception(fault or cut)
