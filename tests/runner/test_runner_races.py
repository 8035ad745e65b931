"""Happy eyeballs (RFC 8305) in virtual time: which address is tried when, and that nothing is left open."""

import asyncio
import socket
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate_runner.http.connect import interleaved, race

V4, V6 = socket.AF_INET, socket.AF_INET6


class FakeSocket:
    """Says whether it was closed."""

    def __init__(self, address):
        self.address, self.closed = address, False

    def close(self):
        self.closed = True


class Race:
    """Addresses that answer, or refuse (below zero), after so many seconds; when each was tried."""

    def __init__(self, **after):
        self.after, self.tried, self.made = after, [], []
        self.loop = asyncio.get_running_loop()
        self.began = self.loop.time()

    async def attempt(self, family, address):
        self.tried.append((address, round(self.loop.time() - self.began, 3)))
        seconds = self.after[address]
        await asyncio.sleep(abs(seconds))
        if seconds < 0:
            raise OSError(f"{address} refused")
        self.made.append(FakeSocket(address))
        return self.made[-1]

    async def run(self):
        addresses = interleaved([(V6 if name.startswith("six") else V4, name) for name in self.after])
        found = await race(self.attempt, addresses)
        return found.address, round(self.loop.time() - self.began, 3)


@pytest.mark.looptime
async def test_the_second_family_is_tried_once_the_first_is_slow():
    """A quarter of a second later, and no later than that; what stands first is taken."""
    slow = Race(six=5.0, four=0.01)
    assert await slow.run() == ("four", 0.26)
    assert slow.tried == [("six", 0.0), ("four", 0.25)]
    quick = Race(six=0.2, four=0.01)
    assert await quick.run() == ("six", 0.2)
    assert quick.tried == [("six", 0.0)]
    late = Race(six=0.3, four=1.0)
    assert await late.run() == ("six", 0.3)


@pytest.mark.looptime
async def test_what_refuses_is_followed_at_once():
    """Without a wait, in turns of the families; where all refuse, the last one's fault is the race's."""
    refused = Race(six=-0.01, six_b=0.5, four=-0.01, four_b=0.02)
    assert await refused.run() == ("four_b", 0.29)
    assert refused.tried == [("six", 0.0), ("four", 0.01), ("six_b", 0.02), ("four_b", 0.27)]
    with pytest.raises(OSError, match="four refused"):
        await Race(six=-0.01, four=-0.02).run()


@pytest.mark.looptime
async def test_a_race_leaves_nothing_open():
    """Whoever comes in second, at the same moment or when all is called off, is closed."""
    tie = Race(six=0.5, four=0.25)
    await tie.run()
    await asyncio.sleep(1)
    assert sum(not one.closed for one in tie.made) == 1
    called_off = Race(six=5.0, four=5.0)
    running = asyncio.ensure_future(called_off.run())
    await asyncio.sleep(1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.sleep(10)
    assert all(one.closed for one in called_off.made)


@given(st.lists(st.sampled_from([V4, V6]), min_size=1, max_size=9))
def test_families_take_turns(families):
    """No address is lost, each family keeps its order, and they alternate as long as both are left."""
    addresses = [(family, at) for at, family in enumerate(families)]
    found = interleaved(addresses)
    assert sorted(at for _, at in found) == list(range(len(families)))
    assert found[0] == addresses[0]
    for family in (V4, V6):
        assert [one for one in found if one[0] == family] == [one for one in addresses if one[0] == family]
    both = 2 * min(families.count(V4), families.count(V6))
    assert all(a[0] != b[0] for a, b in pairwise(found[:both]))
