"""What can be set about requests: values only, so that they can be built and compared while a test is compiled."""

from dataclasses import dataclass
from typing import NamedTuple


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
class Dns:
    """How names become addresses (see `Lookup`); `ttl` is in seconds."""

    ttl: float = 0.0
    select: str = "roundRobin"
    policy: str = "any"


_BY_DEFAULT = TLS()


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
