"""LoadTest: which load, on what, for how long, and what must hold."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from .base import Model
from .conditions import DoubtReason
from .data import DataSource
from .limits import Thresholds
from .metadata import ObjectMeta
from .names import ImageName, ObjectName, SourceName
from .pods import PodTemplate
from .references import SecretSource
from .scenarios import Scenario
from .status import LoadTestStatus
from .steps import Steps
from .target import Target
from .units import Duration

GROUP = "loadgate.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


class Runners(PodTemplate):
    """The pods that make the load; the scenarios' load is the total, and is divided exactly among them."""

    count: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many pods."""
    processes: Annotated[int, Field(ge=1, le=64)] | None = None
    """How many processes in each pod: one for each core of its CPU limit when left out."""
    image: ImageName | None = None
    """An image with `loadgate-runner` on its path, for journeys that import more; the installation's when left out."""


class StepBlock(Model):
    """Steps that are done once."""

    steps: Steps
    """The steps, in order."""


class BudgetRef(Model):
    """A PerformanceBudget in the test's namespace."""

    name: ObjectName
    """The budget's name."""


class OnInconclusive(Model):
    """What to do where a result can't be trusted."""

    retries: Annotated[int, Field(ge=0, le=10)] = 0
    """How many times to run again before the verdict is Inconclusive."""


class LoadTestSpec(Model):
    """What a LoadTest asks for."""

    target: Target
    """Where the load goes."""
    runners: Runners = Runners()
    """The pods that make the load."""
    secrets: Annotated[dict[SourceName, SecretSource], Field(max_length=64)] = Field(default={})
    """Secrets by the name under which steps use them: `${secret.NAME}`."""
    data: Annotated[dict[SourceName, DataSource], Field(max_length=32)] = Field(default={})
    """Rows by the name under which steps use them: `${data.NAME.COLUMN}`."""
    setup: StepBlock | None = None
    """Steps done once for the whole run, before any load; what they extract is `${setup.NAME}` everywhere."""
    teardown: StepBlock | None = None
    """Steps done once after the load, also when the run was stopped."""
    warmup: Duration = Duration("0s")
    """How long at the start is measured and drawn, but not judged."""
    scenarios: Annotated[
        list[Scenario],
        Field(
            min_length=1,
            max_length=50,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ]
    """What the virtual users do, and how many of them; all scenarios run side by side."""
    thresholds: Thresholds = Field(default={})
    """Limits by metric, such as `http_req_duration` or `http_req_duration{name:login}`."""
    budgets: Annotated[
        list[BudgetRef],
        Field(
            max_length=32, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
        ),
    ] = Field(default=[])
    """PerformanceBudgets that judge this test, besides those whose selector matches its labels."""
    suspend: bool = False
    """While true nothing starts, and a run under way is called off."""
    deadline: Duration | None = None
    """A run that takes longer is stopped and is Inconclusive. Left out, only the plan ends it."""
    start_deadline: Duration = Duration("5m")
    """How long the runners may take to be ready; after that the run is Inconclusive."""
    history_limit: Annotated[int, Field(ge=0, le=100)] = 10
    """How many results are kept."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=2_147_483_647)] = 3600
    """How long the runners' pods are kept after the run; the result outlives them."""
    on_inconclusive: OnInconclusive = OnInconclusive()
    """What to do where a result can't be trusted."""
    tolerate_doubts: Annotated[
        list[Annotated[DoubtReason, Field(strict=False)]],
        Field(max_length=len(DoubtReason), json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = Field(default=[])
    """Doubts that are reported but don't make the verdict Inconclusive."""


class LoadTest(Model):
    """A load test: traffic against a target, and what must hold meanwhile."""

    model_config = ConfigDict(title="LoadTest")

    api_version: Literal["loadgate.dev/v1alpha1"] = "loadgate.dev/v1alpha1"
    """The version of this schema."""
    kind: Literal["LoadTest"] = "LoadTest"
    """What kind of object it is."""
    metadata: ObjectMeta
    """The object's name, namespace, labels and annotations."""
    spec: LoadTestSpec
    """What is asked for."""
    status: LoadTestStatus = LoadTestStatus()
    """What has become of it; written by the operator."""
