"""Event streams in Python journeys: `user.sse` on a real server made with aiohttp, and what breaks on the way."""

import asyncio
from contextlib import suppress

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from journey_samples import MemoryRecorder, MemoryTally, plan_of, play_script

from live.app import build
from loadgate.plan.document import PlanTarget, PlanTimeouts
from loadgate_runner.http import Client, Failure, Network
from loadgate_runner.journey import Context, Outcome, compile_scenario

EVENT = b"id: 1\nretry: 50\ndata: one\n\n"


async def odd(request):
    """Streams that end, break, are none, or never say anything."""
    how = request.match_info["how"]
    if how == "text":
        return web.Response(text="no events")
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    with suppress(ConnectionError):
        await response.write(EVENT)
        if how == "broken":
            await asyncio.sleep(0.02)
            request.transport.abort()
        elif how == "silent":
            await asyncio.sleep(30)
        elif how == "echo":
            seen = [request.headers.get(name, "none") for name in ("Accept", "X-Own", "Authorization", "Host")]
            await response.write(f"event: seen\ndata: {','.join(seen)}\n\n".encode())
    return response


@pytest.fixture
async def journey(tmp_path):
    """Runs one iteration of a Python journey; gives the recorder, how it ended, the log and the variables."""
    network = Network()
    (tmp_path / "c").mkdir()
    app = build()
    app.router.add_get("/odd/{how}", odd)
    async with TestServer(app) as server:
        base = str(server.make_url("")).rstrip("/")

        async def run(body, due=None):
            code = "async def journey(user):\n" + "\n".join(f"    {line}" for line in body.strip("\n").splitlines())
            (tmp_path / "c" / "j.py").write_text(code)
            plan = plan_of(script="c/j.py", target=PlanTarget(url=base, timeouts=PlanTimeouts(total=5)))
            return await play_script(plan, tmp_path, network, due)

        yield run
        async with asyncio.timeout(5):
            while network.open_connections:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)
    network.close()


def metric(recorder, name):
    """All values of a metric, whatever its tags."""
    return [value for key, series in recorder.series.items() if key[1] == name for value in series.records]


def only(recorder):
    """The one request that was recorded."""
    ((record,),) = recorder.requests().values()
    return record


async def test_a_journey_listens_and_stops_at_will(journey):
    """Events have all their parts; leaving the loop is no failure; metrics, names and checks are the step's."""
    recorder, outcome, log, found = await journey("""
seen = []
with user.group("desk"):
    async with user.sse("/prices", name="p", query={"every": 0.01}, tags={"area": "x"}) as events:
        user.vars["head"] = (events.reply.status, events.reply.error, events.reply.ok)
        async for event in events:
            seen.append((event.event, event.id, event.retry, event.json("$.product")))
            if len(seen) == 4:
                break
user.vars["seen"] = seen
user.check(events.reply, {"one": lambda reply: reply.json("$.price") > 0}, status=200,
           headers={"content-type": "*event-stream"}, json={"$.product": "p5"})
user.vars["error"] = events.reply.error
""")
    assert outcome is Outcome.COMPLETED, log
    assert found["seen"] == [("price", str(n), None, f"p{n + 1}") for n in range(1, 5)]
    assert (found["head"], found["error"]) == ((200, None, True), None)
    response, expected, due = only(recorder)
    assert (response.error, expected, due, response.request.method) == (None, True, None, "GET")
    assert all(all(results) for results in recorder.checks().values())
    assert metric(recorder, "sse_events") == [1] * 4
    gaps, (first,), (whole,) = (
        metric(recorder, f"sse_{n}") for n in ("event_gap", "time_to_first_event", "session_duration")
    )
    assert (len(gaps), first > 0, whole >= sum(gaps)) == (3, True, True)
    assert response.duration / 1000 < first + 1  # the request ended with the answer's head
    tags = {key[1]: dict(key[2]) for key in recorder.series if key[1] == "sse_events"}
    assert tags == {"sse_events": {"scenario": "s", "group": "desk", "name": "p"}}
    assert [dict(key[1]) for key in recorder.series if key[0] == "request"] == [
        {"scenario": "s", "group": "desk", "name": "p", "method": "GET", "area": "x"}
    ]


@pytest.mark.parametrize(
    ("body", "error", "behind", "events"),
    [
        ('sse("/odd/end")', None, True, 1),
        ('sse("/odd/silent", for_="50ms")', None, True, 1),
        ('sse("/odd/silent", for_=0.05)', None, True, 1),
        ('sse("/odd/silent", timeout="100ms")', Failure.TIMEOUT, False, 1),
        ('sse("/odd/broken")', Failure.BODY, False, 1),
        ('sse("/odd/text")', Failure.PROTOCOL, False, 0),
        ('sse("/none")', None, False, 0),
        ('sse("http://127.0.0.1:1/")', Failure.CONNECT, False, 0),
    ],
)
async def test_what_a_stream_does_is_what_it_is_in_a_step(journey, body, error, behind, events):
    """Its end, and the end of the time that was asked for, end the loop; what breaks ends the block, and raises nothing."""
    recorder, outcome, log, found = await journey(f"""
async with user.{body} as events:
    async for event in events:
        pass
    user.vars["behind"] = True
user.vars["error"] = events.reply.error
user.vars["again"] = events.reply.status
""")
    assert outcome is Outcome.COMPLETED, log
    response, expected, _ = only(recorder)
    assert (response.error, expected) == (error, error is None and response.status == 200)
    assert (found.get("behind", False), found["error"]) == (behind, None if error is None else str(error))
    assert len(metric(recorder, "sse_events")) == events


