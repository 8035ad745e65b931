"""From an origin to a connection: name, TCP, TLS, each timed and each failing in its own way."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol, cast

from loadgate_runner.http.connect import Sources, connect, connect_unix
from loadgate_runner.http.failures import Failure, RequestFailed, in_words
from loadgate_runner.http.gate import Gate, SocketAddress
from loadgate_runner.http.paced import Paced
from loadgate_runner.http.poller import AVAILABLE
from loadgate_runner.http.proxy import Relay, through
from loadgate_runner.http.resolve import Lookup, Resolve
from loadgate_runner.http.settings import Proxy, Rates, Timeouts
from loadgate_runner.http.shortage import Shortage
from loadgate_runner.http.tls import Resumption
from loadgate_runner.http.urls import Origin
from loadgate_runner.http.waiter import in_task

_SECOND = 1_000_000_000


class Shaking(Protocol):
    """A socket whose handshake is under way."""

    shaken: asyncio.Future[None]
    """Done when it is; raises OSError where it failed."""

    def forsake(self) -> None:
        """Nobody waits for it any more."""


class Taker(Protocol):
    """Uses connected sockets without a transport of the loop."""

    def stand_on(self, sock: socket.socket) -> None:
        """Take a socket as it is. Raises OSError."""

    def secure_on(self, sock: socket.socket, context: Any, server_name: str) -> Shaking:
        """Take a socket and begin a handshake. Raises OSError and ValueError."""


@dataclass(slots=True)
class Phases:
    """Nanoseconds that connecting took, filled in as far as it came."""

    lookup: int = 0
    connect: int = 0
    tls: int = 0


@dataclass(frozen=True, slots=True)
class Dialer:
    """How a VU's line to one origin connects. The name is looked up for every new connection, through the system's
    resolver, so that a change of DNS reaches a running test; an IP address isn't looked up. What the gate lets pass
    is what is connected to: between the two nothing is looked up again.
    """

    loop: asyncio.AbstractEventLoop
    clock: Callable[[], int]
    resolve: Lookup
    gate: Gate
    shortage: Shortage
    origin: Origin
    tls: Resumption | None
    server_name: str | None
    timeouts: Timeouts
    fault: str = ""
    """Why TLS is out of the question: its settings are unusable."""
    proxy: Proxy | None = None
    """The way to the origin, where it isn't reached directly."""
    proxy_tls: ssl.SSLContext | None = None
    """For a proxy that speaks TLS itself."""
    path: str | None = None
    """The unix socket that stands for the origin, in place of any address."""
    sources: Sources = field(default_factory=Sources)
    rates: Rates | None = None

    @property
    def plain(self) -> bool:
        """Whether what is written goes out as it is."""
        return self.tls is None and self.proxy_tls is None and self.rates is None

    async def dial(
        self, protocol: asyncio.Protocol, phases: Phases, deadline: int, taker: Taker | None = None
    ) -> socket.socket:
        """Connect until `deadline` (ns) at most. Raises RequestFailed; `phases` then tell how far it came.

        Where there is a taker, it is handed the socket itself, if nothing but its TLS is between it and the peer.
        """
        if self.fault:
            raise RequestFailed(Failure.TLS, self.fault)
        if self.rates is not None:
            protocol = cast("asyncio.Protocol", Paced(protocol, self.loop, self.clock, self.rates))
        await in_task()  # which time limits ask for
        began = self.clock()
        left = (deadline - began) / _SECOND
        try:
            async with asyncio.timeout(min(self.timeouts.connect, left)) as limit:
                try:
                    addresses = await self.look_up() if self.path is None else []
                finally:
                    looked_up = self.clock()
                    phases.lookup = looked_up - began
                try:
                    if self.path is None:
                        sock = await self._connect(addresses, limit.when())
                    else:
                        sock = await self._connect_unix(self.path)
                    relay = None
                    if self.proxy is not None:
                        relay = await through(self.loop, self.proxy, self.origin, sock, self.proxy_tls)
                finally:
                    phases.connect = self.clock() - looked_up
        except TimeoutError as fault:
            raise RequestFailed(Failure.TIMEOUT, f"no connection to {self._whom} in time") from fault
        if taker is not None and AVAILABLE and relay is None and self.rates is None:
            await self._hand(sock, taker, phases, deadline)
            return sock
        if relay is not None:
            return await self._open_behind(relay, protocol, sock, phases, deadline)
        return await self._open(protocol, sock, phases, deadline)

    @property
    def _whom(self) -> str:
        """Whom a connection is made to, in words."""
        if self.path is not None:
            return f"{self.origin.authority} by the socket {self.path}"
        if self.proxy is None:
            return self.origin.authority
        return f"{self.origin.authority} by the proxy {self.proxy.origin.authority}"

    async def look_up(self) -> list[SocketAddress]:
        """The addresses to try, in their order, without those that load may not go to. Raises RequestFailed."""
        if self.proxy is None:
            return self.gate.admit(self.origin.host, await self._find(self.origin, self.resolve))
        await self._vouch()
        return self.gate.admit(self.proxy.origin.host, await self._find(self.proxy.origin, self.resolve))

    async def _vouch(self) -> None:
        """See that load may go to an origin behind a proxy, which looks it up itself: by its name, else as far as a
        look-up of ours tells, and then all that the name may mean has to be allowed.
        """
        host = self.origin.host
        if self.gate.names(host):
            return
        fault = ""
        found: list[SocketAddress] = []
        try:
            found = await self._find(self.origin, self.resolve.everything)
        except RequestFailed as failed:
            fault = failed.message
        if not found:
            message = f"{fault or f'{host} has no address'}; what only a proxy can look up must be allowed by name"
            raise RequestFailed(Failure.DNS, message)
        self.gate.admit_all(host, found)

    async def _find(self, where: Origin, resolve: Resolve) -> list[SocketAddress]:
        """What is written, or what the name means."""
        written = _literal(where.host, where.port)
        if written is not None:
            return [written]
        try:
            return await resolve(where.host, where.port)
        except (OSError, UnicodeError) as fault:
            if isinstance(fault, OSError):
                self.shortage.note(fault)
            raise RequestFailed(Failure.DNS, f"{where.host}: {in_words(fault)}") from fault

    async def _connect(self, addresses: list[SocketAddress], until: float | None) -> socket.socket:
        """A socket of the first that answers."""
        if not addresses:
            raise RequestFailed(Failure.DNS, f"{self._whom}: the name has no address")
        try:
            return await connect(self.loop, addresses, until or self.loop.time(), self.sources)
        except OSError as fault:
            self.shortage.note(fault)
            raise RequestFailed(Failure.CONNECT, f"{self._whom}: {in_words(fault)}") from fault

    async def _connect_unix(self, path: str) -> socket.socket:
        self.gate.admit_socket(self.origin.host, path)
        try:
            return await connect_unix(self.loop, path)
        except OSError as fault:
            self.shortage.note(fault)
            raise RequestFailed(Failure.CONNECT, f"{self._whom}: {in_words(fault)}") from fault

    async def _hand(self, sock: socket.socket, taker: Taker, phases: Phases, deadline: int) -> None:
        if self.tls is not None:
            async with self._handshake(phases, deadline):
                await self._shake(sock, taker, self.tls)
            return
        try:
            taker.stand_on(sock)
        except OSError as fault:
            sock.close()
            self.shortage.note(fault)
            raise RequestFailed(Failure.CONNECT, f"{self._whom}: {in_words(fault)}") from fault

    async def _shake(self, sock: socket.socket, taker: Taker, tls: Resumption) -> None:
        try:
            shaking = taker.secure_on(sock, tls, self.server_name or self.origin.host)
        except (OSError, ValueError):
            sock.close()
            raise
        try:
            await shaking.shaken
        finally:
            shaking.forsake()

    async def _open(
        self, protocol: asyncio.Protocol, sock: socket.socket, phases: Phases, deadline: int
    ) -> socket.socket:
        """Hand the socket to the loop, with the handshake where the origin is https."""
        if self.tls is None:
            transport, _ = await self._create(lambda: protocol, sock=sock)
            return _standing(transport, sock)
        async with self._handshake(phases, deadline) as seconds:
            secured, _ = await self._create(
                lambda: protocol,
                sock=sock,
                ssl=cast("ssl.SSLContext", self.tls),
                server_hostname=self.server_name or self.origin.host,
                ssl_handshake_timeout=seconds + 1,  # the limit is the one that counts
            )
        return _standing(secured, sock)

    async def _open_behind(
        self, relay: Relay, protocol: asyncio.Protocol, sock: socket.socket, phases: Phases, deadline: int
    ) -> socket.socket:
        """The same within a connection to a proxy that speaks TLS. No session is resumed there."""
        if self.tls is not None:
            async with self._handshake(phases, deadline) as seconds:
                await relay.secure(self.tls.context, self.server_name or self.origin.host, seconds + 1)
        relay.hand_over(protocol)
        return sock

    @property
    def _create(self) -> Callable[..., Awaitable[tuple[asyncio.Transport, asyncio.Protocol]]]:
        """What makes a transport of a socket."""
        return self.loop.create_connection if self.path is None else self.loop.create_unix_connection

    @asynccontextmanager
    async def _handshake(self, phases: Phases, deadline: int) -> AsyncIterator[float]:
        """Bound and time a handshake, and say what became of it; gives its limit in seconds."""
        began = self.clock()
        seconds = min(self.timeouts.tls, max(0.0, (deadline - began) / _SECOND))
        try:
            async with asyncio.timeout(seconds):
                yield seconds
        except TimeoutError as fault:
            raise RequestFailed(Failure.TIMEOUT, f"no TLS with {self.origin.authority} in time") from fault
        except (OSError, ValueError) as fault:  # ssl.SSLError is an OSError; a bad server name is a ValueError
            raise RequestFailed(Failure.TLS, f"{self.origin.authority}: {in_words(fault)}") from fault
        finally:
            phases.tls = self.clock() - began


def _standing(transport: asyncio.Transport, sock: socket.socket) -> socket.socket:
    if transport.is_closing():
        raise RequestFailed(Failure.RESET, "the connection was closed as soon as it stood")
    return sock


def _literal(host: str, port: int) -> SocketAddress | None:
    """The address that a host is, where it is one and no name."""
    address = _address(host)
    if address is None:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return socket.AF_INET, (host, port)
    try:
        zone = socket.if_nametoindex(address.scope_id) if address.scope_id else 0
    except OSError:
        return None
    return socket.AF_INET6, (str(address).partition("%")[0], port, 0, zone)


@lru_cache(1000)
def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
