"""A socket that a connection uses without an event loop's transport: written at once, read with all others at one time.

It is an asyncio.Transport as far as a Connection needs one. A connection is told of each byte that doesn't go out at
once, and again when all are out.
"""

import os
import socket
from collections import deque
from typing import TYPE_CHECKING, Any

from loadgate_runner.http.poller import END, WRITABLE

if TYPE_CHECKING:
    from loadgate_runner.http.connection import Connection
    from loadgate_runner.http.sockets import Sockets

_PIECE = 64 * 1024
_LAST_PIECES = 16  # that are read of a connection that is broken, lest a peer that goes on hold us up


class PlainSocket:
    """One of the Sockets of a process. The socket is closed with it."""

    __slots__ = ("_fault", "_fd", "_offset", "_poller", "_sockets", "_unsent", "closed", "connection", "sock")

    def __init__(self, sockets: "Sockets", poller: Any, sock: socket.socket, connection: "Connection") -> None:
        self._sockets = sockets
        self._poller = poller
        self._fd = sock.fileno()
        self._unsent: deque[bytes] | None = None
        self._offset = 0
        self._fault: OSError | None = None
        """Why nothing goes out any more, though something may still come."""
        self.sock = sock
        self.connection = connection
        self.closed = False

    def send(self, data: bytes) -> int:
        """Send, now or when the kernel takes it; gives the errno of a connection that is broken, else 0."""
        if self._unsent is not None:
            self._unsent.append(data)
            return 0
        taken: int = self._poller.send(self._fd, data)
        if taken == len(data):
            return 0
        if taken < 0:
            return -taken
        self._unsent, self._offset = deque((data,)), taken
        self._poller.want(self._fd, True)
        self.connection.pause_writing()
        return 0

    def take(self, data: bytes, now: int) -> None:
        """Data that came at some moment, in ns of the clock."""
        if not self.closed:
            self.connection.take(data, now)

    def hear(self, news: int) -> None:
        """Something other than data (see the Poller)."""
        if self.closed:
            return
        if news == WRITABLE:
            self._send_on()
        elif news == END:
            self._lose(self._fault)
        else:
            self._lose(OSError(-news, os.strerror(-news)))

    # ---- what an asyncio.Transport has

    def write(self, data: bytes) -> None:
        """Send; a connection that is broken will be told so, behind what the peer said before."""
        if not self.closed and self._fault is None:
            fault = self.send(data)
            if fault:
                self._break(fault)

    def abort(self) -> None:
        """Close at once; the connection will be told."""
        if not self.closed:
            self._close()
            self._sockets.loop.call_soon(self.connection.connection_lost, None)

    def is_closing(self) -> bool:
        """Whether nothing goes out any more."""
        return self.closed or self._fault is not None

    # ----

    def _send_on(self) -> None:
        unsent = self._unsent
        while unsent:
            taken: int = self._poller.send(self._fd, unsent[0], self._offset)
            if taken < 0:
                self._break(-taken)
                return
            self._offset += taken
            if self._offset < len(unsent[0]):
                return
            unsent.popleft()
            self._offset = 0
        self._unsent = None
        self._poller.want(self._fd, False)
        self.connection.resume_writing()

    def _break(self, fault: int) -> None:
        """Send no more. A peer that refuses a body closes behind its answer, which may have come and be unread."""
        self._fault = OSError(fault, os.strerror(fault))
        self._unsent = None
        self._poller.want(self._fd, False)
        self._sockets.loop.call_soon(self._hear_out)

    def _hear_out(self) -> None:
        """Take in what is there; then the connection is gone."""
        for _ in range(_LAST_PIECES):
            if self.closed:
                return
            try:
                data = self.sock.recv(_PIECE)
            except OSError:  # there is no more
                break
            if not data:
                break
            self.take(data, self.connection.now())
        if not self.closed:
            self._lose(self._fault)

    def _lose(self, fault: OSError | None) -> None:
        self._close()
        self.connection.connection_lost(fault)

    def _close(self) -> None:
        self.closed = True
        self._poller.remove(self._fd)
        self._unsent = None
        self.sock.close()
