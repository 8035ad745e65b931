"""WebSockets in Python journeys: the acts of the step, on a real server made with aiohttp, and what a talk that fails is."""

import pytest
from aiohttp.test_utils import TestServer
from journey_samples import plan_of, play_script

from live.app import build
from loadgate.plan.document import PlanTarget, PlanTimeouts
from loadgate_runner.http import Failure, Network
from loadgate_runner.journey import Outcome


@pytest.fixture
async def journey(tmp_path):
    """Runs one iteration of a Python journey; gives the recorder, how it ended, the log and the variables."""
    network = Network()
    (tmp_path / "c").mkdir()
    async with TestServer(build()) as server:
        base = str(server.make_url("")).rstrip("/")

        async def run(script):
            (tmp_path / "c" / "j.py").write_text(script.replace("BASE", base.replace("http", "ws")))
            plan = plan_of(script="c/j.py", target=PlanTarget(url=base, timeouts=PlanTimeouts(total=5)))
            return await play_script(plan, tmp_path, network)

        yield run
    network.close()


def metric(recorder, name):
    """All values of a metric, whatever its tags."""
    return [value for key, series in recorder.series.items() if key[1] == name for value in series.records]


async def test_a_journey_talks_over_a_websocket(journey):
    """What is expected is a reply to read from; what comes before it is passed over; metrics and checks are the step's."""
    recorder, outcome, log, found = await journey("""
async def journey(user):
    async def trade(socket):
        for number in range(3):
            await socket.send(json={"product": f"p{number + 1}", "quantity": user.id})
            confirmed = await socket.expect(json={"$.type": "confirmed"}, within="2s")
            user.vars["order"] = confirmed.json("$.order")
        await socket.think("20ms")

    with user.group("desk"):
        reply = await user.websocket("/orders", trade, name="w", subprotocols=["orders"], tags={"area": "x"})
    user.check(reply, status=101, json={"$.order": 3}, headers={"sec-websocket-protocol": "orders"})
    user.vars["ok"] = (reply.error, reply.status)
    again = await user.websocket("BASE/orders", trade)
    user.vars["again"] = again.name
""")
    assert outcome is Outcome.COMPLETED, log
    assert (found["order"], found["ok"], found["again"].endswith("/orders")) == (3, (None, 101), True)
    (first,), (second,) = recorder.requests().values()
    assert [record[1] for record in (first, second)] == [True, True]
    assert all(all(results) for results in recorder.checks().values())
    assert metric(recorder, "ws_sessions") == [1, 1]
    assert metric(recorder, "ws_msgs_sent") == [1] * 6
    assert metric(recorder, "ws_msgs_received") == [1] * 14
    assert len(metric(recorder, "ws_message_latency")) == 6
    assert min(metric(recorder, "ws_session_duration")) >= 20
    tags = [dict(key[2]) for key in recorder.series if key[1] == "ws_sessions"]
    assert tags[0] == {"scenario": "s", "group": "desk", "name": "w"}


async def test_what_is_expected_in_vain_ends_the_talk(journey):
    """The request has failed, the journey goes on, and what stood behind the expectation isn't done."""
    recorder, outcome, log, found = await journey("""
async def journey(user):
    async def trade(socket):
        await socket.expect(text="never", within="50ms")
        user.vars["behind"] = True

    reply = await user.websocket("/orders", trade, name="w")
    user.vars["error"] = reply.error
""")
    assert outcome is Outcome.COMPLETED, log
    assert found == {"error": str(Failure.TIMEOUT)}
    (((response, expected, _),),) = recorder.requests().values()
    assert (response.error, expected) == (Failure.TIMEOUT, False)


async def test_a_handshake_that_is_refused_has_no_talk(journey):
    """The answer's status is the reply's, and the request has failed, as a step's has."""
    recorder, outcome, log, found = await journey("""
async def journey(user):
    async def trade(socket):
        user.vars["talked"] = True

    reply = await user.websocket("/nowhere", trade, query={"a": "b c"}, headers={"X-Own": "1"}, timeout="2s")
    user.vars["status"] = reply.status
""")
    assert outcome is Outcome.COMPLETED, log
    assert found == {"status": 404}
    (((response, expected, _),),) = recorder.requests().values()
    assert (response.path, expected) == (b"/nowhere?a=b+c", False)
    assert metric(recorder, "ws_sessions") == []


@pytest.mark.parametrize(
    ("act", "error"),
    [
        ("socket.send()", "give a message or json"),
        ("socket.send('a', json=1)", "give a message or json"),
        ("socket.expect(json={'$[': 1})", "expect: "),
        ("socket.expect(within='soon')", "expect: "),
        ("socket.think('soon')", ""),
    ],
)
async def test_a_mistake_of_the_journey_is_an_iteration_that_failed(act, error, journey):
    """What is asked for wrongly is told by its words, and the WebSocket is closed all the same."""
    _, outcome, log, _ = await journey(f"""
async def journey(user):
    async def talk(socket):
        await {act}

    await user.websocket("/orders", talk, name="w")
""")
    assert outcome is Outcome.FAILED
    assert error in log[0]
