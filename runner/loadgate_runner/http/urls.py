"""URLs as a request needs them: an origin to connect to and a path in bytes. Pure."""

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from loadgate.plan.hosts import resolvable

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HIGHEST_PORT = 65535
_SAFE = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*")
_UNSAFE_BYTE = re.compile(rb"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9\-._~!$&'()*+,;=:@/?%]")
_QUERY_UNSAFE_BYTE = re.compile(rb"[^A-Za-z0-9\-._~]")


class Origin(NamedTuple):
    """Where a connection leads: scheme, host (lower case, without brackets) and port. Hashes fast: it is a key."""

    scheme: str
    host: str
    port: int

    @property
    def secure(self) -> bool:
        """Whether this is https."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL and in `Host`: IPv6 in brackets, the default port left out."""
        host = f"[{self.host.partition('%')[0]}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def url(self, path: bytes) -> str:
        """The URL of a path on this origin."""
        return f"{self.scheme}://{self.authority}{path.decode('ascii', 'replace')}"


def locate(url: str) -> tuple[Origin, bytes]:
    """Split an absolute URL into its origin and its encoded path with query; a fragment is cut.

    Raises ValueError with a message for people where the URL can't be requested.
    """
    parts = urlsplit(url.strip())
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        raise ValueError(f"{url!r} doesn't begin with http:// or https://")
    if not parts.hostname:
        raise ValueError(f"{url!r} names no host")
    try:
        port = parts.port
    except ValueError as fault:
        raise ValueError(f"{url!r}: a port is a number from 1 to {_HIGHEST_PORT}") from fault
    if port == 0:
        raise ValueError(f"{url!r}: a port is a number from 1 to {_HIGHEST_PORT}")
    try:
        host = resolvable(parts.hostname)
    except ValueError as fault:
        raise ValueError(f"{url!r}: {fault}") from fault
    origin = Origin(scheme, host, port or _DEFAULT_PORTS[scheme])
    target = parts.path or "/"
    return origin, encode_path(f"{target}?{parts.query}" if parts.query else target)


def encode_path(text: str) -> bytes:
    """A path with query as it may stand in a request line: UTF-8, percent-encoded where needed, `%XX` kept.

    A fragment is cut, an empty path is `/`, and a missing first slash is added.
    """
    text = text.partition("#")[0]
    if not text.startswith("/"):
        text = "/" + text
    if _SAFE.fullmatch(text):
        return text.encode("ascii")
    return _UNSAFE_BYTE.sub(_percent, text.encode("utf-8", "replace"))


def encode_query(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Pairs as `a=1&b=x+y`: the form encoding, which queries use too."""
    return b"&".join(encode_component(name) + b"=" + encode_component(value) for name, value in pairs)


def encode_component(text: str) -> bytes:
    """One name or value of a query or form: everything but letters, digits and `-._~` encoded, a space as `+`."""
    return _QUERY_UNSAFE_BYTE.sub(_plus_or_percent, text.encode("utf-8", "replace"))


def follow(origin: Origin, path: bytes, location: str) -> tuple[Origin, bytes]:
    """Where a `Location` leads from a request (RFC 3986 reference resolution). Raises ValueError where nowhere."""
    return locate(urljoin(origin.url(path), location.strip()))


def _percent(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % match[0][0]


def _plus_or_percent(match: re.Match[bytes]) -> bytes:
    return b"+" if match[0] == b" " else b"%%%02X" % match[0][0]
