"""Where load may go: the platform's rules, held against a host's name and the address that is connected to. Pure.

A rule is a name (`shop.default.svc`), a wildcard (`*.staging.example.com`, which is every name below that and not the
domain itself), an address, a network (`10.0.0.0/8`), or a unix socket (`unix:/run/shop.sock`, and `unix:/run/shop/*`
for all below a folder). A connection may be made where the host's name is in a rule, or the address that it is made to.
Without rules it may go anywhere. Reserved addresses (link-local, cloud metadata and the like) are open to no name and
to no wider network: only to a rule within their own block.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import TYPE_CHECKING

from loadgate.plan.hosts import MAPPED, NAT64, RESERVED, literal, meant, reserved, resolvable, what_is

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from loadgate.plan.hosts import Address, Network

MOST_RULES = 256
LONGEST_RULE = 256
"""Characters; a name has at most 253."""

_SHOWN = 8
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")
_SOCKET = re.compile(r"(/[.]?[-_a-zA-Z0-9][-._a-zA-Z0-9]*)+(/[*])?")
_PORT = re.compile(r"[^:]*:[0-9]+|\[.*\]:[0-9]+")


class TargetRuleError(ValueError):
    """Rules that can't be held to; the message names each one, and says what to write in its place."""


class Targets:
    """The rules of a platform. Two that say the same are equal."""

    def __init__(self, rules: Iterable[str] = ()) -> None:
        """Raises TargetRuleError with every fault."""
        given = tuple(dict.fromkeys(rules))
        faults = [f"there are {len(given)} rules; at most {MOST_RULES}"] if len(given) > MOST_RULES else []
        names: list[str] = []
        networks: list[Network] = []
        sockets: list[str] = []
        for rule in given[:MOST_RULES]:
            try:
                _add(rule, names, networks, sockets)
            except TargetRuleError as error:
                faults.append(str(error))
        if faults:
            raise TargetRuleError("; ".join(faults))
        self.rules = given
        self._names = frozenset(name for name in names if not name.startswith("*."))
        self._domains = tuple(name[1:] for name in names if name.startswith("*."))
        self._networks = tuple(networks)
        self._sockets = frozenset(path for path in sockets if not path.endswith("/*"))
        self._folders = tuple(path[:-1] for path in sockets if path.endswith("/*"))
        self._opened = tuple(network for network in networks if _is_within_reserved(network))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Targets) and self.rules == other.rules

    def __hash__(self) -> int:
        return hash(self.rules)

    def __repr__(self) -> str:
        return f"Targets({list(self.rules)!r})"

    def __str__(self) -> str:
        """The rules as people read them."""
        if not self.rules:
            return "anywhere but reserved addresses"
        return _listed(self.rules)

    def allows(self, host: str, address: Address) -> bool:
        """Whether a connection to this address, for a URL with this host (see `hosts.resolvable`), may be made."""
        anywhere = not self.rules or self.names(host) or self._lists(meant(address))
        return anywhere and not self._closed(address)

    def names(self, host: str) -> bool:
        """Whether a rule is for the host's name."""
        name = host.removesuffix(".")
        return name in self._names or name.endswith(self._domains)

    def refusal(self, host: str) -> str:
        """Why no connection for a URL with this host may ever be made; empty where one may.

        Of a name it can't be seen before which address it has, unless no rule is on addresses.
        """
        address = literal(host)
        if address is not None:
            return "" if self.allows(host, address) else self.denial(host, [address])
        if not self.rules or self._networks or self.names(host):
            return ""
        return self.denial(host, [])

    def socket_refusal(self, path: str) -> str:
        """Why load may not go to the unix socket of this path; empty where it may."""
        if not self.rules or path in self._sockets or path.startswith(self._folders):
            return ""
        return f"load may not go to unix:{path}; it may go to {self}"

    def denial(self, host: str, addresses: Sequence[Address]) -> str:
        """In words, that no connection is made to any of these addresses of a host, and why."""
        found = [one for one in addresses if one != literal(host)]
        name = host if len(host) <= LONGEST_RULE else f"{host[:LONGEST_RULE]}…"
        where = f"{name} ({_listed(found)})" if found else name
        closed = next((one for address in addresses for one in self._closed(address)), None)
        if closed is None:
            return f"load may not go to {where}; it may go to {self}"
        whose = "it" if closed in addresses and not found else str(closed)
        return f"load may not go to {where}: {whose} is {what_is(closed)}, and must be listed as such"

    def _lists(self, address: Address) -> bool:
        return any(address in network for network in self._networks)

    def _closed(self, address: Address) -> list[Address]:
        """What of an address is reserved and not opened by a rule of its own."""
        return [one for one in reserved(address) if not any(one in network for network in self._opened)]


def _add(rule: str, names: list[str], networks: list[Network], sockets: list[str]) -> None:
    """Sort one rule in. Raises TargetRuleError."""
    text = rule.strip()
    if len(text) > LONGEST_RULE:
        raise _fault(f"{text[:40]}…", f"is longer than {LONGEST_RULE} characters")
    if text.startswith("unix:"):
        sockets.append(_socket(text))
        return
    if "://" in text or "@" in text:
        raise _fault(text, "is a URL; write its host only")
    if _PORT.fullmatch(text) or text.startswith("["):
        raise _fault(text, "must be a host only: no port, and no brackets around an address")
    if "/" in text or literal(text) is not None:
        networks.append(_network(text))
    else:
        names.append(_name(text))


def _socket(text: str) -> str:
    path = text.removeprefix("unix:")
    if not _SOCKET.fullmatch(path):
        raise _fault(text, "is no socket's path; write unix:/run/shop.sock, or unix:/run/shop/* for all in a folder")
    return path


def _network(text: str) -> Network:
    if "%" in text:
        raise _fault(text, "has a zone; write the address without it")
    try:
        network = ip_network(text)
    except ValueError as error:
        raise _fault(text, f"is not a network: {_reason(text, error)}") from error
    for form in (MAPPED, NAT64):
        if _is_within(network, form):
            inner = f"{meant(network.network_address)}/{network.prefixlen - form.prefixlen}"
            raise _fault(text, f"stands for IPv4 addresses; write {inner}")
    return network


def _reason(text: str, error: ValueError) -> str:
    try:
        meant_network = ip_network(text, strict=False)
    except ValueError:
        return str(error)
    return f"write {meant_network}, or {text.partition('/')[0]} for this address alone"


def _name(text: str) -> str:
    wildcard, name = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    try:
        name = resolvable(name).removesuffix(".")
    except ValueError:
        name = ""
    if text == "*":
        raise _fault(text, "would be anywhere; give no rule for that, or 0.0.0.0/0 and ::/0")
    if _NUMBER.fullmatch(name):
        raise _fault(text, "is neither a name nor an address; write an address as in 10.1.2.3")
    if not _NAME.fullmatch(name):
        raise _fault(text, "is no host, no wildcard like *.example.com, no address and no network like 10.0.0.0/8")
    return wildcard + name


def _fault(rule: str, what: str) -> TargetRuleError:
    return TargetRuleError(f"{rule!r} {what}")


def _is_within_reserved(network: Network) -> bool:
    return any(_is_within(network, block) for block in RESERVED)


def _is_within(network: Network, block: Network) -> bool:
    return network.version == block.version and block.supernet_of(network)  # type: ignore[arg-type]  # of one version


def _listed(things: Sequence[object]) -> str:
    texts = [str(thing) for thing in things]
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more
