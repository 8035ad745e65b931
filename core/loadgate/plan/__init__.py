"""A LoadTest compiled to what runners are told, and divided among them exactly."""

from loadgate.plan.compile import (
    compile_plan,
    config_map_refs,
    path_of,
    schedule_of,
    secret_env,
    secret_sources,
    timeouts_of,
)
from loadgate.plan.document import Plan, PlanData, PlanError, PlanScenario, PlanTarget, PlanTimeouts
from loadgate.plan.expect import planned_iterations, progress
from loadgate.plan.pace import Arrivals, arrivals, arrived, rate_at, vu_changes, vus_at
from loadgate.plan.reach import target_faults
from loadgate.plan.schedule import (
    ArrivalSchedule,
    IterationSchedule,
    Schedule,
    Segment,
    VUSchedule,
    length,
    most_vus,
)
from loadgate.plan.share import Share
from loadgate.plan.steps import walk
from loadgate.plan.targets import TargetRuleError, Targets

__all__ = [
    "ArrivalSchedule",
    "Arrivals",
    "IterationSchedule",
    "Plan",
    "PlanData",
    "PlanError",
    "PlanScenario",
    "PlanTarget",
    "PlanTimeouts",
    "Schedule",
    "Segment",
    "Share",
    "TargetRuleError",
    "Targets",
    "VUSchedule",
    "arrivals",
    "arrived",
    "compile_plan",
    "config_map_refs",
    "length",
    "most_vus",
    "path_of",
    "planned_iterations",
    "progress",
    "rate_at",
    "schedule_of",
    "secret_env",
    "secret_sources",
    "target_faults",
    "timeouts_of",
    "vu_changes",
    "vus_at",
    "walk",
]
