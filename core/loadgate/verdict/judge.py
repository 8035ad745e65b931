"""The verdict: every limit and every doubt in, one outcome and one sentence out.

| doubts that aren't tolerated | a limit is broken | a limit has no sample | all limits held |
| --- | --- | --- | --- |
| none | Failed | Inconclusive | Passed |
| flattering ones only | Failed | Inconclusive | Inconclusive |
| any other | Inconclusive | Inconclusive | Inconclusive |

Where a flattering doubt means less load than planned, a broken limit on the amount of work (`http_reqs: rate>100`)
doesn't count as broken: the load that is missing may be why.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from loadgate.api.conditions import DoubtReason, Outcome
from loadgate.verdict.budgets import judge_budget
from loadgate.verdict.doubts import LESS_LOAD, Doubt
from loadgate.verdict.figures import cut
from loadgate.verdict.limits import LimitResult
from loadgate.verdict.thresholds import judge_thresholds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from loadgate.api.budget import PerformanceBudget
    from loadgate.api.limits import Threshold
    from loadgate.metrics import Measurement

LONGEST_MESSAGE = 1024
"""Characters. A condition's message is made of it, and a person reads it; all of it is in the limits and doubts."""


@dataclass(frozen=True)
class Verdict:
    """What is to be said of a run. `doubts` count against it, `tolerated` ones are only reported."""

    outcome: Outcome
    limits: tuple[LimitResult, ...]
    doubts: tuple[Doubt, ...]
    message: str
    tolerated: tuple[Doubt, ...] = ()

    @property
    def violations(self) -> tuple[LimitResult, ...]:
        """The broken limits that count; those of a budget that only warns are in `warnings`."""
        return tuple(limit for limit in self.limits if limit.broken and limit.enforced)

    @property
    def warnings(self) -> tuple[LimitResult, ...]:
        """The broken limits of budgets that only warn."""
        return tuple(limit for limit in self.limits if limit.broken and not limit.enforced)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "outcome": self.outcome.value,
            "message": self.message,
            "limits": [limit.to_json() for limit in self.limits],
            "doubts": [doubt.to_json() for doubt in self.doubts],
            "tolerated": [doubt.to_json() for doubt in self.tolerated],
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what `to_json` wrote. Raises KeyError, TypeError or ValueError for what it never writes."""
        return cls(
            outcome=Outcome[document["outcome"]],
            message=document["message"],
            limits=tuple(LimitResult.from_json(limit) for limit in document["limits"]),
            doubts=tuple(Doubt.from_json(doubt) for doubt in document["doubts"]),
            tolerated=tuple(Doubt.from_json(doubt) for doubt in document["tolerated"]),
        )


def judge(  # noqa: PLR0913 - one name each for all that a verdict depends on
    measurement: Measurement,
    *,
    thresholds: Mapping[str, Sequence[Threshold]],
    budgets: Iterable[PerformanceBudget] = (),
    doubts: Iterable[Doubt] = (),
    tolerated: Collection[DoubtReason] = (),
    crossed: Iterable[LimitResult] = (),
    aborted: str = "",
) -> Verdict:
    """Judge a run.

    `crossed` are limits as `live_abort` found them when they ended the run: what came in afterwards doesn't mend
    them. `aborted` says why a run was called off (suspended, deleted, replaced); its limits are judged all the same.
    """
    limits = judge_thresholds(measurement, thresholds)
    for budget in budgets:
        limits += judge_budget(measurement, budget)
    known, ended_by = list(doubts), list(crossed)
    if ended_by and not any(doubt.reason is DoubtReason.Interrupted for doubt in known):
        known.append(_cut_short(ended_by))
    return decide(_with_crossed(limits, ended_by), known, tolerated=tolerated, aborted=aborted)


def judge_again(
    previous: Verdict,
    measurement: Measurement,
    *,
    thresholds: Mapping[str, Sequence[Threshold]],
    budgets: Iterable[PerformanceBudget] = (),
    tolerated: Collection[DoubtReason] = (),
) -> Verdict:
    """Judge a stored result by other limits, without new load. What was doubted of the measurement stays in doubt."""
    doubts = [*previous.doubts, *previous.tolerated]
    return judge(
        measurement,
        thresholds=thresholds,
        budgets=budgets,
        # Whether a limit has samples depends on the limit, so that is asked anew.
        doubts=[doubt for doubt in doubts if doubt.reason is not DoubtReason.NoSamples],
        tolerated=tolerated,
        crossed=[limit for limit in previous.limits if limit.ended_run],
        aborted=previous.message if previous.outcome is Outcome.Aborted else "",
    )


def decide(
    limits: Sequence[LimitResult],
    doubts: Iterable[Doubt],
    *,
    tolerated: Collection[DoubtReason] = (),
    aborted: str = "",
) -> Verdict:
    """The verdict over limits that are judged already."""
    everything = [*doubts, *_without_samples(limits)]
    counting = tuple(doubt for doubt in everything if doubt.reason not in tolerated)
    borne = tuple(doubt for doubt in everything if doubt.reason in tolerated)
    outcome = Outcome.Aborted if aborted else _outcome(limits, counting)
    message = cut(aborted or _message(outcome, limits, counting), LONGEST_MESSAGE)
    return Verdict(outcome, tuple(limits), counting, message, borne)


def _cut_short(crossed: Sequence[LimitResult]) -> Doubt:
    """A run that a limit ended is not whole: were that limit taken away later, the rest mustn't pass for all of it."""
    message = f"abortOnFail ended the run: {crossed[0].sentence()}; what would have come after it was not measured"
    return Doubt(DoubtReason.Interrupted, message, crossed[0].subject, True)


