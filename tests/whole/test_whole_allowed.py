"""Where load may go, from the operator's rules to real runners: what leads elsewhere ends the run, and sends nothing."""

import time

import pytest
import whole_kit as kit

from loadgate.plan import Targets
from loadgate_operator.embedded import Embedded, Options

pytestmark = pytest.mark.processes

HERE = Options(targets=Targets(["127.0.0.1"]))
LONG = {"executor": "constant-vus", "vus": 3, "duration": "50s", "gracefulStop": "5s"}


def kinds(result):
    """How many requests there were by kind of failure."""
    found = {}
    for tags, stats in result.measurement.requests.items():
        kind = dict(tags).get("error")
        found[kind] = found.get(kind, 0) + stats.duration.count
    return found


def elsewhere(target):
    """The same server by an address that isn't allowed."""
    return target.url.replace("127.0.0.1", "127.0.0.2")


async def run(test, options=HERE):
    """The status, the result, and how long it took."""
    began = time.monotonic()
    async with Embedded(options) as operator:
        status = await kit.run(operator, *test)
        return status, await operator.result(kit.KEY), time.monotonic() - began


def reason(status, kind="Stalled"):
    return next((one["reason"] for one in status["conditions"] if one["type"] == kind), None)


def message(status):
    return next(one["message"] for one in status["conditions"] if one["type"] == "Stalled")


async def test_what_is_allowed_runs_as_ever():
    """Rules that list the target are in nobody's way."""
    async with kit.serving() as target:
        status, result, _ = await run([kit.load_test(target, runners=2)])
    assert status["phase"] == "Passed", status
    assert kit.counts(result)[:2] == (100, 0)


async def test_a_target_elsewhere_makes_no_run():
    """The operator refuses it at once, with the path and what is allowed."""
    async with kit.serving() as target:
        test = kit.load_test(target)
        test["spec"]["target"]["url"] = elsewhere(target)
        status, result, _ = await run([test])
    assert (reason(status), status.get("run"), result) == ("TargetNotAllowed", None, None)
    assert message(status).startswith("spec.target.url: load may not go to 127.0.0.2; it may go to 127.0.0.1")
    assert target.seen == []


@pytest.mark.parametrize("options", [HERE, Options()], ids=["rules", "no rules"])
async def test_a_redirect_to_metadata_ends_the_run(options):
    """After one look of the operator at most, Inconclusive, with the denials as failed samples; also without any rule."""
    async with kit.serving() as target:
        steps = [kit.get("/"), kit.get("/to?where=http://169.254.169.254/latest/meta-data", name="led")]
        test = kit.load_test(
            target, kit.scenario(**LONG, steps=steps), thresholds={"http_req_duration": ["p(95)<5000"]}
        )
        status, result, seconds = await run([test], options)
    assert (status["phase"], reason(status)) == ("Inconclusive", "ConnectionDenied")
    assert kit.doubts(status) == ["ConnectionDenied"]
    assert "169.254.169.254" in message(status)
    assert seconds < 25
    assert 1 <= kinds(result)["denied"] < 2000
    assert result.runners[0].health.denied >= 1


async def test_a_run_of_nothing_but_denials_never_passes():
    """No limit, no successful request, several runners of several processes: each ends by itself, and nothing was sent."""
    async with kit.serving() as target:
        load = kit.scenario(**LONG, steps=[kit.get("${data.where.url}", name="led")])
        data = {"where": {"inline": [{"url": elsewhere(target)}]}}
        test = kit.load_test(target, load, runners=2, processes=2, data=data)
        status, result, _ = await run([test])
    assert (status["phase"], reason(status)) == ("Inconclusive", "ConnectionDenied")
    assert set(kinds(result)) == {"denied"}
    assert target.seen == []


async def test_a_python_journey_is_held_to_the_same_rules():
    """Whatever it does with the response, what it asked for isn't sent, and the run doesn't pass."""
    code = "async def journey(user):\n    await user.get('/')\n    await user.get(user.data.where['url'], name='led')\n"
    async with kit.serving() as target:
        load = kit.scenario(**LONG, script={"configMapKeyRef": {"name": "journeys", "key": "a.py"}})
        data = {"where": {"inline": [{"url": elsewhere(target) + "/led"}]}}
        status, result, _ = await run([kit.config_map("journeys", a_py=code), kit.load_test(target, load, data=data)])
    assert (status["phase"], reason(status)) == ("Inconclusive", "ConnectionDenied"), message(status)
    assert kinds(result)["denied"] >= 1
    assert target.count("/led") == 0


async def test_setup_is_held_to_the_same_rules():
    """A setup that leads elsewhere fails, no load is made, and the reason is said."""
    async with kit.serving() as target:
        setup = {"steps": [kit.get(f"/to?where={elsewhere(target)}/led")]}
        status, _, _ = await run([kit.load_test(target, setup=setup)])
    assert (status["phase"], reason(status)) == ("Inconclusive", "SetupFailed")
    assert "load may not go to 127.0.0.2" in message(status)
    assert target.paths() == {"/to": 1}


async def test_teardown_is_held_to_the_same_rules():
    """A teardown that leads elsewhere isn't done, and the verdict, which came before it, stands."""
    async with kit.serving() as target:
        teardown = {"steps": [kit.get(f"/to?where={elsewhere(target)}/led")]}
        async with Embedded(HERE) as operator:
            status = await kit.run(operator, kit.load_test(target, teardown=teardown))
            events = {event["reason"]: event["message"] for event in operator.objects("Event")}
    assert status["phase"] == "Passed", status
    assert "load may not go to 127.0.0.2" in events["TeardownFailed"]
    assert target.count("/led") == 0


async def test_a_secret_in_a_host_is_in_no_status():
    """What the status says of where load was led shows no secret that the host was made of."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "where", "namespace": kit.KEY.namespace},
        "stringData": {"host": "127.0.0.222"},
    }
    async with kit.serving() as target:
        load = kit.scenario(**LONG, steps=[kit.get("http://${secret.host}/", name="led")])
        test = kit.load_test(target, load, secrets={"host": {"secretKeyRef": {"name": "where", "key": "host"}}})
        status, _, _ = await run([secret, test])
    assert reason(status) == "ConnectionDenied"
    assert "127.0.0.222" not in str(status)
    assert "load may not go to ***" in message(status)
