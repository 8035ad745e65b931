"""What a run costs the API server: a constant and a little for its time, whatever the number of runners."""

import pytest
from reconcile_world import World, load_test

from loadgate_operator.main import LIVE_WRITES


def calls_of(*, runners, seconds):
    """Every call of a run from the test's creation until all is cleared away, by what it was."""
    world = World(live_writes=LIVE_WRITES)
    steps = [{"request": {"name": "home", "url": "/"}}]
    scenario = {"name": "browse", "executor": "constant-vus", "vus": runners, "duration": f"{seconds}s", "steps": steps}
    world.put(load_test(runners={"count": runners}, scenarios=[scenario]))
    status = world.settle(2_000)
    world.close()
    assert status["phase"] == "Passed"
    return world.calls


@pytest.mark.parametrize("seconds", [20, 200])
def test_more_runners_cost_no_more_calls(seconds):
    """A run of 40 runners makes exactly the calls that one of 4 makes."""
    assert calls_of(runners=40, seconds=seconds) == calls_of(runners=4, seconds=seconds)


def test_a_longer_run_costs_a_call_each_five_seconds():
    """Ten minutes more of load are at most 120 calls more, and all of them write the status."""
    short, long = calls_of(runners=4, seconds=60), calls_of(runners=4, seconds=660)
    more = long - short
    assert set(more) == {"write status"}
    assert 0 < more.total() <= 600 / 5
