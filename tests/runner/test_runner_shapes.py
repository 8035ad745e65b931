"""For every executor: the VUs and arrivals that were made in each second against the curve that was asked for.

In virtual time, so that what deviates is the executors' own doing; `make bench-honesty` does the same in real time.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from loadgate.api.validate import validate_loadtest
from loadgate.plan import compile_plan
from loadgate.plan.pace import arrived, vus_at
from loadgate_runner.executors import Drive, executor_of
from loadgate_runner.journey import Outcome
from loadgate_runner.scenario import ScenarioStage
from loadgate_runner.telemetry.recorder import Recorder

if TYPE_CHECKING:
    from loadgate.plan import PlanScenario
    from loadgate.plan.share import Share
    from loadgate_runner.journey.ports import Tally

pytestmark = pytest.mark.looptime(start=1000.0)

SECOND = 1_000_000_000
LIMIT = 0.01
"""The largest deviation in any second, in parts of the most that is asked for."""
TAKES = 0.04
"""Seconds of an iteration."""


def _now() -> int:
    return round(asyncio.get_running_loop().time() * SECOND)


@dataclass
class Shop:
    """A journey whose iterations take their time, and that notes when each begins."""

    begun: list[int] = field(default_factory=list)

    def new_vu(self, vu_id: int, tally: Tally) -> Visitor:
        return Visitor(self, tally)


@dataclass
class Visitor:
    shop: Shop
    tally: Tally

    async def iterate(self, number: int, due_ns: int | None = None) -> Outcome:
        began = _now()
        self.shop.begun.append(began)
        await asyncio.sleep(TAKES)
        self.tally.completed(began if due_ns is None else due_ns, _now())
        return Outcome.COMPLETED

    async def close(self) -> None:
        pass


@dataclass
class Made:
    """What was made in each second: VUs (as VU seconds) and iterations begun."""

    vus: Counter[int] = field(default_factory=Counter)
    begun: Counter[int] = field(default_factory=Counter)


def _scenario(**scenario: Any) -> PlanScenario:
    spec = {
        "target": {"url": "http://x"},
        "scenarios": [{"name": "s", "steps": [{"request": {"url": "/"}}], **scenario}],
    }
    kind = {"apiVersion": "loadgate.dev/v1alpha1", "kind": "LoadTest", "metadata": {"name": "x"}}
    return compile_plan(validate_loadtest({**kind, "spec": spec}), run="x-1-a").scenarios[0]


async def _drive(scenario: PlanScenario, share: Share, made: Made) -> None:
    recorder, shop = Recorder(_now), Shop()
    stage = ScenarioStage(scenario, shop, recorder, first_vu=0)
    drive = Drive(executor_of(scenario.schedule, share), stage, graceful_stop=scenario.graceful_stop)
    origin = recorder.clock()
    stage.begin(origin)
    recorder.begin(origin, 0.0)
    await drive.run()
    recorder.end()
    made.begun.update((at - origin) // SECOND for at in shop.begun)
    slices = (await recorder.measure()).slices
    assert slices.width == 1
    for second, piece in slices.by_index.items():
        made.vus[second] += piece.vu_seconds


async def _made(scenario: PlanScenario, runners: int) -> Made:
    """By all runners, each of two processes, together."""
    made = Made()
    shares = [scenario.share(index, runners).divide(part, 2) for index in range(runners) for part in (0, 1)]
    await asyncio.gather(*(_drive(scenario, share, made) for share in shares))
    return made


def _vus_asked(scenario: PlanScenario, second: int) -> float:
    """The mean of the curve over a second; stages end on whole tenths, so thousandths are exact enough."""
    return sum(vus_at(scenario.schedule, second + (step + 0.5) / 1000) for step in range(1000)) / 1000


def _deviations(asked: list[float], made: Counter[int]) -> list[float]:
    """By second, in parts of the most that is asked for."""
    return [abs(made[second] - wanted) / max(asked) for second, wanted in enumerate(asked)]


VU_CURVES = {
    "constant": {"executor": "constant-vus", "vus": 50, "duration": "8s"},
    "ramp": {
        "executor": "ramping-vus",
        "startVUs": 0,
        "stages": [{"duration": d, "target": n} for d, n in (("3s", 60), ("2s", 60), ("3s", 10))],
    },
    "steps": {
        "executor": "ramping-vus",
        "startVUs": 0,
        "stages": [{"duration": d, "target": n} for d, n in (("2s", 15), ("500ms", 40), ("2500ms", 40), ("3s", 55))],
    },
}


@pytest.mark.parametrize("runners", [1, 3])
@pytest.mark.parametrize("curve", VU_CURVES)
async def test_vus_follow_the_curve(curve, runners):
    """Each second's VUs are the curve's, within 1 % of its highest.

    But for the first: VUs that are due together begin up to a tenth of a second apart, on purpose, so half of that
    second's tenth is missing.
    """
    scenario = _scenario(**VU_CURVES[curve])
    made = await _made(scenario, runners)
    asked = [_vus_asked(scenario, second) for second in range(8)]
    first, *others = _deviations(asked, made.vus)
    assert max(others) < LIMIT
    assert first < (0.06 if curve == "constant" else LIMIT)
    assert sum(made.begun.values()) == pytest.approx(sum(made.vus.values()) / TAKES, rel=0.01)


RATES = {
    "constant": {"executor": "constant-arrival-rate", "rate": 500, "duration": "10s"},
    "slow": {"executor": "constant-arrival-rate", "rate": 6000, "timeUnit": "1m", "duration": "10s"},
    "ramp": {
        "executor": "ramping-arrival-rate",
        "startRate": 0,
        "stages": [{"duration": d, "target": n} for d, n in (("4s", 600), ("2s", 600), ("4s", 100))],
    },
    "jump": {
        "executor": "ramping-arrival-rate",
        "startRate": 200,
        "stages": [{"duration": d, "target": n} for d, n in (("3s", 200), ("0s", 700), ("7s", 700))],
    },
}


@pytest.mark.parametrize("runners", [1, 3])
@pytest.mark.parametrize("curve", RATES)
async def test_arrivals_follow_the_curve(curve, runners):
    """Each second's iterations are the area under the rate, within 1 % of the highest rate."""
    scenario = _scenario(**RATES[curve], preAllocatedVUs=60)
    made = await _made(scenario, runners)
    asked = [arrived(scenario.schedule, t + 1) - arrived(scenario.schedule, t) for t in range(10)]
    assert max(_deviations(asked, made.begun)) <= LIMIT
    assert sum(made.begun.values()) == math.ceil(sum(asked))


@pytest.mark.parametrize("runners", [1, 3])
@pytest.mark.parametrize(
    ("executor", "iterations"), [("shared-iterations", 50 * 50), ("per-vu-iterations", 50)], ids=["shared", "per-vu"]
)
async def test_iterations_keep_all_vus_at_work_until_they_are_done(executor, iterations, runners):
    """50 VUs with 50 iterations of 40 ms each: 50 VUs for 2 s, every iteration once, nothing after it."""
    scenario = _scenario(executor=executor, vus=50, iterations=iterations, maxDuration="60s")
    made = await _made(scenario, runners)
    assert max(_deviations([50.0] * 2 + [0.0], made.vus)) < LIMIT
    assert max(_deviations([50 / TAKES] * 2 + [0.0], made.begun)) < LIMIT
    assert sum(made.begun.values()) == 50 * 50
