"""A small result for the command's tests, judged for real."""

from loadgate.api.limits import Threshold
from loadgate.metrics import Measurement, RequestStats, tags_of
from loadgate.report import Result, RunFacts
from loadgate.verdict import judge


def sample(*, limit: str = "p(95)<500", name: str = "smoke") -> Result:
    """Ten requests of 20 ms, held to a limit."""
    measurement = Measurement(elapsed=10.0, vus_max=1)
    stats = RequestStats()
    stats.duration.record(20_000, 10)
    measurement.requests[tags_of(scenario="s", name="GET /", status="200", expected_response="true")] = stats
    verdict = judge(
        measurement,
        thresholds={"http_req_duration": [Threshold(threshold=limit)]},
        budgets=[],
        doubts=[],
        tolerated=[],
    )
    facts = RunFacts(
        id=f"{name}-1-abcde",
        number=1,
        cause="Created",
        started_at="2026-11-24T08:15:00Z",
        load_ended_at="2026-11-24T08:15:10Z",
        finished_at="2026-11-24T08:15:10Z",
        spec_hash="sha256:1",
        test=name,
        namespace="default",
    )
    return Result(
        loadgate="0.1.0",
        run=facts,
        manifest={"kind": "LoadTest", "metadata": {"name": name}, "spec": {}},
        budgets=(),
        plan={"duration": 10.0, "warmup": 0.0},
        measurement=measurement,
        runners=(),
        verdict=verdict,
    )
