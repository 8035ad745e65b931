"""Whatever a runner sends: either it is refused where it comes in, or it can be merged, judged and told of."""

import copy
from typing import Any

import orjson
import pytest
from verdict_samples import checks, closed_model, iterations, measured, open_model, plan, requests, snapshot, thresholds

from loadgate.metrics import Measurement, Snapshot, SnapshotError, merge_all, tags_of
from loadgate.metrics.measurement import CounterStats, GaugeStats, TrendStats
from loadgate.verdict import doubts_of, doubts_of_verdict, judge, summarise, summarise_endpoints, violations_of

STRANGE: list[Any] = [
    *(None, True, -1, 0.5, -0.5, 1e308, 1 << 62, "", "12", "x" * 100_000, [], [None], {}, {"a": None}, [[]]),
]

LIMITS = thresholds(
    http_req_duration=["p(95)<500", "max<1000"],
    http_reqs="rate>1",
    checks="rate>0.9",
    iterations="count>1",
    iteration_duration="p(95)<1000",
    data_received="count>1",
    vus_max="value>0",
    basket="p(95)<5",
    depth="value<10",
    sold="count>1",
)


def sample() -> Measurement:
    """Something of every kind."""
    out = iterations(checks(requests(measured(20.0, home=[10, 20, 30]), "cart", [900], failed=True), "ok", 3, 1))
    key = tags_of(scenario="main")
    out.counters["sold", key] = CounterStats(3.0)
    out.gauges["depth", key] = GaugeStats(2.0, 5.0, 1.0, 3.0)
    out.trends["basket", key] = TrendStats()
    out.trends["basket", key].values.record(4000)
    piece = out.slices.at(2.0)
    piece.requests, piece.vu_seconds, piece.errors = 3, 1.5, {"timeout": 1}
    piece.endpoints["home"] = copy.deepcopy(next(iter(out.requests.values())).duration)
    piece.duration.record(1000)
    out.vus = out.vus_max = 2
    return out


def told(found: Snapshot) -> dict[str, Any]:
    """What a status would say of it beside an honest runner."""
    merged = merge_all([sample(), found.measurement])
    doubts = doubts_of(plan(open_model(), closed_model("other"), runners=2), [snapshot(sample()), found])
    verdict = judge(merged, thresholds=LIMITS, doubts=doubts)
    return {
        "message": verdict.message[:1000],
        "summary": summarise(merged).to_json(),
        "endpoints": [one.to_json() for one in summarise_endpoints(merged)],
        "violations": [one.to_json() for one in violations_of(verdict)],
        "doubts": [one.to_json() for one in doubts_of_verdict(verdict)],
    }


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything in a document."""
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def with_value(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with something else at a path."""
    if not path:
        return value
    out = copy.copy(document)
    out[path[0]] = with_value(document[path[0]], path[1:], value)
    return out


def end_of(document: Any) -> str:
    """What becomes of a document that claims to be a snapshot."""
    try:
        found = Snapshot.decode(orjson.dumps(document))
    except SnapshotError as error:
        return "refused" if len(str(error)) < 1000 else "refused at length"
    assert len(orjson.dumps(told(found))) < 32_000
    return "told"


def test_what_is_strange_is_refused_or_can_be_told():
    """Each part of a snapshot is replaced by odd values in turn; none gets past the rim and breaks what comes after."""
    document = orjson.loads(snapshot(sample(), cpu_ratio=0.5, fds=7).encode())
    ends = [end_of(with_value(document, path, value)) for path in places(document) for value in STRANGE]
    assert ends.count("refused") > 10 * ends.count("told") > 0
    assert set(ends) == {"refused", "told"}


@pytest.mark.parametrize("length", [100, 4096])
def test_many_long_names_fit(length):
    """A thousand endpoints with names as long as may be stay within a status."""
    out = Measurement(elapsed=10.0)
    for number in range(1000):
        requests(out, f"{number}".ljust(length, "n"), [5])
    assert len(orjson.dumps(told(snapshot(out)))) < 32_000
