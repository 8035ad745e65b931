"""A VU's cookies: what RFC 6265 asks of a client, without what needs a browser (public suffixes, SameSite)."""

import calendar
import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_tz

from loadgate_runner.http.urls import Origin

PER_DOMAIN = 50
IN_ALL = 300
_LONGEST = 4096
_FOREVER = float("inf")
_LONGEST_AGE = 10**10


@dataclass(frozen=True, slots=True)
class Cookie:
    """One cookie as a server set it. `expires` is in seconds of the jar's clock."""

    name: str
    value: str
    domain: str
    host_only: bool
    path: str
    secure: bool
    expires: float
    created: int

    def matches(self, origin: Origin, path: str) -> bool:
        """Whether it goes with a request to this place."""
        host_fits = origin.host == self.domain if self.host_only else _domain_match(origin.host, self.domain)
        return host_fits and _path_match(path, self.path) and (origin.secure or not self.secure)


def parse_set_cookie(text: str) -> tuple[str, str, dict[str, str]] | None:
    """Name, value and attributes (names in lower case) of a `Set-Cookie`; None where it is none."""
    pair, _, rest = text.partition(";")
    name, equals, value = pair.partition("=")
    name = name.strip()
    if not equals or not name or len(pair) > _LONGEST or not _clean(pair):
        return None
    attributes = {}
    for attribute in rest.split(";"):
        key, _, argument = attribute.partition("=")
        attributes[key.strip().lower()] = argument.strip()
    return name, value.strip(), attributes


class CookieJar:
    """The cookies of one VU, at most 50 for a domain and 300 in all; the oldest give way."""

    __slots__ = ("_clock", "_cookies", "_created", "size")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._cookies: dict[tuple[str, str, str], Cookie] = {}
        self._created = 0
        self.size = 0

    def clear(self) -> None:
        """Forget all cookies."""
        if self.size:
            self._cookies.clear()
            self.size = 0

    def store(self, origin: Origin, path: bytes, set_cookie: str) -> None:
        """Take a `Set-Cookie` of an answer to a request for `path`; one that isn't for this host is ignored."""
        parsed = parse_set_cookie(set_cookie)
        if parsed is None:
            return
        name, value, attributes = parsed
        domain = _domain(origin.host, attributes.get("domain", ""))
        if domain is None or ("secure" in attributes and not origin.secure):
            return
        scope = attributes.get("path", "")
        scope = scope if scope.startswith("/") else _default_path(path)
        key = (domain, scope, name)
        old = self._cookies.get(key)
        self._created += 1
        cookie = Cookie(
            name, value, domain, not attributes.get("domain", "").strip("."), scope, "secure" in attributes,
            _expires(attributes, self._clock()), old.created if old else self._created,
        )  # fmt: skip
        if cookie.expires <= self._clock():
            self._cookies.pop(key, None)
        else:
            self._cookies[key] = cookie
            self._make_room(domain)
        self.size = len(self._cookies)

    def get(self, name: str, origin: Origin, path: bytes = b"/") -> str | None:
        """The value that a request to this place would send under a name."""
        return next((cookie.value for cookie in self._matching(origin, path) if cookie.name == name), None)

    def line(self, origin: Origin, path: bytes) -> bytes:
        """The `Cookie` line of a request, empty when none fits."""
        matching = self._matching(origin, path)
        if not matching:
            return b""
        pairs = "; ".join(f"{cookie.name}={cookie.value}" for cookie in matching)
        return b"Cookie: " + pairs.encode("latin-1", "replace") + b"\r\n"

    def _matching(self, origin: Origin, path: bytes) -> list[Cookie]:
        """The cookies of a request, longer paths and then older ones first, as servers expect."""
        now = self._clock()
        text = path.partition(b"?")[0].decode("latin-1")
        fitting = [one for one in self._cookies.values() if one.expires > now and one.matches(origin, text)]
        if len(fitting) > 1:
            fitting.sort(key=lambda one: (-len(one.path), one.created))
        return fitting

    def _make_room(self, domain: str) -> None:
        now = self._clock()
        if len(self._cookies) <= PER_DOMAIN:
            return
        for key in [key for key, one in self._cookies.items() if one.expires <= now]:
            del self._cookies[key]
        of_domain = [(one.created, key) for key, one in self._cookies.items() if one.domain == domain]
        if len(of_domain) > PER_DOMAIN:
            del self._cookies[min(of_domain)[1]]
        if len(self._cookies) > IN_ALL:
            del self._cookies[min((one.created, key) for key, one in self._cookies.items())[1]]


def _domain(host: str, attribute: str) -> str | None:
    """The domain that a cookie is for, None where the server may not set it."""
    wanted = attribute.strip().lstrip(".").lower()
    if not wanted or wanted == host:
        return host
    if "." not in wanted or _is_address(host) or not _domain_match(host, wanted):
        return None
    return wanted


def _domain_match(host: str, domain: str) -> bool:
    return host == domain or host.endswith("." + domain)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _path_match(path: str, scope: str) -> bool:
    return path == scope or (path.startswith(scope) and (scope.endswith("/") or path[len(scope)] == "/"))


def _default_path(path: bytes) -> str:
    """Up to the last slash of the request's path (RFC 6265, 5.1.4)."""
    return path.partition(b"?")[0].rpartition(b"/")[0].decode("latin-1") or "/"


def _expires(attributes: dict[str, str], now: float) -> float:
    """When a cookie ends: `Max-Age` counts before `Expires`; what doesn't parse is as if it weren't there."""
    try:
        return now + max(-_LONGEST_AGE, min(int(attributes["max-age"]), _LONGEST_AGE))
    except (KeyError, ValueError):
        parsed = parsedate_tz(attributes.get("expires", ""))
    if parsed is None:
        return _FOREVER
    try:
        return float(calendar.timegm(parsed[:6]) - (parsed[9] or 0))
    except (ValueError, OverflowError):
        return _FOREVER


def _clean(text: str) -> bool:
    return not any(character < " " or character == "\x7f" for character in text)
