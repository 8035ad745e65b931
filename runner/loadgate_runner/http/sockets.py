"""The sockets of a process: what came on them is taken in, each with the moment at which the kernel had it; then
all virtual users go on that have their answer, then all their requests go out.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from loadgate_runner.http.plain import PlainSocket
from loadgate_runner.http.poller import READ, Poller
from loadgate_runner.http.secure import SecureSocket
from loadgate_runner.http.turn import Turn

if TYPE_CHECKING:
    from loadgate_runner.http.connection import Connection


class Sockets:
    """One per process and run; `clock` gives ns."""

    __slots__ = ("_clock", "_poller", "_turn", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], int], turn: Turn) -> None:
        self.loop = loop
        self._clock = clock
        self._turn = turn
        self._poller: Any = None

    def take(self, sock: socket.socket, connection: "Connection") -> PlainSocket:
        """Read and write a connection's socket from now on. Raises OSError; the socket is still the caller's then."""
        plain = PlainSocket(self, self._listen(), sock, connection)
        self._poller.add(sock.fileno(), plain)
        return plain

    def secure(self, sock: socket.socket, connection: "Connection", context: Any, server_name: str) -> SecureSocket:
        """The same with TLS, whose handshake begins. Raises ValueError, too."""
        secure = SecureSocket(self, self._listen(), sock, connection)
        secure.wrap(context, server_name)
        self._poller.add(sock.fileno(), secure)
        secure.shake()
        return secure

    def _listen(self) -> Any:
        if self._poller is None:
            self._poller = Poller()
            self.loop.add_reader(self._poller.fileno(), self._read)
        return self._poller

    def close(self) -> None:
        """Listen to none of them any more."""
        if self._poller is not None:
            self.loop.remove_reader(self._poller.fileno())
            self._poller = None

    def _read(self) -> None:
        poller = self._poller
        if poller is None:
            return
        now = self._clock()
        news: list[tuple[PlainSocket, int, bytes, int]] = poller.poll()
        for plain, what, data, age in news:
            if what != READ:
                plain.hear(what)
            else:
                plain.take(data, now - age)
        if poller.more:
            self.loop.call_soon(self._read)
        self._turn.complete()
