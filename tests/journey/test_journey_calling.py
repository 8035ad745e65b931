"""gRPC calls of Python journeys: `user.grpc`, against a server of grpcio's own in a process of its own."""

import asyncio
import sys

import pytest
from journey_samples import MemoryRecorder, MemoryTally, plan_of
from rpc_process import SERVER, Process
from rpc_server import protoset

from loadgate.plan.document import PlanConnection, PlanTarget, PlanTimeouts
from loadgate.plan.targets import Targets
from loadgate_runner.http import Client, Failure, Gate, Network
from loadgate_runner.journey import Context, Outcome, compile_scenario

pytestmark = pytest.mark.processes

OK, DEADLINE_EXCEEDED, NOT_FOUND, UNIMPLEMENTED, UNAVAILABLE = 1000, 1004, 1005, 1012, 1014


@pytest.fixture(scope="module")
def server():
    """A server with reflection as grpcio has it."""
    process = Process()
    yield process
    process.end()


@pytest.fixture(scope="module")
def silent():
    """A server without reflection."""
    process = Process(reflection="none")
    yield process
    process.end()


class World:
    """A process of a runner, as far as journeys see it."""

    def __init__(self, files, url, allowed=()):
        self.files, self.url = files, url
        self.network = Network(gate=Gate(Targets(list(allowed)), lambda: None))
        self.recorder, self.log, self.vus = MemoryRecorder(), [], []
        self.context = Context(
            run="r", runner_index=0, files=files, environ={}, recorder=self.recorder, clock=self.network.clock,
            sleep=None, client=lambda: Client(self.network), log=self.log.append,
        )  # fmt: skip

    def vu(self, body, url=None, connection=None, seconds=10, **target):
        """A virtual user whose journey does that."""
        code = "from pathlib import Path\nHERE = Path(__file__).parent\nasync def journey(user):\n"
        (self.files / "j.py").write_text(code + "\n".join(f"    {line}" for line in body.strip("\n").splitlines()))
        where = PlanTarget(
            url=url or self.url,
            timeouts=PlanTimeouts(total=seconds),
            connection=connection or PlanConnection(),
            **target,
        )
        plan = plan_of(script="j.py", target=where)
        self.vus.append(
            compile_scenario(plan.scenarios[0], plan, self.context).new_vu(len(self.vus) + 1, MemoryTally())
        )
        return self.vus[-1]

    async def do(self, body, due=None, outcome=Outcome.COMPLETED, **more):
        """One iteration of a journey; gives its variables."""
        vu = self.vu(body, **more)
        assert await vu.iterate(0, due) is outcome, self.log
        return vu.state.vars

    def requests(self):
        """All recorded requests, in their order within each name."""
        return [record for records in self.recorder.requests().values() for record in records]

    def metric(self, name):
        """All values of a metric."""
        return [value for key, series in self.recorder.series.items() if key[1] == name for value in series.records]


@pytest.fixture
async def world(tmp_path, server):
    """A runner's process, with its folder of files."""
    made = World(tmp_path, server.url)
    yield made
    for vu in made.vus:
        await vu.close()
    assert made.network.open_connections == 0
    made.network.close()


async def test_a_call_is_awaited_for_its_reply(world):
    """Messages are documents either way, statuses names, metadata headers; names, groups and tags are a request's."""
    found = await world.do(
        """
with user.group("desk"):
    reply = await user.grpc("test.v1.Echo/Say", {"text": "hi", "number": 5, "inner": {"deepName": "x"}, "mood": "CROSS"},
                            metadata={"X-Token": "t", "data-bin": b"\\x00\\xff", "more-bin": "AAH/"}, tags={"area": "x"})
user.vars["reply"] = (reply.message["text"], reply.message["number"], reply.json("$.inner.deepName"), reply.message["small"])
user.vars["status"] = (reply.status, reply.ok, reply.error, reply.details, reply.headers.get("x-authority"))
user.check(reply, {"mine": lambda reply: reply.message["mood"] == "CROSS"}, status="OK", duration="<10s", size=">5",
           headers={"x-trailing": "last", "X-Raw-Bin": "AP8="}, json={"$.text": "hi"})
empty = await user.grpc("test.v1.Echo/Say", name="nothing")
user.vars["empty"] = empty.message["text"]
"""
    )
    assert found == {"reply": ("hi", "5", "x", 0), "status": ("OK", True, None, "", "t"), "empty": ""}
    assert all(all(results) for results in world.recorder.checks().values()), world.recorder.checks()
    (first, expected, _), (second, _, _) = world.requests()
    assert (first.status, first.error, expected, first.reused, second.reused) == (OK, None, True, False, True)
    assert first.connecting > 0
    assert [dict(key[1]) for key in world.recorder.series if key[0] == "request"] == [
        {"scenario": "s", "group": "desk", "name": "test.v1.Echo/Say", "method": "POST", "area": "x"},
        {"scenario": "s", "group": "", "name": "nothing", "method": "POST"},
    ]


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [("", "grpc", False), (', status="NOT_FOUND"', None, True), (', status=("OK", "NOT_FOUND")', None, True)],
)
async def test_another_status_is_a_failed_request_and_raises_nothing(world, status, error, expected):
    """Unless it is wished for; the status, its words and the metadata are the reply's all the same."""
    found = await world.do(
        f"""
reply = await user.grpc("test.v1.Echo/Say", metadata={{"x-status": "NOT_FOUND"}}{status})
user.vars["r"] = (reply.status, reply.ok, reply.error, reply.details, reply.message, reply.headers.get("x-trailing"))
user.check(reply, status="NOT_FOUND")
"""
    )
    assert found["r"] == ("NOT_FOUND", False, error, "as asked  for", None, "last")
    assert [record[0].status for record in world.requests()] == [NOT_FOUND]
    assert (world.requests()[0][1], world.recorder.checks()) == (expected, {"status is NOT_FOUND": [True]})


