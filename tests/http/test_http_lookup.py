"""Names become addresses: answers kept for their time, addresses taken in turn, families as asked for."""

import asyncio
import random
import socket

import pytest

from loadgate_runner.http import Client, Dns, Network, Options, Origin, Timeouts, prepare
from loadgate_runner.http.resolve import Lookup

PODS = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
LAST = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


class Resolver:
    """A resolver that says what a test says, and counts how often it is asked."""

    def __init__(self, *addresses, faults=0):
        self.addresses = list(addresses)
        self.asked = 0
        self.faults = faults

    async def __call__(self, host, port):
        self.asked += 1
        await asyncio.sleep(0)
        if self.asked <= self.faults:
            raise OSError("no answer")
        return [(socket.AF_INET6 if ":" in one else socket.AF_INET, (one, port)) for one in self.addresses]


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


async def firsts(lookup, count):
    return [(await lookup("shop", 80))[0][1][0] for _ in range(count)]


async def test_addresses_take_turns():
    """Each address comes first equally often, the others behind it in their order."""
    lookup = Lookup(Resolver(*PODS), Dns())
    found = await firsts(lookup, 300)
    assert [found.count(pod) for pod in PODS] == [100] * 3
    assert sorted(one[0] for _, one in await lookup("shop", 80)) == PODS


async def test_processes_begin_at_different_addresses():
    """Many processes with a connection each don't all meet at the first address."""
    found = [(await firsts(Lookup(Resolver(*PODS), Dns(), chance=random.Random(seed)), 1))[0] for seed in range(60)]
    assert {*found} == {*PODS}


async def test_the_first_or_any_address_may_be_asked_for():
    """`first` keeps the resolver's order, `random` doesn't."""
    assert await firsts(Lookup(Resolver(*PODS), Dns(select="first")), 5) == [PODS[0]] * 5
    assert {*await firsts(Lookup(Resolver(*PODS), Dns(select="random"), chance=random.Random(1)), 60)} == {*PODS}


@pytest.mark.parametrize("select", ["roundRobin", "random", "first"])
@pytest.mark.parametrize(
    ("policy", "expected"),
    [("preferIPv4", {"10.0.0.1", "10.0.0.2"}), ("onlyIPv4", {"10.0.0.1", "10.0.0.2"}), ("preferIPv6", {"fd00::1"}), ("onlyIPv6", {"fd00::1"})],
)  # fmt: skip
async def test_families_are_as_asked_for(policy, expected, select):
    """The preferred family comes first whatever takes turns, and of the other one nothing is left where only one may be."""
    lookup = Lookup(Resolver("fd00::1", "10.0.0.1", "10.0.0.2"), Dns(select=select, policy=policy))
    found = [await lookup("shop", 80) for _ in range(8)]
    assert {one[0][1][0] for one in found} <= expected
    assert {len(one) for one in found} == {len(expected) if "only" in policy else 3}


async def test_taking_turns_leaves_families_in_the_resolvers_order():
    """Where IPv6 is first to the resolver, no IPv4 address comes before one of it."""
    lookup = Lookup(Resolver("fd00::1", "10.0.0.1", "fd00::2"), Dns())
    assert {*await firsts(lookup, 10)} == {"fd00::1", "fd00::2"}


async def test_a_name_without_an_address_of_the_only_family_is_a_fault_that_says_so():
    """The message names the setting that left nothing."""
    with pytest.raises(OSError, match=r"no IPv6 address, and dns\.policy is onlyIPv6"):
        await Lookup(Resolver(*PODS), Dns(policy="onlyIPv6"))("shop", 80)


async def test_an_answer_is_kept_for_its_time():
    """Within the time nobody asks again, behind it the next one does and gets what has changed."""
    resolver, clock = Resolver(*PODS), Clock()
    lookup = Lookup(resolver, Dns(ttl=5.0), clock)
    await firsts(lookup, 10)
    assert resolver.asked == 1
    resolver.addresses = ["10.0.0.9"]
    clock.now += 4.9
    assert (await firsts(lookup, 1))[0] in PODS
    clock.now += 0.1
    assert await firsts(lookup, 2) == ["10.0.0.9"] * 2
    assert resolver.asked == 2


async def test_without_a_time_each_one_asks():
    """A change of DNS reaches the very next connection."""
    resolver = Resolver(*PODS)
    await firsts(Lookup(resolver, Dns()), 4)
    assert resolver.asked == 4


async def test_those_that_ask_together_ask_once_and_a_fault_is_not_kept():
    """Whoever is cancelled meanwhile takes nothing from the others; after a fault the next one asks again."""
    resolver = Resolver(*PODS, faults=1)
    lookup = Lookup(resolver, Dns(ttl=5.0), Clock())
    asking = [asyncio.ensure_future(lookup("shop", 80)) for _ in range(3)]
    await asyncio.sleep(0)
    asking[0].cancel()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(one) for one in results] == [asyncio.CancelledError, OSError, OSError]
    assert resolver.asked == 1
    assert len(await lookup("shop", 80)) == 3


async def test_new_connections_are_spread_over_a_names_addresses(answers):
    """Three servers at one port behind one name get the same number of connections from two VUs."""
    first = await answers(LAST, host="127.0.0.1")
    port = first.origin.port
    peers = [first, *[await answers(LAST, host=host, port=port) for host in ("127.0.0.2", "127.0.0.3")]]
    network = Network(resolve=Resolver(*(peer.origin.host for peer in peers)), dns=Dns(ttl=60.0))
    clients = [Client(network), Client(network)]
    request = prepare("GET", Origin("http", "shop.test", port), b"/", options=Options(timeouts=Timeouts(total=5.0)))
    for _ in range(15):
        for client in clients:
            assert (await client.send(request)).status == 200
    assert [peer.connections for peer in peers] == [10, 10, 10]
    network.close()
