"""What the operator says of a resource: small and bounded whatever the test, written only when something changed."""

from typing import Annotated

from pydantic import Field

from .base import Model
from .conditions import Cause, ConditionStatus, ConditionType, DoubtReason, Outcome, Phase
from .timestamps import Timestamp

MAX_ENDPOINTS = 50
MAX_VIOLATIONS = 50
MAX_DOUBTS = 32

_MAP_BY = {
    key: {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]} for key in ("type", "name", "number")
}


class Condition(Model):
    """One thing that machines wait for."""

    type: Annotated[ConditionType, Field(strict=False)]
    """Which condition."""
    status: Annotated[ConditionStatus, Field(strict=False)]
    """True, False or Unknown."""
    reason: Annotated[str, Field(max_length=64)]
    """Why, as one word from a fixed list."""
    message: Annotated[str, Field(max_length=4096)] = ""
    """Why, and what to do, for people."""
    last_transition_time: Timestamp | None = None
    """When `status` last changed."""
    observed_generation: int | None = None
    """The generation of the spec that it speaks of."""


class RunStatus(Model):
    """The run that the status speaks of."""

    id: Annotated[str, Field(max_length=253)]
    """The run's own name."""
    number: Annotated[int, Field(ge=1)]
    """Counts this test's runs."""
    cause: Annotated[Cause, Field(strict=False)] = Cause.Created
    """Why there is this run."""
    spec_hash: Annotated[str, Field(max_length=128)] = ""
    """A digest of all that alters the load or the target; another one means another run."""
    judged_by: Annotated[str, Field(max_length=64)] = ""
    """A digest of the limits that the verdict is over; other ones judge the stored result again."""
    created_at: Timestamp | None = None
    """When the run was decided on; `spec.startDeadline` counts from here."""
    started_at: Timestamp | None = None
    """When the load began."""
    load_ended_at: Timestamp | None = None
    """When the load ended; what follows is teardown, judging and storing."""
    finished_at: Timestamp | None = None
    """When the run was over."""
    attempt: Annotated[int, Field(ge=1)] = 1
    """Which attempt it is, where inconclusive runs are repeated."""
    verdict: Annotated[Outcome, Field(strict=False)] | None = None
    """What came of it, once it is over."""


class RunnersStatus(Model):
    """How the runners stand."""

    desired: Annotated[int, Field(ge=0)] = 0
    """How many are wanted."""
    ready: Annotated[int, Field(ge=0)] = 0
    """How many have armed."""
    finished: Annotated[int, Field(ge=0)] = 0
    """How many have handed over their results."""
    lost: Annotated[int, Field(ge=0)] = 0
    """How many were lost."""


class Load(Model):
    """The load at this moment, a few times a minute."""

    vus: Annotated[int, Field(ge=0)] = 0
    """Virtual users."""
    requests_per_second: Annotated[float, Field(ge=0)] = 0.0
    """Requests in a second."""


class Summary(Model):
    """What was measured, after the warm-up."""

    requests: Annotated[int, Field(ge=0)] = 0
    """Requests that were sent."""
    requests_per_second: Annotated[float, Field(ge=0)] = 0.0
    """Requests in a second, on average."""
    failed_rate: Annotated[str, Field(max_length=32)] | None = None
    """The share of requests that failed, as a percentage."""
    p50: Annotated[str, Field(max_length=32)] | None = None
    """Half of the response times were at most this."""
    p95: Annotated[str, Field(max_length=32)] | None = None
    """95 % of the response times were at most this."""
    p99: Annotated[str, Field(max_length=32)] | None = None
    """99 % of the response times were at most this."""
    max: Annotated[str, Field(max_length=32)] | None = None
    """The longest response time."""
    dropped: Annotated[int, Field(ge=0)] = 0
    """Iterations that were due and found no free VU."""
    checks: Annotated[str, Field(max_length=32)] | None = None
    """The share of checks that held, as a percentage."""


class EndpointSummary(Summary):
    """What was measured of one endpoint."""

    name: Annotated[str, Field(max_length=256)]
    """The request's name."""


class Violation(Model):
    """A limit that was broken."""

    source: Annotated[str, Field(max_length=270)]
    """Whose limit: `threshold`, or `budget/NAME`."""
    subject: Annotated[str, Field(max_length=600)]
    """What was limited, such as `GET /products p95`."""
    limit: Annotated[str, Field(max_length=128)]
    """The limit."""
    actual: Annotated[str, Field(max_length=64)] = ""
    """What was measured."""
    runs: Annotated[int, Field(ge=1)] = 1
    """For how many runs in a row."""


