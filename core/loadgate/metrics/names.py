"""The metrics that thresholds are written over: k6's names, each with its type and unit."""

from __future__ import annotations

from enum import StrEnum


class MetricType(StrEnum):
    """What can be asked of a metric: k6's four types."""

    TREND = "trend"
    COUNTER = "counter"
    RATE = "rate"
    GAUGE = "gauge"


STREAMS: dict[str, MetricType] = {
    "sse_events": MetricType.COUNTER,
    "sse_time_to_first_event": MetricType.TREND,
    "sse_event_gap": MetricType.TREND,
    "sse_session_duration": MetricType.TREND,
    "ws_sessions": MetricType.COUNTER,
    "ws_msgs_sent": MetricType.COUNTER,
    "ws_msgs_received": MetricType.COUNTER,
    "ws_connecting": MetricType.TREND,
    "ws_time_to_first_message": MetricType.TREND,
    "ws_message_latency": MetricType.TREND,
    "ws_session_duration": MetricType.TREND,
    "grpc_streams": MetricType.COUNTER,
    "grpc_msgs_sent": MetricType.COUNTER,
    "grpc_msgs_received": MetricType.COUNTER,
    "grpc_time_to_first_message": MetricType.TREND,
    "grpc_message_gap": MetricType.TREND,
    "grpc_stream_duration": MetricType.TREND,
}
"""Those of protocols whose answers come bit by bit; they are kept by their names, as custom ones are."""

BUILT_IN: dict[str, MetricType] = {
    "http_reqs": MetricType.COUNTER,
    "http_req_duration": MetricType.TREND,
    "http_req_blocked": MetricType.TREND,
    "http_req_connecting": MetricType.TREND,
    "http_req_tls_handshaking": MetricType.TREND,
    "http_req_sending": MetricType.TREND,
    "http_req_waiting": MetricType.TREND,
    "http_req_receiving": MetricType.TREND,
    "http_req_failed": MetricType.RATE,
    "http_req_service_time": MetricType.TREND,
    "checks": MetricType.RATE,
    "iterations": MetricType.COUNTER,
    "iteration_duration": MetricType.TREND,
    "dropped_iterations": MetricType.COUNTER,
    "vus": MetricType.GAUGE,
    "vus_max": MetricType.GAUGE,
    "data_sent": MetricType.COUNTER,
    "data_received": MetricType.COUNTER,
    **STREAMS,
}
"""Built-in metrics. Trends are in milliseconds where a person writes a limit, data in bytes."""

PHASES: dict[str, str] = {
    "http_req_blocked": "blocked",
    "http_req_connecting": "connecting",
    "http_req_tls_handshaking": "tls",
    "http_req_sending": "sending",
    "http_req_waiting": "waiting",
    "http_req_receiving": "receiving",
}
"""The phase of a request that a trend is about."""
