"""From addresses to a connected socket: one after another, or families in a race (happy eyeballs, RFC 8305)."""

import asyncio
import contextlib
import errno
import os
import random
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from itertools import chain, zip_longest
from typing import Any

from loadgate_runner.http.gate import SocketAddress

ATTEMPT_DELAY = 0.25
"""Seconds that an address has before the next family's is tried beside it (RFC 8305, 8)."""

_FIRST_TRIES = 0.25  # seconds that an address gets at least while others wait behind it
_BIND_ADDRESS_NO_PORT = 24  # Linux' IP_BIND_ADDRESS_NO_PORT, which Python 3.11 has no name for
_UNDER_WAY = (errno.EALREADY, errno.EINPROGRESS)
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}

Attempt = Callable[[socket.AddressFamily, Any], Awaitable[socket.socket]]


class Sources:
    """The addresses that connections come from, in turn: one for all VUs of a process, begun anywhere."""

    def __init__(self, networks: Sequence[IPv4Network | IPv6Network] = (), chance: random.Random | None = None) -> None:
        self._networks = {
            family: [one for one in networks if one.version == version] for version, family in _FAMILIES.items()
        }
        self._sizes = {family: sum(one.num_addresses for one in own) for family, own in self._networks.items()}
        chance = chance or random.Random()
        self._turns = {family: chance.randrange(size) if size else 0 for family, size in self._sizes.items()}
        self.given = bool(networks)

    def take(self, family: socket.AddressFamily) -> str:
        """The next one; OSError where there is none of that family."""
        if not self._sizes[family]:
            raise OSError("no source address is of that family")
        turn = self._turns[family] = (self._turns[family] + 1) % self._sizes[family]
        for network in self._networks[family]:
            if turn < network.num_addresses:
                return str(network[turn])
            turn -= network.num_addresses
        raise AssertionError  # a turn is less than the networks' sizes together

    def bind(self, sock: socket.socket) -> None:
        """Give a socket its source; the kernel chooses the port only when it knows the peer. Raises OSError."""
        source = self.take(sock.family)
        with contextlib.suppress(OSError):  # a kernel without it has fewer ports to choose from
            sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        try:
            sock.bind((source, 0))
        except OSError as fault:
            raise OSError(fault.errno, f"no connection can come from {source}: {fault.strerror}") from fault

    def fault(self) -> str:
        """Why a connection can't come from one of them, in words; empty where nothing speaks against it."""
        for family, networks in self._networks.items():
            for address in (end for network in networks for end in (network[0], network[-1])):
                try:
                    with socket.socket(family, socket.SOCK_STREAM) as sock:
                        sock.bind((str(address), 0))
                except OSError as fault:
                    return f"no connection can come from {address}: {fault.strerror}"
        return ""


async def connect(
    loop: asyncio.AbstractEventLoop, addresses: Sequence[SocketAddress], until: float, sources: Sources
) -> socket.socket:
    """The first that answers; raises OSError where none does. `until` is the loop's time."""
    if len(addresses) == 1:
        return await _attempt(loop, sources, *addresses[0])
    attempt = partial(_attempt, loop, sources)
    if len({family for family, _ in addresses}) > 1:
        return await race(attempt, interleaved(addresses))
    return await in_turn(attempt, addresses, until)


async def _attempt(
    loop: asyncio.AbstractEventLoop, sources: Sources, family: socket.AddressFamily, address: Any
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    with contextlib.ExitStack() as undo:
        undo.callback(sock.close)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sources.given:
            sources.bind(sock)
        await _reach(loop, sock, address)
        undo.pop_all()
    return sock


async def _reach(loop: asyncio.AbstractEventLoop, sock: socket.socket, address: Any) -> None:
    """Connect a socket to an address. `loop.sock_connect` does so too, but on uvloop it asks the resolver first, which
    has four threads for all connections of a process, and for the names that are yet to be looked up. Raises OSError.
    """
    fault = sock.connect_ex(address)
    if fault == errno.EINPROGRESS:
        fault = sock.connect_ex(address)  # a peer on this machine has answered by now, and there is nothing to wait for
    if fault in _UNDER_WAY:
        reached = loop.create_future()
        loop.add_writer(sock, _note, reached)
        try:
            await reached
        finally:
            loop.remove_writer(sock)
        fault = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if fault and fault != errno.EISCONN:
        raise OSError(fault, os.strerror(fault))


def _note(reached: asyncio.Future[None]) -> None:
    if not reached.done():
        reached.set_result(None)


async def connect_unix(loop: asyncio.AbstractEventLoop, path: str) -> socket.socket:
    """A connection to a unix socket; raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with contextlib.ExitStack() as undo:
        undo.callback(sock.close)
        sock.setblocking(False)
        await loop.sock_connect(sock, path)
        undo.pop_all()
    return sock


async def in_turn(attempt: Attempt, addresses: Sequence[SocketAddress], until: float) -> socket.socket:
    """One after another. Each but the last gets an equal share of the time that is left."""
    loop = asyncio.get_running_loop()
    for left in range(len(addresses), 1, -1):
        share = max(_FIRST_TRIES, (until - loop.time()) / left)
        with contextlib.suppress(OSError):  # TimeoutError is one: the share is over, or the network says so
            async with asyncio.timeout(share):
                return await attempt(*addresses[-left])
    return await attempt(*addresses[-1])


async def race(attempt: Attempt, addresses: Sequence[SocketAddress]) -> socket.socket:
    """Each begins when the one before has failed, or has been trying for ATTEMPT_DELAY; the first to stand wins."""
    waiting = deque(addresses)
    running: set[asyncio.Task[socket.socket]] = set()
    fault: BaseException | None = None
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.ensure_future(_awaited(attempt, waiting.popleft())))
            delay = ATTEMPT_DELAY if waiting else None
            done, _ = await asyncio.wait(running, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                running.discard(task)
                fault = task.exception()
                if fault is None:
                    running |= done - {task}
                    return task.result()
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_discard)
    raise fault or OSError("there is no address")


def interleaved(addresses: Sequence[SocketAddress]) -> list[SocketAddress]:
    """The families in turn, that of the first address first (RFC 8305, 4)."""
    first = addresses[0][0]
    own = [one for one in addresses if one[0] == first]
    others = [one for one in addresses if one[0] != first]
    return [one for one in chain(*zip_longest(own, others)) if one is not None]


async def _awaited(attempt: Attempt, address: SocketAddress) -> socket.socket:
    return await attempt(*address)


def _discard(task: asyncio.Task[socket.socket]) -> None:
    """Close what an attempt came to that nobody waits for any more."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()
