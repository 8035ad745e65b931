"""Where load begins, turns and ends: the instants at which a formula that is nearly right shows itself."""

import math

import pytest

from loadgate.plan.pace import Arrivals, arrivals, rate_at, vu_changes, vus_at
from loadgate.plan.schedule import ArrivalSchedule, Segment, VUSchedule
from loadgate.plan.share import Share


def arriving(start, *segments, time_unit=1.0):
    """An arrival schedule of (duration, target) segments."""
    made = [Segment(duration=duration, target=target) for duration, target in segments]
    return ArrivalSchedule(start=start, time_unit=time_unit, segments=made, pre_allocated_vus=1, max_vus=1)


def test_vus_are_there_from_the_first_instant():
    """At 0 there are the VUs of the start; an instant before, none."""
    schedule = VUSchedule(start=5, segments=[Segment(duration=10.0, target=5)])
    assert (vus_at(schedule, -1e-9), vus_at(schedule, 0.0)) == (0, 5)


def test_a_schedule_without_segments_is_over_at_once():
    """Without a segment the only change is to no VU, at 0."""
    assert list(vu_changes(VUSchedule(start=5, segments=[]))) == [(0.0, 0)]


@pytest.mark.parametrize(
    ("t", "rate"), [(-0.1, 0), (0, 4), (5, 6), (9.999, 7.9996), (10, 8), (15, 5), (19, 2.6), (20, 0), (30, 0)]
)
def test_a_rate_follows_its_lines(t, rate):
    """Each stage's line begins where the one before it ended, and counts from its own beginning."""
    assert rate_at(arriving(4, (10.0, 8), (10.0, 2)), t) == pytest.approx(rate)


def test_a_rate_is_per_second():
    """A target per minute is a sixtieth of it per second."""
    assert rate_at(arriving(120, (10.0, 120), time_unit=60.0), 3.0) == pytest.approx(2.0)


def test_arrivals_thin_out_towards_the_end_of_a_falling_line():
    """Of a line from 2 per second to none in 10 s, arrival k is due where the area is k: at 10 - sqrt(100 - 10 k)."""
    schedule = arriving(2, (10.0, 0))
    assert arrivals(schedule) == 10
    due = Arrivals(schedule)
    assert [due.due(k) for k in range(10)] == pytest.approx([10 - math.sqrt(100 - 10 * k) for k in range(10)])


def test_arrivals_out_of_order_are_refused_with_words():
    """Whoever asks backwards is told how to ask."""
    due = Arrivals(arriving(1, (10.0, 1), (10.0, 1)))
    due.due(15)
    with pytest.raises(ValueError, match=r"^arrivals are asked for in ascending order$"):
        due.due(3)


def test_the_first_runner_is_dealt_the_first_number_unless_an_offset_says_otherwise():
    """Without an offset runner 0 owns 0."""
    assert Share.of(0, 3).owns(0)
    assert Share.of(1, 3, offset=1).owns(0)
