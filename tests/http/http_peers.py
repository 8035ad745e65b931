"""What the HTTP tests' servers are made of."""

import asyncio
import socket
from dataclasses import dataclass, field

from loadgate_runner.http import Origin


@dataclass
class Peer:
    """A server: where it is, what it was asked, how often it was connected to."""

    origin: Origin
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def lines(self):
        """The first line of each request."""
        return [request.split(b"\r\n", 1)[0].decode() for request in self.requests]


async def read_request(reader):
    """One request with its body, b"" at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""
    length = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return head + (await reader.readexactly(int(length[0])) if length else b"")


def reset(writer):
    """Close so that the other side gets a reset in place of an end."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


async def until(happened):
    """Give the loop turns until something has happened."""
    while not happened():  # noqa: ASYNC110 - what is waited for has no event of its own
        await asyncio.sleep(0)
