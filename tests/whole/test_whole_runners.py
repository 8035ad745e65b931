"""Several runners are as one: the same totals, the same percentiles, and what is to be done once is done once."""

import json

import pytest
import whole_kit as kit

from loadgate.metrics import Histogram
from loadgate_operator.embedded import Embedded

pytestmark = pytest.mark.processes


@pytest.mark.parametrize(
    "scenarios",
    [
        [kit.scenario(vus=7, iterations=101)],
        [kit.scenario("per-vu-iterations", vus=5, iterations=20)],
        [kit.scenario(vus=3, iterations=50), kit.scenario("per-vu-iterations", name="t", vus=3, iterations=11)],
        [kit.scenario("constant-arrival-rate", rate=37, duration="2s", preAllocatedVUs=20)],
    ],
    ids=["shared", "per-vu", "two", "arrivals"],
)
async def test_one_runner_and_several_give_the_same_totals(scenarios):
    """Over runners, and over processes of a runner, counts are exactly those of one; the server saw as many."""
    for one in scenarios:
        one["steps"] = [kit.get("/", check={"status": 200})]
    found = []
    for runners, processes in ((1, 1), (4, 1), (2, 2)):
        async with kit.serving() as target, Embedded() as operator:
            status = await kit.run(operator, kit.load_test(target, *scenarios, runners=runners, processes=processes))
            assert status["phase"] == "Passed", status
            found.append(kit.counts(await operator.result(kit.KEY)))
            assert len(target.seen) == found[-1][0]
    assert found[0] == found[1] == found[2]


async def test_merged_percentiles_are_those_of_the_raw_samples(tmp_path):
    """p50, p95 and p99 over four runners are within 1 % of what the journeys themselves noted, request by request."""
    journey = f"""
import os
notes = open({str(tmp_path)!r} + f"/{{os.getpid()}}", "a", buffering=1)

async def journey(user):
    reply = await user.get(f"/?ms={{user.random.choice([1, 2, 3, 5, 8, 13, 40])}}")
    notes.write(f"{{round(reply.duration * 1e6)}}\\n")
"""
    script = {"configMapKeyRef": {"name": "journeys", "key": "main.py"}}
    async with kit.serving() as target, Embedded() as operator:
        load = kit.scenario(vus=8, iterations=2000, maxDuration="60s", script=script)
        status = await kit.run(
            operator, kit.config_map("journeys", main_py=journey), kit.load_test(target, load, runners=4)
        )
        result = await operator.result(kit.KEY)
    assert status["phase"] == "Passed", status
    raw = sorted(int(line) for path in tmp_path.iterdir() for line in path.read_text().split())
    merged = Histogram()
    for stats in result.measurement.requests.values():
        merged.merge(stats.duration)
    assert len(raw) == merged.count == 2000
    assert len(list(tmp_path.iterdir())) >= 4
    for q in (0.5, 0.95, 0.99):
        exact = raw[max(0, -int(-q * len(raw) // 1) - 1)]
        assert merged.quantile(q) == pytest.approx(exact, rel=0.01)


async def test_setup_and_teardown_happen_once():
    """One runner of four does them; all use what setup extracted; teardown comes after the load."""
    setup = {"steps": [kit.get("/token", extract={"token": {"json": "$.token"}})]}
    teardown = {"steps": [{"request": {"method": "DELETE", "url": "/session/${setup.token}"}}]}
    use = {"request": {"url": "/use", "headers": {"X-Token": "${setup.token}"}}}
    async with kit.serving() as target, Embedded() as operator:
        test = kit.load_test(
            target, kit.scenario(vus=8, iterations=40, steps=[use]), runners=4, setup=setup, teardown=teardown
        )
        status = await kit.run(operator, test)
    assert status["phase"] == "Passed", status
    assert target.paths() == {"/token": 1, "/use": 40, "/session/token-1": 1}
    assert {one.headers["x-token"] for one in target.seen if one.path == "/use"} == {"token-1"}
    assert target.seen[0].path == "/token"
    assert target.seen[-1].path == "/session/token-1"


async def test_a_setup_that_fails_makes_no_load():
    """Without what setup was to get there is nothing to measure: Inconclusive, and the target saw no load."""
    setup = {"steps": [kit.get("/status/500", check={"status": 200}, extract={"token": {"json": "$.token"}})]}
    use = {"request": {"url": "/use", "headers": {"X-Token": "${setup.token}"}}}
    async with kit.serving() as target, Embedded() as operator:
        status = await kit.run(operator, kit.load_test(target, kit.scenario(steps=[use]), runners=2, setup=setup))
    assert status["phase"] == "Inconclusive"
    assert "SetupFailed" in kit.doubts(status)
    assert target.count("/use") == 0


async def test_unique_rows_are_dealt_once():
    """Over all runners and VUs each row of unique data is used by one iteration."""
    rows = [{"sku": f"sku-{n}"} for n in range(60)]
    async with kit.serving() as target, Embedded() as operator:
        test = kit.load_test(
            target,
            kit.scenario(vus=6, iterations=60, steps=[kit.get("/item/${data.items.sku}", name="item")]),
            runners=3,
            data={"items": {"inline": rows, "order": "unique"}},
        )
        status = await kit.run(operator, test)
    assert status["phase"] == "Passed", status
    assert sorted(target.paths()) == sorted(f"/item/sku-{n}" for n in range(60))
    assert set(target.paths().values()) == {1}


async def test_data_and_secrets_reach_the_runners_and_no_document():
    """A CSV of a ConfigMap and a value of a Secret are used; the secret is in no object that is kept."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "user", "namespace": "default"},
        "stringData": {"pw": "s3cr3t-value"},
    }
    step = {
        "request": {"method": "POST", "url": "/login", "json": {"user": "${data.users.name}", "pw": "${secret.pw}"}}
    }
    async with kit.serving() as target, Embedded() as operator:
        test = kit.load_test(
            target,
            kit.scenario(iterations=4, steps=[step]),
            secrets={"pw": {"secretKeyRef": {"name": "user", "key": "pw"}}},
            data={"users": {"csv": {"configMapKeyRef": {"name": "rows", "key": "users.csv"}}}},
        )
        status = await kit.run(operator, secret, kit.config_map("rows", users_csv="name\nann\nbob\n"), test)
        result = await operator.result(kit.KEY)
        kept = [obj for kind in ("LoadTest", "Job", "Pod", "ConfigMap", "Event") for obj in operator.objects(kind)]
        logs = "".join(path.read_text() for path in operator.logs(kit.KEY))
    assert status["phase"] == "Passed", status
    bodies = [json.loads(one.body) for one in target.seen]
    assert {body["pw"] for body in bodies} == {"s3cr3t-value"}
    assert {body["user"] for body in bodies} == {"ann", "bob"}
    for document in (json.dumps(kept), json.dumps(result.to_json()), logs):
        assert "s3cr3t-value" not in document


async def test_runners_begin_together():
    """The first requests of four runners are within a moment of each other, though pods start one after another."""
    steps = [{"request": {"url": "/from/${runner.index}", "name": "from"}}, {"think": "50ms"}]
    async with kit.serving() as target, Embedded() as operator:
        load = kit.scenario("constant-vus", vus=4, duration="2s", steps=steps)
        status = await kit.run(operator, kit.load_test(target, load, runners=4))
    assert status["phase"] == "Passed", status
    first = {}
    for one in target.seen:
        first.setdefault(one.path, one.at)
    assert len(first) == 4
    assert max(first.values()) - min(first.values()) < 0.5
