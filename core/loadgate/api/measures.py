"""The metrics that every run has, and the tags that their samples carry, as thresholds and budgets may name them."""

from collections.abc import Mapping
from typing import Final

from .grammar.threshold import MetricType

METRICS: Final[Mapping[str, MetricType]] = {
    **dict.fromkeys(
        (
            "http_req_duration",
            "http_req_waiting",
            "http_req_connecting",
            "http_req_tls_handshaking",
            "http_req_sending",
            "http_req_receiving",
            "http_req_blocked",
            "http_req_service_time",
            "iteration_duration",
            "sse_time_to_first_event",
            "sse_event_gap",
            "sse_session_duration",
            "ws_connecting",
            "ws_time_to_first_message",
            "ws_message_latency",
            "ws_session_duration",
            "grpc_time_to_first_message",
            "grpc_message_gap",
            "grpc_stream_duration",
        ),
        "trend",
    ),
    **dict.fromkeys(("http_req_failed", "checks"), "rate"),
    **dict.fromkeys(
        (
            "http_reqs",
            "iterations",
            "dropped_iterations",
            "data_sent",
            "data_received",
            "sse_events",
            "ws_sessions",
            "ws_msgs_sent",
            "ws_msgs_received",
            "grpc_streams",
            "grpc_msgs_sent",
            "grpc_msgs_received",
        ),
        "counter",
    ),
    **dict.fromkeys(("vus", "vus_max"), "gauge"),
}
"""Built-in metrics by name; a Python journey may add its own."""

_REQUEST_TAGS = frozenset({"scenario", "name", "method", "group", "status", "error", "expected_response"})

BUILT_IN_TAGS: Final = _REQUEST_TAGS | {"check"}
"""Tags that loadgate sets itself, which no manifest may set."""


def tags_of(metric: str) -> frozenset[str] | None:
    """The tags that loadgate sets on a built-in metric's samples; None where samples carry no tags at all."""
    if METRICS[metric] == "gauge":
        return None
    if metric == "checks":
        return frozenset({"scenario", "name", "group", "check"})
    if metric.startswith(("sse_", "ws_", "grpc_")):
        return frozenset({"scenario", "name", "group"})
    if "iteration" in metric:
        return frozenset({"scenario"})
    return _REQUEST_TAGS
