"""Pacing is arithmetic: VUs at an instant and due times against sums done another way."""

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate.plan.pace import Arrivals, arrivals, arrived, rate_at, vu_changes, vus_at
from loadgate.plan.schedule import ArrivalSchedule, IterationSchedule, Segment, VUSchedule, length, most_vus

SEGMENTS = st.lists(
    st.builds(
        Segment, duration=st.one_of(st.just(0.0), st.integers(1, 400).map(lambda n: n / 10)), target=st.integers(0, 30)
    ),
    min_size=1,
    max_size=5,
)
CURVES = st.builds(VUSchedule, start=st.integers(0, 20), segments=SEGMENTS)
RATES = st.builds(
    lambda start, unit, segments: ArrivalSchedule(
        start=start, time_unit=unit, segments=segments, pre_allocated_vus=1, max_vus=1
    ),
    st.integers(0, 30),
    st.sampled_from([0.5, 1.0, 3.0, 60.0]),
    SEGMENTS,
)


def curve(start, *segments):
    return VUSchedule(start=start, segments=[Segment(duration=d, target=t) for d, t in segments])


def rates(start, *segments, unit=1.0):
    pieces = [Segment(duration=d, target=t) for d, t in segments]
    return ArrivalSchedule(start=start, time_unit=unit, segments=pieces, pre_allocated_vus=1, max_vus=5)


@pytest.mark.parametrize(
    ("t", "vus"),
    [
        (-1, 0),
        (0, 0),
        (0.99, 0),
        (1, 1),
        (9.5, 9),
        (10, 10),
        (14, 10),
        (15, 10),
        (15.1, 10),
        (16, 8),
        (17.4, 6),
        (20, 0),
    ],
)
def test_vus_of_a_trapezoid(t, vus):
    """A rise to 10 in 10 s, 5 s at 10 and a fall in 5 s: whole VUs, rounded towards where the line comes from."""
    assert vus_at(curve(0, (10.0, 10), (5.0, 10), (5.0, 0)), t) == vus


def test_a_stage_of_no_duration_is_a_jump():
    """A stage of 0 s changes the number at once."""
    spike = curve(1, (10.0, 1), (0.0, 50), (5.0, 50))
    assert [vus_at(spike, t) for t in (9.99, 10, 14.99, 15)] == [1, 50, 50, 0]
    assert list(vu_changes(spike)) == [(0.0, 1), (10.0, 50), (15.0, 0)]


@given(CURVES, st.lists(st.integers(0, 20_000).map(lambda n: n / 100), max_size=20))
def test_changes_and_instants_agree(schedule, instants):
    """Walking along the changes gives the number of VUs that the formula gives at any instant."""
    changes = list(vu_changes(schedule))
    assert [t for t, _ in changes] == sorted({t for t, _ in changes})
    assert changes[-1] == (pytest.approx(length(schedule)), 0)
    for t in instants:
        near = min(abs(t - at) for at, _ in changes)
        if near > 1e-4:  # beside a change, where floating point decides the side
            walked = [vus for at, vus in changes if at <= t]
            assert vus_at(schedule, t) == (walked[-1] if walked else 0)


@given(CURVES)
def test_vus_change_one_at_a_time_but_for_jumps(schedule):
    """Without jumps, ramps add and take away VUs one by one: no burst at a stage's edge."""
    segments = [s for s in schedule.segments if s.duration]
    smooth = schedule.model_copy(update={"segments": segments})
    if segments:
        steps = [abs(b - a) for (_, a), (_, b) in itertools.pairwise(list(vu_changes(smooth))[:-1])]
        assert all(step == 1 for step in steps)


@given(RATES)
def test_arrivals_are_the_area_under_the_rate(schedule):
    """The number of arrivals is the area under the lines, a begun one counting whole."""
    exact, low = Fraction(0), schedule.start
    for segment in schedule.segments:
        exact += Fraction(low + segment.target, 2) * Fraction(round(segment.duration * 10), 10)
        low = segment.target
    assert arrivals(schedule) == math.ceil(exact / Fraction(schedule.time_unit))


@given(RATES)
def test_due_times_invert_the_area(schedule):
    """Arrival k is due when the area is k, in ascending order, within the schedule."""
    walk, total = Arrivals(schedule), arrivals(schedule)
    dues = [walk.due(k) for k in range(min(total, 500))]
    assert dues == sorted(dues)
    assert all(0 <= due <= length(schedule) for due in dues)
    for k, due in enumerate(dues):
        assert arrived(schedule, due) == pytest.approx(k, abs=1e-4)


def test_a_constant_rate_is_evenly_spaced():
    """100 per second for 10 s: a thousand arrivals, 10 ms apart, the first at 0."""
    schedule = rates(100, (10.0, 100))
    walk = Arrivals(schedule)
    assert arrivals(schedule) == 1000
    assert [walk.due(k) for k in range(1000)] == pytest.approx([k / 100 for k in range(1000)])


def test_a_time_unit_stretches_the_rate():
    """6 a minute for 30 s is three arrivals, 10 s apart."""
    schedule = rates(6, (30.0, 6), unit=60.0)
    walk = Arrivals(schedule)
    assert [walk.due(k) for k in range(arrivals(schedule))] == pytest.approx([0, 10, 20])
    assert rate_at(schedule, 3) == 0.1


def test_a_ramp_from_zero():
    """From 0 to 10 per second in 10 s, arrival k is due at the square root of 2k."""
    schedule = rates(0, (10.0, 10))
    walk = Arrivals(schedule)
    assert [walk.due(k) for k in range(50)] == pytest.approx([math.sqrt(2 * k) for k in range(50)])
    assert [rate_at(schedule, t) for t in (-1, 0, 5, 10)] == [0, 0, 5, 0]


def test_no_arrivals_while_the_rate_is_zero():
    """A pause in the schedule has no arrival; the next one is due when the rate rises again."""
    schedule = rates(1, (2.0, 1), (0.0, 0), (5.0, 0), (0.0, 1), (2.0, 1))
    walk = Arrivals(schedule)
    assert [walk.due(k) for k in range(4)] == pytest.approx([0, 1, 7, 8])
    assert arrivals(rates(0, (5.0, 0))) == 0


def test_arrivals_are_asked_for_in_order():
    """A number beyond the last one or before one already passed is refused."""
    walk = Arrivals(rates(1, (2.0, 1), (2.0, 3)))
    with pytest.raises(ValueError, match="not one of 6"):
        walk.due(6)
    with pytest.raises(ValueError, match="not one of"):
        walk.due(-1)
    walk.due(4)
    with pytest.raises(ValueError, match="ascending"):
        walk.due(0)


def test_length_and_most_vus():
    """A schedule says how long it gives work for and how many VUs it can have."""
    shared = IterationSchedule(vus=3, iterations=10, per_vu=False, max_duration=60.0)
    assert (length(shared), most_vus(shared)) == (60.0, 3)
    assert (length(curve(4, (1.0, 2), (2.0, 3))), most_vus(curve(4, (1.0, 2), (2.0, 3)))) == (3.0, 4)
    assert (length(rates(1, (1.5, 2))), most_vus(rates(1, (1.5, 2)))) == (1.5, 5)
