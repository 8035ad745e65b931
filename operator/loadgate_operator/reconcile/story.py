"""What a change of status is worth telling, as events: that load is on, and each new thing that holds a run up.

How a run began and how it ended is told by what decides it; this is what happens between the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from loadgate.api.conditions import ConditionType, Reason
from loadgate_operator.reconcile.model import RecordEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOLD: dict[str, Literal["Normal", "Warning"]] = {
    Reason.Queued: "Normal",
    Reason.SettingUp: "Normal",
    Reason.Running: "Normal",
    Reason.TearingDown: "Normal",
    Reason.Retrying: "Normal",
    Reason.Suspended: "Normal",
    Reason.QuotaExceeded: "Warning",
    Reason.ImagePullFailed: "Warning",
    Reason.Unschedulable: "Warning",
    Reason.ConfigMapNotFound: "Warning",
    Reason.SecretNotFound: "Warning",
    Reason.PodRefused: "Warning",
    Reason.SidecarNotReady: "Warning",
    Reason.RunnerNotArmed: "Warning",
    Reason.RunnerUnreachable: "Warning",
    Reason.InvalidSpec: "Warning",
    Reason.TargetNotAllowed: "Warning",
    Reason.BudgetNotFound: "Warning",
    Reason.ResultUnreadable: "Warning",
}
_TELLING = (ConditionType.Reconciling, ConditionType.Stalled)


def told(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[RecordEvent]:
    """The events of a status that follows another."""
    old = {(one["type"], one["reason"]) for one in before.get("conditions") or ()}
    return [
        RecordEvent(_TOLD[one["reason"]], one["reason"], one["message"])
        for one in after.get("conditions") or ()
        if one["type"] in _TELLING and one["reason"] in _TOLD and (one["type"], one["reason"]) not in old
    ]
