"""Which hosts are reached without a proxy: entries as people know them from `NO_PROXY`.

`example.com` is that name and every name below it, `.example.com` and `*.example.com` only what is below it; an
address is itself, and a network (`10.0.0.0/8`) its addresses. Names aren't resolved for this: a network holds for
addresses that a URL is written with.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from .errors import GrammarError

_HINT = "write a name (shop.svc), a domain (.example.com), an address, or a network (10.0.0.0/8)"
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(\*?\.)?{_LABEL}(\.{_LABEL})*\.?")
_SHOWN = 64


def parse_no_proxy(text: object) -> str | IPv4Network | IPv6Network:
    """Return one entry: a network, or a name in lower case (a domain with its first dot)."""
    if not isinstance(text, str):
        raise GrammarError("must be a text", hint=_HINT)
    entry = text.strip().lower()
    try:
        return ip_network(entry)
    except ValueError:
        pass
    if "/" in entry:
        raise GrammarError(f"{text[:_SHOWN]!r} is no network without host bits", hint=_HINT)
    if not _NAME.fullmatch(entry) or entry.removesuffix(".").rpartition(".")[2].isdigit():
        raise GrammarError(f"{text[:_SHOWN]!r} is no host", hint=_HINT)
    return entry.removeprefix("*").removesuffix(".")


class NoProxy:
    """The entries of a test, parsed once. Raises GrammarError."""

    def __init__(self, entries: Iterable[str] = ()) -> None:
        parsed = [parse_no_proxy(entry) for entry in entries]
        names = [entry for entry in parsed if isinstance(entry, str)]
        self._names = frozenset(name for name in names if not name.startswith("."))
        self._domains = tuple(name if name.startswith(".") else f".{name}" for name in names)
        self._networks = tuple(entry for entry in parsed if not isinstance(entry, str))

    def covers(self, host: str) -> bool:
        """Whether a host, as a URL's host is resolved (lower case, no brackets), is reached without the proxy."""
        address = _literal(host)
        if address is not None:
            return any(address in network for network in self._networks)
        name = host.removesuffix(".")
        return name in self._names or name.endswith(self._domains)


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None
