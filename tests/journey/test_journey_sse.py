"""Event streams as steps: what ends them, what is checked and measured, on a real server made with aiohttp."""

import asyncio

import pytest
from aiohttp.test_utils import TestServer
from journey_samples import MemoryRecorder, MemoryTally, plan_of

from live.app import build
from loadgate.plan.document import PlanTarget, PlanTimeouts
from loadgate_runner.http import Client, Failure, Network
from loadgate_runner.journey import Context, Outcome, compile_scenario


@pytest.fixture
async def listen():
    """Runs one iteration of steps against a server of live prices; gives the recorder and the variables."""
    network = Network()
    async with TestServer(build()) as server:

        async def run(*steps, setup=None):
            target = PlanTarget(url=str(server.make_url("")).rstrip("/"), timeouts=PlanTimeouts(total=60))
            plan = plan_of(*steps, target=target)
            recorder, log = MemoryRecorder(), []
            context = Context(
                run="r", runner_index=0, files=None, environ={}, recorder=recorder, clock=network.clock, sleep=None,
                client=lambda: Client(network), log=log.append, setup=setup or {},
            )  # fmt: skip
            vu = compile_scenario(plan.scenarios[0], plan, context).new_vu(1, MemoryTally())
            assert await vu.iterate(0) is Outcome.COMPLETED, log
            return recorder, dict(vu.state.vars)

        yield run
    network.close()


def only(recorder):
    """The one request that was recorded."""
    ((record,),) = recorder.requests().values()
    return record


def metric(recorder, name):
    """All values of a metric, whatever its tags."""
    return [value for key, series in recorder.series.items() if key[1] == name for value in series.records]


async def test_a_stream_is_heard_until_its_event_and_measured(listen):
    """Checks and extractions see the event that was waited for; events, gaps and times are metrics."""
    recorder, variables = await listen(
        {
            "sse": {"name": "s", "url": "/prices", "query": {"every": 0.01}, "until": {"event": "price", "count": 4}},
            "check": {"status": 200, "headers": {"content-type": "*event-stream"}, "json": {"$.product": "exists"}},
            "extract": {"price": {"json": "$.price"}, "product": {"json": "$.product"}},
        }
    )
    response, expected, _ = only(recorder)
    assert (response.error, expected, response.request.method) == (None, True, "GET")
    assert all(all(results) for results in recorder.checks().values())
    assert variables["product"] == "p5"
    assert metric(recorder, "sse_events") == [1] * 4
    gaps = metric(recorder, "sse_event_gap")
    assert len(gaps) == 3
    assert all(1 < gap < 2000 for gap in gaps)
    (first,), (session,) = metric(recorder, "sse_time_to_first_event"), metric(recorder, "sse_session_duration")
    assert first < session + first
    assert session - (response.ended - response.first) / 1e6 >= sum(gaps)  # the request ended before them
    tags = next(dict(key[2]) for key in recorder.series if key[1] == "sse_events")
    assert tags == {"scenario": "s", "group": "", "name": "s"}


@pytest.mark.parametrize(
    ("until", "error"),
    [
        ({"event": "closed"}, None),
        ({"data": "*market"}, None),
        ({"event": "price", "data": "~p4"}, None),
        ({"json": {"$.product": "${setup.wanted}"}}, None),
        ({"json": {"$.product": "p4"}, "event": "closed"}, Failure.BODY),
        ({"event": "price", "count": 9}, Failure.BODY),
        ({"data": "never"}, Failure.BODY),
    ],
)
async def test_until_asks_all_its_parts_of_one_event(listen, until, error):
    """Type, data and JSON have to hold of the same event; a stream that ends before has failed."""
    step = {"sse": {"url": "/prices", "query": {"every": 0.001, "count": 8}, "until": until}}
    recorder, _ = await listen(step, setup={"wanted": "p4"})
    response, expected, _ = only(recorder)
    assert (response.error, expected) == (error, error is None)


async def test_for_alone_is_content_and_until_is_not(listen):
    """Time ends a stream well where nothing is awaited; what is awaited in vain is a timeout, and its checks fail."""
    step = {"url": "/prices", "query": {"every": 0.02}, "for": "100ms"}
    recorder, _ = await listen({"sse": step})
    assert only(recorder)[0].error is None
    assert 3 <= len(metric(recorder, "sse_events")) <= 8
    recorder, _ = await listen({"sse": {**step, "until": {"event": "none"}}, "check": {"status": 200}})
    assert only(recorder)[0].error is Failure.TIMEOUT
    assert recorder.checks() == {"status is 200": [False]}


async def test_an_error_is_an_answer(listen):
    """A status of 404 fails the request as any status would, and nothing of a stream is measured."""
    recorder, _ = await listen({"sse": {"url": "/none", "for": "1s"}, "check": {"status": 404, "body": "*Not Found"}})
    response, expected, _ = only(recorder)
    assert (response.error, response.status, expected) == (None, 404, True)
    assert recorder.checks() == {"status is 404": [True], "body contains Not Found": [True]}
    assert metric(recorder, "sse_session_duration") == []


async def test_streams_run_side_by_side(listen):
    """Each virtual user's stream has a connection of its own."""
    step = {"sse": {"url": "/prices", "query": {"every": 0.01}, "until": {"count": 5}}}
    done = await asyncio.gather(*(listen(step) for _ in range(20)))
    assert all(only(recorder)[0].error is None for recorder, _ in done)
