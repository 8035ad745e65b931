"""What Prometheus reads: a snapshot as text, names and units by its conventions, few labels, few buckets.

Counters and histograms include the warm-up, of which Prometheus knows nothing. A duration histogram has 14 buckets
and no `status` label, so that a runner has some hundreds of series, not thousands.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from itertools import accumulate
from typing import TYPE_CHECKING

import loadgate
from loadgate.control import RunnerState
from loadgate.metrics import Histogram
from loadgate.metrics.histogram import value_of
from loadgate_runner import compiled
from loadgate_runner.telemetry.series import BAD_STATUS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from loadgate.metrics import Snapshot, Tags

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds; with +Inf 14 buckets."""

_COMPILED = compiled()

Labels = tuple[tuple[str, str], ...]


def families(snapshot: Snapshot, test: Mapping[str, str]) -> Iterator[str]:
    """The page in pieces, some of them empty, each quick to make: between any two the caller may let others run.

    `test` holds the labels of `loadgate_runner_info` that the snapshot doesn't know: test and namespace.
    """
    info = {
        **test,
        "run": snapshot.run,
        "runner": str(snapshot.runner),
        "version": loadgate.__version__,
        "compiled": str(_COMPILED).lower(),
    }
    yield _family("loadgate_runner_info", "gauge", "Which runner of which run this is.", {_labels(info): 1})
    states: dict[Labels, float] = {(("state", state.value),): int(state == snapshot.state) for state in RunnerState}
    yield _family("loadgate_runner_state", "gauge", "1 for the state that the runner is in.", states)
    yield from _requests(snapshot)
    yield from _iterations(snapshot)
    yield from _checks(snapshot)
    yield from _streams(snapshot)
    yield from _health(snapshot)


def _requests(snapshot: Snapshot) -> Iterator[str]:
    counts: defaultdict[Labels, int] = defaultdict(int)
    failures: defaultdict[Labels, int] = defaultdict(int)
    phases: defaultdict[Labels, Histogram] = defaultdict(Histogram)
    durations: defaultdict[Labels, Histogram] = defaultdict(Histogram)
    sent = received = 0
    for tags, stats in snapshot.measurement.requests.items():
        found = dict(tags)
        counts[_pick(tags, "scenario", "name", "method", "status", "expected_response")] += stats.duration.count
        durations[_pick(tags, "scenario", "name")].merge(stats.duration)
        if found.get("expected_response") == "false":
            kind = found.get("error", BAD_STATUS)
            failures[_labels({**dict(_pick(tags, "scenario", "name")), "kind": kind})] += stats.duration.count
        for phase, histogram in stats.phases.items():
            phases[_labels({**dict(_pick(tags, "scenario", "name")), "phase": phase})].merge(histogram)
        sent += stats.sent
        received += stats.received
        yield ""
    yield _family("loadgate_http_requests_total", "counter", "Requests that ended, failed ones included.", counts)
    yield _family("loadgate_http_request_failures_total", "counter", "Requests that failed, by kind.", failures)
    help_ = "Time from sending (open model: from when it was due) to the end of the answer."
    yield from _histograms("loadgate_http_request_duration_seconds", help_, durations)
    yield _summaries("loadgate_http_request_phase_seconds", "Time of the phases that took place.", phases)
    yield _family("loadgate_data_sent_bytes_total", "counter", "Bytes of requests, before TLS.", {(): sent})
    yield _family("loadgate_data_received_bytes_total", "counter", "Bytes of answers, before TLS.", {(): received})


def _iterations(snapshot: Snapshot) -> Iterator[str]:
    counts: defaultdict[Labels, int] = defaultdict(int)
    dropped: defaultdict[Labels, int] = defaultdict(int)
    durations: defaultdict[Labels, Histogram] = defaultdict(Histogram)
    for tags, stats in snapshot.measurement.iterations.items():
        scenario = _pick(tags, "scenario")
        for outcome in ("completed", "failed", "interrupted"):
            counts[_labels({**dict(scenario), "outcome": outcome})] += getattr(stats, outcome)
        dropped[scenario] += stats.dropped
        durations[scenario].merge(stats.duration)
    yield _family("loadgate_iterations_total", "counter", "Iterations that ended, by outcome.", counts)
    yield _family("loadgate_dropped_iterations_total", "counter", "Iterations due that could not begin.", dropped)
    yield from _histograms("loadgate_iteration_duration_seconds", "Time that completed iterations took.", durations)
    measurement = snapshot.measurement
    yield _family("loadgate_vus", "gauge", "Virtual users at work.", {(): measurement.vus})
    yield _family("loadgate_vus_max", "gauge", "The most virtual users so far.", {(): measurement.vus_max})


