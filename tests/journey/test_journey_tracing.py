"""Trace ids on requests: how many carry one, which, and what is kept of them."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journey_samples import Bench, an_answer, plan_of, state_of

from loadgate.plan.document import PlanTarget, PlanTimeouts
from loadgate_runner.http import Failure
from loadgate_runner.journey.tracing import Tracing, ids

LINE = re.compile(rb"traceparent: 00-([0-9a-f]{32})-([0-9a-f]{16})-01\r\n")
TARGET = PlanTarget(url="http://shop", timeouts=PlanTimeouts(total=5), tracing=1.0)
REQUEST = {"request": {"name": "home", "url": "/"}}


def lines(tracing, state, count):
    """The headers of a virtual user's first requests."""
    return [tracing.line(state) for _ in range(count)]


def test_a_traced_request_carries_version_ids_and_the_sampled_flag():
    """With a share of 1 each request has a well-formed traceparent of its own, and its id is at hand."""
    state, seen = state_of(), set()
    for line in lines(Tracing(1.0, "run-1", "s"), state, 100):
        trace, parent = LINE.fullmatch(line).groups()
        assert int(trace, 16)
        assert int(parent, 16)
        seen.add((trace, parent))
    assert len(seen) == 100
    assert state.trace == trace.decode()


@settings(deadline=None, max_examples=30)
@given(st.sampled_from([0.5, 0.1, 0.01, 0.9]), st.integers(1, 10**6))
def test_the_share_is_what_was_asked_for(share, vu):
    """Of many requests so many are sampled as chance has it (five standard deviations), and others carry nothing."""
    count = 4_000
    found = lines(Tracing(share, "run-1", "s"), state_of(vu), count)
    sampled = sum(map(bool, found))
    assert abs(sampled - share * count) <= 5 * (count * share * (1 - share)) ** 0.5
    assert all(LINE.fullmatch(line) for line in found if line)


def test_many_virtual_users_sample_from_their_first_request_on():
    """Users that do one request each are sampled by the same share: the first gap is drawn like the others."""
    tracing = Tracing(0.25, "run-1", "s")
    assert 900 < sum(bool(tracing.line(state_of(vu))) for vu in range(1, 4_001)) < 1_100


def test_the_same_names_give_the_same_ids_and_others_none_of_them():
    """Run, scenario and virtual user decide what is drawn; whichever of them differs, no id is the same."""
    cases = [("r1", "s", 7), ("r2", "s", 7), ("r1", "t", 7), ("r1", "s", 8)]
    drawn = [lines(Tracing(0.5, run, scenario), state_of(vu), 200) for run, scenario, vu in cases]
    assert drawn[0] == lines(Tracing(0.5, "r1", "s"), state_of(7), 200)
    assert max(Counter(line for several in drawn for line in several if line).values()) == 1


@pytest.mark.parametrize("share", [5e-324, 1e-15, 0.999999999999999, 1.0])
def test_the_smallest_and_the_largest_share_can_be_drawn(share):
    """A share next to nothing samples nothing soon; one next to all, all."""
    found = lines(Tracing(share, "run-1", "s"), state_of(), 50)
    assert [bool(line) for line in found] == [share > 0.5] * 50


def test_ids_are_never_all_zeros():
    """W3C Trace Context calls such ids invalid."""
    assert ids(bytes(32)) == ("0" * 31 + "1", "0" * 15 + "1")


async def test_a_step_sends_its_id_and_keeps_it_with_what_came():
    """The id on the wire is the one that is kept, with the response and whether it was expected."""
    answers = (an_answer(), an_answer(status=500), an_answer(error=Failure.TIMEOUT, status=0))
    bench = Bench.steps(REQUEST, answers=answers, target=TARGET)
    for number in range(3):
        await bench.vu.iterate(number)
    sent = [LINE.search(sent.headers)[1].decode() for sent in bench.client.sent]
    kept = bench.recorder.series["trace ids", "home"].records
    assert [(trace, response.status, expected) for trace, response, expected, _ in kept] == [
        (sent[0], 200, True),
        (sent[1], 500, False),
        (sent[2], 0, False),
    ]
    assert len(bench.recorder.requests()["home"]) == 3


async def test_a_late_iterations_first_request_is_kept_by_when_it_was_due():
    """As in the histograms, the first request of an iteration counts from when it was due, and the next doesn't."""
    bench = Bench.steps(REQUEST, REQUEST, answers=(an_answer(started=5_000),), target=TARGET, clock=lambda: 2_000)
    await bench.vu.iterate(0, 500)
    assert [record[3] for record in bench.recorder.series["trace ids", "home"].records] == [3_500, None]
    assert [record[2] for record in bench.recorder.requests()["home"]] == [3_500, None]


async def test_a_test_that_sets_the_header_itself_is_left_alone():
    """A traceparent of a step, whatever its case, goes out as it is written, and nothing is kept."""
    own = {"request": {"name": "own", "url": "/", "headers": {"TraceParent": "00-abc"}}}
    bench = Bench.steps(own, target=TARGET)
    await bench.vu.iterate(0)
    assert bench.client.sent[0].header("traceparent") == ["00-abc"]
    assert ("trace ids", "own") not in bench.recorder.series


async def test_without_tracing_nothing_is_sent_or_kept():
    """A target without `tracing` has no such header, and a step no more to do."""
    bench = Bench.steps(REQUEST)
    await bench.vu.iterate(0)
    assert bench.client.sent[0].header("traceparent") == []
    assert ("trace ids", "home") not in bench.recorder.series


async def test_a_python_journey_traces_its_requests(tmp_path):
    """A script's requests carry ids as steps do, also two at once, and keep them under their names."""
    script = """
import asyncio

async def journey(user):
    await asyncio.gather(user.get("/a", name="a"), user.get("/b", name="b", headers={"X": "y"}))
    await user.get("/c", name="c", headers={"traceparent": "00-mine"})
"""
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "j.py").write_text(script)
    bench = Bench(plan_of(script="c/j.py", target=TARGET), tmp_path=tmp_path)
    await bench.vu.iterate(0)
    sent = {one.path: one for one in bench.client.sent}
    for name in ("a", "b"):
        [record] = bench.recorder.series["trace ids", name].records
        assert sent[f"/{name}".encode()].header("traceparent") == [
            LINE.search(sent[f"/{name}".encode()].headers)[0].decode().strip().partition(": ")[2]
        ]
        assert record[0].encode() == LINE.search(sent[f"/{name}".encode()].headers)[1]
    assert sent[b"/c"].header("traceparent") == ["00-mine"]
    assert ("trace ids", "c") not in bench.recorder.series
