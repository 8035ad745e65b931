"""Which sockets have something, and what, with the moment at which the *kernel* had it: all in one go.

An event loop tells of one socket after another, and when it gets round to it. For a generator of load that is the wrong
moment: what an answer waits in the socket while others are read is no doing of the target's. The kernel notes when each
segment came (SO_TIMESTAMPNS, socket(7)), and a Poller reads that with the data. It is an epoll of its own, which a loop
watches as it would one socket.

The kernel's moments are of its wall clock, which may be set while a run is under way, and may not be the one that this
process is shown (libfaketime). A moment that can't be, since what came earlier was read earlier, is not believed: such
data is as old as its reading.

`_poller.pyx` is the same, compiled; `Poller` is that one where it was built.
"""

import contextlib
import errno
import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from loadgate_runner.http.plain import PlainSocket

READ: Final = 0
WRITABLE: Final = 1
END: Final = 2
"""The peer sends no more. What is below 0 is the negative errno of a connection that broke."""

News = tuple["PlainSocket", int, bytes, int]
"""Of whom, what, the bytes read, and how long (ns) before the call of `poll` they came: below 0 for what came since."""

_EVENTS: Final = 256  # sockets at most in one go
_PIECE: Final = 64 * 1024  # bytes read of one socket before others have their turn: in chunks of a byte, much work
_STEP: Final = 1_000_000  # ns that clocks may seem to differ by, for want of being read at the same time
_TIMESTAMPS: Final = 35  # Linux' SO_TIMESTAMPNS, which Python has no name for; that of the control message too
_TIME: Final = struct.Struct("@ll")
_SECOND: Final = 1_000_000_000

AVAILABLE: Final = sys.platform == "linux"


class PurePoller:
    """Reads and writes sockets that don't block, by their descriptors; `wall` gives the wall clock's ns."""

    def __init__(self, wall: Callable[[], int] = time.time_ns) -> None:
        self._clock = wall
        self._epoll = select.epoll()
        self._mask = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
        self._ends = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
        self._owners: dict[int, tuple[PlainSocket, socket.socket]] = {}
        self._wanting: set[int] = set()
        self._unread: dict[int, int] = {}
        self._piece = bytearray(_PIECE)
        self._view = memoryview(self._piece)
        self._wall = self._began = self._drained = time.monotonic_ns()
        self._ahead = 0
        self._stepped = True

    def fileno(self) -> int:
        """What a loop watches: it can be read while `poll` has something."""
        return self._epoll.fileno()

    @property
    def more(self) -> bool:
        """Whether a socket had more than is read at once: `poll` again, whether or not the loop says so."""
        return bool(self._unread)

    def add(self, fd: int, owner: "PlainSocket") -> None:
        """Tell of a socket, which is its owner's to close. Raises OSError."""
        sock = owner.sock
        with contextlib.suppress(OSError):  # without it, what comes is as old as its reading
            sock.setsockopt(socket.SOL_SOCKET, _TIMESTAMPS, 1)
        self._epoll.register(fd, self._mask)
        self._owners[fd] = owner, sock

    def remove(self, fd: int) -> None:
        """Tell no more of it: before it is closed. Raises OSError."""
        del self._owners[fd]
        self._wanting.discard(fd)
        self._epoll.unregister(fd)

    def want(self, fd: int, writable: bool) -> None:  # noqa: FBT001 - the compiled one has no names
        """Whether to tell when a socket that didn't take everything takes something again."""
        if writable:
            self._wanting.add(fd)
        else:
            self._wanting.discard(fd)

    def send(self, fd: int, data: bytes, offset: int = 0) -> int:
        """How many bytes from `offset` on the kernel took; the negative errno where the connection is broken."""
        sock: socket.socket = self._owners[fd][1]
        try:
            return sock.send(memoryview(data)[offset:] if offset else data)
        except BlockingIOError:
            return 0
        except OSError as fault:
            return -(fault.errno or errno.EIO)

    def poll(self) -> list[News]:
        """What there is now; it doesn't wait."""
        self._began, self._wall = time.monotonic_ns(), self._clock()
        ahead = self._wall - self._began
        self._stepped = self._stepped or abs(ahead - self._ahead) >= _STEP  # someone set the wall clock
        self._ahead = ahead
        out: list[News] = []
        ready, self._unread = self._unread, {}
        events = self._epoll.poll(0, _EVENTS)
        for fd, what in events:
            owned = self._owners.get(fd)
            if owned is None:
                continue
            if what & select.EPOLLOUT and fd in self._wanting:
                out.append((owned[0], WRITABLE, b"", 0))
            if what & ~select.EPOLLOUT:
                ready[fd] = ready.get(fd, 0) | what
        for fd, what in ready.items():
            if fd in self._owners:
                self._read(fd, what, out)
        if not self._unread and len(events) < _EVENTS:  # nothing that came before is unread
            self._drained = self._began
            self._stepped = False
        return out

    def _read(self, fd: int, what: int, out: list[News]) -> None:
        owner, sock = self._owners[fd]
        while True:
            try:
                size, control, _, _ = sock.recvmsg_into([self._piece], 64)
            except BlockingIOError:
                return
            except OSError as fault:
                out.append((owner, -(fault.errno or errno.EIO), b"", 0))
                return
            if not size:
                out.append((owner, END, b"", 0))
                return
            out.append((owner, READ, bytes(self._view[:size]), self._age(control)))
            if size < _PIECE and not what & self._ends:
                return
            if size == _PIECE:
                self._unread[fd] = what
                return

    def _age(self, control: list[tuple[int, int, bytes]]) -> int:
        since = self._began - time.monotonic_ns()
        if not control or control[0][1] != _TIMESTAMPS or self._stepped:
            return since
        seconds, nanoseconds = _TIME.unpack_from(control[0][2])
        age = self._wall - (int(seconds) * _SECOND + int(nanoseconds))
        return age if since - _STEP <= age <= self._began - self._drained + _STEP else since


if TYPE_CHECKING:
    Poller = PurePoller
else:
    try:
        from loadgate_runner.http._poller import Poller
    except ImportError:
        Poller = PurePoller