def _checks(snapshot: Snapshot) -> Iterator[str]:
    counts: defaultdict[Labels, int] = defaultdict(int)
    for tags, stats in snapshot.measurement.checks.items():
        labels = dict(_pick(tags, "scenario", "name", "check"))
        counts[_labels({**labels, "result": "pass"})] += stats.passes
        counts[_labels({**labels, "result": "fail"})] += stats.fails
    yield _family("loadgate_checks_total", "counter", "Checks made, by result.", counts)


_STREAM_TIMES = {
    "sse_time_to_first_event": "Time from an event stream's request to its first event.",
    "sse_event_gap": "Time between two events of a stream.",
    "sse_session_duration": "Time that event streams were listened to.",
    "ws_connecting": "Time from asking for a WebSocket to its being open.",
    "ws_time_to_first_message": "Time from a WebSocket's being open to its first message.",
    "ws_message_latency": "Time from sending a message to the one that was expected next.",
    "ws_session_duration": "Time that WebSockets were open.",
    "grpc_time_to_first_message": "Time from asking for a gRPC stream to its first reply.",
    "grpc_message_gap": "Time between two replies of a gRPC stream.",
    "grpc_stream_duration": "Time that gRPC streams were open.",
}
_STREAM_COUNTS = {
    "sse_events": "Server-sent events that came.",
    "ws_sessions": "WebSockets that were opened.",
    "ws_msgs_sent": "Messages sent over WebSockets.",
    "ws_msgs_received": "Messages that came over WebSockets.",
    "grpc_streams": "gRPC calls with a stream on either side.",
    "grpc_msgs_sent": "Messages sent over gRPC streams.",
    "grpc_msgs_received": "Replies that came over gRPC streams.",
}


def _streams(snapshot: Snapshot) -> Iterator[str]:
    """Protocols whose answers come bit by bit, where a test has them; without the warm-up, unlike requests."""
    measurement = snapshot.measurement
    for metric, help_ in _STREAM_COUNTS.items():
        counts: defaultdict[Labels, float] = defaultdict(float)
        for (name, tags), total in measurement.counters.items():
            if name == metric:
                counts[_pick(tags, "scenario", "name")] += total.value
        if counts:
            yield _family(f"loadgate_{metric}_total", "counter", help_, counts)
    for metric, help_ in _STREAM_TIMES.items():
        times: defaultdict[Labels, Histogram] = defaultdict(Histogram)
        for (name, tags), stats in measurement.trends.items():
            if name == metric:
                times[_pick(tags, "scenario", "name")].merge(stats.values)
        if times:
            yield from _histograms(f"loadgate_{metric}_seconds", help_, times)


_HEALTH = (
    ("cpu_ratio", "loadgate_runner_cpu_ratio", "CPU used of CPU allowed, in the judged time."),
    ("throttled_ratio", "loadgate_runner_cpu_throttled_ratio", "Scheduler periods in which the quota held us back."),
    ("cores", "loadgate_runner_cpu_cores", "Cores that this runner may use."),
    ("rss", "loadgate_runner_memory_bytes", "Resident memory."),
    (
        "memory",
        "loadgate_runner_memory_charged_bytes",
        "Memory that counts against the limit; 0 where that isn't known.",
    ),
    ("memory_limit", "loadgate_runner_memory_limit_bytes", "Memory limit; 0 for none."),
    ("fds", "loadgate_runner_open_fds", "Open file descriptors of the fullest process."),
    ("fd_limit", "loadgate_runner_max_fds", "File descriptors that a process may open."),
    ("processes", "loadgate_runner_processes", "Processes that make load."),
    ("began_late", "loadgate_runner_began_late_seconds", "How much later than told the load began."),
)
_DELAYS = (
    ("lag", "loadgate_runner_loop_lag_seconds", "How late the event loop was, in the judged time."),
    ("slip", "loadgate_runner_schedule_slip_seconds", "How late iterations began, in the judged time."),
)


