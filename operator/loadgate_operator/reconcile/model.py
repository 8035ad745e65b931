"""What `decide` sees and what it may ask for: the observed world, and actions on it. Data only.

Instants are Unix seconds of the operator's clock. Actions are done in order, and one that fails ends the pass, so an
action may count on those before it; each may be repeated without harm.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from loadgate.plan import Targets
from loadgate_operator.reconcile.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgate.api.budget import PerformanceBudget
    from loadgate.api.conditions import Reason
    from loadgate.api.faults import Fault
    from loadgate.api.loadtest import LoadTest
    from loadgate.api.status import LoadTestStatus
    from loadgate.report.result import Result
    from loadgate_operator.cluster.port import Kind, Object
    from loadgate_operator.collect.answers import RunnerAnswer


@dataclass(frozen=True)
class Settings:
    """The operator's own settings; times are seconds."""

    start_lead: float = 1.0
    """Between choosing the runners and the load: time for every start message to arrive, as long as a round of them."""

    start_late: float = 1.0
    """How late load may begin, at most, before a start that nobody heard of is planned anew."""

    starting: float = 0.5
    """Between two looks at a run that is about to begin, to end, or to go."""

    late_margin: float = 5.0
    """How much later than now a runner that is told too late may still be told."""

    live: float = 2.0
    """Between two looks at a run that makes load, hence between two live changes of its status."""

    silent_after: float = 30.0
    """A runner that answers nothing for so long is given up: several scrapes in a row have failed by then."""

    stop_margin: float = 30.0
    """Beyond the longest gracefulStop until a runner that was stopped, or ran its time, is taken away."""

    teardown: float = 300.0
    """How long teardown may take."""

    lingering: float = 15.0
    """How long other containers of a pod may go on after its runner has ended."""

    targets: Targets = field(default_factory=Targets)
    """Where load may go: what a run is held to is what these were when it began."""


@dataclass(frozen=True)
class PodSeen:
    """A pod of the run's Job. `index` is its completion index; `phase` is Kubernetes'.

    `trouble` is what keeps it from running, as (reason, message): unschedulable, an image that can't be pulled, …
    `exit` is what its runner's end looked like, `ended_at` when that was first seen: what the node writes down goes by
    the node's clock, which may be another one. It `lingers` where another container goes on
    after that, which keeps the pod, and with it the Job, from ending.
    """

    name: str
    uid: str
    index: int
    phase: str
    created: str = ""
    node: str = ""
    deleting_since: float | None = None
    trouble: tuple[Reason, str] | None = None
    exit: str = ""
    ended_at: float | None = None
    lingers: bool = False

    @property
    def over(self) -> bool:
        """Whether there is no runner in it any more, and none to come."""
        return self.phase in ("Succeeded", "Failed") or self.ended_at is not None


@dataclass(frozen=True)
class RunSeen:
    """The objects of one run: its Job with the ledger on it, the pods of that Job, and what their runners answer.

    `job_uid` is empty where the Job is gone and pods of it are left. `job_failed` is why the Job itself gave up;
    `trouble` is what keeps the Job from making pods, such as a quota. `rate` is requests per second just now.
    """

    job_name: str
    job_uid: str
    ledger: Ledger = field(default_factory=Ledger)
    job_failed: str = ""
    trouble: tuple[Reason, str] | None = None
    pods: tuple[PodSeen, ...] = ()
    answers: Mapping[str, RunnerAnswer] = field(default_factory=dict)
    rate: float = 0.0


@dataclass(frozen=True)
class Inputs:
    """What the test takes from its namespace.

    `config_maps`: `NAME/KEY` -> SHA-256 of each ConfigMap key that its plan names, None where it is missing. What its
    pods can't start without and isn't there is `NAME/KEY`, or `NAME` where they need the whole of it: Secrets, and the
    ConfigMaps of the pods' own variables and volumes. New contents of these ask for no new run.
    """

    config_maps: Mapping[str, str | None] = field(default_factory=dict)
    missing_secrets: tuple[str, ...] = ()
    missing_for_pods: tuple[str, ...] = ()

    @property
    def missing_config_maps(self) -> tuple[str, ...]:
        """The ConfigMap keys of the plan that aren't there, as `NAME/KEY`."""
        return tuple(sorted(name for name, digest in self.config_maps.items() if digest is None))


