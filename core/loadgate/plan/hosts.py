"""Hosts as they are resolved and addresses as they are reached: what rules on targets are held against. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

RESERVED: dict[Network, str] = {
    ip_network(network): what
    for network, what in {
        "0.0.0.0/8": "an unspecified address (the runner itself is 127.0.0.1)",
        "100.100.100.200/32": "a metadata address (Alibaba Cloud)",
        "168.63.129.16/32": "a platform's own address (Azure)",
        "169.254.0.0/16": "a link-local address, where clouds have their metadata",
        "192.0.0.192/32": "a metadata address (Oracle Cloud)",
        "224.0.0.0/4": "a multicast address",
        "255.255.255.255/32": "the broadcast address",
        "::/128": "an unspecified address (the runner itself is ::1)",
        "fd00:42::42/128": "a metadata address (Scaleway)",
        "fd00:ec2::/32": "a platform's own address (AWS)",
        "fd20:ce::254/128": "a metadata address (Google Cloud)",
        "fe80::/10": "a link-local address",
        "ff00::/8": "a multicast address",
    }.items()
}
"""Where no load goes unless it is listed itself, each with what it is."""

MAPPED = ip_network("::ffff:0:0/96")
"""IPv4 as an IPv6 socket has it."""

NAT64 = ip_network("64:ff9b::/96")
"""IPv4 as a network of IPv6 alone reaches it (RFC 6052)."""

_LOCAL_NAT64 = ip_network("64:ff9b:1::/48")
_COMPATIBLE = ip_network("::/96")
_IPV4 = 0xFFFF_FFFF
_NAME = re.compile(r"[A-Za-z0-9._\-]+")


def host_of(url: str) -> str:
    """The host of an absolute URL as it is resolved. Raises ValueError where there is none."""
    try:
        host = urlsplit(url.strip()).hostname
    except ValueError as error:
        raise ValueError(f"{url!r} is not a URL: {error}") from error
    if not host:
        raise ValueError(f"{url!r} names no host")
    try:
        return resolvable(host)
    except ValueError as error:
        raise ValueError(f"{url!r}: {error}") from error


def resolvable(host: str) -> str:
    """A URL's host, without brackets, as it is resolved: lower case, an IPv6 zone decoded, a name in its ASCII form.

    Raises ValueError where it can be neither an address nor a name.
    """
    if ":" in host:
        address = unquote(host)
        IPv6Address(address)
        return address
    try:
        name = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ValueError("the host is not a valid name") from error
    if not _NAME.fullmatch(name):
        raise ValueError("the host is not a valid name")
    return name.lower()


def literal(host: str) -> Address | None:
    """The address that a host is written as; None for a name, and for what only resolvers take for an address."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def meant(address: Address) -> Address:
    """The address that is reached: an IPv4 address that is written as IPv6 (mapped, NAT64) is that IPv4 address."""
    if isinstance(address, IPv6Address):
        plain = IPv6Address(int(address))  # without a zone
        return IPv4Address(int(plain) & _IPV4) if plain in MAPPED or plain in NAT64 else plain
    return address


@lru_cache(maxsize=1024)
def reserved(address: Address) -> tuple[Address, ...]:
    """What of an address is reserved: itself, and an IPv4 address that a tunnel would carry it to."""
    return tuple(one for one in (meant(address), *_carried(address)) if what_is(one))


def what_is(address: Address) -> str:
    """What a reserved address is, in words; empty for any other."""
    return next((what for network, what in RESERVED.items() if address in network), "")


def _carried(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses within an IPv6 address that some tunnel or translator may deliver to."""
    if not isinstance(address, IPv6Address):
        return ()
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    plain = IPv6Address(int(address))
    last = int(plain) & _IPV4
    if plain in _LOCAL_NAT64 or (plain in _COMPATIBLE and last > 0xFFFF):  # ::1 is no IPv4 address
        return (IPv4Address(last),)
    return ()
