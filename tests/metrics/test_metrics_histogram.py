"""The histogram's promises: error, merging, exact extremes."""

import itertools
import math
from base64 import b64encode
from struct import Struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate.metrics.histogram import BUCKETS, HIGHEST_US, DenseHistogram, Histogram, bounds_of, index_of, value_of

MICROSECONDS = st.one_of(
    st.integers(0, 1_000), st.integers(0, HIGHEST_US), st.integers(0, 31).map(lambda e: min(1 << e, HIGHEST_US))
)
SAMPLES = st.lists(MICROSECONDS, max_size=60)


def of(samples):
    return Histogram(samples)


@given(MICROSECONDS)
def test_a_bucket_holds_its_value(us):
    """Every value lies within the bounds of the bucket it is counted in."""
    low, high = bounds_of(index_of(us))
    assert low <= us <= high


@given(MICROSECONDS)
def test_the_error_is_below_one_percent(us):
    """A bucket's representative is at most 0.4 % away from any value counted in it."""
    assert abs(value_of(index_of(us)) - us) <= us / 256


def test_buckets_are_contiguous():
    """Each bucket begins one microsecond after the one before it ends, up to an hour."""
    edges = [bounds_of(index) for index in range(BUCKETS)]
    assert all(this[1] + 1 == following[0] for this, following in itertools.pairwise(edges))
    assert edges[-1][0] <= HIGHEST_US <= edges[-1][1]


@given(SAMPLES, SAMPLES)
def test_merging_commutes(a, b):
    """Adding b to a gives the same histogram as adding a to b, to the last bit."""
    left, right = of(a), of(b)
    left.merge(of(b))
    right.merge(of(a))
    assert left == right


@given(SAMPLES, SAMPLES, SAMPLES)
def test_merging_associates(a, b, c):
    """Which two are merged first doesn't matter."""
    left = of(a)
    left.merge(of(b))
    left.merge(of(c))
    inner = of(b)
    inner.merge(of(c))
    right = of(a)
    right.merge(inner)
    assert left == right


@given(SAMPLES, SAMPLES)
def test_merged_is_recorded_together(a, b):
    """A merged histogram equals the one that saw all samples itself."""
    merged = of(a)
    merged.merge(of(b))
    assert merged == of(a + b)


@given(st.lists(MICROSECONDS, min_size=1, max_size=200), st.sampled_from([0.0, 0.5, 0.9, 0.95, 0.99, 1.0]))
def test_quantiles_are_those_of_the_samples(samples, q):
    """A quantile is within 0.4 % of the nearest-rank quantile of the raw samples."""
    exact = sorted(samples)[max(1, math.ceil(round(q * len(samples), 6))) - 1]
    assert abs(of(samples).quantile(q) - exact) <= exact / 256 + 1e-9


@given(st.lists(MICROSECONDS, min_size=1, max_size=50))
def test_extremes_and_mean_are_exact(samples):
    """Minimum, maximum, count and mean carry no bucket error."""
    histogram = of(samples)
    assert (histogram.minimum, histogram.maximum) == (min(samples), max(samples))
    assert histogram.count == len(samples)
    assert histogram.mean == sum(samples) / len(samples)


def test_an_empty_histogram_says_so():
    """Nothing recorded has no quantile and no mean: NaN, which passes no limit."""
    assert math.isnan(Histogram().quantile(0.5))
    assert math.isnan(Histogram().mean)


def test_rank_is_not_pushed_up_by_a_rounding_error():
    """The p90 of ten samples is the ninth, though 0.9 * 10 may be a hair above 9 in floating point."""
    assert of([1, 2, 3, 4, 5, 6, 7, 8, 9, 100]).quantile(0.9) == 9
    assert of(list(range(1, 101))).quantile(0.07) == 7


def test_impossible_values_are_bounded():
    """A negative value counts as 0, and one beyond an hour counts in the last bucket with its true maximum."""
    histogram = of([-5, HIGHEST_US * 2])
    assert histogram.minimum == 0
    assert histogram.maximum == HIGHEST_US * 2
    assert max(histogram.counts) == BUCKETS - 1


@given(SAMPLES)
def test_json_round_trip(samples):
    """What is written is read back equal."""
    assert Histogram.from_json(of(samples).to_json()) == of(samples)


