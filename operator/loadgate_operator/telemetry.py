"""What the operator counts of itself, for Prometheus: reconciles, runs by phase, scrapes, verdicts, its version.

A registry of its own, so that two operators in one process (as in tests) don't share counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

import loadgate
from loadgate.api.conditions import Phase
from loadgate_operator.cluster.port import Key, Kind
from loadgate_operator.standing import Standing

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)
_LAG = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.5, 1.0, 2.0, 5.0)


class OperatorMetrics:
    """The operator's counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._reconciles = self._counter(
            "loadgate_reconciles", "Reconciles, by the kind of object and by how they ended.", "kind", "result"
        )
        self._seconds = Histogram(
            "loadgate_reconcile_duration_seconds",
            "How long a reconcile took.",
            ["kind"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._scrapes = self._counter(
            "loadgate_runner_scrapes", "Polls of runners, by whether they were answered.", "result"
        )
        self._lag = Histogram(
            "loadgate_loop_lag_seconds",
            "By how much each tenth of a second came too late for the operator's event loop.",
            buckets=_LAG,
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)
        self._tests = Gauge("loadgate_loadtests", "LoadTests, by phase.", ["phase"], registry=self.registry)
        self._verdict = Gauge(
            "loadgate_loadtest_verdict",
            "1 for the verdict of a LoadTest's last finished run.",
            ["namespace", "name", "verdict"],
            registry=self.registry,
        )
        build = Gauge("loadgate_build_info", "The version that runs.", ["version"], registry=self.registry)
        build.labels(loadgate.__version__).set(1)
        self._standing = Standing()
        self.registry.register(self._standing)
        self._phases: dict[Key, str] = {}
        self._verdicts: dict[Key, str] = {}
        for phase in Phase:
            self._tests.labels(phase.value)

    def reconciled(self, key: Key, seconds: float, error: BaseException | None) -> None:
        """One reconcile is done."""
        self._reconciles.labels(key.kind.value, "error" if error else "success").inc()
        self._seconds.labels(key.kind.value).observe(seconds)

    def scraped(self, answered: int, silent: int) -> None:
        """So many runners answered a poll, and so many didn't."""
        self._scrapes.labels("success").inc(answered)
        self._scrapes.labels("error").inc(silent)

    def lagged(self, seconds: float) -> None:
        """The event loop was so late."""
        self._lag.observe(seconds)

    def observe(self, key: Key, obj: Mapping[str, Any] | None) -> None:
        """A LoadTest or a budget is as it is now, or gone: what is gone leaves no series behind."""
        self._standing.observe(key, obj)
        if key.kind != Kind.LOAD_TEST:
            return
        status = (obj or {}).get("status") or {}
        self._count_phase(key, None if obj is None else str(status.get("phase") or Phase.Pending.value))
        said = (status.get("run") or {}).get("verdict")
        if obj is None or said is not None:
            self._note_verdict(key, said)

    def render(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _count_phase(self, key: Key, phase: str | None) -> None:
        before = self._phases.pop(key, None)
        if before is not None:
            self._tests.labels(before).dec()
        if phase is not None:
            self._phases[key] = phase
            self._tests.labels(phase).inc()

    def _note_verdict(self, key: Key, verdict: str | None) -> None:
        before = self._verdicts.pop(key, None)
        if before is not None and before != verdict:
            self._verdict.remove(key.namespace, key.name, before)
        if verdict is not None:
            self._verdicts[key] = verdict
            self._verdict.labels(key.namespace, key.name, verdict).set(1)