async def test_a_deadline_is_the_servers_too(world):
    """What isn't there in time is DEADLINE_EXCEEDED, whichever limit it is."""
    for limit in ('"200ms"', "0.2", '{"first_byte": "200ms"}'):
        found = await world.do(
            f"""
reply = await user.grpc("test.v1.Echo/Say", metadata={{"x-delay": "5"}}, timeout={limit})
user.vars["r"] = (reply.status, reply.error)
"""
        )
        assert found["r"] == ("DEADLINE_EXCEEDED", "grpc")
        assert 150_000 < world.requests()[-1][0].duration < 4_000_000


async def test_streams_are_awaited_as_a_whole_too(world):
    """Messages go one after another, replies are read to the end or for some time; the last one is the reply."""
    found = await world.do(
        """
count = await user.grpc("test.v1.Echo/Count", {"number": 5}, name="count")
total = await user.grpc("test.v1.Echo/Sum", messages=[{"number": 5}, {"number": 7}])
one = await user.grpc("test.v1.Echo/Sum", {"number": 3})
chat = await user.grpc("test.v1.Echo/Chat", messages=({"text": text} for text in "abc"))
some = await user.grpc("test.v1.Echo/Count", for_="150ms")
user.vars["r"] = [count.message["small"], total.message["number"], one.message["number"], chat.message["text"]]
user.vars["status"] = {count.status, total.status, one.status, chat.status, some.status}
"""
    )
    assert found == {"r": [4, "12", "3", "c"], "status": {"OK"}}
    assert len(world.metric("grpc_streams")) == 5
    tags = [dict(key[2]) for key in world.recorder.series if key[1] == "grpc_time_to_first_message"]
    assert tags[0] == {"scenario": "s", "group": "", "name": "count"}


async def test_a_journey_talks_over_a_stream_both_ways(world):
    """Messages and replies in any order, iteration to the end, metrics and times of the step's."""
    found = await world.do(
        """
seen = []
async with user.grpc("test.v1.Echo/Chat", {"text": "first"}, name="chat") as call:
    seen.append((await call.read())["text"])
    for number in range(3):
        await call.write({"number": number, "text": "a"})
        seen.append((await call.expect(json={"$.number": str(number)}))["number"])
    await call.write({"text": "x"}); await call.write({"text": "y"})
    await call.done_writing()
    async for message in call:
        seen.append(message["text"])
    seen.append(await call.read())
user.vars["seen"] = seen
user.vars["reply"] = (call.reply.status, call.reply.message["text"], call.reply.headers.get("x-trailing"))
user.check(call.reply, status="OK", json={"$.text": "y"})
"""
    )
    assert found["seen"] == ["first", "0", "1", "2", "x", "y", None]
    assert found["reply"] == ("OK", "y", "last")
    assert all(all(results) for results in world.recorder.checks().values())
    assert [len(world.metric(f"grpc_{what}")) for what in ("streams", "msgs_sent", "msgs_received", "message_gap")] == [
        1,
        6,
        6,
        5,
    ]
    (first,), (whole,) = world.metric("grpc_time_to_first_message"), world.metric("grpc_stream_duration")
    response = world.requests()[0][0]
    assert response.duration / 1000 <= first
    assert whole >= sum(world.metric("grpc_message_gap"))


