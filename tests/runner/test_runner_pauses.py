import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate_runner.load import TIMER_GRAIN, ungrained


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
