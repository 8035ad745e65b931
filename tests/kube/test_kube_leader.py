"""One Lease, one leader: in virtual time, against a server that keeps a Lease as an API server does."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from loadgate_operator.cluster.kubernetes.api import Call, NotFoundError
from loadgate_operator.cluster.port import ClusterError, ConflictError
from loadgate_operator.leader import Leader, LeaseSettings

pytestmark = pytest.mark.looptime


class LeaseServer:
    """Keeps one Lease, by versions; may be away."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.away = False

    async def ask(self, call: Call) -> Any:
        """See `Api.ask`."""
        await asyncio.sleep(0.01)
        if self.away:
            raise ClusterError("away")
        if call.verb == "GET":
            if self.lease is None:
                raise NotFoundError("none")
            return copy.deepcopy(self.lease)
        if (call.verb == "POST") == (self.lease is not None):
            raise ConflictError("it is there already")
        if self.lease is not None and call.body["metadata"]["resourceVersion"] != str(self.version):
            raise ConflictError("an old version")
        self.version += 1
        self.lease = copy.deepcopy(call.body)
        self.lease["metadata"]["resourceVersion"] = str(self.version)
        return copy.deepcopy(self.lease)

    @property
    def holder(self) -> str:
        """Who holds it."""
        return (self.lease or {}).get("spec", {}).get("holderIdentity", "")


def leader(server: LeaseServer, identity: str) -> Leader:
    """One who wants it."""
    return Leader(server, LeaseSettings(namespace="default", identity=identity))  # type: ignore[arg-type]


def now() -> float:
    """Virtual seconds."""
    return asyncio.get_running_loop().time()


async def test_one_of_many_wins() -> None:
    """Of those who begin at one time exactly one leads."""
    server = LeaseServer()
    claims = [leader(server, str(number)) for number in range(5)]
    tasks = [asyncio.create_task(claim.win()) for claim in claims]
    await asyncio.sleep(10)
    assert [claim.leads for claim in claims].count(True) == 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_leader_that_dies_is_followed() -> None:
    """A Lease that isn't renewed is free after its duration, and not before."""
    server = LeaseServer()
    await leader(server, "a").win()
    begun, heir = now(), leader(server, "b")
    await heir.win()
    assert 15 <= now() - begun <= 20
    assert server.holder == "b"
    assert server.lease is not None
    assert server.lease["spec"]["leaseTransitions"] == 1


async def test_a_leader_that_leaves_is_followed_at_once() -> None:
    """Who is stopped gives the Lease back."""
    server = LeaseServer()
    first = leader(server, "a")
    await first.win()
    await first.release()
    begun = now()
    await leader(server, "b").win()
    assert now() - begun < 1


async def test_a_renewed_lease_is_kept() -> None:
    """Nobody takes a Lease that is renewed, however long it lasts."""
    server = LeaseServer()
    first, second = leader(server, "a"), leader(server, "b")
    await first.win()
    tasks = [asyncio.create_task(first.keep()), asyncio.create_task(second.win())]
    await asyncio.sleep(300)
    assert (first.leads, second.leads) == (True, False)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_leader_stops_before_another_begins() -> None:
    """One that can't renew gives up while its Lease still keeps others away."""
    server = LeaseServer()
    first = leader(server, "a")
    await first.win()
    keeping = asyncio.create_task(first.keep())
    await asyncio.sleep(5)
    server.away = True
    begun = now()
    await keeping
    assert now() - begun <= 12
    assert not first.leads


async def test_a_lease_that_was_taken_is_noticed() -> None:
    """One whose Lease has another holder stops at its next look."""
    server = LeaseServer()
    first = leader(server, "a")
    await first.win()
    keeping = asyncio.create_task(first.keep())
    assert server.lease is not None
    server.lease["spec"]["holderIdentity"] = "b"
    begun = now()
    await keeping
    assert now() - begun <= 3
    await first.release()
    assert server.holder == "b"
