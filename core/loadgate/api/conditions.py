"""Every condition, reason, phase and doubt that a status may hold, each with what it means: no literals elsewhere."""

from enum import StrEnum
from typing import Self


class Documented(StrEnum):
    """Constants that carry what they mean, so that the reference is written from them."""

    doc: str

    def __new__(cls, value: str, doc: str) -> Self:
        """A member is its text; its meaning is `.doc`."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.doc = doc
        return member


class Phase(Documented):
    """Where a LoadTest is, for people; machines read the conditions."""

    Pending = "Pending", "nothing has begun: suspended, queued, or the spec can't be used"
    Starting = "Starting", "the runners are being made and armed"
    Running = "Running", "load is on the target"
    Judging = "Judging", "the results are merged, stored and judged"
    Passed = "Passed", "every limit was measured and held"
    Failed = "Failed", "the target broke a limit"
    Inconclusive = "Inconclusive", "the measurement can't be trusted, so nothing is claimed of the target"
    Aborted = "Aborted", "the run was called off: suspended, deleted or replaced by a new spec"

    @property
    def is_final(self) -> bool:
        """Whether the run is over."""
        return self in (Phase.Passed, Phase.Failed, Phase.Inconclusive, Phase.Aborted)


class Outcome(Documented):
    """A run's verdict."""

    Passed = "Passed", "every limit was measured and held"
    Failed = "Failed", "the target broke a limit"
    Inconclusive = "Inconclusive", "the measurement can't be trusted"
    Aborted = "Aborted", "the run was called off before its end"

    @property
    def phase(self) -> Phase:
        """The phase that shows this verdict."""
        return Phase[self.name]


class ConditionType(Documented):
    """The conditions of a LoadTest and of a PerformanceBudget."""

    Complete = "Complete", "True: the run is over and its verdict is final, whatever it says. False: it isn't"
    Passed = (
        "Passed",
        (
            "True: everything asked for held. False: something didn't, or it can't be known (reason Inconclusive). "
            "Unknown while a run is under way"
        ),
    )
    Ready = "Ready", "True: it passed, or nothing was asked for and it ran. False: failed, inconclusive or invalid"
    Reconciling = "Reconciling", "True while a run is prepared, is running or is judged; absent otherwise"
    Stalled = "Stalled", "True where nothing will change without someone acting; absent otherwise"
    Satisfied = "Satisfied", "of a budget. True: every test that it judges held it. False: at least one didn't"


class ConditionStatus(Documented):
    """What a condition may be."""

    Yes = "True", "it is so"
    No = "False", "it isn't so"
    Unknown = "Unknown", "it can't be said yet"


class Reason(Documented):
    """Why a condition is what it is. A Stalled condition may also have a DoubtReason as its reason."""

    # the run's way
    Queued = "Queued", "the run waits for another run of this test to end"
    Suspended = "Suspended", "spec.suspend is true: nothing starts, and a run under way was called off"
    Preparing = "Preparing", "the plan, the token and the runners' Job are being made"
    WaitingForRunners = "WaitingForRunners", "the runners' pods start and arm; none has begun"
    SettingUp = "SettingUp", "one runner does the setup steps; load begins when they are done"
    Running = "Running", "load is on the target"
    TearingDown = "TearingDown", "the load is over, and one runner does the teardown steps"
    TeardownFailed = "TeardownFailed", "the teardown steps weren't done, or not all of them; the verdict stands"
    Stopping = "Stopping", "the runners end their iterations and hand over what they measured"
    Judging = "Judging", "the results are merged, stored and judged"
    Retrying = "Retrying", "the last attempt was inconclusive, and spec.onInconclusive asks for another"

    # what holds a run up before it starts
    QuotaExceeded = "QuotaExceeded", "a ResourceQuota leaves no room for the runners"
    ImagePullFailed = "ImagePullFailed", "a node can't pull the runners' image"
    Unschedulable = "Unschedulable", "no node fits the runners' pods"
    ConfigMapNotFound = "ConfigMapNotFound", "a ConfigMap, or a key in it, that the test names isn't there"
    SecretNotFound = "SecretNotFound", "a Secret, or a key in it, that the test names isn't there"
    PodRefused = "PodRefused", "admission refused the runners' pods"
    SidecarNotReady = "SidecarNotReady", "a container that was injected into the runners' pods isn't ready"
    RunnerNotArmed = "RunnerNotArmed", "a runner couldn't prepare the plan; its message says why"
    RunnerUnreachable = "RunnerUnreachable", "a runner's control port doesn't answer the operator"

    # verdicts
    LimitsHeld = "LimitsHeld", "every limit was measured and held"
    NothingAsked = "NothingAsked", "the test ran; it has neither thresholds nor budgets"
    ThresholdViolated = "ThresholdViolated", "a threshold of the test was broken"
    BudgetViolated = "BudgetViolated", "a PerformanceBudget was broken"
    Inconclusive = "Inconclusive", "the measurement can't be trusted; status.doubts says why"
    Aborted = "Aborted", "the run was called off before its end"
    RunFinished = "RunFinished", "the run is over"

    # what someone must change
    InvalidSpec = "InvalidSpec", "the spec can't be used; the message lists every fault with its path"
    TargetNotAllowed = "TargetNotAllowed", "load may not go where the test leads; the message lists every URL's path"
    BudgetNotFound = "BudgetNotFound", "a budget that spec.budgets names isn't there"
    ResultUnreadable = "ResultUnreadable", "the stored result is gone or damaged, so nothing can be judged again"

    # of a budget
    Accepted = "Accepted", "the budget can be used"
    NoResults = "NoResults", "no test that the budget judges has a result yet"


