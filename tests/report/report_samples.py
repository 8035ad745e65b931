"""Results for the report's tests: made of samples, as runners would have measured them, and judged for real."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from functools import cache
from typing import Any

from loadgate.api.budget import PerformanceBudget
from loadgate.api.conditions import DoubtReason
from loadgate.api.limits import Threshold
from loadgate.metrics import CheckStats, Health, IterationStats, Measurement, RequestStats, Trace, TraceStats, tags_of
from loadgate.report import Result, RunFacts, RunnerFacts
from loadgate.verdict import Doubt, judge

ENDPOINTS = {
    "login": ("POST", 38, 0.35),
    "products": ("GET", 21, 0.45),
    "details": ("GET", 16, 0.40),
    "add to cart": ("POST", 29, 0.50),
    "view cart": ("GET", 18, 0.40),
    "checkout": ("POST", 74, 0.55),
}

MANIFEST: dict[str, Any] = {
    "apiVersion": "loadgate.dev/v1alpha1",
    "kind": "LoadTest",
    "metadata": {"name": "checkout", "namespace": "shop", "labels": {"app": "shop"}},
    "spec": {
        "target": {"url": "http://shop.default.svc"},
        "runners": {"count": 4},
        "warmup": "30s",
        "scenarios": [
            {
                "name": "user-journey",
                "executor": "ramping-vus",
                "startVUs": 1,
                "stages": [{"duration": "2m", "target": 10}, {"duration": "5m", "target": 10}],
                "steps": [
                    {"request": {"name": "login", "method": "POST", "url": "/auth/login"}, "check": {"status": 200}},
                    {"think": "1s..3s"},
                ],
            }
        ],
        "thresholds": {"http_req_duration": ["p(95)<500", "p(99)<1000"], "http_req_failed": ["rate<0.1"]},
    },
}

BUDGET: dict[str, Any] = {
    "apiVersion": "loadgate.dev/v1alpha1",
    "kind": "PerformanceBudget",
    "metadata": {"name": "shop", "namespace": "shop"},
    "spec": {
        "selector": {"matchLabels": {"app": "shop"}},
        "responseTime": {"products": {"p95": "300ms", "p99": "500ms"}, "*": {"p95": "500ms", "p99": "1s"}},
        "throughput": {"products": {"min": 10}},
        "errorRate": {"*": {"max": "1%"}},
    },
}

THRESHOLDS = {
    "http_req_duration": ["p(95)<500", "p(99)<1000"],
    "http_req_duration{scenario:user-journey}": ["p(95)<500"],
    "http_req_failed": ["rate<0.1"],
    "http_reqs": ["rate>60"],
    "checks": ["rate>0.99"],
}


def thresholds(texts: dict[str, list[str]]) -> dict[str, list[Threshold]]:
    """Thresholds as a manifest's model holds them."""
    return {metric: [Threshold(threshold=text) for text in several] for metric, several in texts.items()}


def budget(document: dict[str, Any] = BUDGET) -> PerformanceBudget:
    """A budget as it is read from a manifest."""
    return PerformanceBudget.model_validate(document)


def measured(
    *,
    seconds: int = 540,
    rate: int = 130,
    slow: float = 1.0,
    errors: float = 0.0,
    warmup: int = 30,
    names: dict[str, tuple[str, int, float]] = ENDPOINTS,
) -> Measurement:
    """What runners would have measured of a target that gets `slow` times as slow in the middle third."""
    dice = random.Random(7)
    out = Measurement(elapsed=float(seconds - warmup), vus=0, vus_max=10)
    for second in range(seconds):
        ramp = min(1.0, (second + 1) / 120, (seconds - second) / 120)
        stress = slow if seconds / 3 < second < 2 * seconds / 3 else 1.0
        piece = out.slices.at(second)
        piece.vu_seconds = round(piece.vu_seconds + max(1.0, 10 * ramp), 6)
        for number in range(max(1, int(rate * ramp))):
            name = list(names)[number % len(names)]
            _request(
                out, dice, (name, *names[name]), second, slow=stress, errors=errors * stress, judged=second >= warmup
            )
    return out


def _request(
    out: Measurement,
    dice: random.Random,
    of: tuple[str, str, int, float],
    second: int,
    *,
    slow: float,
    errors: float,
    judged: bool,
) -> None:
    name, method, middle, spread = of
    total = int(middle * 1000 * slow * math.exp(dice.gauss(0, spread)) + (dice.random() < 0.01) * 250_000)
    failed = dice.random() < errors
    piece = out.slices.at(second)
    piece.duration.record(total)
    piece.endpoints.setdefault(name, type(piece.duration)()).record(total)
    piece.requests += 1
    piece.failed += failed
    piece.sent += 412
    piece.received += 2311
    piece.iterations += name == "checkout"
    if failed:
        piece.errors["timeout" if total % 2 else "http"] = piece.errors.get("timeout", 0) + 1
    if not judged:
        return
    tags = {
        "scenario": "user-journey",
        "name": name,
        "method": method,
        "group": "",
        "status": "200",
        "expected_response": "true",
    }
    if failed:
        tags |= (
            {"status": "0", "error": "timeout", "expected_response": "false"}
            if total % 2
            else {"status": "503", "expected_response": "false"}
        )
    stats = out.requests.setdefault(tags_of(tags), RequestStats())
    stats.duration.record(total)
    stats.sent += 412
    stats.received += 2311
    connect = dice.random() < 0.05
    parts = {"blocked": 0.01, "connecting": 0.06 * connect, "tls": 0.12 * connect, "sending": 0.02, "receiving": 0.07}
    parts["waiting"] = 1 - sum(parts.values())
    for phase, part in parts.items():
        if part:
            stats.phases.setdefault(phase, type(stats.duration)()).record(int(total * part))
    check = tags_of(scenario="user-journey", group="", name=name, check="status is 200")
    checks = out.checks.setdefault(check, CheckStats())
    checks.fails, checks.passes = checks.fails + failed, checks.passes + (not failed)
    if name == "checkout":
        iterations = out.iterations.setdefault(tags_of(scenario="user-journey"), IterationStats())
        iterations.completed += 1
        iterations.duration.record(total * 40)


