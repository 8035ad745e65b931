"""WebSockets as steps: what is sent and expected, checked and measured, on a real server made with aiohttp."""

import pytest
from aiohttp.test_utils import TestServer
from journey_samples import MemoryRecorder, MemoryTally, plan_of

from live.app import build
from loadgate.plan.document import PlanTarget, PlanTimeouts
from loadgate_runner.http import Client, Failure, Network
from loadgate_runner.journey import Context, JourneyError, Outcome, compile_scenario


@pytest.fixture
async def talk():
    """Runs one iteration with a WebSocket step; gives the recorder, its one request and the variables."""
    network = Network()
    async with TestServer(build()) as server:
        base = str(server.make_url("")).rstrip("/")

        async def run(*acts, check=None, extract=None, **call):
            call = {"name": "w", "url": "/orders", "steps": list(acts), **call}
            call["url"] = call["url"].replace("BASE", base.replace("http", "ws"))
            step = {
                "websocket": call,
                **({"check": check} if check else {}),
                **({"extract": extract} if extract else {}),
            }
            plan = plan_of(step, target=PlanTarget(url=base, timeouts=PlanTimeouts(total=5)))
            recorder, log = MemoryRecorder(), []
            context = Context(
                run="r", runner_index=0, files=None, environ={}, recorder=recorder, clock=network.clock, sleep=None,
                client=lambda: Client(network), log=log.append,
            )  # fmt: skip
            vu = compile_scenario(plan.scenarios[0], plan, context).new_vu(2, MemoryTally())
            assert await vu.iterate(0) is Outcome.COMPLETED, log
            ((record,),) = recorder.requests().values()
            return recorder, record, dict(vu.state.vars)

        yield run
    network.close()


def metric(recorder, name):
    """All values of a metric, whatever its tags."""
    return [value for key, series in recorder.series.items() if key[1] == name for value in series.records]


ORDER = {"sendJson": {"product": "p${vu.id}", "quantity": "${vu.id}"}}
CONFIRMED = {"expect": {"json": {"$.type": "confirmed"}, "extract": {"order": {"json": "$.order"}}}}


async def test_messages_are_sent_expected_and_measured(talk):
    """What comes before what is expected is passed over; checks see the last that was expected, metrics all."""
    recorder, (response, expected, _), variables = await talk(
        ORDER, CONFIRMED, {"think": "20ms"},
        subprotocols=["orders"], times=3,
        check={"status": 101, "duration": "<5s", "headers": {"sec-websocket-protocol": "orders"}, "json": {"$.order": 3}},
        extract={"total": {"json": "$.total"}},
    )  # fmt: skip
    assert (response.error, expected, response.status) == (None, True, 101)
    checks = recorder.checks()
    assert all(all(results) for results in checks.values()), checks
    assert len(checks["extract order"]) == 3
    assert variables["order"] == 3
    assert variables["total"] > 0
    assert metric(recorder, "ws_sessions") == [1]
    assert metric(recorder, "ws_msgs_sent") == [1] * 3
    assert metric(recorder, "ws_msgs_received") == [1] * 7  # a welcome, and two to each order
    latencies, (session,) = metric(recorder, "ws_message_latency"), metric(recorder, "ws_session_duration")
    assert len(latencies) == 3
    assert all(0 < latency < session for latency in latencies)
    assert session >= 60
    assert metric(recorder, "ws_connecting") == [(response.ended - response.started) / 1e6]
    assert len(metric(recorder, "ws_time_to_first_message")) == 1
    tags = next(dict(key[2]) for key in recorder.series if key[1] == "ws_sessions")
    assert tags == {"scenario": "s", "group": "", "name": "w"}


async def test_a_variable_from_a_message_goes_into_the_next(talk):
    """What a message gave is there for what is sent behind it, in the same step."""
    _, (response, *_), _ = await talk(
        {
            "expect": {
                "text": "*welcome",
                "extract": {"kind": {"json": "$.type"}, "none": {"json": "$.none", "default": 1}},
            }
        },
        {"send": '{"product": "p1", "quantity": ${none}, "was": "${kind}"}'},
        {"expect": {"json": {"$.type": "received"}}},
        {"expect": {}},
    )
    assert response.error is None
    assert b"confirmed" in response.body


async def test_what_does_not_come_is_a_timeout(talk):
    """An expectation that isn't met in its time fails the request; the step ends there, and its checks fail."""
    recorder, (response, expected, _), _ = await talk(
        {"expect": {"text": "never", "within": "100ms"}}, ORDER, check={"status": 101}
    )
    assert (response.error, expected) == (Failure.TIMEOUT, False)
    assert recorder.checks() == {"status is 101": [False]}
    assert metric(recorder, "ws_msgs_sent") == []
    assert len(metric(recorder, "ws_session_duration")) == 1


async def test_a_refused_handshake_fails_by_its_status(talk):
    """An answer that is no upgrade is a failed request though its status is 200, and opens no session."""
    recorder, (response, expected, _), _ = await talk(ORDER, CONFIRMED, url="/none")
    assert (response.error, response.status, expected) == (None, 404, False)
    recorder, (response, expected, _), _ = await talk(url="/prices?count=1")
    assert (response.error, response.status, expected) == (None, 200, False)
    assert metric(recorder, "ws_sessions") == []


async def test_binary_messages_and_whole_urls(talk):
    """A ws URL leads to its host, and bytes go as they are: this server takes JSON in them too."""
    _, (response, *_), _ = await talk(
        {"sendBase64": "eyJwcm9kdWN0IjogInAxIiwgInF1YW50aXR5IjogMX0="}, CONFIRMED, url="BASE/orders"
    )
    assert response.error is None


async def test_listening_counts_what_comes(talk):
    """`for` stays open so long, and counts messages."""
    recorder, (response, *_), _ = await talk(**{"for": "100ms"})
    assert response.error is None
    assert metric(recorder, "ws_msgs_received") == [1]
    assert metric(recorder, "ws_session_duration")[0] >= 99


async def test_bad_base64_is_said_before_load(talk):
    """Base64 that is cut can't be compiled."""
    with pytest.raises(JourneyError, match="sendBase64"):
        await talk({"sendBase64": "abc"})
