"""Holds connections to where load may go. What is judged here is the very address that is connected to then."""

import socket
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any, NoReturn

from loadgate.plan.hosts import Address
from loadgate.plan.targets import Targets
from loadgate_runner.http.failures import Failure, RequestFailed

SocketAddress = tuple[socket.AddressFamily, Any]

_MOST_JUDGED = 10_000


def _nothing() -> None:
    """Nobody asked to be told."""


class Gate:
    """One per process and run. `told` is called at the first denial, from within the request that met it."""

    def __init__(self, targets: Targets | None = None, told: Callable[[], None] = _nothing) -> None:
        self._targets = targets or Targets()
        self._told = told
        self._judged: dict[tuple[str, str], bool] = {}
        self.denied = 0
        """Connections that weren't tried since load may not go there."""
        self.first = ""
        """Why the first of them wasn't, in words."""

    def admit(self, host: str, addresses: Iterable[SocketAddress]) -> list[SocketAddress]:
        """Those of a host's addresses that load may go to, in their order. Raises RequestFailed where none is left."""
        found = list(addresses)
        admitted = [one for one in found if self._allows(host, one[1][0])]
        if found and not admitted:
            self._deny(self._targets.denial(host, _addresses(found)))
        return admitted

    def names(self, host: str) -> bool:
        """Whether a rule names the host."""
        return self._targets.names(host)

    def admit_all(self, host: str, addresses: Iterable[SocketAddress]) -> None:
        """See that load may go to every address of a host, where others choose among them. Raises RequestFailed."""
        denied = [one for one in _addresses(addresses) if not self._targets.allows(host, one)]
        if denied:
            self._deny(self._targets.denial(host, denied))

    def admit_socket(self, host: str, path: str) -> None:
        """See that load may go to a unix socket in place of a host. Raises RequestFailed."""
        if refusal := self._targets.refusal(host) or self._targets.socket_refusal(path):
            self._deny(refusal)

    def _allows(self, host: str, address: str) -> bool:
        """What the rules say, which never changes: each connection asks for it."""
        allowed = self._judged.get((host, address))
        if allowed is None:
            if len(self._judged) >= _MOST_JUDGED:
                self._judged.clear()
            allowed = self._judged[host, address] = self._targets.allows(host, ip_address(address))
        return allowed

    def _deny(self, message: str) -> NoReturn:
        self.denied += 1
        if self.denied == 1:
            self.first = message
            self._told()
        raise RequestFailed(Failure.DENIED, message)


def _addresses(addresses: Iterable[SocketAddress]) -> list[Address]:
    return [ip_address(address[0]) for _, address in addresses]
