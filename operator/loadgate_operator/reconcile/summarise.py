"""From where a run stands to what its status says: one row of conditions a state, as those who wait on us read them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import orjson

from loadgate.api.conditions import ConditionStatus, ConditionType, Outcome, Phase, Reason
from loadgate.api.status import Condition
from loadgate_operator.reconcile.clock import moment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgate.api.status import LoadTestStatus
    from loadgate.verdict import Verdict

YES, NO, UNKNOWN = ConditionStatus.Yes, ConditionStatus.No, ConditionStatus.Unknown
_TYPES = (
    ConditionType.Reconciling,
    ConditionType.Stalled,
    ConditionType.Ready,
    ConditionType.Complete,
    ConditionType.Passed,
)

MOST_MESSAGE = 1000
"""Characters of a condition's message; Kubernetes allows 32 KiB, but people read it in a terminal."""

MOST_BYTES = 32_000
"""Of a whole status, as JSON: it is read and written often, and by many."""


class Row(Enum):
    """The rows of the status contract: Reconciling, Stalled, Ready, Complete, Passed; None is absent."""

    UNDER_WAY = (YES, None, UNKNOWN, NO, UNKNOWN)
    PASSED = (None, None, YES, YES, YES)
    NOT_PASSED = (None, YES, NO, YES, NO)
    BLOCKED = (None, YES, NO, NO, UNKNOWN)


@dataclass(frozen=True)
class Stamp:
    """What a new status takes over from the one before, the generation that it speaks of, and when (Unix seconds)."""

    status: LoadTestStatus
    generation: int
    now: float


def conditions(
    row: Row, reason: str, message: str, stamp: Stamp, reasons: Mapping[ConditionType, str] | None = None
) -> list[Condition]:
    """A row's conditions. `reasons` are those that differ from `reason`.

    A condition keeps the time of its last transition while its status stays what it was before.
    """
    times = {(one.type, one.status): one.last_transition_time for one in stamp.status.conditions}
    return [
        Condition(
            type=kind,
            status=status,
            reason=str((reasons or {}).get(kind, reason)),
            message=message if len(message) <= MOST_MESSAGE else message[: MOST_MESSAGE - 1] + "…",
            last_transition_time=times.get((kind, status)) or moment(stamp.now),
            observed_generation=stamp.generation,
        )
        for kind, status in zip(_TYPES, row.value, strict=True)
        if status is not None
    ]


def under_way(stamp: Stamp, phase: Phase, reason: str, message: str) -> dict[str, object]:
    """The changes to a status whose run is under way."""
    row = conditions(Row.UNDER_WAY, reason, message, stamp)
    return {"phase": phase, "observed_generation": stamp.generation, "conditions": row}


def blocked(stamp: Stamp, reason: str, message: str) -> dict[str, object]:
    """The changes to a status where nothing can run until someone acts."""
    row = conditions(Row.BLOCKED, reason, message, stamp)
    return {"phase": Phase.Pending, "observed_generation": stamp.generation, "conditions": row}


def judged(stamp: Stamp, outcome: Outcome, reason: str, message: str) -> dict[str, object]:
    """The changes to a status whose run is over, with the reason that `why` found."""
    row, reasons = _final_row(outcome)
    found = conditions(row, reason, message, stamp, reasons)
    return {"phase": outcome.phase, "observed_generation": stamp.generation, "conditions": found}


def bounded(status: dict[str, Any]) -> dict[str, Any]:
    """A status, as JSON, that is small enough: where it isn't, the oldest runs and the least busy endpoints go."""
    for name in ("history", "endpoints"):
        size = len(orjson.dumps(status))
        kept = list(status.get(name) or ())
        while size > MOST_BYTES and kept:
            size -= len(orjson.dumps(kept.pop())) + 1
        status = {**status, name: kept} if name in status else status
    return status


def again(stamp: Stamp) -> dict[str, object]:
    """The changes to a status that says of another generation what it said before."""
    generation = stamp.generation
    same = [condition.model_copy(update={"observed_generation": generation}) for condition in stamp.status.conditions]
    return {"observed_generation": generation, "conditions": same}


def _final_row(outcome: Outcome) -> tuple[Row, dict[ConditionType, str]]:
    if outcome is Outcome.Passed:
        return Row.PASSED, {ConditionType.Complete: Reason.RunFinished}
    if outcome is Outcome.Inconclusive:
        unknown = Reason.Inconclusive
        return Row.NOT_PASSED, {
            ConditionType.Complete: Reason.RunFinished,
            ConditionType.Passed: unknown,
            ConditionType.Ready: unknown,
        }
    if outcome is Outcome.Aborted:
        return Row.NOT_PASSED, {kind: Reason.Aborted for kind in _TYPES if kind is not ConditionType.Stalled}
    return Row.NOT_PASSED, {ConditionType.Complete: Reason.RunFinished}


def why(verdict: Verdict) -> str:
    """The reason of a verdict: for Passed, or for what makes it Stalled."""
    if verdict.outcome is Outcome.Passed:
        return Reason.LimitsHeld if any(limit.enforced for limit in verdict.limits) else Reason.NothingAsked
    if verdict.outcome is Outcome.Aborted:
        return Reason.Aborted
    if verdict.outcome is Outcome.Inconclusive:
        first = next((doubt for doubt in verdict.doubts if not doubt.flattering), None)
        return (first or verdict.doubts[0]).reason
    broken = verdict.violations[0]
    return Reason.ThresholdViolated if broken.source == "threshold" else Reason.BudgetViolated
