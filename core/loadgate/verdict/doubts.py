"""Was it the target, or was it us? What the runners say of themselves, held against documented levels.

Each level is where an effect begins to be as large as what a gate decides by; below it there is nothing to say.
A doubt is *flattering* when it can only make the figures look better than the truth: then a limit that is broken
all the same is broken for certain.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from loadgate.api.conditions import DoubtReason
from loadgate.api.units import format_bytes, format_duration, format_ratio
from loadgate.metrics import matches, merge_all
from loadgate.plan.pace import arrivals, arrived
from loadgate.plan.schedule import ArrivalSchedule
from loadgate.verdict.summary import seconds_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loadgate.metrics import Health, Measurement, Snapshot
    from loadgate.plan.document import Plan, PlanScenario

MISSING_SHARE = 0.001
"""Of the iterations that were due, how many may be missing (dropped, or ended by the journey's own error).

One in a thousand: a p99 is decided by one request in a hundred, so the missing ones, were they all slow, would
move it by a tenth of its rank. More than that could turn a verdict.
"""

REACHED_SHARE = 0.99
"""Of the iterations that were asked for, how many must have been begun or counted as dropped.

Start and end of a run cost a few; one in a hundred is load that the target was spared.
"""

LATE_SHARE = 0.01
"""Of the run, how much may be over before a runner begins; as for iterations, it is load that the target was spared."""

LATE_SECONDS = 0.25
"""A delay of the start that is let pass however short the run is: what a busy machine may hold a process up by."""

LAG_SECONDS = 0.050
"""An event loop's lag (p99) from which on its timings are doubted: it is added to every time that is measured.

Limits are hundreds of milliseconds, so a smaller lag decides nothing, and a machine shared with others has spikes
of 10 to 30 ms without being overloaded.
"""

SLIP_SECONDS = 0.050
"""How late (p99) iterations may begin; as for the lag, since open-model latency counts from when they were due."""

OWN_DELAY_SHARE = 0.10
"""A delay of ours matters from a tenth of the measured p95 on: 60 ms are noise where the target takes 2 s."""

CPU_SHARE = 0.90
"""Of the CPU that a runner is allowed, on average: above it there are queues in front of its own work."""

THROTTLED_SHARE = 0.10
"""Of the scheduler's periods, how many may have stopped the runner at its quota, asleep with requests under way."""

MEMORY_SHARE = 0.90
"""Of the memory limit: what is left is what the kernel wants for sockets, and beyond it the runner is killed."""

FD_SHARE = 0.90
"""Of the open files: near the limit new connections fail, and the target is blamed for it.

Of connections that fail for want of something that is ours (a descriptor, a port, a buffer) one is enough for a doubt:
it is a failed request that the target never heard of.
"""

_FEWER = "lower target.connection.maxConnections"


@dataclass(frozen=True)
class Doubt:
    """A reason not to trust a result: what it is, what to change, and the figure that says so."""

    reason: DoubtReason
    message: str
    figure: str
    flattering: bool = False

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {**asdict(self), "reason": self.reason.value}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(**{**document, "reason": DoubtReason[document["reason"]]})


LESS_LOAD = frozenset(
    {
        DoubtReason.DroppedIterations,
        DoubtReason.RateNotReached,
        DoubtReason.LateStart,
        DoubtReason.DeadlineExceeded,
        DoubtReason.DataExhausted,
        DoubtReason.ScriptFailed,
        DoubtReason.Interrupted,
    }
)
"""Doubts that mean less load than planned: a limit that asks for at least so much work can't be judged under them."""


def doubts_of(
    plan: Plan,
    snapshots: Sequence[Snapshot],
    *,
    lost: Sequence[str] = (),
    silent: Sequence[str] = (),
    cut: bool = False,
) -> list[Doubt]:
    """Every doubt that the runners' last snapshots and their absence give rise to.

    `lost` and `silent` name runners whose last results never came. `cut` says that the run was ended early on
    purpose (deadline, abort threshold, by hand), so that what is missing at its end is no news; a denied connection
    ends one, too.
    """
    merged = merge_all(snapshot.measurement for snapshot in snapshots)
    cut = cut or any(snapshot.health.denied for snapshot in snapshots)
    elapsed = max((snapshot.elapsed for snapshot in snapshots), default=0.0)
    return [
        *_denied(snapshots),
        *_absent(lost, silent, plan.runners),
        *_unfinished(snapshots, cut=cut),
        *_load(plan, merged, elapsed, cut=cut),
        *_starts(snapshots, plan.duration),
        *_health(snapshots, merged, pooled=plan.target.connection.max_connections is not None),
    ]


def deadline_exceeded(deadline: float, elapsed: float, planned: float) -> Doubt:
    """The run was cut off by `spec.deadline`; all three in seconds."""
    message = (
        f"the deadline of {format_duration(deadline)} cut the run off {format_duration(elapsed)} into the planned "
        f"{format_duration(planned)}; raise spec.deadline or shorten the scenarios"
    )
    return Doubt(
        DoubtReason.DeadlineExceeded, message, f"{format_duration(elapsed)} of {format_duration(planned)}", True
    )


def start_deadline_exceeded(deadline: float, why: str) -> Doubt:
    """The runners weren't ready in time; `why` says what held them up."""
    message = f"the runners weren't ready within spec.startDeadline: {why}"
    return Doubt(DoubtReason.StartDeadlineExceeded, message, format_duration(deadline))


def setup_failed(why: str) -> Doubt:
    """The setup steps failed, so no load was made."""
    return Doubt(DoubtReason.SetupFailed, f"the setup failed, so no load was made: {why}", "setup")


def interrupted(elapsed: float, planned: float) -> Doubt:
    """The run was stopped by hand; both in seconds."""
    if elapsed <= 0:
        return Doubt(DoubtReason.Interrupted, "the run was stopped by hand before its load began", "no load", True)
    message = f"the run was stopped by hand after {_part(elapsed, planned)}; run it again to have all of it"
    return Doubt(DoubtReason.Interrupted, message, _part(elapsed, planned), True)


def _part(elapsed: float, planned: float) -> str:
    return f"{format_duration(elapsed)} of {format_duration(planned)}"


def denied_sentence(first: str) -> str:
    """What ended a run whose runners denied connections, and what to change; `first` is what the first was about."""
    return (
        f"{first or 'load may not go where the test leads'}; the run ended there. Have the platform's allowedTargets "
        "list it, or keep the test away from it (maxRedirects: 0 takes a redirect as the answer)"
    )


def _denied(snapshots: Sequence[Snapshot]) -> Iterator[Doubt]:
    where = [snapshot for snapshot in snapshots if snapshot.health.denied]
    if where:
        count = sum(snapshot.health.denied for snapshot in where)
        figure = f"{count} connection{'s' if count > 1 else ''} denied"
        yield Doubt(DoubtReason.ConnectionDenied, denied_sentence(where[0].health.first_denied), figure)


def _absent(lost: Sequence[str], silent: Sequence[str], runners: int) -> Iterator[Doubt]:
    if lost:
        were = "was" if len(lost) == 1 else "were"
        message = (
            f"{_names(lost)} {were} lost before handing over results; see the pod's events "
            "(eviction, memory, a node that went away) and run again"
        )
        yield Doubt(DoubtReason.RunnerLost, message, f"{len(lost)} of {runners}")
    if silent:
        message = (
            f"{_names(silent)} stopped answering and the last results never came; look at the pod's log, "
            "and whether a network policy or a service mesh stands between the operator and port 9119"
        )
        yield Doubt(DoubtReason.RunnerSilent, message, f"{len(silent)} of {runners}")


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _unfinished(snapshots: Sequence[Snapshot], *, cut: bool) -> Iterator[Doubt]:
    short = [f"runner {snapshot.runner}" for snapshot in snapshots if not snapshot.complete]
    if short and not cut:
        message = (
            f"{_names(short)} ended before doing the whole share of the plan: it was stopped, or iterations "
            "were left when maxDuration was over; raise maxDuration, or ask for fewer iterations"
        )
        yield Doubt(DoubtReason.Interrupted, message, f"{len(short)} of {len(snapshots)} runners", True)


def _load(plan: Plan, measurement: Measurement, elapsed: float, *, cut: bool) -> Iterator[Doubt]:
    for scenario in plan.scenarios:
        begun, dropped, failed = _iterations(measurement, scenario.name)
        due = begun + dropped
        if dropped > MISSING_SHARE * due:
            yield _dropped(scenario, dropped, due)
        asked = _asked(scenario, plan.warmup, elapsed)
        if due < REACHED_SHARE * asked and not cut:  # a run that was ended asks for nothing while it winds down
            yield _not_reached(scenario, due, asked)
        if failed > MISSING_SHARE * due:
            yield _script_failed(scenario, failed, begun)


def _iterations(measurement: Measurement, scenario: str) -> tuple[int, int, int]:
    """Of a scenario: begun, dropped, and ended by an error of the journey's own."""
    pair = (("scenario", scenario),)
    rows = [stats for tags, stats in measurement.iterations.items() if matches(tags, pair)]
    failed = sum(stats.failed for stats in rows)
    begun = failed + sum(stats.completed + stats.interrupted for stats in rows)
    return begun, sum(stats.dropped for stats in rows), failed


def _asked(scenario: PlanScenario, warmup: float, elapsed: float) -> int:
    """How many iterations were due after the warm-up and up to `elapsed` seconds; 0 where no rate is asked for."""
    if not isinstance(scenario.schedule, ArrivalSchedule):
        return 0
    upto = min(arrivals(scenario.schedule), math.floor(arrived(scenario.schedule, elapsed - scenario.start)))
    before = math.ceil(arrived(scenario.schedule, warmup - scenario.start))
    return max(0, upto - before)


def _dropped(scenario: PlanScenario, dropped: int, due: int) -> Doubt:
    message = (
        f"scenario {scenario.name}: {dropped} of {due} iterations had no free VU and were dropped; "
        "raise maxVUs, or lower the rate to what the target can answer"
    )
    return Doubt(DoubtReason.DroppedIterations, message, format_ratio(dropped / due), True)


def _not_reached(scenario: PlanScenario, due: int, asked: int) -> Doubt:
    message = (
        f"scenario {scenario.name}: {due} of {asked} iterations that were asked for began; "
        "give the runners more CPU or add runners (spec.runners.count)"
    )
    return Doubt(DoubtReason.RateNotReached, message, format_ratio(due / asked), True)


def _script_failed(scenario: PlanScenario, failed: int, begun: int) -> Doubt:
    message = (
        f"scenario {scenario.name}: {failed} of {begun} iterations ended by an error of the journey itself, so what "
        "came after it was not measured; the runner's log has the traceback"
    )
    return Doubt(DoubtReason.ScriptFailed, message, format_ratio(failed / begun), True)


def _starts(snapshots: Sequence[Snapshot], duration: float) -> Iterator[Doubt]:
    for snapshot in snapshots:
        late = snapshot.health.began_late
        if late > max(LATE_SECONDS, LATE_SHARE * duration):
            yield late_start(
                f"runner {snapshot.runner} began {format_duration(late)} late because it was held up", late
            )


def late_start(who: str, late: float) -> Doubt:
    """A runner's load began so many seconds late; `who` says whose, and why."""
    message = (
        f"{who}, and its load until then is missing; give the runners CPU of their own "
        "(spec.runners.resources) and run it again"
    )
    return Doubt(DoubtReason.LateStart, message, format_duration(late), flattering=True)


def _health(snapshots: Sequence[Snapshot], measurement: Measurement, *, pooled: bool) -> Iterator[Doubt]:
    p95 = seconds_at(measurement.select_requests().duration, 0.95) or 0.0
    for snapshot in snapshots:
        who, health = f"runner {snapshot.runner}", snapshot.health
        yield from _delays(who, health, p95)
        yield from _limits(who, health, pooled=pooled)
        yield from _losses(who, health)


def _delays(who: str, health: Health, p95: float) -> Iterator[Doubt]:
    more = "give it more CPU (spec.runners.resources) or add runners (spec.runners.count)"
    if health.lag_p99 >= max(LAG_SECONDS, OWN_DELAY_SHARE * p95):
        lag = format_duration(health.lag_p99)
        message = f"{who}'s event loop lagged by {lag} (p99), which is in the times it measured; {more}"
        yield Doubt(DoubtReason.LoopLag, message, lag)
    if health.slip_p99 >= max(SLIP_SECONDS, OWN_DELAY_SHARE * p95):
        slip = format_duration(health.slip_p99)
        message = f"{who} began iterations {slip} late (p99) because it was busy; {more}"
        yield Doubt(DoubtReason.ScheduleSlip, message, slip)


def _limits(who: str, health: Health, *, pooled: bool) -> Iterator[Doubt]:
    cores = "1 core" if health.cores == 1 else f"{health.cores:g} cores"
    used, throttled = format_ratio(health.cpu_ratio), format_ratio(health.throttled_ratio)
    if health.cpu_ratio >= CPU_SHARE or health.throttled_ratio >= THROTTLED_SHARE:
        message = (
            f"{who} used {used} of its CPU ({cores}) and was throttled {throttled} of the time; "
            "raise spec.runners.resources.limits.cpu or spec.runners.count"
        )
        yield Doubt(DoubtReason.CPULimit, message, used if health.cpu_ratio >= CPU_SHARE else f"{throttled} throttled")
    yield from _memory(who, health)
    yield from _connections(who, health, pooled=pooled)


def _memory(who: str, health: Health) -> Iterator[Doubt]:
    more = "raise spec.runners.resources.limits.memory or spec.runners.count"
    used = health.memory or health.rss
    if health.memory_limit and used >= MEMORY_SHARE * health.memory_limit:
        figure = f"{format_bytes(used)} of {format_bytes(health.memory_limit)}"
        yield Doubt(DoubtReason.MemoryLimit, f"{who} came close to its memory limit; {more}", figure)
    elif health.no_buffer:
        message = f"{who} found no memory for {_connections_of(health.no_buffer)}, which failed; {more}"
        yield Doubt(DoubtReason.MemoryLimit, message, str(health.no_buffer))


def _connections(who: str, health: Health, *, pooled: bool) -> Iterator[Doubt]:
    more = "raise the limit (ulimit -n) or spec.runners.count"
    kept = "keep connections (target.connection.reuse: always)"
    if pooled:  # where they are kept anyhow
        more += f", or {_FEWER}"
        kept = f"keep connections for longer (target.connection.maxRequests, maxAge, idleTimeout), {_FEWER}"
    if health.no_descriptor:
        failed = _connections_of(health.no_descriptor)
        message = f"{who} had all the files open that it may, so {failed} failed; {more}"
        yield Doubt(DoubtReason.FileDescriptors, message, str(health.no_descriptor))
    elif health.fd_limit and health.fds >= FD_SHARE * health.fd_limit:
        message = f"{who} came close to its limit of open files; {more}"
        yield Doubt(DoubtReason.FileDescriptors, message, f"{health.fds} of {health.fd_limit}")
    if health.no_port:
        message = (
            f"{who} found no free port of its own for {_connections_of(health.no_port)}, which failed; raise "
            f"spec.runners.count, {kept}, or widen net.ipv4.ip_local_port_range of the pods"
        )
        yield Doubt(DoubtReason.SourcePorts, message, str(health.no_port))


def _connections_of(count: int) -> str:
    return f"{count} connection{'s' if count > 1 else ''}"


def _losses(who: str, health: Health) -> Iterator[Doubt]:
    if health.tokens_lapsed:
        message = (
            f"{who} was without a valid token for the target ({health.first_lapse}), so what the target refused may be "
            "no fault of its own; see to the token endpoint (spec.target.auth.oauth2)"
        )
        yield Doubt(DoubtReason.TokenLapsed, message, str(health.tokens_lapsed))
    if health.data_exhausted:
        message = (
            f"{who} ran out of unique data rows, which ended {health.data_exhausted} of its VUs early; "
            "add rows, or use order: sequential"
        )
        yield Doubt(DoubtReason.DataExhausted, message, str(health.data_exhausted), True)
    if health.labels_dropped:
        message = (
            f"{who} met more names and tags than it keeps apart, and put {health.labels_dropped} of them together as "
            '"other"; name requests (request.name) and keep ids out of names and tags'
        )
        yield Doubt(DoubtReason.LabelsOverflow, message, str(health.labels_dropped))
