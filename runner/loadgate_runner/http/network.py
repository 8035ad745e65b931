"""What all VUs of a process share: the loop, the clock, time limits, TLS contexts, bounds."""

import asyncio
import ssl
import time
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import Protocol

from loadgate_runner.http.connect import Sources
from loadgate_runner.http.dial import Dialer
from loadgate_runner.http.gate import Gate
from loadgate_runner.http.http2.place import Place, Places
from loadgate_runner.http.http2.seat import Seat
from loadgate_runner.http.line import Line
from loadgate_runner.http.pool import Borrower, Pool, Pools
from loadgate_runner.http.request import Request
from loadgate_runner.http.resolve import Lookup, Resolve, system_resolver
from loadgate_runner.http.settings import TLS, Dns, Limits, Way
from loadgate_runner.http.shortage import Shortage
from loadgate_runner.http.sockets import Sockets
from loadgate_runner.http.tls import FIRST_ONLY, Resumption, build_context
from loadgate_runner.http.turn import Turn
from loadgate_runner.http.urls import Origin
from loadgate_runner.http.watchdog import Watchdog


class Closing(Protocol):
    """Something of a VU's that is open."""

    def close(self) -> None:
        """Let go of it."""


class Network:
    """One per process and run, for every VU of it. The clock gives nanoseconds from any zero.

    `sources` are the addresses that connections come from, `sockets` the unix sockets that stand for origins. With
    `most`, VUs take connections from pools of so many to each origin; without, each has its own.
    """

    def __init__(  # noqa: PLR0913 - all have a default
        self,
        loop: asyncio.AbstractEventLoop | None = None,
        clock: Callable[[], int] = time.perf_counter_ns,
        limits: Limits | None = None,
        *,
        gate: Gate | None = None,
        shortage: Shortage | None = None,
        resolve: Resolve | None = None,
        dns: Dns | None = None,
        sources: Sources | None = None,
        sockets: Mapping[Origin, str] | None = None,
        most: int | None = None,
    ) -> None:
        self.loop = loop or asyncio.get_running_loop()
        self.clock = clock
        self.limits = limits or Limits()
        self.gate = gate or Gate()
        self.shortage = shortage or Shortage()
        self._resolve = Lookup(resolve or system_resolver(self.loop), dns or Dns())
        self._sources = sources or Sources()
        self._sockets = sockets or {}
        self.turn = Turn(self.loop, clock)
        self.sockets = Sockets(self.loop, clock, self.turn)
        self.watchdog = Watchdog(self.loop, clock)
        self.open_connections = 0
        """Connections of all VUs that stand now."""
        self._contexts: dict[tuple[TLS, tuple[str, ...]], ssl.SSLContext] = {}
        self._places = Places()
        self._pools = None if most is None else Pools(most)

    def seat(self, line: Line, key: Hashable, request: Request, origin: Origin) -> Seat | Borrower | None:
        """Where a VU's line to an origin finds connections that aren't its own, or HTTP/2; None where neither is so."""
        protocol, keeping = request.options.protocol, request.options.keeping
        if protocol is None:
            return None if self._pools is None else self._borrower(self._pools, line, key, request, origin)
        if not protocol.possible(origin):
            return None
        required = protocol.required(origin)
        share = protocol.share if required else 1
        alpn = ("h2",) if required else ("h2", "http/1.1")

        def make() -> Place:
            dialer = self.dialer(request, origin, alpn)
            return Place(self, dialer, keeping, self._places.known, share=share, either=not required)

        return Seat(line, self._places, (key, request.options.host), make)

    def _borrower(self, pools: Pools, line: Line, key: Hashable, request: Request, origin: Origin) -> Borrower:
        def make() -> Pool:
            return Pool(self, partial(self.dialer, request, origin), request.options.keeping, pools.most)

        return Borrower(line, pools, (key, request.options.host), make, origin.authority)

    def dialer(self, request: Request, origin: Origin, protocols: tuple[str, ...] = FIRST_ONLY) -> Dialer:
        """How a VU's new line connects to an origin, by the request's TLS settings and time limits."""
        options = request.options
        resumption, fault = None, ""
        if origin.secure:
            try:
                resumption = Resumption(self._context(options.tls, protocols))
            except ValueError as unusable:
                fault = str(unusable)
        proxy = options.proxy
        if proxy is not None and proxy.way(origin) is Way.DIRECT:
            proxy = None
        server_name = options.tls.server_name or (options.host and options.host.partition(":")[0])
        return Dialer(
            self.loop,
            self.clock,
            self._resolve,
            self.gate,
            self.shortage,
            origin,
            resumption,
            server_name,
            options.timeouts,
            fault,
            proxy,
            self._context(proxy.tls) if proxy is not None and proxy.origin.secure else None,
            self._sockets.get(origin),
            self._sources,
            options.rates,
        )

    def close(self) -> None:
        """Stop watching and listening; clients are closed by their owners."""
        self.watchdog.close()
        self.sockets.close()

    def _context(self, tls: TLS, protocols: tuple[str, ...] = FIRST_ONLY) -> ssl.SSLContext:
        context = self._contexts.get((tls, protocols))
        if context is None:
            context = self._contexts[tls, protocols] = build_context(tls, protocols)
        return context