class DoubtStatus(Model):
    """Why the result can't be trusted."""

    reason: Annotated[DoubtReason, Field(strict=False)]
    """Which doubt."""
    message: Annotated[str, Field(max_length=1024)] = ""
    """What happened, and what to change."""
    figure: Annotated[str, Field(max_length=128)] = ""
    """The figure that it rests on."""


class ObjectRef(Model):
    """An object in the same namespace."""

    name: Annotated[str, Field(max_length=253)]
    """The object's name."""


class ResultRef(Model):
    """Where the merged measurements are kept."""

    config_map_ref: ObjectRef
    """The ConfigMap that holds them."""


class HistoryEntry(Model):
    """An earlier run."""

    number: Annotated[int, Field(ge=1)]
    """The run's number."""
    verdict: Annotated[Outcome, Field(strict=False)]
    """Its verdict."""
    p95: Annotated[str, Field(max_length=32)] | None = None
    """Its 95th percentile of response times."""
    requests_per_second: Annotated[float, Field(ge=0)] = 0.0
    """Its requests in a second."""
    finished_at: Timestamp | None = None
    """When it was over."""


class Columns(Model):
    """What `kubectl get` shows, as text: a column can neither join names nor choose between two fields."""

    reason: Annotated[str, Field(max_length=64)] = ""
    """Why it is where it is, as one word from a fixed list; empty where the phase says it."""
    runners: Annotated[str, Field(max_length=32)] = ""
    """Runners that are ready, of those that are wanted."""
    requests_per_second: Annotated[str, Field(max_length=32)] = ""
    """Requests in a second: just now while load is on, afterwards on average."""
    budgets: Annotated[str, Field(max_length=1024)] = ""
    """The first of the budgets that judge it, and how many more there are."""


class LoadTestStatus(Model):
    """What has become of a LoadTest."""

    observed_generation: int = -1
    """The generation of the spec that the status speaks of; -1 until the operator has seen the object."""
    phase: Annotated[Phase, Field(strict=False)] | None = None
    """Where it is, for people: machines read the conditions."""
    conditions: Annotated[list[Condition], Field(max_length=16, json_schema_extra=_MAP_BY["type"])] = Field(default=[])
    """What machines wait for: Complete, Passed, Ready, Reconciling, Stalled."""
    run: RunStatus | None = None
    """The run that the status speaks of."""
    runners: RunnersStatus | None = None
    """How its runners stand."""
    progress: Annotated[int, Field(ge=0, le=100)] | None = None
    """Percent of the planned time."""
    load: Load | None = None
    """The load at this moment."""
    summary: Summary | None = None
    """What was measured."""
    endpoints: Annotated[list[EndpointSummary], Field(max_length=MAX_ENDPOINTS, json_schema_extra=_MAP_BY["name"])] = (
        Field(default=[])
    )
    """The same for each endpoint: the 50 busiest."""
    budgets: Annotated[list[Annotated[str, Field(max_length=253)]], Field(max_length=64)] = Field(default=[])
    """The budgets that judge it."""
    violations: Annotated[list[Violation], Field(max_length=MAX_VIOLATIONS)] = Field(default=[])
    """Limits that were broken."""
    doubts: Annotated[list[DoubtStatus], Field(max_length=MAX_DOUBTS)] = Field(default=[])
    """Why the result can't be trusted, each with its figure."""
    result: ResultRef | None = None
    """Where the merged measurements are kept."""
    history: Annotated[list[HistoryEntry], Field(max_length=100, json_schema_extra=_MAP_BY["number"])] = Field(
        default=[]
    )
    """Earlier runs, the newest first."""
    columns: Columns | None = None
    """What `kubectl get` shows of it, for people."""


class JudgedTest(Model):
    """How one test stands with a budget."""

    name: Annotated[str, Field(max_length=253)]
    """The LoadTest's name."""
    run: Annotated[int, Field(ge=1)] | None = None
    """The run that was judged."""
    satisfied: bool | None = None
    """Whether it held the budget; left out while that isn't known."""
    violations: Annotated[list[Violation], Field(max_length=MAX_VIOLATIONS)] = Field(default=[])
    """Limits of this budget that it broke."""


class BudgetStatus(Model):
    """How the tests stand that a PerformanceBudget judges."""

    observed_generation: int = -1
    """The generation of the spec that the status speaks of; -1 until the operator has seen the object."""
    conditions: Annotated[list[Condition], Field(max_length=16, json_schema_extra=_MAP_BY["type"])] = Field(default=[])
    """What machines wait for: Ready, Satisfied."""
    load_tests: Annotated[list[JudgedTest], Field(max_length=100, json_schema_extra=_MAP_BY["name"])] = Field(
        default=[]
    )
    """The tests that it judges."""
