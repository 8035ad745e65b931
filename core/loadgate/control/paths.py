"""Where a runner answers. All but `/healthz` and `/metrics` want `Authorization: Bearer <token>`."""

DEFAULT_PORT = 9119

HEALTHZ = "/healthz"
METRICS = "/metrics"
STATE = "/state"
ARM = "/arm"
SETUP = "/setup"
START = "/start"
STOP = "/stop"
TEARDOWN = "/teardown"
SNAPSHOT = "/snapshot"
ACK = "/ack"

LOG_PREFIX = "loadgate-snapshot: "
"""Marks the line of a pod's log that holds its last snapshot: base64 of zstd of the snapshot's JSON."""