def _with_crossed(limits: list[LimitResult], crossed: Iterable[LimitResult]) -> list[LimitResult]:
    then = {_identity(limit): limit for limit in crossed}
    return [then.get(_identity(limit), limit) for limit in limits]


def _identity(limit: LimitResult) -> tuple[str, str, str]:
    return limit.source, limit.subject, limit.expression


def _without_samples(limits: Iterable[LimitResult]) -> list[Doubt]:
    subjects = [f"{limit.subject} ({limit.source})" for limit in limits if limit.enforced and limit.passed is None]
    if not subjects:
        return []
    shown = ", ".join(subjects[:5]) + (f" and {len(subjects) - 5} more" if len(subjects) > 5 else "")
    message = (
        f"nothing was measured for {shown}; look for a misspelt name or tag, let the load run until it gets there, "
        "or take the limit away"
    )
    return [Doubt(DoubtReason.NoSamples, message, f"{len(subjects)} without a sample", True)]


def _outcome(limits: Iterable[LimitResult], doubts: Collection[Doubt]) -> Outcome:
    if any(not doubt.flattering for doubt in doubts):
        return Outcome.Inconclusive
    if any(_stands(limit, doubts) for limit in limits):
        return Outcome.Failed
    return Outcome.Inconclusive if doubts else Outcome.Passed


def _stands(limit: LimitResult, doubts: Iterable[Doubt]) -> bool:
    """Whether a limit is broken for certain under doubts that all flatter."""
    less_load = any(doubt.reason in LESS_LOAD for doubt in doubts)
    return limit.enforced and limit.broken and (limit.ended_run or not (limit.volume and less_load))


def _message(outcome: Outcome, limits: Sequence[LimitResult], doubts: Sequence[Doubt]) -> str:
    if outcome is Outcome.Failed:
        return _broken(limits)
    if outcome is Outcome.Inconclusive:
        first = next((doubt for doubt in doubts if not doubt.flattering), doubts[0])
        others = len(doubts) - 1
        more = f"; and {others} more {'doubt' if others == 1 else 'doubts'}" if others else ""
        return first.message + more
    return _held(limits) if limits else "nothing was asked for, and it ran"


def _broken(limits: Sequence[LimitResult]) -> str:
    asked = [limit for limit in limits if limit.enforced]
    broken = [limit for limit in asked if limit.broken]
    worst = min(broken, key=lambda limit: -math.inf if limit.margin is None else limit.margin)
    are = "is" if len(broken) == 1 else "are"
    return f"{len(broken)} of {_limits(len(asked))} {are} broken, the worst: {worst.sentence()}"


def _held(limits: Sequence[LimitResult]) -> str:
    asked = [limit for limit in limits if limit.enforced]
    held = sum(1 for limit in asked if limit.passed)
    warned = sum(1 for limit in limits if limit.broken)
    said = f"all {_limits(held)} held" if held == len(asked) else f"{held} of {_limits(len(asked))} held"
    if held < len(asked):
        said += f"; {len(asked) - held} had no sample, which is tolerated"
    return f"{said}; {_limits(warned)} broken of budgets that only warn" if warned else said


def _limits(count: int) -> str:
    return "1 limit" if count == 1 else f"{count} limits"
