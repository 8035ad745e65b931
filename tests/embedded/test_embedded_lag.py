"""The lag of the operator's event loop: every instant counts, also those that a blocked loop missed."""

import asyncio

import pytest

from loadgate_operator import lag


@pytest.mark.looptime
async def test_an_idle_loop_has_no_lag():
    """Each tenth of a second is told, once and on time."""
    told = []
    watching = asyncio.create_task(lag.watch(told.append))
    await asyncio.sleep(1.05)
    watching.cancel()
    assert len(told) == 10
    assert max(told) < 0.001


def test_every_instant_that_a_blocked_loop_missed_counts():
    """After a second without a turn there are ten late instants and the one that is just on time."""
    assert lag.lateness(5.0, 6.0) == pytest.approx([1.0 - 0.1 * number for number in range(11)], abs=1e-9)
    assert lag.lateness(5.0, 4.99) == []


def test_a_night_asleep_is_no_flood():
    """A machine that slept tells of its last minute only."""
    late = lag.lateness(0.0, 30_000.0)
    assert len(late) == lag.MOST
    assert late[-1] < lag.EACH
