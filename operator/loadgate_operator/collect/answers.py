"""Whom we talk with, and what we know of each of them from what they said last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadgate.control import RunnerReport
    from loadgate.metrics import Snapshot


@dataclass(frozen=True)
class Runner:
    """One pod of a run, and how to reach it. Its uid, not its index, is who it is: an index may be run twice."""

    run: str
    index: int
    uid: str
    url: str
    token: str


@dataclass(frozen=True)
class RunnerAnswer:
    """What is known of a runner. Times are Unix seconds of the operator's clock.

    `report` is the last good one and `snapshot` the newest by sequence; both stay when the runner falls silent.
    `silent_since` is when it was first asked in vain since it last answered, `silent_until` when it was last, both
    None while it answers; `fault` says why the last call came to nothing ("" when it came to something).
    """

    index: int
    uid: str
    report: RunnerReport | None = None
    snapshot: Snapshot | None = None
    answered_at: float | None = None
    silent_since: float | None = None
    silent_until: float | None = None
    fault: str = ""

    @property
    def silent_for(self) -> float:
        """For how many seconds it has been asked in vain."""
        if self.silent_since is None or self.silent_until is None:
            return 0.0
        return self.silent_until - self.silent_since