def result(
    measurement: Measurement,
    *,
    doubts: list[Doubt] | None = None,
    tolerated: list[DoubtReason] | None = None,
    limits: dict[str, list[str]] | None = None,
    budgets: list[dict[str, Any]] | None = None,
    aborted: str = "",
    manifest: dict[str, Any] = MANIFEST,
    runners: int = 4,
) -> Result:
    """A result over a measurement, judged by the sample limits unless others are given."""
    documents = [BUDGET] if budgets is None else budgets
    verdict = judge(
        measurement,
        thresholds=thresholds(THRESHOLDS if limits is None else limits),
        budgets=[budget(one) for one in documents],
        doubts=doubts or [],
        tolerated=tolerated or [],
        aborted=aborted,
    )
    return Result(
        loadgate="0.1.0",
        run=RunFacts(
            id="checkout-3-x7k2f",
            number=7,
            cause="SpecChanged",
            started_at="2026-11-24T08:15:00Z",
            load_ended_at="2026-11-24T08:24:00Z",
            finished_at="2026-11-24T08:24:00Z",
            spec_hash="sha256:4f0a",
            test=manifest["metadata"]["name"],
            namespace=manifest["metadata"].get("namespace", "default"),
        ),
        manifest=manifest,
        budgets=tuple(documents),
        plan={"duration": 540.0, "warmup": 30.0},
        measurement=measurement,
        runners=tuple(
            RunnerFacts(
                index,
                f"uid-{index}",
                f"node-{index % 2}",
                "Finished",
                Health(
                    cpu_ratio=0.31 + index / 50,
                    cpu_ratio_max=0.6,
                    lag_p99=0.002,
                    lag_max=0.011,
                    slip_p99=0.001,
                    rss=61_000_000,
                    memory_limit=268_435_456,
                    fds=34,
                    fd_limit=1_048_576,
                ),
            )
            for index in range(runners)
        ),
        verdict=verdict,
    )


@cache
def passed() -> Result:
    """Every limit holds."""
    return result(measured())


@cache
def failed() -> Result:
    """The target got slow and returned errors in the middle third."""
    return result(measured(slow=9.0, errors=0.004))


def lagging() -> Doubt:
    """A doubt that flatters nothing."""
    return Doubt(
        DoubtReason.CPULimit,
        "runner 2 used 97% of its CPU (1 core) and was throttled 31% of the time; raise spec.runners.resources.limits.cpu or spec.runners.count",
        "97%",
    )


@cache
def inconclusive() -> Result:
    """A runner was the bottleneck."""
    dropped = Doubt(
        DoubtReason.DroppedIterations,
        "scenario user-journey: 412 of 9000 iterations had no free VU and were dropped; raise maxVUs, or lower the rate to what the target can answer",
        "4.58%",
        True,
    )
    return result(
        measured(),
        doubts=[lagging(), dropped],
        tolerated=[DoubtReason.DroppedIterations],
        limits={**THRESHOLDS, "http_req_duration{name:wishlist}": ["p(95)<400"]},
    )


@cache
def traced() -> Result:
    """A failed run of which some requests carried trace ids."""
    measurement = measured(slow=9.0, errors=0.004)
    dice, kinds = random.Random(3), ("", "", "", "timeout", "status 503")
    for number, name in enumerate(ENDPOINTS):
        found = [
            Trace(kinds[at % 5], 40_000 + at, dice.randint(10**4, 10**6), f"{number + 1:016x}{at:016x}")
            for at in range(40)
        ]
        measurement.traces[name] = TraceStats.of(found)
    return result(measurement)


@cache
def empty() -> Result:
    """Nothing was measured at all."""
    return result(
        Measurement(),
        limits={},
        budgets=[],
        doubts=[
            Doubt(DoubtReason.SetupFailed, "the setup failed, so no load was made: POST /login answered 500", "setup")
        ],
        runners=0,
    )


@cache
def noted() -> Result:
    """A result that had to be made coarser."""
    return replace(empty(), notes=("To fit, slices are wide.",))


def changed(instance: Any, **fields: Any) -> Any:
    """A copy of a frozen thing with other values."""
    return replace(instance, **fields)


@cache
def aborted() -> Result:
    """A run that was called off, judged by a budget that only warns."""
    soft = {**BUDGET, "spec": {**BUDGET["spec"], "enforcement": "Warn"}}
    return result(measured(seconds=40, slow=9.0), limits={}, budgets=[soft], aborted="spec.suspend is true")
