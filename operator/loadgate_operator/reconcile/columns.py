"""What `kubectl get` shows of a LoadTest: from its status, as text, since a printer column only copies one field."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgate.api.conditions import ConditionType
from loadgate.api.status import Columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadgate.api.status import LoadTestStatus

_TELLING = (ConditionType.Stalled, ConditionType.Reconciling, ConditionType.Passed)
"""The conditions whose reasons say most of where a test stands, the most telling first."""

MOST_NAMES = 3
"""Budgets that are named; a line of a terminal holds no more."""


def columns(status: LoadTestStatus) -> Columns:
    """The columns of a status."""
    return Columns(
        reason=_reason(status),
        runners=_runners(status),
        requests_per_second=_rate(status),
        budgets=_few(status.budgets),
    )


def _reason(status: LoadTestStatus) -> str:
    reasons = {one.type: one.reason for one in status.conditions}
    reason = next((reasons[kind] for kind in _TELLING if kind in reasons), "")
    return "" if reason == status.phase else reason


def _runners(status: LoadTestStatus) -> str:
    return f"{status.runners.ready}/{status.runners.desired}" if status.runners else ""


def _rate(status: LoadTestStatus) -> str:
    found = status.load or status.summary
    if found is None:
        return ""
    rate = found.requests_per_second
    return f"{rate:.1f}" if rate < 1000 else f"{rate:.0f}"


def _few(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ",".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