async def test_a_block_that_is_left_ends_the_call_well(world):
    """A stream that we end ourselves is OK; a method with one reply is waited for; time that was asked for ends a loop."""
    found = await world.do(
        """
async with user.grpc("test.v1.Echo/Count", name="left") as call:
    async for message in call:
        if message["small"] == 3:
            break
async with user.grpc("test.v1.Echo/Sum", name="sum") as total:
    for number in range(4):
        await total.write({"number": number})
async with user.grpc("test.v1.Echo/Sum", name="read") as read:
    await read.write({"number": 9})
    user.vars["read"] = ((await read.read())["number"], await read.read())
async with user.grpc("test.v1.Echo/Count", name="time", for_=0.15) as time:
    async for message in time:
        pass
    user.vars["behind"] = True
async with user.grpc("test.v1.Echo/Chat", name="mute") as mute:
    await mute.write({"text": "a"})
user.vars["r"] = [each.reply.status for each in (call, total, read, time, mute)]
user.vars["sum"] = (total.reply.message["number"], total.reply.headers.get("x-trailing"))
"""
    )
    assert (found["r"], found["sum"], found["read"], found["behind"]) == (["OK"] * 5, ("6", "last"), ("9", None), True)
    assert [(record[0].error, record[1]) for record in world.requests()] == [(None, True)] * 5


@pytest.mark.parametrize(
    ("call", "inside", "status", "error"),
    [
        ("Count", "await call.expect(json={'$.text': 'never'}, within='100ms')", "", Failure.TIMEOUT),
        ("Count', for_='100ms", "await call.expect(json={'$.text': 'never'})", "", Failure.TIMEOUT),
        ("Count', {'number': 3}, name='x", "await call.expect(count=4)", "", Failure.BODY),
        ("Count', timeout='200ms", "async for message in call: pass", "DEADLINE_EXCEEDED", Failure.GRPC),
        ("Count', metadata={'x-status': 'NOT_FOUND'}, name='x", "await call.read()", "NOT_FOUND", Failure.GRPC),
        ("Missing2', name='x", "pass", None, None),
        (
            "Chat', metadata={'x-status': 'NOT_FOUND'}, name='x",
            "while True: await call.write({})",
            "NOT_FOUND",
            Failure.GRPC,
        ),
        (
            "Sum', metadata={'x-status': 'NOT_FOUND'}, name='x",
            "await call.write({}); await call.read()",
            "NOT_FOUND",
            Failure.GRPC,
        ),
        (
            "Chat', url='grpc://127.0.0.1:1', protoset=HERE / 'echo.binpb', name='x",
            "await call.write({})",
            "",
            Failure.CONNECT,
        ),
        ("Chat', url='grpc://127.0.0.1:1', name='x", "await call.read()", "", Failure.CONNECT),
        (
            "Count', metadata={'x-delay': '9'}, timeout={'first_byte': .1}, name='x",
            "await call.read()",
            "",
            Failure.TIMEOUT,
        ),
    ],
)
async def test_what_goes_wrong_with_a_stream_ends_its_block(world, call, inside, status, error):
    """What was waited for in vain, another status, no connection: failures of their kinds, of which none is raised."""
    (world.files / "echo.binpb").write_bytes(protoset())
    body = f"""
async with user.grpc('test.v1.Echo/{call}') as call:
    {inside}
    user.vars["behind"] = True
user.vars["r"] = (call.reply.status, call.reply.error)
"""
    if status is None:
        await world.do(body, outcome=Outcome.FAILED)
        assert "has no method" in world.log[0]
        return
    found = await world.do(body)
    assert found == {"r": (status, str(error))}
    ((response, expected, _),) = world.requests()
    assert (response.error, expected) == (error, False)


async def test_a_stream_whose_status_is_wished_for_ends_its_loop(world):
    """A status that isn't OK, and that the call says is none of a failure, ends reading as an end does."""
    found = await world.do(
        """
async with user.grpc("test.v1.Echo/Count", metadata={"x-status": "NOT_FOUND"}, status="NOT_FOUND") as call:
    async for message in call:
        pass
    user.vars["behind"] = True
user.vars["r"] = (call.reply.status, call.reply.error)
"""
    )
    assert found == {"behind": True, "r": ("NOT_FOUND", None)}
    assert world.requests()[0][1] is True


async def test_a_server_that_answers_a_stream_early_ends_its_block(world):
    """There is nothing more to write then; the reply counts, and nothing has failed."""
    found = await world.do(
        """
import asyncio
async with user.grpc("test.v1.Echo/Sum", metadata={"x-early": "1"}) as call:
    for number in range(1000):
        await call.write({"number": 1})
        await asyncio.sleep(0.01)
    user.vars["behind"] = True
user.vars["r"] = (call.reply.status, call.reply.error, call.reply.message["text"])
"""
    )
    assert found == {"r": ("OK", None, "early")}


