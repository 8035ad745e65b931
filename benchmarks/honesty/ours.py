"""The runner against a server with known latencies: what it measured, and which doubts a verdict would have."""

from dataclasses import dataclass
from typing import Any

from benchmarks.clients import RUN, Setting, manifest, runner
from loadgate.api.validate import validate_loadtest
from loadgate.metrics import Snapshot
from loadgate.plan import Plan, compile_plan
from loadgate.verdict.doubts import doubts_of

STEPS: list[dict[str, Any]] = [{"request": {"name": "item", "url": "/item"}, "check": {"status": 200}}]


@dataclass(frozen=True)
class Ran:
    """One run: its plan, its last snapshot, the names of the doubts."""

    plan: Plan
    snapshot: Snapshot
    doubts: tuple[str, ...]

    def quantile(self, q: float) -> float:
        """Of the durations that thresholds judge, in ms."""
        return self.snapshot.measurement.select_requests().duration.quantile(q) / 1e3

    @property
    def requests(self) -> int:
        """How many were made."""
        return self.snapshot.measurement.request_counts()[0]


def run(url: str, core: int, scenario: dict[str, Any], seconds: float) -> Ran:
    """A scenario of about so many seconds, compiled, on this core."""
    document = manifest(url, {"steps": STEPS, "gracefulStop": "5s", **scenario})
    with runner(document, Setting(cores=core)) as ours:
        ours.until("Armed")
        ours.start()
        ours.until("Finished", limit=seconds + 30, every=0.25)
        snapshot = ours.snapshot()
    plan = compile_plan(validate_loadtest(document), run=RUN)
    return Ran(plan, snapshot, tuple(doubt.reason.value for doubt in doubts_of(plan, [snapshot])))
