import asyncio
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate_runner.pauses import TIMER_GRAIN, Pauses, ungrained


@given(seconds=st.floats(0, 3600), chance=st.floats(0, 1))
def test_a_pause_is_off_by_a_timers_grain_at_most(seconds, chance):
    """A pause becomes neither negative nor different by more than what timers are right to, and on average is itself."""
    pause = ungrained(seconds, chance)
    assert pause >= 0
    assert abs(pause - seconds) <= TIMER_GRAIN + 1e-9
    assert (pause + ungrained(seconds, 1 - chance)) / 2 == pytest.approx(seconds)


def test_virtual_users_that_were_in_step_part_again():
    """Users whose equal pauses ended in one millisecond are spread over many a hundred pauses later."""
    chances = random.Random(7)
    clocks = [0] * 64  # whole milliseconds, as an event loop's timers count
    for _ in range(100):
        clocks = [clock + round(ungrained(0.032, chances.random()) * 1000) for clock in clocks]
    together = max(Counter(clock % 32 for clock in clocks).values())
    assert together < 16


class _Clock:
    """The loop's own time in nanoseconds, and how often a timer was asked for."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def __call__(self) -> int:
        return round(self._loop.time() * 1e9)


@pytest.mark.looptime(start=100.0)
async def test_pauses_end_when_they_are_over_each_within_a_timers_grain():
    """However they overlap, each of 300 pauses is its own length, right to two grains."""
    loop, chances = asyncio.get_running_loop(), random.Random(3)
    pauses = Pauses(_Clock())

    async def pause(seconds: float) -> float:
        began = loop.time()
        assert await pauses.sleep(seconds)
        return abs(loop.time() - began - seconds)

    off = await asyncio.gather(*(pause(chances.choice([0.0, 0.002, 0.1, 7.0])) for _ in range(300)))
    assert max(off) <= 2 * TIMER_GRAIN
    pauses.close()


@pytest.mark.looptime(start=100.0)
async def test_pauses_that_end_together_are_one_timer():
    """50 VUs that pause for 20 ms again and again for a second need a timer each millisecond at most."""
    loop = asyncio.get_running_loop()
    pauses, set_before = Pauses(_Clock()), loop.call_later
    timers = 0

    def call_later(*arguments):
        nonlocal timers
        timers += 1
        return set_before(*arguments)

    async def user() -> None:
        for _ in range(50):
            await pauses.sleep(0.02)

    loop.call_later = call_later
    try:
        await asyncio.gather(*(user() for _ in range(50)))
    finally:
        del loop.call_later
    assert timers < 2_500 / 1.5
    pauses.close()


@pytest.mark.looptime(start=100.0)
async def test_a_pause_of_no_length_lets_others_have_the_loop():
    """Who pauses for nothing again and again holds up nobody, and ends."""
    pauses, turns = Pauses(_Clock()), 0

    async def idle() -> None:
        for _ in range(100):
            await pauses.sleep(0)

    waiting = asyncio.ensure_future(idle())
    while not waiting.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 100
    pauses.close()


@pytest.mark.looptime(start=100.0)
async def test_a_pause_that_is_cut_off_is_forgotten():
    """Cancelled it raises so; ten thousand long pauses that are given up leave next to nothing behind."""
    pauses = Pauses(_Clock())
    long = asyncio.ensure_future(pauses.sleep(3600))
    await asyncio.sleep(1)
    long.cancel()
    with pytest.raises(asyncio.CancelledError):
        await long
    for _ in range(100):
        given_up = [asyncio.ensure_future(pauses.sleep(3600)) for _ in range(100)]
        await asyncio.sleep(0.001)
        for each in given_up:
            each.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)
    assert pauses.waiting <= 1_100
    assert await pauses.sleep(0.01)
    pauses.close()
