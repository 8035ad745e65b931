"""A manifest goes in, real traffic goes out, a verdict comes back: nothing of it is faked."""

import pytest
import whole_kit as kit

from loadgate_operator.embedded import Embedded

pytestmark = pytest.mark.processes

CHECKED = {"check": {"status": 200, "json": {"$.ok": True}}}


async def test_a_target_that_holds_its_limits_passes():
    """Every limit is measured and held: Passed, with figures that the server agrees with."""
    steps = [kit.get("/", name="home", **CHECKED)]
    limits = {"http_req_duration": ["p(95)<2000"], "http_req_failed": ["rate<0.01"], "checks": ["rate>0.99"]}
    async with kit.serving() as target, Embedded() as operator:
        test = kit.load_test(target, kit.scenario(steps=steps), thresholds=limits)
        status = await kit.run(operator, test)
        result = await operator.result(kit.KEY)
    assert status["phase"] == "Passed", status
    assert kit.counts(result) == (100, 0, 100, 200, 0)
    assert target.paths() == {"/": 100}
    assert status["endpoints"][0]["name"] == "home"
    assert status["doubts"] == []


async def test_a_broken_limit_fails_and_is_named():
    """A slow answer breaks the limit on response time: Failed, with the limit and what was measured."""
    async with kit.serving() as target, Embedded() as operator:
        steps = [kit.get("/?ms=60")]
        test = kit.load_test(
            target, kit.scenario(steps=steps, iterations=20), thresholds={"http_req_duration": ["p(95)<30"]}
        )
        status = await kit.run(operator, test)
    assert status["phase"] == "Failed"
    (violation,) = status["violations"]
    assert violation["limit"] == "30ms"
    assert 55 <= float(violation["actual"].removesuffix("ms")) <= 200


async def test_a_budget_judges_by_label():
    """A budget that selects the test by its labels judges each endpoint that it names."""
    budget = {
        "apiVersion": "loadgate.dev/v1alpha1",
        "kind": "PerformanceBudget",
        "metadata": {"name": "shop", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": "shop"}},
            "responseTime": {"slow": {"p95": "20ms"}, "fast": {"p95": "2s"}},
            "errorRate": {"*": {"max": "1%"}},
        },
    }
    steps = [kit.get("/a", name="fast"), kit.get("/b?ms=60", name="slow")]
    async with kit.serving() as target, Embedded() as operator:
        status = await kit.run(operator, budget, kit.load_test(target, kit.scenario(steps=steps, iterations=10)))
    assert status["phase"] == "Failed"
    assert [(one["source"], one["subject"]) for one in status["violations"]] == [("budget/shop", "slow p95")]


async def test_a_limit_without_a_sample_is_inconclusive():
    """A threshold over requests that never happened can't be known to hold."""
    limits = {"http_req_duration{name:never}": ["p(95)<500"]}
    never = {"if": {"value": "${vu.id}", "is": 0, "then": [kit.get("/never", name="never")]}}
    async with kit.serving() as target, Embedded() as operator:
        load = kit.scenario(steps=[kit.get("/"), never])
        status = await kit.run(operator, kit.load_test(target, load, thresholds=limits))
    assert status["phase"] == "Inconclusive"
    assert kit.doubts(status) == ["NoSamples"]


async def test_an_abort_threshold_ends_the_run_early():
    """AbortOnFail stops the load long before its planned end, and the verdict is Failed."""
    limits = {"http_req_failed": [{"threshold": "rate<0.5", "abortOnFail": True}]}
    async with kit.serving() as target, Embedded() as operator:
        load = kit.scenario("constant-vus", duration="10m", steps=[kit.get("/status/500"), {"think": "20ms"}])
        status = await kit.run(operator, kit.load_test(target, load, runners=2, thresholds=limits))
    assert status["phase"] == "Failed", status
    assert status["violations"][0]["source"] == "threshold"


async def test_the_deadline_makes_a_run_inconclusive():
    """A run that its deadline cuts off never passes."""
    async with kit.serving() as target, Embedded() as operator:
        load = kit.scenario("constant-vus", duration="1s", gracefulStop="1m", steps=[kit.get("/"), {"think": "30s"}])
        limits = {"http_req_failed": ["rate<0.5"]}
        status = await kit.run(operator, kit.load_test(target, load, deadline="2s", thresholds=limits))
    assert status["phase"] == "Inconclusive", status
    assert "DeadlineExceeded" in kit.doubts(status)


async def test_the_warmup_is_measured_and_not_judged():
    """What is slow during the warm-up breaks no limit, and is in the slices all the same."""
    async with kit.serving() as target, Embedded() as operator:
        load = kit.scenario("constant-vus", vus=1, duration="4s", steps=[kit.get("/"), {"think": "50ms"}])
        status = await kit.run(
            operator, kit.load_test(target, load, warmup="2s", thresholds={"http_reqs": ["count>5"]})
        )
        result = await operator.result(kit.KEY)
    assert status["phase"] == "Passed", status
    judged, _ = result.measurement.request_counts()
    drawn = sum(piece.requests for piece in result.measurement.slices.by_index.values())
    assert drawn == len(target.seen)
    assert 0.3 * drawn < judged < 0.7 * drawn
