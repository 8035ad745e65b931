"""Shapes: for each executor, what was asked for in each second of real time, and what was made."""

from dataclasses import dataclass
from typing import Any

from benchmarks.honesty import ours
from benchmarks.honesty.ours import Ran
from benchmarks.honesty.target import answering
from loadgate.plan.pace import arrived, vus_at
from loadgate.plan.schedule import ArrivalSchedule, IterationSchedule, VUSchedule

_SECONDS = 10
_STEPS = 1000
"""Points of a second at which a curve of VUs is summed up."""

_THINK = [*ours.STEPS, {"think": "20ms"}]
SHAPES: dict[str, dict[str, Any]] = {
    "constant-vus": {"vus": 100, "duration": "10s", "steps": _THINK},
    "ramping-vus": {
        "startVUs": 0,
        "stages": [
            {"duration": "5s", "target": 200},
            {"duration": "1s", "target": 200},
            {"duration": "4s", "target": 0},
        ],
        "steps": _THINK,
    },
    "constant-arrival-rate": {"rate": 1000, "duration": "10s", "preAllocatedVUs": 50},
    "ramping-arrival-rate": {
        "startRate": 0,
        "stages": [{"duration": "6s", "target": 3000}, {"duration": "4s", "target": 0}],
        "preAllocatedVUs": 50,
    },
    "shared-iterations": {"vus": 10, "iterations": 2000, "maxDuration": "30s"},
    "per-vu-iterations": {"vus": 10, "iterations": 200, "maxDuration": "30s"},
}


@dataclass(frozen=True)
class Shape:
    """An executor's run, second by second. Iterations executors ask for a number in all, which is one pair."""

    executor: str
    unit: str
    asked: tuple[float, ...]
    made: tuple[float, ...]

    def deviation(self, first: int = 0) -> float:
        """The largest distance in any second from number `first` on, in parts of the most that was asked for."""
        pairs = list(zip(self.asked, self.made, strict=True))[first:]
        return max(abs(made - asked) for asked, made in pairs) / max(self.asked)


def shapes(core: int, server_core: int) -> list[Shape]:
    """Every executor."""
    return [_shape(executor, core, server_core) for executor in SHAPES]


def _shape(executor: str, core: int, server_core: int) -> Shape:
    with answering(server_core, "constant", "1") as target:
        ran = ours.run(target.url, core, {"executor": executor, **SHAPES[executor]}, 3 * _SECONDS)
    schedule = ran.plan.scenarios[0].schedule
    if isinstance(schedule, IterationSchedule):
        asked = schedule.iterations * (schedule.vus if schedule.per_vu else 1)
        return Shape(executor, "iterations in all", (asked,), (_completed(ran),))
    seconds = range(_SECONDS)
    if isinstance(schedule, ArrivalSchedule):
        wanted = tuple(arrived(schedule, second + 1) - arrived(schedule, second) for second in seconds)
        return Shape(executor, "arrivals", wanted, tuple(_slice(ran, second, "iterations") for second in seconds))
    wanted = tuple(_vu_seconds(schedule, second) for second in seconds)
    return Shape(executor, "VUs", wanted, tuple(_slice(ran, second, "vu_seconds") for second in seconds))


def _vu_seconds(schedule: VUSchedule, second: int) -> float:
    return sum(vus_at(schedule, second + (step + 0.5) / _STEPS) for step in range(_STEPS)) / _STEPS


def _completed(ran: Ran) -> float:
    return sum(stats.completed for stats in ran.snapshot.measurement.iterations.values())


def _slice(ran: Ran, second: int, field: str) -> float:
    slices = ran.snapshot.measurement.slices
    if slices.width != 1:
        raise RuntimeError(f"the run's slices are {slices.width} s wide, not 1 s")
    piece = slices.by_index.get(second)
    return float(getattr(piece, field)) if piece else 0.0
