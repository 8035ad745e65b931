"""Ids of traced requests: which are kept, that they add up in any order, and that they stay few."""

import itertools

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate.metrics import Measurement, Trace, TraceStats, merge_all
from loadgate.metrics.traces import FAILED, MOST_KINDS, MOST_NAMES, SLOWEST

KINDS = st.sampled_from(["", "", "timeout", *(f"status {n}" for n in range(500, 510))])
IDS = st.integers(1, 2**128 - 1).map(lambda n: f"{n:032x}")
TRACES = st.builds(Trace, KINDS, st.integers(0, 50), st.integers(0, 20), IDS)
SEVERAL = st.lists(TRACES, max_size=60, unique_by=lambda trace: trace.id)
PARTS = st.lists(st.dictionaries(st.sampled_from(["login", "cart"]), SEVERAL.map(TraceStats.of)), max_size=3)


def measured(traces):
    """As a process measures them."""
    return Measurement(traces=dict(traces))


@given(PARTS)
def test_merging_traces_is_independent_of_order(parts):
    """Any order of merging any runners' traces keeps the same ones."""
    orders = itertools.permutations(parts)
    results = [merge_all(map(measured, order)).to_json() for order in orders]
    assert all(result == results[0] for result in results)


@given(PARTS, PARTS, PARTS)
def test_merging_traces_is_independent_of_grouping(a, b, c):
    """A runner may merge its processes before the operator merges runners."""
    one, two, three = (merge_all(map(measured, parts)) for parts in (a, b, c))
    left = merge_all([merge_all([one, two]), three]).to_json()
    assert left == merge_all([one, merge_all([two, three])]).to_json()


@given(SEVERAL, st.integers(0, 60))
def test_what_is_kept_of_parts_is_what_is_kept_of_all(traces, cut):
    """However requests are spread over runners, the slowest of all and the first and last failed ones are kept."""
    merged = TraceStats.of(traces[:cut])
    merged.merge(TraceStats.of(traces[cut:]))
    assert merged == TraceStats.of(traces)


@given(SEVERAL)
def test_the_slowest_and_the_ends_of_each_kind_are_kept(traces):
    """Nothing that isn't kept is slower than what is, and of a kind nothing lies before the first or after the last."""
    kept = TraceStats.of(traces)
    assert [t.duration for t in kept.slowest] == sorted((t.duration for t in traces), reverse=True)[:SLOWEST]
    assert len(kept.failed) <= MOST_KINDS
    for kind, several in kept.failed.items():
        times = sorted(trace.at for trace in traces if trace.kind == kind)
        ends = times if len(times) <= 2 * FAILED else times[:FAILED] + times[-FAILED:]
        assert [trace.at for trace in several] == ends


@given(PARTS)
def test_traces_survive_json(parts):
    """What is written is read back equal; a live view has no traces, and neither has a run that traced none."""
    whole = merge_all(map(measured, parts))
    assert Measurement.from_json(orjson.loads(orjson.dumps(whole.to_json()))).traces == whole.traces
    assert "traces" not in whole.to_json(slices=False)
    assert "traces" not in Measurement().to_json()


def test_traces_of_any_run_are_few():
    """A thousand endpoints, each failing in a hundred ways, leave a bounded number of ids, and not many bytes."""
    traces = [Trace(f"status {n % 100:03}", n, n, f"{n:032x}") for n in range(1, 5_000)]
    one = TraceStats.of(traces)
    whole = merge_all(Measurement(traces={f"endpoint {n}": one for n in range(part, 1_000, 4)}) for part in range(4))
    assert len(whole.traces) == MOST_NAMES
    assert max(sum(map(len, stats.failed.values())) for stats in whole.traces.values()) == MOST_KINDS * 2 * FAILED
    assert len(orjson.dumps(whole.to_json()["traces"])) < 400_000


@pytest.mark.parametrize(
    "trace",
    [
        ["", 0, 1, "x" * 32],
        ["", 0, 1, "0" * 31],
        ["k" * 33, 0, 1, "0" * 32],
        ["", 0, -1, "0" * 32],
        ["", 0, 1],
        [0] * 4,
    ],
)
def test_a_trace_that_is_none_is_refused(trace):
    """What a runner says is checked where it comes in."""
    with pytest.raises(ValueError, match=r"trace|count|unpack|text|number"):
        TraceStats.from_json({"slowest": [trace], "failed": []})
