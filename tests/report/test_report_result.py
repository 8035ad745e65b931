"""The result document: whole after storing, refused when it is damaged, and made to fit."""

from dataclasses import replace

import orjson
import pytest
import report_samples as samples
import zstandard

from loadgate.metrics import Measurement, RequestStats, tags_of
from loadgate.report import Result, ResultError, fit
from loadgate.report.result import LARGEST
from loadgate.verdict import judge_again

RESULTS = {
    "passed": samples.passed,
    "failed": samples.failed,
    "traced": samples.traced,
    "inconclusive": samples.inconclusive,
    "empty": samples.empty,
}


@pytest.mark.parametrize("make", RESULTS.values(), ids=RESULTS)
def test_a_result_is_read_back_as_it_was(make):
    """What is encoded is decoded equal, measurements and verdict included."""
    result = make()
    assert Result.decode(result.encode()) == result


def test_a_result_is_read_from_plain_json_too():
    """Whoever unpacked a result can still have it rendered."""
    result = samples.passed()
    assert Result.decode(orjson.dumps(result.to_json())) == result


def test_the_document_has_what_readers_look_for():
    """Run, manifest, verdict, summary and endpoints are there under their names."""
    document = samples.failed().to_json()
    assert document["version"] == 2
    assert document["run"]["startedAt"] == "2026-11-24T08:15:00Z"
    assert document["run"]["specHash"] == "sha256:4f0a"
    assert document["verdict"]["outcome"] == "Failed"
    assert document["summary"]["requests"] == samples.failed().measurement.request_counts()[0]
    assert document["endpoints"][0]["name"] in samples.ENDPOINTS
    assert document["manifest"]["metadata"]["name"] == "checkout"


def test_a_result_can_be_judged_again():
    """After storing, the same limits give the same verdict."""
    result = Result.decode(samples.inconclusive().encode())
    again = judge_again(
        result.verdict,
        result.measurement,
        thresholds=samples.thresholds({**samples.THRESHOLDS, "http_req_duration{name:wishlist}": ["p(95)<400"]}),
        budgets=[samples.budget(document) for document in result.budgets],
        tolerated=[doubt.reason for doubt in result.verdict.tolerated],
    )
    assert again == result.verdict


def broken(**changes):
    """A result document with something wrong in it."""
    return orjson.dumps({**samples.passed().to_json(), **changes})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not JSON",
        b"[]",
        b"{}",
        b'{"version": 1}',
        broken(version=1),
        broken(run={}),
        broken(measurement={}),
        broken(verdict={"outcome": "Splendid"}),
        broken(runners=[{"index": 0}]),
        broken(budgets=None),
        samples.passed().encode()[:-20],
        zstandard.ZstdCompressor().compress(b"no result"),
    ],
)
def test_what_is_no_result_is_refused(data):
    """Damage is one kind of error, whatever it is."""
    with pytest.raises(ResultError, match=r"result"):
        Result.decode(data)


def test_a_version_that_is_not_ours_is_named():
    """The message says which version was found."""
    with pytest.raises(ResultError, match="result version 1, expected 2"):
        Result.decode(broken(version=1))


def test_a_bomb_is_refused_before_it_goes_off():
    """A small file that unpacks to gigabytes is not unpacked."""
    bomb = zstandard.ZstdCompressor().compress(bytes(LARGEST + 1))
    with pytest.raises(ResultError, match="unpack"):
        Result.decode(bomb)
    of_unknown_size = zstandard.ZstdCompressor(write_content_size=False).compress(b"{}")
    with pytest.raises(ResultError):
        Result.decode(of_unknown_size)


def test_the_warm_up_comes_from_the_plan():
    """Reports shade what the plan calls warm-up; without one there is none."""
    assert samples.passed().warmup == 30.0
    assert replace(samples.passed(), plan={}).warmup == 0.0


def long_run(endpoints=50, slices=256, per_slice=40):
    """A long run with many endpoints: every slice has every endpoint."""
    names = {f"endpoint number {n}": ("GET", 20 + n, 0.6) for n in range(endpoints)}
    return samples.measured(seconds=slices, rate=endpoints * per_slice, names=names, warmup=0)


@pytest.fixture(scope="module")
def large():
    """A result that is far larger than what it has to fit into in these tests."""
    return samples.result(long_run(endpoints=14, slices=80, per_slice=40))


def test_what_fits_is_left_as_it_is():
    """A result of ordinary size loses nothing."""
    result = samples.passed()
    kept, data = fit(result)
    assert kept is result
    assert Result.decode(data) == result


def test_a_result_is_made_coarser_until_it_fits(large):
    """The less room there is, the more of the plots is given up, and the result says so."""
    whole, notes, room = len(large.encode()), [], 1.0
    while room > 0.4:
        room *= 0.98
        try:
            kept, data = fit(large, int(whole * room))
        except ResultError:
            break
        assert len(data) <= whole * room
        assert Result.decode(data) == kept
        notes += kept.notes
    words = ["rounded to 3 %.", "10 busiest endpoints", "in slices of 2 s", "in slices of 4 s", "not kept over time"]
    found = [next((n for n, note in enumerate(notes) if word in note), None) for word in words]
    assert None not in found
    assert found == sorted(found)


def test_what_is_judged_is_never_made_coarser(large):
    """Only plots over time lose precision: totals, limits and verdict are bit for bit the same."""
    kept, _ = fit(large, int(len(large.encode()) * 0.62))
    assert kept.verdict == large.verdict
    assert replace(kept.measurement, slices=large.measurement.slices) == large.measurement
    counted = sum(piece.requests for piece in kept.measurement.slices.by_index.values())
    assert counted == sum(piece.requests for piece in large.measurement.slices.by_index.values())


def test_rounding_moves_a_percentile_by_three_percent_at_most(large):
    """An endpoint's percentiles over time stay within what the note says."""
    kept, _ = fit(large, int(len(large.encode()) * 0.97))
    exact, rounded = (one.measurement.slices.by_index for one in (large, kept))
    for index, piece in exact.items():
        for name, histogram in piece.endpoints.items():
            coarse = rounded[index].endpoints[name]
            assert coarse.count == histogram.count
            assert coarse.quantile(0.95) == pytest.approx(histogram.quantile(0.95), rel=0.036)


def test_making_it_coarser_changes_nothing_in_the_original(large):
    """The result that was handed in is the same afterwards."""
    before = large.encode()
    fit(large, int(len(before) * 0.62))
    assert large.encode() == before


def test_a_result_that_can_not_fit_says_what_to_change():
    """Thousands of different request names are a fault of the test, and the error says which."""
    measurement = Measurement(elapsed=1.0)
    for number in range(3000):
        stats = RequestStats()
        stats.duration.record(number * 977)
        measurement.requests[tags_of(name=f"/products/{number * 7919}", status="200")] = stats
    with pytest.raises(ResultError, match=r"name requests \(request\.name\)"):
        fit(samples.result(measurement), 10_000)


def test_a_long_run_with_many_endpoints_fits_a_configmap():
    """Fifty endpoints over the most slices that there can be stay below 900 kB."""
    result = samples.result(long_run(endpoints=50, slices=256, per_slice=6))
    kept, data = fit(result)
    assert len(data) <= 900_000
    assert kept.verdict == result.verdict
