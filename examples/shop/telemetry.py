"""What the shop says about itself on /metrics, in its own registry so that two shops may live in one process."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Telemetry:
    """Requests by route and status, their durations, and how many sessions are open."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "shop_http_requests", "Requests answered.", ["method", "route", "status"], registry=self._registry
        )
        self._duration = Histogram(
            "shop_http_request_duration_seconds",
            "Time to answer a request, in seconds.",
            ["route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._sessions = Gauge("shop_sessions", "Users logged in.", registry=self._registry)
        self._orders = Counter("shop_orders", "Checkouts that were bought.", registry=self._registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer; `route` is the pattern, not the path, so that labels stay few."""
        self._requests.labels(method, route, str(status)).inc()
        self._duration.labels(route).observe(seconds)

    def ordered(self) -> None:
        """Count one checkout."""
        self._orders.inc()

    def render(self, sessions: int) -> bytes:
        """The exposition as text."""
        self._sessions.set(sessions)
        return generate_latest(self._registry)
