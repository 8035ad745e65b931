"""What Prometheus is told of each LoadTest and PerformanceBudget: how it stands, and the exact figures of its last run.

A runner is gone soon after its run, often before a last scrape; the operator stays, and its figures are those of the
whole run. One value a run is also what a graph over months wants. Bounded: a few dozen series a test.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from loadgate.api.conditions import ConditionStatus, ConditionType, Phase
from loadgate.api.units import Duration, Ratio
from loadgate_operator.cluster.port import Key, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_TEST = ("namespace", "name")

_NUMBERS = {
    "loadgate_loadtest_run_number": ("run", "number", "Counts the runs of a LoadTest."),
    "loadgate_loadtest_vus": ("load", "vus", "Virtual users at work, as the operator saw it last."),
    "loadgate_loadtest_run_requests": ("summary", "requests", "Requests of the last finished run."),
    "loadgate_loadtest_run_requests_per_second": (
        "summary",
        "requestsPerSecond",
        "Requests in a second of the last finished run, on average.",
    ),
    "loadgate_loadtest_run_dropped_iterations": ("summary", "dropped", "Iterations due that could not begin."),
}
_RATIOS = {
    "loadgate_loadtest_run_failed_ratio": ("failedRate", "The share of requests that failed, of the last run."),
    "loadgate_loadtest_run_checks_ratio": ("checks", "The share of checks that held, of the last run."),
}
_TIMES = {
    "loadgate_loadtest_run_started_timestamp_seconds": ("startedAt", "When the load of the last run began."),
    "loadgate_loadtest_run_load_ended_timestamp_seconds": ("loadEndedAt", "When the load of the last run ended."),
    "loadgate_loadtest_run_finished_timestamp_seconds": ("finishedAt", "When the last run was over."),
}
_TOLD = ("phase", "conditions", "run", "runners", "load", "summary", "violations", "doubts", "loadTests")
"""The parts of statuses that are kept here; the rest may be large."""

_QUANTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99", "max": "1"}


class Standing(Collector):
    """How all objects stand, as their statuses say; what is gone leaves no series behind."""

    def __init__(self) -> None:
        self._statuses: dict[Key, Mapping[str, Any]] = {}

    def observe(self, key: Key, obj: Mapping[str, Any] | None) -> None:
        """An object is as it is now, or gone."""
        if key.kind not in (Kind.LOAD_TEST, Kind.PERFORMANCE_BUDGET):
            return
        if obj is None:
            self._statuses.pop(key, None)
        else:
            status = obj.get("status") or {}
            self._statuses[key] = {part: status[part] for part in _TOLD if part in status}

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """All of it, when Prometheus asks."""
        tests = {key: status for key, status in self._statuses.items() if key.kind is Kind.LOAD_TEST}
        budgets = {key: status for key, status in self._statuses.items() if key.kind is Kind.PERFORMANCE_BUDGET}
        yield from _of_tests(tests)
        yield from _of_budgets(budgets)


def _of_tests(tests: Mapping[Key, Mapping[str, Any]]) -> Iterator[GaugeMetricFamily]:
    for name, (part, field, text) in _NUMBERS.items():
        yield _family(name, text, _TEST, ((_place(key), _part(one, part).get(field)) for key, one in tests.items()))
    for name, (field, text) in _RATIOS.items():
        yield _family(
            name, text, _TEST, ((_place(key), _ratio(_part(one, "summary").get(field))) for key, one in tests.items())
        )
    for name, (field, text) in _TIMES.items():
        labels = (*_TEST, "run")
        yield _family(
            name, text, labels, ((_place(key) + _run(one), _moment(one, field)) for key, one in tests.items())
        )
    yield _family(
        "loadgate_loadtest_run_duration_seconds",
        "Response times of the last finished run, over all its requests; quantile 1 is the longest.",
        (*_TEST, "quantile"),
        (
            ((*_place(key), quantile), _seconds(_part(one, "summary").get(field)))
            for key, one in tests.items()
            for field, quantile in _QUANTILES.items()
        ),
    )
    yield _family(
        "loadgate_loadtest_phase",
        "1 for the phase that a LoadTest is in.",
        (*_TEST, "phase"),
        (((*_place(key), str(one.get("phase") or Phase.Pending)), 1) for key, one in tests.items()),
    )
    yield _family(
        "loadgate_loadtest_runners",
        "Runners of the run, by how they stand.",
        (*_TEST, "state"),
        (
            ((*_place(key), state), _part(one, "runners").get(state))
            for key, one in tests.items()
            for state in ("desired", "ready", "finished", "lost")
        ),
    )
    yield _family(
        "loadgate_loadtest_violations",
        "Limits that the last run broke.",
        _TEST,
        ((_place(key), len(one.get("violations") or ())) for key, one in tests.items()),
    )
    yield _family(
        "loadgate_loadtest_doubt",
        "1 for each reason not to trust the last run.",
        (*_TEST, "reason"),
        (
            ((*_place(key), reason), 1)
            for key, one in tests.items()
            for reason in sorted({doubt["reason"] for doubt in one.get("doubts") or ()})
        ),
    )


def _of_budgets(budgets: Mapping[Key, Mapping[str, Any]]) -> Iterator[GaugeMetricFamily]:
    yield _family(
        "loadgate_budget_satisfied",
        "1 where every LoadTest that the budget judges holds it, 0 where one does not; absent while nothing is known.",
        _TEST,
        ((_place(key), _satisfied(one)) for key, one in budgets.items()),
    )
    judged = [(key, test) for key, one in budgets.items() for test in one.get("loadTests") or ()]
    labels = (*_TEST, "test")
    yield _family(
        "loadgate_budget_test_satisfied",
        "1 where this LoadTest holds the budget, 0 where it does not; absent while nothing is known.",
        labels,
        (((*_place(key), test["name"]), test.get("satisfied")) for key, test in judged),
    )
    yield _family(
        "loadgate_budget_test_violations",
        "Limits of the budget that this LoadTest broke.",
        labels,
        (((*_place(key), test["name"]), len(test.get("violations") or ())) for key, test in judged),
    )


def _family(
    name: str, text: str, labels: tuple[str, ...], samples: Iterable[tuple[tuple[str, ...], float | None]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in samples:
        if value is not None:
            family.add_metric(values, float(value))
    return family


def _place(key: Key) -> tuple[str, str]:
    return (key.namespace, key.name)


def _part(status: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return status.get(name) or {}


def _run(status: Mapping[str, Any]) -> tuple[str]:
    return (str(_part(status, "run").get("id", "")),)


def _moment(status: Mapping[str, Any], field: str) -> float | None:
    text = _part(status, "run").get(field)
    return datetime.fromisoformat(text).timestamp() if text else None


def _seconds(text: str | None) -> float | None:
    return Duration(text).seconds if text else None


def _ratio(text: str | None) -> float | None:
    return Ratio(text).value if text else None


def _satisfied(status: Mapping[str, Any]) -> bool | None:
    found = (one["status"] for one in status.get("conditions") or () if one["type"] == ConditionType.Satisfied)
    return {ConditionStatus.Yes.value: True, ConditionStatus.No.value: False}.get(next(found, ""))
