"""Waiting for the servers of other tests: how it ends where there is none to wait for."""

import sys

import pytest
from server_process import free_port, serving

pytestmark = pytest.mark.processes


@pytest.mark.parametrize(("program", "seconds"), [("raise SystemExit(7)", 30), ("input()", 0.2)])
def test_a_server_that_does_not_come_is_not_waited_for(program, seconds):
    """One that ends, or doesn't listen in time, is a failure that says so, and no test of what isn't there."""
    code = "7" if "Exit" in program else "None"
    with (
        pytest.raises(AssertionError, match=f"takes no connection: its exit code is {code}$"),
        serving([sys.executable, "-c", program], free_port(), seconds=seconds, stdin=-1),
    ):
        raise NotImplementedError