@pytest.mark.parametrize(
    ("asked", "error", "data"),
    [
        ('event="seen"', None, "text/event-stream,me,Bearer tok,other"),
        ('data="*on"', None, "one"),
        ("count=2", None, "text/event-stream,me,Bearer tok,other"),
        ('event="never"', Failure.BODY, None),
        ("count=3", Failure.BODY, None),
        ('json={"$.a": 1}', Failure.BODY, None),
    ],
)
async def test_an_event_is_expected_in_a_steps_grammar(journey, asked, error, data):
    """What is expected is returned; where the stream ends before, the request has failed and the block ends."""
    recorder, outcome, log, found = await journey(f"""
async with user.sse("/odd/echo", headers={{"X-Own": "me"}}, auth="tok", host="other") as events:
    user.vars["data"] = (await events.expect({asked})).data
""")
    assert outcome is Outcome.COMPLETED, log
    assert (only(recorder)[0].error, found.get("data")) == (error, data)


async def test_what_does_not_come_in_time_is_a_timeout(journey):
    """`within` bounds one wait, and `for_` is no excuse for what was expected."""
    for more in ('within="50ms"', "within=0.05", "for_"):
        how, within = (', for_="50ms"', "") if more == "for_" else ("", f", {more}")
        recorder, outcome, log, found = await journey(f"""
async with user.sse("/odd/silent"{how}) as events:
    first = await events.expect(data="one")
    user.vars["first"] = (first.id, first.retry)
    await events.expect(data="two"{within})
    user.vars["behind"] = True
""")
        assert outcome is Outcome.COMPLETED, log
        response, expected, _ = only(recorder)
        assert (response.error, expected, found) == (Failure.TIMEOUT, False, {"first": ("1", 50)})


async def test_a_stream_counts_from_when_its_iteration_was_due(journey):
    """Lateness is the stream's, which was asked for first, and not that of a request within its block."""
    recorder, outcome, log, _ = await journey(
        """
async with user.sse("/prices", name="stream", for_="20ms") as events:
    await user.post("/graphql", name="within", json={"query": "{ products { id } }"})
    async for event in events:
        pass
""",
        due=1,
    )
    assert outcome is Outcome.COMPLETED, log
    assert {name: [due is None for _, _, due in records] for name, records in recorder.requests().items()} == {
        "within": [True],
        "stream": [False],
    }


async def test_an_error_of_the_journey_leaves_the_block(journey):
    """The request was made, so it is recorded; the iteration has failed, and the connection is closed."""
    recorder, outcome, log, _ = await journey("""
async with user.sse("/prices", name="p") as events:
    async for event in events:
        raise LookupError("mine")
""")
    assert outcome is Outcome.FAILED
    assert "mine" in log[0]
    assert only(recorder)[:2][1] is True


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("user.sse('/prices').reply", "within and behind `async with`"),
        ("await anext(user.sse('/prices'))", "events come within `async with`"),
        ("user.sse('/prices', for_='soon')", "ValueFault|soon|iteration failed"),
    ],
)
async def test_a_mistake_is_told(journey, body, words):
    """A stream that is used wrongly ends the iteration as failed, in words."""
    _, outcome, log, _ = await journey(body)
    assert outcome is Outcome.FAILED
    assert any(word in log[0] for word in words.split("|"))


async def test_a_stream_is_listened_to_once(journey):
    """What has ended neither begins again nor gives more, and an expectation that doesn't parse is a mistake."""
    for inner, words in (
        ("async with events: pass", "listened to once"),
        ("await anext(events)", "events come within `async with`"),
        ("async with user.sse('/prices') as more: await more.expect(json={'$[': 1})", "expect: "),
    ):
        _, outcome, log, _ = await journey(f"""
async with user.sse("/prices", name="p") as events:
    await events.expect()
{inner}
""")
        assert outcome is Outcome.FAILED
        assert words in log[0]


async def test_a_stream_that_is_cut_off_is_closed_and_not_recorded(tmp_path):
    """A virtual user that is cancelled leaves no connection, and no sample."""
    network = Network()
    (tmp_path / "j.py").write_text(
        "async def journey(user):\n"
        "    async with user.sse('/prices') as events:\n"
        "        async for event in events: pass\n"
    )
    async with TestServer(build()) as server:
        target = PlanTarget(url=str(server.make_url("")).rstrip("/"), timeouts=PlanTimeouts(total=60))
        plan = plan_of(script="j.py", target=target)
        recorder = MemoryRecorder()
        context = Context(
            run="r", runner_index=0, files=tmp_path, environ={}, recorder=recorder, clock=network.clock,
            sleep=None, client=lambda: Client(network), log=print,
        )  # fmt: skip
        vu = compile_scenario(plan.scenarios[0], plan, context).new_vu(1, MemoryTally())
        task = asyncio.ensure_future(vu.iterate(0))
        async with asyncio.timeout(10):
            while len(metric(recorder, "sse_events")) < 2:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5):
            while network.open_connections:  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.01)
    assert recorder.requests() == {"GET /prices": []}
    network.close()
