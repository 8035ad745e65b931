"""What the operator counts of its work with an API server, for Prometheus: calls by outcome, their time, who leads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_SECONDS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0)


class ApiMetrics:
    """Counts of calls to the API server."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """They are a part of `registry`."""
        self._calls = Counter(
            "loadgate_api_calls",
            'Calls to the API server by verb, resource and status ("0": no answer).',
            ["verb", "resource", "code"],
            registry=registry,
        )
        self._seconds = Histogram(
            "loadgate_api_call_duration_seconds",
            "How long a call to the API server took; of a watch, until it began.",
            ["verb"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._leads = Gauge("loadgate_leader", "1 where this operator is the one that works.", registry=registry)

    def called(self, verb: str, resource: str, status: int, seconds: float) -> None:
        """One call came to its end."""
        self._calls.labels(verb, resource, str(status)).inc()
        self._seconds.labels(verb).observe(seconds)

    def leading(self, *, leads: bool) -> None:
        """This operator works, or stands by."""
        self._leads.set(1 if leads else 0)
