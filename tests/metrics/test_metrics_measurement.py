"""Measurements and slices add up, in any order, and survive JSON."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate.metrics import (
    CheckStats,
    Histogram,
    IterationStats,
    Measurement,
    RequestStats,
    Slice,
    Slices,
    matches,
    merge_all,
    tags_of,
)
from loadgate.metrics.measurement import CounterStats, GaugeStats, TrendStats
from loadgate.metrics.slices import MOST_SLICES

EMPTY = Histogram().to_json()
FEW = st.lists(st.integers(0, 10**6), max_size=4).map(Histogram)
CLOSE = st.lists(st.integers(1000, 1100), min_size=20, max_size=40).map(Histogram)


def read(histogram):
    """As it comes from a runner."""
    return Histogram.from_json(histogram.to_json())


HISTOGRAMS = st.one_of(FEW, CLOSE, FEW.map(read), CLOSE.map(read))
NAMES = st.sampled_from(["login", "cart"])
MICRO = st.integers(0, 10**9).map(lambda n: n / 10**6)
TAGS = st.dictionaries(st.sampled_from(["scenario", "name"]), NAMES).map(tags_of)
COUNT = st.integers(0, 5)
REQUESTS = st.builds(
    RequestStats, HISTOGRAMS, HISTOGRAMS, st.dictionaries(st.sampled_from(["tls", "waiting"]), HISTOGRAMS), COUNT, COUNT
)
SLICE = st.builds(
    Slice,
    HISTOGRAMS,
    COUNT,
    COUNT,
    COUNT,
    COUNT,
    MICRO,
    COUNT,
    COUNT,
    st.dictionaries(NAMES, HISTOGRAMS, max_size=1),
    st.dictionaries(st.just("reset"), st.integers(1, 5)),
)
SLICES = st.builds(Slices, st.sampled_from([1, 2, 8]), st.dictionaries(st.integers(0, 20), SLICE, max_size=3))
METRIC = st.tuples(st.just("m"), TAGS)
MEASUREMENTS = st.builds(
    Measurement,
    requests=st.dictionaries(TAGS, REQUESTS, max_size=2),
    iterations=st.dictionaries(TAGS, st.builds(IterationStats, HISTOGRAMS, COUNT, COUNT, COUNT, COUNT), max_size=2),
    checks=st.dictionaries(TAGS, st.builds(CheckStats, COUNT, COUNT), max_size=2),
    counters=st.dictionaries(METRIC, st.builds(CounterStats, MICRO), max_size=2),
    gauges=st.dictionaries(METRIC, st.builds(GaugeStats, MICRO, MICRO, MICRO, MICRO), max_size=1),
    rates=st.dictionaries(METRIC, st.builds(CheckStats, COUNT, COUNT), max_size=1),
    trends=st.dictionaries(METRIC, st.builds(TrendStats, HISTOGRAMS), max_size=1),
    slices=SLICES,
    vus=COUNT,
    vus_max=COUNT,
    elapsed=MICRO,
)


def json_of(measurement):
    document = measurement.to_json()
    for piece in document["slices"]["slices"].values():
        for name, histogram in list(piece.get("endpoints", {}).items()):
            if histogram == EMPTY:
                del piece["endpoints"][name]
        if not piece.get("endpoints", True):
            del piece["endpoints"]
    return document


@given(st.lists(MEASUREMENTS, max_size=3))
def test_merging_is_independent_of_order(measurements):
    """Any order of merging any measurements gives the same JSON, to the last bit."""
    results = [json_of(merge_all(order)) for order in itertools.permutations(measurements)]
    assert all(result == results[0] for result in results)


@given(MEASUREMENTS, MEASUREMENTS, MEASUREMENTS)
def test_merging_is_independent_of_grouping(a, b, c):
    """Merging (a b) c equals a (b c): a runner may merge its processes before the operator merges runners."""
    assert json_of(merge_all([merge_all([a, b]), c])) == json_of(merge_all([a, merge_all([b, c])]))


@given(MEASUREMENTS, MEASUREMENTS)
def test_merging_leaves_its_inputs_alone(a, b):
    """A merged measurement shares nothing with those it was made of."""
    before = a.to_json(), b.to_json()
    merged = merge_all([a, b])
    merge_all([merged, b]).merge(a)
    merged.merge(b)
    assert (a.to_json(), b.to_json()) == before


@given(MEASUREMENTS)
def test_json_round_trip(measurement):
    """What is written is read back equal, and a live view leaves the slices out."""
    assert Measurement.from_json(measurement.to_json()).to_json() == measurement.to_json()
    assert "slices" not in measurement.to_json(slices=False)
    assert Measurement.from_json(measurement.to_json(slices=False)).slices == Slices()


@given(SLICES, st.sampled_from([8, 16, 64]))
def test_coarser_slices_hold_the_same_samples(slices, width):
    """Doubling the width loses no request, no second of a VU and no error."""
    before = [sum(getattr(p, k) for p in slices.by_index.values()) for k in ("requests", "failed", "dropped", "sent")]
    vu_seconds = sum(p.vu_seconds for p in slices.by_index.values())
    samples = sum(p.duration.count for p in slices.by_index.values())
    slices.coarsen(width)
    after = [sum(getattr(p, k) for p in slices.by_index.values()) for k in ("requests", "failed", "dropped", "sent")]
    assert after == before
    assert sum(p.vu_seconds for p in slices.by_index.values()) == pytest.approx(vu_seconds)
    assert sum(p.duration.count for p in slices.by_index.values()) == samples
    assert slices.width == width


def test_a_long_run_stays_small():
    """A sample of each second of a day leaves at most MOST_SLICES slices, in order, with nothing lost."""
    slices = Slices()
    for second in range(0, 86_400, 60):
        slices.at(second).requests += 1
    assert len(slices.by_index) <= MOST_SLICES
    assert sum(piece.requests for piece in slices.by_index.values()) == 1440
    assert slices.width == 512
    assert max(slices.by_index) < MOST_SLICES


def test_an_instant_finds_its_slice():
    """The same second gives the same slice, and an instant before the start counts in the first one."""
    slices = Slices()
    assert slices.at(3.2) is slices.at(3.9)
    assert slices.at(-1.0) is slices.at(0.0)


@pytest.mark.parametrize("width", [0, 3, -2, 1.0, True])
def test_a_strange_width_is_refused(width):
    """Only powers of two are widths, since only those can be merged."""
    document = {"width": width, "slices": {}}
    if width is True:
        document["width"] = "1"
    with pytest.raises(ValueError, match="power of two"):
        Slices.from_json(document)


def test_selecting_requests_by_tags():
    """Requests are selected by any subset of their tags, and failures by the expected_response tag."""
    good = tags_of(name="login", scenario="a", expected_response="true")
    bad = tags_of({"name": "login"}, scenario="b", expected_response="false")
    measurement = Measurement(requests={good: RequestStats(Histogram([10, 20])), bad: RequestStats(Histogram([30]))})
    assert measurement.request_counts() == (3, 1)
    assert measurement.request_counts([("scenario", "a")]) == (2, 0)
    assert measurement.select_requests([("name", "login")]).duration.count == 3
    assert measurement.select_requests([("name", "none")]).duration.count == 0
    assert matches(good, [("scenario", "a"), ("name", "login")])
    assert not matches(good, [("scenario", "b")])


def test_the_newest_gauge_wins():
    """Merging gauges keeps the newest value, whichever side it is on, and both extremes."""
    older, newer = GaugeStats(5, 1.0, 5, 9), GaugeStats(2, 2.0, 1, 2)
    older.merge(newer)
    assert older == GaugeStats(2, 2.0, 1, 9)
