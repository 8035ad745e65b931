"""What can be set about requests: values only, so that they can be built and compared while a test is compiled."""

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from loadgate.api.grammar.noproxy import NoProxy
from loadgate_runner.http.urls import Origin


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Time limits in seconds. `connect` includes looking the name up; `total` spans all redirects."""

    connect: float = 10.0
    tls: float = 10.0
    first_byte: float = 30.0
    total: float = 30.0


class TLS(NamedTuple):
    """How a server is trusted and who we are to it. PEM texts, not files; a named tuple since it is part of a key."""

    verify: bool = True
    ca: str | None = None
    """PEM certificates that are trusted in place of the system's."""
    cert: str | None = None
    """PEM chain that we present."""
    key: str | None = None
    """PEM private key of `cert`, unencrypted."""
    server_name: str | None = None
    """Name for SNI and verification in place of the URL's host."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long a connection is kept: requests on it, and seconds since it stood and since its last answer."""

    requests: int | None = None
    age: float | None = None
    idle: float | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast a connection is at most, in bytes a second before TLS; 0: as fast as it can."""

    up: float = 0.0
    down: float = 0.0


@dataclass(frozen=True, slots=True)
class Dns:
    """How names become addresses (see `Lookup`); `ttl` is in seconds."""

    ttl: float = 0.0
    select: str = "roundRobin"
    policy: str = "any"


@dataclass(frozen=True, slots=True)
class Protocol:
    """What is spoken where HTTP/1.1 isn't all: with `origin` HTTP/2 and nothing else, with all others what the
    handshake agrees on (ALPN), which is HTTP/1.1 where there is no handshake.
    """

    origin: Origin | None = None
    share: int = 1
    """VUs that share a connection to `origin`."""

    def required(self, origin: Origin) -> bool:
        """Whether HTTP/2 is the only one that will do."""
        return origin == self.origin

    def possible(self, origin: Origin) -> bool:
        """Whether it may come to HTTP/2."""
        return origin.secure or origin == self.origin


_BY_DEFAULT = TLS()


class Way(Enum):
    """How an origin is reached."""

    DIRECT = "direct"
    FORWARD = "forward"
    """The proxy is asked, and asks the origin."""
    TUNNEL = "tunnel"
    """The proxy passes bytes on."""


@dataclass(frozen=True, slots=True, eq=False)
class Proxy:
    """A proxy and what isn't for it. Each is equal to itself only: it is part of a key."""

    origin: Origin
    without: NoProxy = field(default_factory=NoProxy)
    authorization: str = field(default="", repr=False)
    """The value of Proxy-Authorization; empty: none."""
    tls: TLS = field(default=_BY_DEFAULT, repr=False)
    """How https is spoken with the proxy itself."""
    tunnels: bool = False
    """Whether http goes through a tunnel too, as WebSockets do (RFC 6455, 4.1)."""

    def way(self, origin: Origin) -> Way:
        """How an origin is reached: http by asking the proxy for the whole URL (RFC 9112, 3.2.2), https by a tunnel."""
        if self.without.covers(origin.host):
            return Way.DIRECT
        return Way.TUNNEL if self.tunnels or origin.secure else Way.FORWARD

    @property
    def line(self) -> bytes:
        """The header line with the credentials; empty without any."""
        return f"Proxy-Authorization: {self.authorization}\r\n".encode("ascii") if self.authorization else b""


@dataclass(frozen=True, slots=True)
class Options:
    """What a request is sent with, beyond its content."""

    timeouts: Timeouts = Timeouts()
    tls: TLS = _BY_DEFAULT
    host: str | None = None
    """The `Host` header in place of the URL's, also the name for SNI unless `tls.server_name` says otherwise."""
    max_redirects: int = 10
    """0: a redirect is the answer and is not followed."""
    keeping: Keeping | None = None
    """None: a connection is kept as long as the peer keeps it, and its requests take the shortest path."""
    rates: Rates | None = None
    """None: nothing stands between a connection and its socket."""
    proxy: Proxy | None = None
    """None: every origin is reached without one."""
    protocol: Protocol | None = None
    """None: HTTP/1.1."""
    compressed: bool = True
    """Whether to offer gzip, deflate, br and zstd."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds that keep a runner's memory its own, in bytes, whatever a server sends."""

    head: int = 64 * 1024
    """A status line and headers, interim answers included; more is a `protocol` failure."""
    body: int = 1024 * 1024
    """Of a body as sent, kept for checks and extraction; the rest is counted and dropped."""
    decoded: int = 4 * 1024 * 1024
    """Of a body after decompression."""
    origins: int = 16
    """Origins that one VU keeps a connection to; the one unused for longest gives way."""
