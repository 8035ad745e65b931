"""What Prometheus reads: valid text, its own naming, few labels, counts that agree with the snapshot."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from loadgate.metrics import (
    CheckStats,
    Health,
    Histogram,
    IterationStats,
    Measurement,
    RequestStats,
    Snapshot,
    tags_of,
)
from loadgate.metrics.measurement import CounterStats, TrendStats
from loadgate_runner.telemetry.exposition import BUCKETS, families


def _snapshot(name: str = "home", times: tuple[int, ...] = (900, 2_000, 30_000, 20_000_000)) -> Snapshot:
    ok = tags_of(scenario="s", name=name, method="GET", group="", status="200", expected_response="true", plan="gold")
    bad = tags_of(scenario="s", name=name, method="GET", group="", status="500", expected_response="false")
    lost = tags_of(
        scenario="s", name=name, method="GET", group="", status="0", error="timeout", expected_response="false"
    )
    measurement = Measurement(
        requests={
            ok: RequestStats(Histogram(times), phases={"waiting": Histogram([700])}, sent=10, received=20),
            bad: RequestStats(Histogram([950]), sent=1, received=2),
            lost: RequestStats(Histogram([30_000_000])),
        },
        iterations={tags_of(scenario="s"): IterationStats(Histogram([5_000]), 4, 1, 2, 3)},
        checks={tags_of(scenario="s", group="", name=name, check="status is 200"): CheckStats(4, 2)},
        vus=3,
        vus_max=5,
    )
    health = Health(cpu_ratio=0.5, lag_p99=0.01, slip_max=0.2, rss=1000, labels_dropped=7, denied=4)
    return Snapshot("run-1", 2, "uid", 1, 1.0, "Running", 4.0, measurement=measurement, health=health)


def _read(snapshot: Snapshot) -> dict:
    text = "".join(families(snapshot, {"test": "shop", "namespace": "default"}))
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_page_is_what_prometheus_parses_with_the_right_figures():
    """Counts by outcome, failures by kind, base units, the runner itself."""
    found = _read(_snapshot())
    where = (("name", "home"), ("scenario", "s"))
    assert found["loadgate_http_request_failures_total", (("kind", "timeout"), *where)] == 1
    assert found["loadgate_http_request_failures_total", (("kind", "status"), *where)] == 1
    assert found["loadgate_http_request_duration_seconds_count", where] == 6
    assert found["loadgate_http_request_duration_seconds_sum", where] == pytest.approx(50.03385)
    assert found["loadgate_http_request_phase_seconds_count", (*where[:1], ("phase", "waiting"), *where[1:])] == 1
    assert found["loadgate_data_sent_bytes_total", ()] == 11
    assert found["loadgate_iterations_total", (("outcome", "interrupted"), ("scenario", "s"))] == 2
    assert found["loadgate_dropped_iterations_total", (("scenario", "s"),)] == 3
    assert found["loadgate_vus", ()] == 3
    assert found["loadgate_runner_cpu_ratio", ()] == 0.5
    assert found["loadgate_runner_loop_lag_seconds", (("quantile", "0.99"),)] == 0.01
    assert found["loadgate_runner_schedule_slip_seconds", (("quantile", "1"),)] == 0.2
    assert found["loadgate_runner_labels_dropped_total", ()] == 7
    assert found["loadgate_runner_connections_denied_total", ()] == 4
    (info,) = [dict(labels) for name, labels in found if name == "loadgate_runner_info"]
    assert {"test": "shop", "namespace": "default", "run": "run-1", "runner": "2"}.items() <= info.items()
    states = {
        dict(labels)["state"]: value for (name, labels), value in found.items() if name == "loadgate_runner_state"
    }
    assert {state for state, value in states.items() if value} == {"Running"}


def test_a_duration_has_14_buckets_that_grow_to_the_count_and_no_status():
    """Cumulative, the last one everything; a status or a custom tag makes no more series of it."""
    buckets = {
        dict(labels)["le"]: value
        for (name, labels), value in _read(_snapshot()).items()
        if name == "loadgate_http_request_duration_seconds_bucket"
    }
    assert len(buckets) == len(BUCKETS) + 1 == 14
    values = [buckets[le] for le in sorted(buckets, key=float)]
    assert values == sorted(values)
    assert (values[0], values[1], buckets["10"], buckets["+Inf"]) == (2, 3, 4, 6)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_name_survives_as_a_label(name):
    """Quotes, backslashes and line breaks in a request's name break nothing."""
    found = _read(_snapshot(name))
    assert name in {dict(labels).get("name") for _, labels in found}


def test_a_runner_that_measured_nothing_has_a_page():
    """Before the start there is valid text as well."""
    found = _read(Snapshot("run-1", 0, "uid", 0, 1.0, "Armed", 0.0))
    assert found["loadgate_vus", ()] == 0


@settings(deadline=None)
@given(st.lists(st.integers(0, 20_000_000), max_size=200))
def test_buckets_count_what_is_not_above_their_bound(times):
    """Each bucket agrees with the histogram's own count below its bound, and the last one is the count."""
    found = _read(_snapshot(times=tuple(times)))
    whole = Histogram([*times, 950, 30_000_000])
    for bound in BUCKETS:
        labels = (("le", f"{bound:g}"), ("name", "home"), ("scenario", "s"))
        assert found["loadgate_http_request_duration_seconds_bucket", labels] == whole.below(round(bound * 1e6))


def test_a_page_of_a_thousand_names_comes_in_small_pieces():
    """The load loop gets its turn between any two: no piece has more than one series of a histogram."""
    requests = {
        tags_of(scenario="s", name=f"n{i}", method="GET", group="", status="200", expected_response="true"): (
            RequestStats(Histogram([i]))
        )
        for i in range(1000)
    }
    snapshot = Snapshot("run-1", 0, "uid", 0, 1.0, "Running", 0.0, measurement=Measurement(requests=requests))
    pieces = list(families(snapshot, {}))
    assert len(pieces) > 2000
    assert all(piece.count("_bucket") <= 14 for piece in pieces)


def test_streams_have_families_of_their_own_where_there_are_any():
    """Events are counted and their times drawn in seconds, by scenario and name; a test without streams has no such rows."""
    snapshot = _snapshot()
    assert not any("_sse_" in name for name, _ in _read(snapshot))
    for version in ("a", "b"):
        tags = tags_of(scenario="s", name="prices", group="", version=version)
        snapshot.measurement.counters["sse_events", tags] = CounterStats(5)
        snapshot.measurement.trends["sse_event_gap", tags] = TrendStats(Histogram([20_000]))
    found = _read(snapshot)
    where = (("name", "prices"), ("scenario", "s"))
    assert found["loadgate_sse_events_total", where] == 10
    assert found["loadgate_sse_event_gap_seconds_count", where] == 2
    assert found["loadgate_sse_event_gap_seconds_sum", where] == pytest.approx(0.04)
