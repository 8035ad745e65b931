"""Dealing out: each number belongs to exactly one share, whatever the number of runners and processes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate.plan.share import Share

RUNNERS = st.integers(1, 12)
TOTAL = st.integers(0, 200)
OFFSET = st.integers(0, 30)


def shares(runners, offset, processes):
    """Every process's share; runners may have different numbers of processes."""
    for index in range(runners):
        parts = processes[index % len(processes)]
        for part in range(parts):
            yield Share.of(index, runners, offset).divide(part, parts)


PROCESSES = st.lists(st.integers(1, 4), min_size=1, max_size=4)


@given(RUNNERS, OFFSET, PROCESSES, TOTAL)
def test_every_number_is_dealt_once(runners, offset, processes, total):
    """The shares of all processes of all runners hold each number below a total exactly once."""
    dealt = [n for share in shares(runners, offset, processes) for n in share.numbers(total)]
    assert sorted(dealt) == list(range(total))


@given(RUNNERS, OFFSET, PROCESSES, TOTAL)
def test_counts_add_up(runners, offset, processes, total):
    """The counts of all shares add up to the total, and each is what its numbers say."""
    every = list(shares(runners, offset, processes))
    assert sum(share.count(total) for share in every) == total
    assert all(share.count(total) == len(share.numbers(total)) for share in every)


@given(RUNNERS, OFFSET, TOTAL)
def test_runners_differ_by_one_at_most(runners, offset, total):
    """No runner is dealt more than one thing more than another."""
    counts = [Share.of(index, runners, offset).count(total) for index in range(runners)]
    assert max(counts) - min(counts) <= 1


@given(RUNNERS, OFFSET, PROCESSES, st.integers(1, 40), TOTAL)
def test_work_is_dealt_once_and_only_to_those_with_vus(runners, offset, processes, slots, total):
    """Work dealt to VUs reaches each piece once, and no share without VUs has any."""
    every = list(shares(runners, offset, processes))
    assert sorted(n for share in every for n in share.work(slots, total)) == list(range(total))
    for share in every:
        work = list(share.work(slots, total))
        assert work == sorted(work)
        assert len(work) == share.work_count(slots, total)
        assert share.count(slots) or not work
        assert all(share.owns(n % slots) for n in work)


def test_no_vus_no_work():
    """Without VUs there is nothing to deal work to."""
    assert list(Share().work(0, 10)) == []
    assert Share().work_count(0, 10) == 0


@given(RUNNERS, OFFSET, st.integers(0, 50))
def test_nth_and_owns_agree(runners, offset, k):
    """A share owns its k-th number, and it is the k-th of its numbers."""
    share = Share.of(runners - 1, runners, offset)
    assert share.owns(share.nth(k))
    assert share.count(share.nth(k)) == k


def test_the_offset_moves_the_remainder():
    """The runner that the offset names is dealt first, so remainders of many scenarios spread."""
    assert [Share.of(i, 4, 0).count(1) for i in range(4)] == [1, 0, 0, 0]
    assert [Share.of(i, 4, 1).count(1) for i in range(4)] == [0, 1, 0, 0]
    assert [Share.of(i, 4, 7).count(1) for i in range(4)] == [0, 0, 0, 1]


def test_who_is_not_one_of_us_has_no_share():
    """A runner, a part or a start outside of its range is refused with the numbers."""
    with pytest.raises(ValueError, match="runner 3 is not one of 3"):
        Share.of(3, 3)
    with pytest.raises(ValueError, match="runner -1"):
        Share.of(-1, 3)
    with pytest.raises(ValueError, match="part 2 is not one of 2"):
        Share().divide(2, 2)
    with pytest.raises(ValueError, match="part -1"):
        Share().divide(-1, 2)
    with pytest.raises(ValueError, match="0 to 1, not 2"):
        Share(2, 2)
    with pytest.raises(ValueError, match="not -1"):
        Share(-1, 2)
