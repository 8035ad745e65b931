"""From a name to its addresses: the system's resolver, or a test's."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from loadgate_runner.http.gate import SocketAddress

Resolve = Callable[[str, int], Awaitable[list[SocketAddress]]]
"""The addresses of a host for a port, in the order in which to try them. Raises OSError or UnicodeError."""


def system_resolver(loop: asyncio.AbstractEventLoop) -> Resolve:
    """What `getaddrinfo` says, asked anew each time."""

    async def resolve(host: str, port: int) -> list[SocketAddress]:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [(family, address) for family, _, _, _, address in found]

    return resolve
