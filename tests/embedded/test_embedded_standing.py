"""What Prometheus is told of tests and budgets, from their statuses."""

from prometheus_client import CollectorRegistry

from loadgate_operator.cluster.port import Key, Kind
from loadgate_operator.standing import Standing

TEST = Key(Kind.LOAD_TEST, "shop", "checkout")
BUDGET = Key(Kind.PERFORMANCE_BUDGET, "shop", "limits")
PLACE = {"namespace": "shop", "name": "checkout"}

STATUS = {
    "phase": "Failed",
    "run": {
        "id": "checkout-7-abc",
        "number": 7,
        "startedAt": "2026-01-02T03:04:05Z",
        "loadEndedAt": "2026-01-02T03:05:03Z",
        "finishedAt": "2026-01-02T03:05:05Z",
    },
    "runners": {"desired": 2, "ready": 2, "finished": 1, "lost": 1},
    "summary": {
        "requests": 100,
        "requestsPerSecond": 10.5,
        "failedRate": "0.02%",
        "p95": "1.9s",
        "max": "2m30s",
        "checks": "99.98%",
    },
    "violations": [{}, {}],
    "doubts": [{"reason": "RunnerLost"}, {"reason": "RunnerLost"}, {"reason": "LoopLag"}],
    "endpoints": [{"name": "login"}],
}


class Told:
    """A registry with one collector."""

    def __init__(self):
        self.standing = Standing()
        self.registry = CollectorRegistry()
        self.registry.register(self.standing)

    def value(self, metric, /, **labels):
        return self.registry.get_sample_value(metric, labels)

    def samples(self):
        return [sample for family in self.registry.collect() for sample in family.samples]


def test_a_status_becomes_figures_in_base_units():
    """Durations are seconds, shares are ratios, moments are Unix seconds; what isn't known has no series."""
    told = Told()
    told.standing.observe(TEST, {"status": STATUS})
    assert told.value("loadgate_loadtest_run_number", **PLACE) == 7
    assert told.value("loadgate_loadtest_run_duration_seconds", **PLACE, quantile="0.95") == 1.9
    assert told.value("loadgate_loadtest_run_duration_seconds", **PLACE, quantile="1") == 150
    assert told.value("loadgate_loadtest_run_duration_seconds", **PLACE, quantile="0.99") is None
    assert told.value("loadgate_loadtest_run_failed_ratio", **PLACE) == 0.0002
    assert told.value("loadgate_loadtest_run_checks_ratio", **PLACE) == 0.9998
    run = {**PLACE, "run": "checkout-7-abc"}
    assert told.value("loadgate_loadtest_run_started_timestamp_seconds", **run) == 1767323045
    assert told.value("loadgate_loadtest_run_load_ended_timestamp_seconds", **run) == 1767323103
    assert told.value("loadgate_loadtest_run_finished_timestamp_seconds", **run) == 1767323105
    assert told.value("loadgate_loadtest_runners", **PLACE, state="lost") == 1
    assert told.value("loadgate_loadtest_violations", **PLACE) == 2
    assert told.value("loadgate_loadtest_doubt", **PLACE, reason="RunnerLost") == 1


def test_a_test_is_in_one_phase():
    """A phase that is over leaves no series, and a test that nobody has looked at is pending."""
    told = Told()
    told.standing.observe(TEST, {"spec": {}})
    assert told.value("loadgate_loadtest_phase", **PLACE, phase="Pending") == 1
    told.standing.observe(TEST, {"status": {"phase": "Running"}})
    phases = [sample for sample in told.samples() if sample.name == "loadgate_loadtest_phase"]
    assert [(sample.labels["phase"], sample.value) for sample in phases] == [("Running", 1)]


def test_what_is_gone_leaves_no_series():
    """After its deletion nothing is told of a test or a budget."""
    told = Told()
    told.standing.observe(TEST, {"status": STATUS})
    told.standing.observe(BUDGET, {"status": {"conditions": [{"type": "Satisfied", "status": "True"}]}})
    assert told.samples()
    told.standing.observe(TEST, None)
    told.standing.observe(BUDGET, None)
    assert told.samples() == []


def test_a_budget_says_whether_it_is_held_and_by_whom():
    """Satisfied is 1 or 0, and has no series while it isn't known; each test that it judges has its own."""
    told = Told()
    place = {"namespace": "shop", "name": "limits"}
    for status, wanted in (("Unknown", None), ("False", 0), ("True", 1)):
        told.standing.observe(BUDGET, {"status": {"conditions": [{"type": "Satisfied", "status": status}]}})
        assert told.value("loadgate_budget_satisfied", **place) == wanted
    judged = [{"name": "a", "satisfied": False, "violations": [{}]}, {"name": "b"}]
    told.standing.observe(BUDGET, {"status": {"loadTests": judged}})
    assert told.value("loadgate_budget_test_satisfied", **place, test="a") == 0
    assert told.value("loadgate_budget_test_satisfied", **place, test="b") is None
    assert told.value("loadgate_budget_test_violations", **place, test="a") == 1


def test_other_kinds_are_none_of_its_business():
    """A Job or a ConfigMap tells it nothing."""
    told = Told()
    told.standing.observe(Key(Kind.JOB, "shop", "checkout"), {"status": {"phase": "x"}})
    assert told.samples() == []
