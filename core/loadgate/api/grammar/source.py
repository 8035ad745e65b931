"""Where connections come from: an address, or a network whose addresses are all one's own."""

from ipaddress import IPv4Network, IPv6Network, ip_network

from .errors import GrammarError

MOST_ADDRESSES = 65_536
"""Of one network."""

_HINT = "write an address (10.1.2.3), or a network (10.1.2.0/28)"
_SHOWN = 64


def parse_source(text: str) -> IPv4Network | IPv6Network:
    """Return the addresses that are meant; that of a single one is a network too."""
    try:
        network = ip_network(text.strip())
    except ValueError as error:
        raise GrammarError(f"{text[:_SHOWN]!r} is no address and no network without host bits", hint=_HINT) from error
    if network.num_addresses > MOST_ADDRESSES:
        raise GrammarError(f"has {network.num_addresses} addresses; at most {MOST_ADDRESSES}", hint=_HINT)
    if network.is_multicast or network.is_unspecified or getattr(network.network_address, "scope_id", None):
        raise GrammarError(f"{text[:_SHOWN]!r} is nothing that connections come from", hint=_HINT)
    return network