def _health(snapshot: Snapshot) -> Iterator[str]:
    health = snapshot.health
    for field, name, help_ in _HEALTH:
        yield _family(name, "gauge", help_, {(): getattr(health, field)})
    for field, name, help_ in _DELAYS:
        values: dict[Labels, float] = {
            (("quantile", quantile),): getattr(health, f"{field}_{suffix}")
            for quantile, suffix in (("0.99", "p99"), ("1", "max"))
        }
        yield _family(name, "gauge", help_, values)
    help_ = "Series that were merged into others to bound their number."
    yield _family("loadgate_runner_labels_dropped_total", "counter", help_, {(): health.labels_dropped})
    help_ = "Connections that weren't tried since load may not go there."
    yield _family("loadgate_runner_connections_denied_total", "counter", help_, {(): health.denied})
    help_ = "Connections that couldn't be made for want of something on our own side."
    wanting: dict[Labels, float] = {
        (("of", "port"),): health.no_port,
        (("of", "descriptor"),): health.no_descriptor,
        (("of", "buffer"),): health.no_buffer,
    }
    yield _family("loadgate_runner_connections_wanting_total", "counter", help_, wanting)
    help_ = "VUs that ended since a unique data source had no row left for them."
    yield _family("loadgate_runner_data_exhausted_total", "counter", help_, {(): health.data_exhausted})


def _histograms(name: str, help_: str, series: Mapping[Labels, Histogram]) -> Iterator[str]:
    yield _text(name, "histogram", help_, {})
    for labels, histogram in sorted(series.items()):
        bounds = (*(f"{bound:g}" for bound in BUCKETS), "+Inf")
        counts = zip(bounds, _cumulative(histogram), strict=True)
        lines: dict[str, float] = {f"{name}_bucket{_braces((*labels, ('le', le)))}": count for le, count in counts}
        yield _lines(lines | _sum_and_count(name, labels, histogram))


def _cumulative(histogram: Histogram) -> list[int]:
    """For each bound, and for no bound, how many samples aren't above it."""
    counts = [0] * (len(BUCKETS) + 1)
    for index, n in histogram.counts.items():
        counts[bisect_left(BUCKETS, value_of(index) / 1e6)] += n
    return list(accumulate(counts))


def _summaries(name: str, help_: str, series: Mapping[Labels, Histogram]) -> str:
    lines: dict[str, float] = {}
    for labels, histogram in sorted(series.items()):
        lines |= _sum_and_count(name, labels, histogram)
    return _text(name, "summary", help_, lines)


def _sum_and_count(name: str, labels: Labels, histogram: Histogram) -> dict[str, float]:
    braces = _braces(labels)
    return {f"{name}_sum{braces}": histogram.total / 1e6, f"{name}_count{braces}": histogram.count}


def _family(name: str, kind: str, help_: str, values: Mapping[Labels, float]) -> str:
    return _text(name, kind, help_, {f"{name}{_braces(labels)}": value for labels, value in sorted(values.items())})


def _text(name: str, kind: str, help_: str, lines: Mapping[str, float]) -> str:
    head = f"# HELP {name} {help_}\n# TYPE {name} {kind}\n"
    return head + _lines(lines)


def _lines(lines: Mapping[str, float]) -> str:
    return "".join(f"{series} {_number(value)}\n" for series, value in lines.items())


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))


def _braces(labels: Iterable[tuple[str, str]]) -> str:
    inside = ",".join(f'{key}="{_escaped(value)}"' for key, value in labels)
    return f"{{{inside}}}" if inside else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _pick(tags: Tags, *keys: str) -> Labels:
    found = dict(tags)
    return tuple((key, found.get(key, "")) for key in keys)


def _labels(labels: Mapping[str, str]) -> Labels:
    return tuple(labels.items())
