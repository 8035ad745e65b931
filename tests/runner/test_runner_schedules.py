"""What executors ask for, held against closed formulas; no clock runs."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgate.plan import pace
from loadgate.plan.schedule import ArrivalSchedule, IterationSchedule, Segment, VUSchedule
from loadgate.plan.share import Share
from loadgate_runner.executors import Begin, Retire, executor_of
from loadgate_runner.executors.spread import PART_OF_SCHEDULE, WINDOW

segments = st.lists(
    st.builds(Segment, duration=st.sampled_from([0.0, 0.5, 1.0, 3.0, 10.0]), target=st.integers(0, 40)),
    min_size=1,
    max_size=5,
).filter(lambda found: any(segment.duration for segment in found))
shares = st.integers(1, 5).flatmap(
    lambda runners: st.integers(0, runners - 1).map(lambda i: [Share.of(k, runners, i) for k in range(runners)])
)


def _active(events: list, t: float) -> int:
    return sum(isinstance(e, Begin) - isinstance(e, Retire) for e in events if e.at <= t)


@settings(deadline=None)
@given(start=st.integers(0, 40), parts=segments, dealt=shares)
def test_vus_of_all_shares_add_up_to_the_formula(start, parts, dealt):
    """Once a window of spreading is over, the shares' VUs are together what `vus_at` says, at every instant."""
    schedule = VUSchedule(start=start, segments=parts)
    events = [event for share in dealt for event in executor_of(schedule, share).events()]
    until = sum(segment.duration for segment in parts)
    window = min(WINDOW, until * PART_OF_SCHEDULE)
    changes = [t for t, _ in pace.vu_changes(schedule)]
    for begin, end in itertools.pairwise(changes):
        if end - begin > window:
            assert _active(events, end - 1e-9) == pace.vus_at(schedule, (begin + end) / 2)
        assert _active(events, begin) <= max(pace.vus_at(schedule, begin), _active(events, begin - 1e-9))


@settings(deadline=None)
@given(start=st.integers(0, 40), parts=segments, dealt=shares)
def test_each_vu_begins_and_retires_in_turn_and_belongs_to_its_share(start, parts, dealt):
    """Events come in order of time; a VU begins only when it is away, retires only when it is there."""
    for share in dealt:
        there: set[int] = set()
        at = 0.0
        for event in executor_of(VUSchedule(start=start, segments=parts), share).events():
            assert event.at >= at
            assert share.owns(event.vu)
            assert (event.vu in there) == isinstance(event, Retire)
            there ^= {event.vu}
            at = event.at


@settings(deadline=None)
@given(
    vus=st.integers(1, 30),
    iterations=st.integers(1, 200),
    per_vu=st.booleans(),
    dealt=shares,
    asking=st.randoms(use_true_random=False),
)
def test_iterations_are_dealt_once_each(vus, iterations, per_vu, dealt, asking):
    """However VUs take turns in asking, all numbers below the total are dealt, each to one VU."""
    schedule = IterationSchedule(vus=vus, iterations=iterations, per_vu=per_vu, max_duration=600)
    dealt_numbers: list[int] = []
    for share in dealt:
        executor = executor_of(schedule, share)
        take = executor.deal()
        waiting = [event.vu for event in executor.events()]
        own = dict.fromkeys(waiting, 0)
        while waiting:
            vu = asking.choice(waiting)
            number = take(vu)
            if number is None:
                waiting.remove(vu)
            else:
                own[vu] += 1
                dealt_numbers.append(number)
        if per_vu:
            assert set(own.values()) <= {iterations}
    assert sorted(dealt_numbers) == list(range(iterations * vus if per_vu else iterations))


@settings(deadline=None)
@given(
    start=st.integers(0, 50),
    parts=segments,
    unit=st.sampled_from([1.0, 2.0, 60.0]),
    most=st.integers(1, 20),
    dealt=shares,
)
def test_arrivals_of_all_shares_are_all_arrivals_at_their_due_times(start, parts, unit, most, dealt):
    """The shares' arrivals interleave to exactly the schedule's, ascending within a share, each before the end."""
    schedule = ArrivalSchedule(start=start, time_unit=unit, segments=parts, pre_allocated_vus=1, max_vus=most)
    executors = [executor_of(schedule, share) for share in dealt]
    each = []
    for executor in executors:
        due_at = executor.due_at()
        each.append([(due_at(number), number) for number in executor.numbers()])
        assert each[-1] == sorted(each[-1])
        assert not list(executor.events())
    everything = sorted((number, at) for arrivals in each for at, number in arrivals)
    assert [number for number, _ in everything] == list(range(pace.arrivals(schedule)))
    instants = pace.Arrivals(schedule)
    for number, at in everything:
        assert at == pytest.approx(instants.due(number), abs=1e-9)
        assert at <= executors[0].until
    assert sum(executor.most for executor in executors) == most


@pytest.mark.parametrize(("vus", "length"), [(1, 10.0), (2, 10.0), (64, 10.0), (1000, 1.0)])
def test_vus_that_begin_together_are_spread_over_the_window(vus, length):
    """VU 0 begins at once, no two at the same instant, all within 0.1 s or 1 % of the scenario."""
    schedule = VUSchedule(start=vus, segments=[Segment(duration=length, target=vus)])
    at = sorted(event.at for event in executor_of(schedule, Share()).events())
    assert at[0] == 0.0
    assert len(set(at)) == vus
    assert at[-1] < min(0.1, length / 100)
    gaps = [b - a for a, b in itertools.pairwise(at)]
    assert all(gap < 3 * min(0.1, length / 100) / vus for gap in gaps)