class DoubtReason(Documented):
    """Why a result can't be trusted. Any of them makes a verdict Inconclusive, unless spec.tolerateDoubts lists it."""

    RunnerLost = "RunnerLost", "a runner's pod ended or was replaced before it handed over its results"
    RunnerSilent = "RunnerSilent", "a runner whose pod is there stopped answering, and its last results never came"
    DroppedIterations = "DroppedIterations", "iterations that were due had no free VU; raise maxVUs"
    RateNotReached = "RateNotReached", "fewer iterations began than were asked for"
    LateStart = "LateStart", "a runner began its load later than planned, so what was due until then is missing"
    LoopLag = "LoopLag", "a runner's event loop lagged, so its timings include its own delays"
    ScheduleSlip = "ScheduleSlip", "iterations began later than planned because the runner was busy"
    CPULimit = "CPULimit", "a runner used all the CPU that it is allowed"
    MemoryLimit = "MemoryLimit", "a runner came close to its memory limit, or found no memory for a connection"
    FileDescriptors = "FileDescriptors", "a runner came close to its limit of open files, or met it"
    SourcePorts = "SourcePorts", "a runner found no free port of its own for a connection"
    NoSamples = "NoSamples", "a limit has nothing to judge"
    DeadlineExceeded = "DeadlineExceeded", "spec.deadline cut the run off"
    StartDeadlineExceeded = "StartDeadlineExceeded", "the runners weren't ready within spec.startDeadline"
    ArmingFailed = "ArmingFailed", "a runner couldn't prepare the plan, so no load was made; its message says why"
    DataExhausted = "DataExhausted", "unique data ran out of rows before the load ended"
    LabelsOverflow = "LabelsOverflow", "more tag values than a runner keeps apart; some samples lost theirs"
    SetupFailed = "SetupFailed", "the setup steps failed, so no load was made"
    ScriptFailed = "ScriptFailed", "a Python journey raised an error of its own"
    ConnectionDenied = (
        "ConnectionDenied",
        "a request led to where load may not go, so the run ended; it can't be tolerated",
    )
    TokenLapsed = (
        "TokenLapsed",
        "a runner's token for the target ran out, or was refused, and no new one came in its place",
    )
    Interrupted = "Interrupted", "the run was stopped by hand before its end"


class Cause(Documented):
    """Why there is a new run."""

    Created = "Created", "the object is new"
    SpecChanged = "SpecChanged", "something that alters the load or the target changed"
    InputsChanged = "InputsChanged", "a ConfigMap that a script or data comes from has new contents"
    Rerun = "Rerun", "the annotation loadgate.dev/rerun has a new value"
    Resumed = "Resumed", "spec.suspend is no longer true"
    Retry = "Retry", "the last attempt was inconclusive"


RERUN_ANNOTATION = "loadgate.dev/rerun"
