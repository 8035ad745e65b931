"""From a name to its addresses: the system's resolver, or a test's."""

import asyncio
import random
import socket
import time
from collections.abc import Awaitable, Callable

from loadgate_runner.http.gate import SocketAddress
from loadgate_runner.http.settings import Dns

Resolve = Callable[[str, int], Awaitable[list[SocketAddress]]]
"""The addresses of a host for a port, in the order in which to try them. Raises OSError or UnicodeError."""


def system_resolver(loop: asyncio.AbstractEventLoop) -> Resolve:
    """What `getaddrinfo` says, asked anew each time."""

    async def resolve(host: str, port: int) -> list[SocketAddress]:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [(family, address) for family, _, _, _, address in found]

    return resolve


_FAMILIES = {"4": socket.AF_INET, "6": socket.AF_INET6}
_MOST_NAMES = 1000


class Lookup:
    """A resolver whose answers are kept for a while, and whose addresses take turns. It is one for all VUs of a
    process, so that their connections are spread evenly; each process begins at an address of its own choosing.

    Whoever asks for a name while it is being asked for gets the same answer. Faults aren't kept.
    """

    def __init__(
        self,
        ask: Resolve,
        dns: Dns,
        clock: Callable[[], float] = time.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        self._ask = ask
        self._dns = dns
        self._clock = clock
        self._chance = chance or random.Random()
        self._known: dict[tuple[str, int], tuple[float, asyncio.Future[list[SocketAddress]]]] = {}
        self._turns: dict[tuple[str, int], int] = {}

    async def __call__(self, host: str, port: int) -> list[SocketAddress]:
        """See Resolve."""
        found = self._admitted(await self._answer(host, port))
        if self._dns.select == "random":
            self._chance.shuffle(found)
        elif self._dns.select == "roundRobin" and found:
            turn = self._turns.get((host, port))
            turn = self._chance.randrange(len(found)) if turn is None else turn + 1
            if len(self._turns) >= _MOST_NAMES:
                self._turns.clear()
            self._turns[host, port] = turn
            found = _rotated(found, turn)
        return self._by_family(found)

    async def everything(self, host: str, port: int) -> list[SocketAddress]:
        """All that a name means, whatever the settings let be tried."""
        return list(await self._answer(host, port))

    async def _answer(self, host: str, port: int) -> list[SocketAddress]:
        if not self._dns.ttl:
            return await self._ask(host, port)
        now = self._clock()
        known = self._known.get((host, port))
        if known is None or known[0] <= now or _failed(known[1]):
            if len(self._known) >= _MOST_NAMES:
                self._known.clear()
            known = (now + self._dns.ttl, asyncio.ensure_future(self._ask(host, port)))
            self._known[host, port] = known
        return await asyncio.shield(known[1])  # whoever is out of time doesn't take the answer from the others

    def _admitted(self, addresses: list[SocketAddress]) -> list[SocketAddress]:
        """The addresses that the policy lets be tried, in a list of its own."""
        if not self._dns.policy.startswith("only"):
            return list(addresses)
        family = _FAMILIES[self._dns.policy[-1]]
        found = [one for one in addresses if one[0] == family]
        if not found:
            raise OSError(f"no IPv{self._dns.policy[-1]} address, and dns.policy is {self._dns.policy}")
        return found

    def _by_family(self, addresses: list[SocketAddress]) -> list[SocketAddress]:
        """The preferred family's before the others, each in the order that there is."""
        if not self._dns.policy.startswith("prefer"):
            return addresses
        family = _FAMILIES[self._dns.policy[-1]]
        return sorted(addresses, key=lambda one: one[0] != family)


def _rotated(addresses: list[SocketAddress], turn: int) -> list[SocketAddress]:
    """Each family's addresses begun at another one, the families in the order that they were in."""
    families = list(dict.fromkeys(family for family, _ in addresses))
    rotated = []
    for family in families:
        own = [one for one in addresses if one[0] == family]
        at = turn % len(own)
        rotated += own[at:] + own[:at]
    return rotated


def _failed(answer: asyncio.Future[list[SocketAddress]]) -> bool:
    return answer.done() and (answer.cancelled() or answer.exception() is not None)
