"""Small measurements, limits and plans for the verdict's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loadgate.api.budget import PerformanceBudget
from loadgate.api.limits import Threshold
from loadgate.api.loadtest import LoadTest
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
from loadgate.plan.document import Plan, PlanScenario, PlanTarget, PlanTimeouts
from loadgate.plan.schedule import ArrivalSchedule, Segment, VUSchedule
from loadgate.verdict import LimitResult

if TYPE_CHECKING:
    from collections.abc import Sequence


def requests(
    measurement: Measurement, name: str, milliseconds: Sequence[float], *, failed: bool = False, **more: str
) -> Measurement:
    """Add requests of an endpoint that took so many ms each."""
    tags = {"name": name, "method": "GET", "status": "200", "expected_response": "true", "scenario": "main", **more}
    if failed:
        tags |= {"status": "0", "error": "timeout", "expected_response": "false"}
    stats = measurement.requests.setdefault(tags_of(tags), RequestStats())
    for one in milliseconds:
        stats.duration.record(round(one * 1000))
    stats.sent += 100 * len(milliseconds)
    stats.received += 1000 * len(milliseconds)
    return measurement


def measured(seconds: float = 10.0, **endpoints: Sequence[float]) -> Measurement:
    """A measurement of endpoints by the ms that their requests took."""
    out = Measurement(elapsed=seconds)
    for name, milliseconds in endpoints.items():
        requests(out, name, milliseconds)
    return out


def iterations(measurement: Measurement, scenario: str = "main", **counts: int) -> Measurement:
    """Count iterations of a scenario by how they ended."""
    row = measurement.iterations.setdefault(tags_of(scenario=scenario), IterationStats())
    row.merge(IterationStats(Histogram([1_000_000] * counts.get("completed", 0)), **counts))
    return measurement


def checks(measurement: Measurement, check: str, passes: int, fails: int, /, **tags: str) -> Measurement:
    """Count a check."""
    measurement.checks[tags_of(tags, check=check)] = CheckStats(passes, fails)
    return measurement


def thresholds(**texts: Any) -> dict[str, list[Threshold]]:
    """Thresholds by metric, each a text, an object, or a list of these."""
    return {
        metric: [Threshold.model_validate(one) for one in (several if isinstance(several, list) else [several])]
        for metric, several in texts.items()
    }


def budget(name: str = "shop", **spec: Any) -> PerformanceBudget:
    """A budget as it is read from a manifest."""
    return PerformanceBudget.model_validate({"metadata": {"name": name}, "spec": spec})


def loadtest(labels: dict[str, str] | None = None, budgets: Sequence[str] = (), namespace: str = "default") -> LoadTest:
    """A LoadTest with labels that names budgets."""
    scenario = {"name": "main", "executor": "shared-iterations", "steps": [{"request": {"url": "/"}}]}
    return LoadTest.model_validate(
        {
            "metadata": {"name": "checkout", "namespace": namespace, "labels": labels or {}},
            "spec": {
                "target": {"url": "http://shop"},
                "scenarios": [scenario],
                "budgets": [{"name": one} for one in budgets],
            },
        }
    )


def limit(
    *,
    passed: bool | None = True,
    enforced: bool = True,
    volume: bool = False,
    ended_run: bool = False,
    subject: str = "p95",
) -> LimitResult:
    """A limit that is judged already."""
    return LimitResult(
        source="threshold",
        subject=subject,
        expression="p(95)<500",
        op="<",
        limit="500ms",
        limit_value=500.0,
        unit="ms",
        actual=None if passed is None else "400ms" if passed else "600ms",
        actual_value=None if passed is None else 400.0 if passed else 600.0,
        passed=passed,
        margin=None if passed is None else 0.2 if passed else -0.2,
        enforced=enforced,
        volume=volume,
        ended_run=ended_run,
    )


def plan(*scenarios: PlanScenario, warmup: float = 0.0, runners: int = 1) -> Plan:
    """A plan of scenarios."""
    return Plan(
        run="r",
        test="checkout",
        namespace="default",
        runners=runners,
        target=PlanTarget(url="http://shop", timeouts=PlanTimeouts(total=30.0)),
        warmup=warmup,
        duration=60.0,
        tail=30.0,
        scenarios=list(scenarios),
    )


def open_model(rate: int = 10, seconds: float = 60.0, name: str = "main", start: float = 0.0) -> PlanScenario:
    """A constant arrival rate per second."""
    schedule = ArrivalSchedule(
        start=rate, time_unit=1.0, segments=[Segment(duration=seconds, target=rate)], pre_allocated_vus=5, max_vus=5
    )
    return PlanScenario(name=name, executor="constant-arrival-rate", start=start, graceful_stop=30.0, schedule=schedule)


def closed_model(name: str = "main") -> PlanScenario:
    """Ten looping VUs for a minute."""
    schedule = VUSchedule(start=10, segments=[Segment(duration=60.0, target=10)])
    return PlanScenario(name=name, executor="constant-vus", start=0.0, graceful_stop=30.0, schedule=schedule)


def snapshot(
    measurement: Measurement | None = None,
    *,
    runner: int = 0,
    elapsed: float = 60.0,
    complete: bool = True,
    **health: Any,
) -> Snapshot:
    """A runner's last snapshot."""
    return Snapshot(
        run="r",
        runner=runner,
        uid=f"uid-{runner}",
        sequence=9,
        clock=0.0,
        state="Finished",
        elapsed=elapsed,
        complete=complete,
        measurement=measurement or Measurement(),
        health=Health(**health),
    )
