"""The operator's clock: it begins with the API server's time, and no step of the machine's clock moves it."""

from __future__ import annotations

import pytest

from loadgate_operator.steady import SteadyClock, read_date, steady_seconds

HOURS = 3 * 3600.0


class Machine:
    """A machine whose clock is set to and fro while time goes on."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_800_000_000.0, 50.0

    def passes(self, seconds: float) -> None:
        """Time goes on."""
        self.wall += seconds
        self.steady += seconds

    def clock(self) -> SteadyClock:
        """A clock that begins now."""
        return SteadyClock(lambda: self.wall, lambda: self.steady)


@pytest.mark.parametrize("step", [HOURS, -HOURS])
def test_a_step_of_the_machines_clock_moves_nothing(step: float) -> None:
    """A machine's clock that is set by hours leaves the operator's time, and so its runs' times, as they were."""
    machine = Machine()
    clock = machine.clock()
    before = clock()
    machine.passes(2.0)
    machine.wall += step
    machine.passes(3.0)
    assert clock() - before == pytest.approx(5.0)


@pytest.mark.parametrize("off", [HOURS, -HOURS, 10.0])
def test_a_clock_that_is_clearly_off_follows_the_servers(off: float) -> None:
    """Two operators on machines whose clocks differ count a run's times alike, by the server's clock."""
    machine = Machine()
    clock = machine.clock()
    assert clock.follow(machine.wall + off) == pytest.approx(off)
    machine.passes(7.0)
    assert clock() == pytest.approx(machine.wall + off)


@pytest.mark.parametrize("off", [0.0, 1.5, -1.5])
def test_a_date_of_whole_seconds_moves_nothing(off: float) -> None:
    """A server's date is too coarse to correct a clock by less than a few seconds."""
    machine = Machine()
    clock = machine.clock()
    assert clock.follow(machine.wall + off) == 0.0
    assert clock() == machine.wall


def test_the_clock_goes_on_evenly() -> None:
    """What the real clock counts by never goes back."""
    readings = [steady_seconds() for _ in range(100)]
    assert readings == sorted(readings)


@pytest.mark.parametrize(
    ("header", "seconds"), [("Thu, 01 Jan 1970 00:01:40 GMT", 100.0), ("", None), ("soon", None), ("Thu, 99", None)]
)
def test_a_date_is_read_or_it_is_none(header: str, seconds: float | None) -> None:
    """A server that tells no time, or nonsense, is not followed."""
    assert read_date(header) == seconds
