"""What each executor is told: one model an executor, told apart by `executor`."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Model
from .cel import exactly_one, rule, validated
from .names import LabelName, Tags
from .references import ConfigMapSource
from .steps import Steps
from .units import Duration

MAX_VUS = 1_000_000
MAX_STAGES = 100


class Stage(Model):
    """A ramp from where the stage before ended to `target`, in a straight line."""

    duration: Duration
    """How long the ramp takes; `0s` jumps."""
    target: Annotated[int, Field(ge=0, le=100_000_000)]
    """The number of VUs, or of iterations per `timeUnit`, at the stage's end."""


Vus = Annotated[int, Field(ge=1, le=MAX_VUS)]
Iterations = Annotated[int, Field(ge=1, le=1_000_000_000)]
Stages = Annotated[list[Stage], Field(min_length=1, max_length=MAX_STAGES)]


_STEPS_OR_SCRIPT = exactly_one("steps", "script")
_ENOUGH_VUS = rule(
    "!has(self.maxVUs) || !has(self.preAllocatedVUs) || self.maxVUs >= self.preAllocatedVUs",
    "maxVUs must be at least preAllocatedVUs",
)
_STAGES_TAKE_TIME = rule(
    "!has(self.stages) || self.stages.exists(stage, !stage.duration.matches('^(0+[.]?0*[a-zµ]+)+$'))",
    "at least one stage must take some time",
)


class ScenarioBase(Model):
    """What every executor takes."""

    model_config = validated(_STEPS_OR_SCRIPT, _ENOUGH_VUS, _STAGES_TAKE_TIME)

    name: LabelName
    """The scenario's name, unique in the test; its samples carry it as the tag `scenario`."""
    start_time: Duration = Duration("0s")
    """How long after the run's start it begins."""
    graceful_stop: Duration = Duration("30s")
    """How long iterations that are under way at its end may take to finish."""
    tags: Tags = Field(default={})
    """Tags of all its samples."""
    steps: Steps | None = None
    """What each iteration does, in order. Exactly one of `steps` and `script`."""
    script: ConfigMapSource | None = None
    """A Python file with `async def journey(user)` that each iteration runs. Exactly one of `steps` and `script`."""


class SharedIterations(ScenarioBase):
    """A number of iterations that the VUs share, each taking the next."""

    executor: Literal["shared-iterations"]
    """How load is made."""
    vus: Vus = 1
    """How many VUs."""
    iterations: Iterations = 1
    """How many iterations in all."""
    max_duration: Duration = Duration("10m")
    """When to stop, finished or not."""


class PerVUIterations(ScenarioBase):
    """The same number of iterations for each VU."""

    executor: Literal["per-vu-iterations"]
    """How load is made."""
    vus: Vus = 1
    """How many VUs."""
    iterations: Iterations = 1
    """How many iterations each VU does."""
    max_duration: Duration = Duration("10m")
    """When to stop, finished or not."""


class ConstantVUs(ScenarioBase):
    """A fixed number of VUs, each beginning again as soon as it is done."""

    executor: Literal["constant-vus"]
    """How load is made."""
    vus: Vus = 1
    """How many VUs."""
    duration: Duration
    """For how long."""


class RampingVUs(ScenarioBase):
    """A number of VUs that follows stages."""

    executor: Literal["ramping-vus"]
    """How load is made."""
    start_vus: Annotated[int, Field(ge=0, le=MAX_VUS)] = 1
    """How many VUs it begins with."""
    stages: Stages
    """The ramps, one after another."""
    graceful_ramp_down: Duration = Duration("30s")
    """How long a VU that is no longer wanted may take to finish its iteration."""


class ConstantArrivalRate(ScenarioBase):
    """Iterations that begin at a fixed rate, however long they take."""

    executor: Literal["constant-arrival-rate"]
    """How load is made."""
    rate: Annotated[int, Field(ge=1, le=100_000_000)]
    """How many iterations begin in each `timeUnit`."""
    time_unit: Duration = Duration("1s")
    """What the rate is counted by."""
    duration: Duration
    """For how long."""
    pre_allocated_vus: Vus
    """How many VUs stand ready from the start."""
    max_vus: Vus | None = None
    """VUs at most, `preAllocatedVUs` when left out; an iteration that finds none free is dropped and counted."""


class RampingArrivalRate(ScenarioBase):
    """Iterations that begin at a rate which follows stages, however long they take."""

    executor: Literal["ramping-arrival-rate"]
    """How load is made."""
    start_rate: Annotated[int, Field(ge=0, le=100_000_000)] = 0
    """The rate it begins with."""
    time_unit: Duration = Duration("1s")
    """What rates are counted by."""
    stages: Stages
    """The ramps, one after another."""
    pre_allocated_vus: Vus
    """How many VUs stand ready from the start."""
    max_vus: Vus | None = None
    """VUs at most, `preAllocatedVUs` when left out; an iteration that finds none free is dropped and counted."""


EXECUTORS: dict[str, type[ScenarioBase]] = {
    "shared-iterations": SharedIterations,
    "per-vu-iterations": PerVUIterations,
    "constant-vus": ConstantVUs,
    "ramping-vus": RampingVUs,
    "constant-arrival-rate": ConstantArrivalRate,
    "ramping-arrival-rate": RampingArrivalRate,
}

Scenario = Annotated[
    SharedIterations | PerVUIterations | ConstantVUs | RampingVUs | ConstantArrivalRate | RampingArrivalRate,
    Field(discriminator="executor"),
]
