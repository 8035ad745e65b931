"""Many deadlines, one timer."""

import asyncio

import pytest

from loadgate_runner.http.watchdog import NEVER, Watchdog

MS = 1_000_000


class Request:
    """Something watched that notes when it expired."""

    def __init__(self, watchdog, clock):
        self.watchdog, self.clock = watchdog, clock
        self.deadline = self.watched = NEVER
        self.expired = []

    def due(self, deadline):
        """As a line does when it begins a request."""
        self.deadline = deadline
        if deadline < self.watched:
            self.watchdog.watch(self)

    def expire(self):
        self.expired.append(self.clock() // MS)


@pytest.fixture
def loop_clock():
    """Nanoseconds of the loop's virtual time."""
    loop = asyncio.get_running_loop
    return lambda: round(loop().time() * 1e9)


@pytest.mark.looptime
@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_what_is_past_its_deadline_expires_soon_after(loop_clock):
    """Each expires once, in order, within a millisecond of its deadline."""
    watchdog = Watchdog(asyncio.get_running_loop(), loop_clock)
    requests = [Request(watchdog, loop_clock) for _ in range(50)]
    start = loop_clock()
    for number, request in enumerate(requests):
        request.due(start + (number * 37 % 50 + 1) * 10 * MS)
    await asyncio.sleep(1)
    for number, request in enumerate(requests):
        wanted = start // MS + (number * 37 % 50 + 1) * 10
        assert len(request.expired) == 1
        assert wanted <= request.expired[0] <= wanted + 1


@pytest.mark.looptime
@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_a_deadline_that_moves_ahead_is_met_where_it_is_then(loop_clock):
    """Requests that end in time move the deadline; only the last one's passes."""
    watchdog = Watchdog(asyncio.get_running_loop(), loop_clock)
    request = Request(watchdog, loop_clock)
    start = loop_clock()
    for turn in range(100):
        request.due(start + (turn * 10 + 30) * MS)
        await asyncio.sleep(0.01)
    assert request.expired == []
    await asyncio.sleep(0.1)
    assert len(request.expired) == 1
    assert request.expired[0] - start // MS in {1020, 1021}


@pytest.mark.looptime
@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_a_deadline_that_comes_nearer_is_met(loop_clock):
    """A short limit after a long one is kept, and the long one leaves no second expiry."""
    watchdog = Watchdog(asyncio.get_running_loop(), loop_clock)
    request = Request(watchdog, loop_clock)
    start = loop_clock()
    request.due(start + 500 * MS)
    request.due(start + 50 * MS)
    await asyncio.sleep(0.1)
    assert len(request.expired) == 1
    request.due(NEVER)
    await asyncio.sleep(1)
    assert len(request.expired) == 1


@pytest.mark.looptime
@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_with_nothing_to_watch_there_is_no_timer(loop_clock):
    """A closed watchdog, or one whose requests are over, doesn't keep the loop busy."""
    watchdog = Watchdog(asyncio.get_running_loop(), loop_clock)
    request, other = Request(watchdog, loop_clock), Request(watchdog, loop_clock)
    request.due(loop_clock() + 10 * MS)
    request.deadline = NEVER
    await asyncio.sleep(0.1)
    assert request.expired == []
    assert request.watched == NEVER
    other.due(loop_clock() + 10 * MS)
    watchdog.close()
    await asyncio.sleep(0.1)
    assert other.expired == []
