"""Judging while load is on: thresholds that end a run at once when they are broken."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from loadgate.verdict.thresholds import judge_threshold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadgate.api.limits import Threshold
    from loadgate.metrics import Measurement
    from loadgate.verdict.limits import LimitResult


def live_abort(
    measurement: Measurement, thresholds: Mapping[str, Sequence[Threshold]], elapsed: float
) -> list[LimitResult]:
    """The broken limits that are to end the run now: those with `abortOnFail` whose delay is over.

    `elapsed` is the judged time so far in seconds: the warm-up gives no samples to judge, so a delay begins after it.
    """
    return [
        replace(result, ended_run=True)
        for metric, several in thresholds.items()
        for threshold in several
        if threshold.abort_on_fail and elapsed >= threshold.delay_abort_eval.seconds
        if (result := judge_threshold(measurement, metric, threshold.threshold)).broken
    ]