@pytest.mark.parametrize("buckets", [[1], [1, -1], ["1", 2], [BUCKETS, 1], [True, 1], [1, 1 << 60]])
def test_garbage_is_refused(buckets):
    """Buckets that no histogram writes raise ValueError."""
    with pytest.raises(ValueError, match="bucket"):
        Histogram.from_json({"sum": 0, "min": 0, "max": 0, "b": buckets})


CLOSE = st.lists(st.integers(900, 960), min_size=30, max_size=60, unique=True)
"""Samples that are so close together that they are written as lanes."""


@given(CLOSE, st.sampled_from([1, 255, 256, 1 << 20, 1 << 33]))
def test_lanes_round_trip(samples, times):
    """Close samples are written as bytes, whatever their counts, and read back equal, bucket by bucket."""
    histogram = Histogram()
    for us in samples:
        histogram.record(us, times)
    document = histogram.to_json()
    assert isinstance(document, str)
    read = Histogram.from_json(document)
    assert (read.count, read.counts) == (histogram.count, histogram.counts)
    assert Histogram.from_json(document) == histogram


@given(st.lists(st.one_of(SAMPLES, CLOSE), max_size=6), st.booleans())
def test_merging_many_is_merging_one_by_one(several, were_read):
    """Adding any number of histograms in one call is adding each of them, whatever form they are in."""
    histograms = [of(samples) for samples in several]
    if were_read:
        histograms = [Histogram.from_json(histogram.to_json()) for histogram in histograms]
    together = Histogram([5])
    together.merge(*histograms)
    assert together == of([5, *(us for samples in several for us in samples)])


def test_a_histogram_that_was_read_can_be_added_to():
    """What is recorded into one that was read is counted beside what it came with."""
    histogram = Histogram.from_json(of([1000] * 30).to_json())
    histogram.record(2000)
    assert (histogram.count, sum(histogram.counts.values()), histogram.maximum) == (31, 31, 2000)


def packed(first=0, width=1, lanes=b"\1\2\3", total=1, maximum=1):
    """A histogram's text, as anybody could write one."""
    return b64encode(Struct("<QQQHB").pack(total, 0, maximum, first, width) + lanes).decode()


def test_a_packed_histogram_is_what_it_says():
    """The text that the next test spoils in many ways is one that can be read."""
    assert Histogram.from_json(packed()).counts == {0: 1, 1: 2, 2: 3}


@pytest.mark.parametrize(
    "document",
    [
        "",
        "!",
        "ä",
        "AAAA",
        packed(lanes=b""),
        packed(lanes=b"\0\1"),
        packed(width=2),
        packed(width=3),
        packed(width=0),
        packed(first=BUCKETS - 2),
        packed(width=8, lanes=b"\xff" * 8),
        packed(total=1 << 60),
        packed(maximum=1 << 60),
        None,
        7,
        {},
    ],
)
def test_texts_that_no_histogram_writes_are_refused(document):
    """Odd bytes, strange widths, buckets beyond the end and counts beyond reason raise what `from_json` says."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        Histogram.from_json(document)


@given(SAMPLES)
def test_dense_equals_sparse(samples):
    """The hot path's histogram holds the same counts, sum and maximum as the sparse one."""
    dense = DenseHistogram()
    for us in samples:
        dense.record(us)
    converted, sparse = dense.to_histogram(), of(samples)
    assert converted.counts == sparse.counts
    assert (converted.count, converted.total, converted.maximum) == (sparse.count, sparse.total, sparse.maximum)
    assert sparse.minimum * (1 - 1 / 128) <= converted.minimum <= sparse.minimum


def test_dense_counts_what_is_beyond_its_end():
    """A value of more than an hour is counted in the dense histogram's last bucket."""
    dense = DenseHistogram()
    dense.record(HIGHEST_US * 5)
    assert dense.counts[-1] == 1
    assert dense.to_histogram().maximum == HIGHEST_US * 5


def test_copies_share_nothing_and_describe_themselves():
    """A copy doesn't change with its original, equality is by samples, and the repr shows the middle."""
    first = of([10])
    second = first.copy()
    first.record(20)
    assert second == of([10])
    assert second != "a histogram"
    assert "p50=10" in repr(second)


def test_counting_below():
    """`below` counts the samples up to a limit."""
    assert of([1, 5, 9, 100]).below(9) == 3
