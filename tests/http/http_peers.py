"""What the HTTP tests' servers are made of."""

import asyncio
import contextlib
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


class Names:
    """A resolver that says what a test says: each name's answers one after another, the last one again and again."""

    def __init__(self, **names):
        self.answers = {name.replace("_", "."): list(answers) for name, answers in names.items()}
        self.asked = []

    async def __call__(self, host, port):
        self.asked.append(host)
        answers = self.answers[host]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (socket.AF_INET6, (address, port, 0, 0)) if ":" in address else (socket.AF_INET, (address, port))
            for address in answer
        ]


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


class Relaying:
    """A proxy's handler: it passes on what it is asked, to the same port on loopback, whatever the host is called."""

    def __init__(self, wants=b"", answer=b"HTTP/1.1 200 Connection established\r\n\r\n"):
        self.wants, self.answer = wants, answer

    async def __call__(self, peer, reader, writer):
        while request := await read_request(reader):
            peer.requests.append(request)
            method, where, rest = request.split(b" ", 2)
            if self.wants and self.wants not in request:
                writer.write(b"HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
                continue
            if method == b"CONNECT":
                await self._tunnel(where, reader, writer)
                return
            await self._forward(method, where, rest, reader, writer)

    async def _tunnel(self, where, reader, writer):
        inner, outer = await asyncio.open_connection("127.0.0.1", int(where.rpartition(b":")[2]))
        writer.write(self.answer)
        await join(reader, writer, inner, outer)

    async def _forward(self, method, where, rest, reader, writer):
        _, _, authority_path = where.partition(b"://")
        authority, _, path = authority_path.partition(b"/")
        inner, outer = await asyncio.open_connection("127.0.0.1", int(authority.rpartition(b":")[2]))
        lines = [line for line in rest.split(b"\r\n") if not line.lower().startswith(b"proxy-")]
        outer.write(method + b" /" + path + b" " + b"\r\n".join(lines))
        answer = await read_request(inner)
        writer.write(answer)
        if b"\r\nContent-Length:" in answer:
            outer.transport.abort()
        else:
            await join(reader, writer, inner, outer)


async def join(reader, writer, inner, outer):
    """Pass on what comes from either side, until one of them ends, and that end."""

    async def way(source, sink):
        await pump(source, sink)
        await end(sink)

    ways = [asyncio.ensure_future(way(reader, outer)), asyncio.ensure_future(way(inner, writer))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        outer.transport.abort()
        for one in ways:
            one.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def pump(reader, writer):
    """Pass on what comes until it ends."""
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()


async def end(writer):
    """Close behind all that was written."""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
