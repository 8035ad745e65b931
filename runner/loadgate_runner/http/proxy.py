"""Going through a proxy: how a tunnel through it comes to be (CONNECT: RFC 9110, 9.3.6), and TLS with itself.

What a proxy is asked for which origin is for `settings.Proxy` to say. Its credentials are in what it is asked, and in
nothing that goes through a tunnel or to an origin that is reached without it.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from typing import cast

from loadgate import __version__
from loadgate_runner.http.failures import Failure, RequestFailed, in_words
from loadgate_runner.http.headers import final_head
from loadgate_runner.http.settings import Proxy, Way
from loadgate_runner.http.urls import Origin

_MOST = 16 * 1024  # bytes of an answer to CONNECT
_NO_CREDENTIALS = 407
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})[ \r]")

Send = Callable[[bytes], Awaitable[None]]
Receive = Callable[[], Awaitable[bytes]]


def ask_for_tunnel(proxy: Proxy, origin: Origin) -> bytes:
    """What asks for a tunnel; the port is always said (RFC 9112, 3.2.3)."""
    host = f"[{origin.host.partition('%')[0]}]" if ":" in origin.host else origin.host
    where = f"{host}:{origin.port}"
    head = f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\nUser-Agent: loadgate/{__version__}\r\n"
    return head.encode("ascii", "replace") + proxy.line + b"\r\n"


async def open_tunnel(proxy: Proxy, origin: Origin, send: Send, receive: Receive) -> None:
    """Have a proxy that is connected to open a tunnel. Raises RequestFailed, and OSError from `send` and `receive`.

    Any 2xx is a tunnel, which begins behind the head, whatever that says of a body.
    """
    who = f"the proxy {proxy.origin.authority}"
    await send(ask_for_tunnel(proxy, origin))
    received = b""
    start = end = 0
    while not end:
        piece = await receive()
        if not piece:
            raise RequestFailed(Failure.PROXY, f"{who} closed the connection in place of a tunnel")
        received += piece
        start, end = final_head(received, start)
        if len(received) > _MOST:
            raise RequestFailed(Failure.PROXY, f"{who}: its answer's head is larger than {_MOST} bytes")
    found = _STATUS_LINE.match(received, start)
    if found is None:
        raise RequestFailed(Failure.PROXY, f"{who} doesn't answer in HTTP/1.1")
    status = int(found[1])
    if status == _NO_CREDENTIALS:
        wanted = "other credentials" if proxy.authorization else "credentials"
        raise RequestFailed(Failure.PROXY, f"{who} wants {wanted} (407)")
    if not 200 <= status < 300:
        raise RequestFailed(Failure.PROXY, f"{who} opens no tunnel to {origin.authority}: its answer is {status}")
    if end != len(received):
        raise RequestFailed(Failure.PROXY, f"{who} sent more than an answer before anything was asked of the target")


async def through(
    loop: asyncio.AbstractEventLoop, proxy: Proxy, origin: Origin, sock: socket.socket, context: ssl.SSLContext | None
) -> "Relay | None":
    """Do with a proxy that `sock` is connected to what has to be done before the origin can be spoken with.

    What comes is the connection to a proxy that speaks TLS; with any other it is the socket itself. Raises
    RequestFailed; the socket is closed then.
    """
    tunnel = proxy.way(origin) is Way.TUNNEL
    try:
        with ExitStack() as undo:
            undo.callback(sock.close)
            relay = None
            if context is not None:
                relay = Relay(loop)
                await _secure(loop, proxy, relay, sock, context)
                undo.pop_all()
                undo.callback(relay.transport.abort)
            if tunnel and relay is not None:
                await open_tunnel(proxy, origin, relay.send, relay.receive)
            elif tunnel:
                await open_tunnel(proxy, origin, partial(loop.sock_sendall, sock), partial(loop.sock_recv, sock, _MOST))
            undo.pop_all()
            return relay
    except OSError as fault:
        raise RequestFailed(Failure.PROXY, f"the proxy {proxy.origin.authority}: {in_words(fault)}") from fault


async def _secure(
    loop: asyncio.AbstractEventLoop, proxy: Proxy, relay: "Relay", sock: socket.socket, context: ssl.SSLContext
) -> None:
    try:
        await loop.create_connection(lambda: relay, sock=sock, ssl=context, server_hostname=proxy.origin.host)
    except (OSError, ValueError) as fault:
        raise RequestFailed(Failure.TLS, f"the proxy {proxy.origin.authority}: {in_words(fault)}") from fault


class Relay(asyncio.Protocol):
    """Holds a TLS connection to a proxy until it is handed over to whom it is made for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._unread = bytearray()
        self._gone = False
        self._waiter: asyncio.Future[None] | None = None
        self.transport = cast("asyncio.Transport", None)

    async def send(self, data: bytes) -> None:
        """Send what is small."""
        self.transport.write(data)

    async def receive(self) -> bytes:
        """What has come; empty at the end."""
        while not self._unread and not self._gone:
            self._waiter = self._loop.create_future()
            await self._waiter
        received = bytes(self._unread)
        self._unread.clear()
        return received

    async def secure(self, context: ssl.SSLContext, name: str, seconds: float) -> None:
        """Have a handshake with whoever is at the other end of the tunnel. Raises OSError and ValueError."""
        with ExitStack() as undo:
            undo.callback(self.transport.abort)
            try:
                secured = await self._loop.start_tls(
                    self.transport, self, context, server_hostname=name, ssl_handshake_timeout=seconds
                )
            except TypeError as broken:  # the standard library's loop can't abort TLS within TLS (CPython 3.11)
                raise broken.__context__ if isinstance(broken.__context__, OSError) else broken from None
            undo.pop_all()
        self.transport = cast("asyncio.Transport", secured)

    def hand_over(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        """Make the connection another protocol's. Raises RequestFailed where it is gone, or someone has spoken."""
        transport = self.transport
        if self._gone or self._unread or transport.is_closing():
            transport.abort()
            raise RequestFailed(Failure.RESET, "the connection through the proxy ended as soon as it stood")
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        return transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Keep what comes; an answer to CONNECT is bounded where it is read."""
        self._unread += data
        self._wake()
        if len(self._unread) > _MOST:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the signature is asyncio's
        """It is gone."""
        self._gone = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