async def test_another_call_may_come_between(world, server):
    """While a stream is on, calls share its connection, and bounds of connections wait for its end."""
    for connection in ({}, {"max_requests": 1}, {"idle_timeout": 0}, {"max_age": 0}):
        found = await world.do(
            """
async with user.grpc("test.v1.Echo/Count", metadata={"x-every": "0.01"}) as call:
    await call.read()
    for number in range(3):
        reply = await user.grpc("test.v1.Echo/Say", {"number": number}, name="between")
        message = await call.read()
user.vars["r"] = (reply.status, call.reply.status, message["small"])
await user.grpc("test.v1.Echo/Say", name="behind")
""",
            connection=PlanConnection(**connection),
        )
        assert found["r"] == ("OK", "OK", 3)
        requests = world.recorder.requests()
        assert [record[0].reused for record in requests["between"][-3:]] == [True] * 3
        assert requests["behind"][-1][0].reused is not bool(connection)


async def test_a_call_counts_from_when_its_iteration_was_due(world):
    """Lateness is the first call's, which is a stream here, and not that of one within its block."""
    await world.do(
        """
async with user.grpc("test.v1.Echo/Count", name="stream") as call:
    await user.grpc("test.v1.Echo/Say", name="within")
""",
        due=1,
    )
    assert {name: [record[2] is None for record in records] for name, records in world.recorder.requests().items()} == {
        "within": [True],
        "stream": [False],
    }


async def test_descriptors_are_asked_for_once_by_all(world, tmp_path, silent):
    """Many virtual users that begin together ask the server once; the question is no call, and its connection not theirs."""
    body = 'user.vars["r"] = (await user.grpc("test.v1.Echo/Say", {"number": user.id})).message["number"]'
    vus = [world.vu(body) for _ in range(10)]
    assert [await each for each in [asyncio.ensure_future(vu.iterate(0)) for vu in vus]] == [Outcome.COMPLETED] * 10
    assert [vu.state.vars["r"] for vu in vus] == [str(vu.state.id) for vu in vus]
    assert [record[0].reused for record in world.requests()] == [False] * 10
    await world.do(body, url=silent.url, outcome=Outcome.FAILED)
    assert "the server has no reflection: give a protoset" in world.log[-1]
    (tmp_path / "echo.binpb").write_bytes(protoset())
    found = await world.do(body.replace('Say", {', "Say\", protoset=HERE / 'echo.binpb', message={"), url=silent.url)
    assert found["r"] == "12"


class Tokens:
    """A token that changes when it is refused."""

    number = 0

    @property
    def line(self):
        """The header."""
        return f"Authorization: Bearer t{self.number}\r\n".encode()

    def refused(self):
        """Note it."""
        self.number += 1


async def test_calls_say_who_they_are(world, silent):
    """The target's token and headers go as metadata unless a call has its own; others don't see the token."""
    (world.files / "echo.binpb").write_bytes(protoset())
    world.context.tokens = Tokens()
    found = await world.do(
        f"""
async def seen(**more):
    return (await user.grpc("test.v1.Echo/Say", **more)).headers.get("x-auth")
user.vars["r"] = [
    await seen(), await seen(metadata={{"x-status": "UNAUTHENTICATED"}}), await seen(), await seen(auth="mine"),
    await seen(auth=("u", "p")), await seen(auth=False), await seen(metadata={{"Authorization": "own"}}),
    await seen(url="{silent.url}", protoset=HERE / "echo.binpb"),
]
reply = await user.grpc("test.v1.Echo/Say", host="other")
user.vars["trace"] = reply.headers.get("x-trace")
""",
        headers={"X-Token": "${vu.id}", "Accept": "*/*"},
        tracing=1.0,
    )
    assert found["r"] == ["Bearer t0", "Bearer t0", "Bearer t1", "Bearer mine", "Basic dTpw", "none", "own", "none"]
    assert found["trace"].startswith("00-")
    assert len([1 for key in world.recorder.series if key[0] == "trace ids"]) == 1