@dataclass(frozen=True)
class Owned:
    """An object that is ours and belongs to this LoadTest's name: a Job, a pod that isn't over, a ConfigMap or Secret.

    `owner` is the uid of the LoadTest it was made for (an earlier one of the same name may have been); of a pod, of its
    Job.
    """

    kind: Kind
    name: str
    uid: str
    run: str
    component: str
    owner: str
    number: int = 0
    deleting: bool = False


@dataclass(frozen=True)
class StoredResult:
    """The stored result of the newest run, and the hash of the limits that it was last judged by."""

    result: Result
    judged_by: str


@dataclass(frozen=True)
class Observed:
    """All that is known of one LoadTest at one moment.

    `load_test` is None where there is none; `test` is its validated model, None where `faults` say why not.
    `run` is that of `status.run` where its Job or pods of it exist. `budgets` judge this test; `budget_faults` say
    which that it names don't exist or aren't valid. `interrupted` says that whoever runs the operator calls the run
    off: what was measured is kept and judged, and nothing begins any more. `unstorable` says why the result of the
    run can't be kept, where that was tried and refused. `going` says that the namespace is being deleted, where that
    would change what is done.
    """

    namespace: str
    name: str
    load_test: Object | None = None
    test: LoadTest | None = None
    faults: tuple[Fault, ...] = ()
    status: LoadTestStatus | None = None
    budgets: tuple[PerformanceBudget, ...] = ()
    budget_faults: tuple[str, ...] = ()
    inputs: Inputs = field(default_factory=Inputs)
    run: RunSeen | None = None
    result: StoredResult | None = None
    owned: tuple[Owned, ...] = ()
    interrupted: bool = False
    unstorable: str = ""
    going: bool = False
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True)
class CreateRun:
    """Make the run's token Secret, plan ConfigMap and Job. The token is drawn when there is none yet."""

    run: str
    number: int


@dataclass(frozen=True)
class WriteLedger:
    """Put the ledger on the Job, if it is still the one with this uid. What follows counts on it being there."""

    job: str
    uid: str
    ledger: Ledger


@dataclass(frozen=True)
class RunSetup:
    """Tell one runner to run the setup block."""

    run: str
    uid: str


@dataclass(frozen=True)
class StartRunners:
    """Tell exactly these runners to begin at `at`; one told later begins at its place in the schedule.

    After `until` nobody is told any more: who begins later than that misses more of the load than is put down.
    `setup` are the values that setup extracted. They may be secret: they pass through and are stored nowhere.
    """

    run: str
    uids: tuple[str, ...]
    at: float
    until: float
    setup: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class StopRunners:
    """Tell these runners to end their load."""

    run: str
    uids: tuple[str, ...]
    graceful: bool
    reason: str


@dataclass(frozen=True)
class RunTeardown:
    """Tell one runner to run the teardown block, with what setup extracted."""

    run: str
    uid: str
    setup: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Acknowledge:
    """Tell finished runners that their last snapshot, by `sequences` of uid -> sequence, is safe: they may exit."""

    run: str
    sequences: Mapping[str, int]


@dataclass(frozen=True)
class StoreResult:
    """Keep the result of a run in a ConfigMap that the LoadTest owns, with the hash of what it was judged by."""

    run: str
    number: int
    result: Result
    judged_by: str


@dataclass(frozen=True)
class DeleteObject:
    """Remove one of our objects: a Job with its pods, a pod, a plan, a token, an old result."""

    kind: Kind
    name: str
    uid: str


@dataclass(frozen=True)
class RecordEvent:
    """Tell people."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


Action: TypeAlias = (
    CreateRun
    | WriteLedger
    | RunSetup
    | StartRunners
    | StopRunners
    | RunTeardown
    | Acknowledge
    | StoreResult
    | DeleteObject
    | RecordEvent
)


@dataclass(frozen=True)
class Decision:
    """What to do, in order; the status to write afterwards (None: none); when to look again, in seconds."""

    actions: tuple[Action, ...] = ()
    status: LoadTestStatus | None = None
    requeue_after: float | None = None
