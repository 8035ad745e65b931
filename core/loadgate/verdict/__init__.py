"""From a measurement to a verdict: limits, doubts, and the figures that a run comes down to. No clock, no I/O."""

from loadgate.verdict.budgets import judge_budget, select_budgets
from loadgate.verdict.doubts import (
    Doubt,
    deadline_exceeded,
    denied_sentence,
    doubts_of,
    interrupted,
    late_start,
    setup_failed,
    start_deadline_exceeded,
)
from loadgate.verdict.judge import Verdict, decide, judge, judge_again
from loadgate.verdict.limits import LimitResult
from loadgate.verdict.live import live_abort
from loadgate.verdict.status import doubts_of_verdict, summarise, summarise_endpoints, violations_of
from loadgate.verdict.summary import Figures, by_check, by_endpoint, totals
from loadgate.verdict.thresholds import judge_threshold, judge_thresholds

__all__ = [
    "Doubt",
    "Figures",
    "LimitResult",
    "Verdict",
    "by_check",
    "by_endpoint",
    "deadline_exceeded",
    "decide",
    "denied_sentence",
    "doubts_of",
    "doubts_of_verdict",
    "interrupted",
    "judge",
    "judge_again",
    "judge_budget",
    "judge_threshold",
    "judge_thresholds",
    "late_start",
    "live_abort",
    "select_budgets",
    "setup_failed",
    "start_deadline_exceeded",
    "summarise",
    "summarise_endpoints",
    "totals",
    "violations_of",
]