async def test_load_goes_only_where_it_may(server, tmp_path):
    """An address that isn't allowed is a failed request of its kind, and isn't even asked for descriptors."""
    denied = World(tmp_path, server.url, allowed=["10.0.0.0/8"])
    found = await denied.do('user.vars["r"] = (await user.grpc("test.v1.Echo/Say")).error')
    assert found == {"r": str(Failure.DENIED)}
    assert denied.network.gate.denied == 1
    denied.network.close()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("await user.grpc('test.v1.Echo/Sai')", "has no method 'Sai': did you mean 'Say'?"),
        ("await user.grpc('test.v1.Ecko/Say')", "did you mean 'test.v1.Echo'?"),
        ("await user.grpc('Say')", "gRPC call 'Say'"),
        ("await user.grpc('test.v1.Echo/Say', {'txt': 1})", 'has no field named "txt"'),
        ("await user.grpc('test.v1.Echo/Say', metadata={'a': 'schön'})", "only printable ASCII"),
        ("await user.grpc('test.v1.Echo/Say', metadata={'a': b'x'})", "ends in -bin"),
        ("await user.grpc('test.v1.Echo/Say', metadata={'a-bin': '!'})", "is base64"),
        ("await user.grpc('test.v1.Echo/Say', messages=[{}])", "takes one message"),
        ("await user.grpc('test.v1.Echo/Say', for_='1s')", "`for_` is for streams"),
        ("await user.grpc('test.v1.Echo/Say', url='http://')", "gRPC call"),
        ("await user.grpc('test.v1.Echo/Say', url='https://127.0.0.1:1')", "always verified"),
        ("await user.grpc('test.v1.Echo/Say', protoset=HERE / 'gone')", "gone"),
        ("async with user.grpc('test.v1.Echo/Say') as call: pass", "has no streams: await it"),
        ("async with user.grpc('test.v1.Echo/Chat', messages=[{}]) as call: pass", "sent by `write`"),
        ("async with user.grpc('test.v1.Echo/Count') as call: await call.write({})", "takes one message"),
        ("async with user.grpc('test.v1.Echo/Chat') as call: await call.write({'txt': 1})", 'has no field named "txt"'),
        ("async with user.grpc('test.v1.Echo/Count') as call: await call.expect(json={'$[': 1})", "expect: "),
        ("async with user.grpc('test.v1.Echo/Count') as call: pass\nawait call.read()", "within `async with`"),
        ("call = user.grpc('test.v1.Echo/Say')\nawait call\nawait call", "made once"),
    ],
)
async def test_a_mistake_of_the_journey_is_an_iteration_that_failed(world, body, words):
    """What can't be called as it is written is told by its words, and nothing is left open."""
    await world.do(body, outcome=Outcome.FAILED, verify=False)
    assert words in world.log[0]


async def test_an_error_of_the_journey_leaves_the_block(world):
    """The call was made, so it is recorded; the iteration has failed, and the call has ended."""
    await world.do(
        """
async with user.grpc("test.v1.Echo/Count") as call:
    async for message in call:
        raise LookupError("mine")
""",
        outcome=Outcome.FAILED,
    )
    assert "mine" in world.log[0]
    assert [(record[0].status, record[1]) for record in world.requests()] == [(OK, True)]


async def test_a_virtual_user_that_is_cancelled_ends_its_call(world):
    """Nothing is left behind, and nothing is recorded."""
    for body in (
        "await user.grpc('test.v1.Echo/Say', metadata={'x-delay': '30'})",
        "async with user.grpc('test.v1.Echo/Count') as call:\n    async for message in call: pass",
        "async with user.grpc('test.v1.Echo/Sum') as call: await asyncio.sleep(60)",
    ):
        vu = world.vu(f"import asyncio\n{body}", seconds=60)
        task = asyncio.ensure_future(vu.iterate(0))
        async with asyncio.timeout(20):
            while not world.network.open_connections:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await vu.close()
    assert world.requests() == []


async def test_grpc_is_loaded_ahead_of_the_load_by_a_script_that_speaks_it(tmp_path):
    """And by no other: what it takes to load isn't the first call's, and who doesn't call pays nothing."""
    for line, loaded in (("await user.get('/')", 0), ("await user.grpc('a.B/C')", 1)):
        (tmp_path / "j.py").write_text(
            f"async def journey(user):\n    async def inner():\n        {line}\n    await inner()\n"
        )
        code = (
            "import sys; sys.path.insert(0, sys.argv[1])\n"
            "from pathlib import Path\n"
            "from journey_samples import Bench, plan_of\n"
            "Bench(plan_of(script='j.py'), tmp_path=Path(sys.argv[2]))\n"
            "sys.exit('grpc' in sys.modules)"
        )
        command = [sys.executable, "-c", code, str(SERVER.parent), str(tmp_path)]
        process = await asyncio.create_subprocess_exec(*command)
        assert await process.wait() == loaded
