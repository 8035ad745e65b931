"""gRPC calls as steps, against a server of grpcio's own in a process of its own."""

import asyncio
import socket
import sys
from contextlib import suppress

import pytest
import trustme
from journey_samples import MemoryRecorder, MemoryTally, plan_of, steps_of
from rpc_process import Process
from rpc_server import protoset

from loadgate.plan.document import PlanConnection, PlanProxy, PlanTarget, PlanTimeouts
from loadgate.plan.targets import Targets
from loadgate_runner.http import Client, Failure, Gate, Network, locate
from loadgate_runner.http.waiter import on_a_strand
from loadgate_runner.journey import BlockError, Context, JourneyError, Outcome, check_block, compile_scenario, run_block

pytestmark = pytest.mark.processes

OK, NOT_FOUND, DEADLINE_EXCEEDED, UNIMPLEMENTED, UNAVAILABLE = 1000, 1005, 1004, 1012, 1014


@pytest.fixture(scope="module")
def server():
    """A server with reflection as grpcio has it."""
    process = Process()
    yield process
    process.end()


@pytest.fixture
def start():
    """Starts more servers."""
    begun = []

    def begin(**options):
        begun.append(Process(**options))
        return begun[-1]

    yield begin
    for process in begun:
        process.end()


class World:
    """A process of a runner, as far as journeys see it."""

    def __init__(self, files, allowed=(), environ=None):
        self.told = []
        gate = Gate(Targets(list(allowed)), lambda: self.told.append("denied"))
        self.network = Network(gate=gate)
        self.recorder, self.log = MemoryRecorder(), []
        self.context = Context(
            run="r", runner_index=0, files=files, environ=environ or {}, recorder=self.recorder, clock=self.network.clock,
            sleep=None, client=lambda: Client(self.network), log=self.log.append,
        )  # fmt: skip
        self.vus = []

    async def vu(self, *steps, url, seconds=10, connection=None, **target):
        """A virtual user that is ready to do some steps."""
        where = PlanTarget(
            url=url, timeouts=PlanTimeouts(total=seconds), connection=connection or PlanConnection(), **target
        )
        plan = plan_of(*steps, target=where)
        journey = compile_scenario(plan.scenarios[0], plan, self.context)
        await journey.ready()
        self.vus.append(journey.new_vu(len(self.vus) + 1, MemoryTally()))
        return self.vus[-1]

    def requests(self):
        """All recorded requests, in their order within each name."""
        return [record for records in self.recorder.requests().values() for record in records]

    def metric(self, name):
        """All values of a metric."""
        return [value for key, series in self.recorder.series.items() if key[1] == name for value in series.records]


@pytest.fixture
async def world(tmp_path):
    """A runner's process, with its folder of files."""
    made = World(tmp_path)
    yield made
    for vu in made.vus:
        await vu.close()
    assert made.network.open_connections == 0
    made.network.close()


@pytest.fixture
def do(world, server):
    """Does one iteration of steps against the server; gives the one response of the last step's name and its verdict."""

    async def run(*steps, port=None, world=world, **more):
        vu = await world.vu(*steps, url=f"http://127.0.0.1:{port or server.port}", **more)
        assert await vu.iterate(0) is Outcome.COMPLETED, world.log
        response, expected, _ = world.requests()[-1]
        return response, expected

    return run


def say(message=None, check=None, extract=None, **more):
    """A unary call."""
    call = {"name": "say", "method": "test.v1.Echo/Say", "message": message or {}, **more}
    return {"grpc": call, **({"check": check} if check else {}), **({"extract": extract} if extract else {})}


def stream(method, check=None, **more):
    """A call with streams."""
    return {"grpc": {"name": "s", "method": f"test.v1.Echo/{method}", **more}, **({"check": check} if check else {})}


async def test_a_call_is_a_request_with_json_either_way(do, world):
    """Templates fill the message, checks and extractions see the reply as protobuf's JSON, with default values too."""
    message = {"text": "hi ${vu.id}", "number": "5", "inner": {"deepName": "x"}, "mood": "CROSS",
               "at": "2026-01-01T00:00:00Z", "counts": {"a": {"deep_name": "b"}}}  # fmt: skip
    check = {"status": "OK", "duration": "<10s", "size": ">20", "json": {
        "$.text": "hi 1", "$.number": "5", "$.small": 0, "$.tags": "exists", "$.mood": "CROSS",
        "$.at": "2026-01-01T00:00:00Z", "$.counts.a.deepName": "b", "$.inner.deepName": "x"}}  # fmt: skip
    response, expected = await do(say(message, check, {"deep": {"json": "$.inner.deepName"}}))
    assert (response.status, response.error, expected, response.method) == (OK, None, True, "POST")
    assert response.connecting > 0
    assert response.duration == response.waiting > 0
    assert response.sent == response.received
    assert all(all(results) for results in world.recorder.checks().values()), world.recorder.checks()
    assert world.vus[0].state.vars == {"deep": "x"}


async def test_a_virtual_user_has_a_connection_of_its_own_and_keeps_it(do, world, server):
    """Calls of one virtual user share a connection, those of two don't, and what isn't reused says so."""
    step = say(extract={"peer": {"header": "x-peer"}})
    vus = [await world.vu(step, step, url=f"http://127.0.0.1:{server.port}") for _ in range(2)]
    peers = []
    for vu in vus:
        for number in range(2):
            await vu.iterate(number)
            peers.append(vu.state.vars["peer"])
    assert len(set(peers[:2])) == len(set(peers[2:])) == 1
    assert len(set(peers)) == 2
    assert [record[0].reused for record in world.requests()] == [False, True, True, True] * 2
    assert world.network.open_connections == 2


@pytest.mark.parametrize(
    "connection", [{"reuse": "never"}, {"reuse": "iteration"}, {"max_requests": 1}, {"max_age": 0}, {"idle_timeout": 0}]
)
async def test_connections_are_kept_as_long_as_the_target_says(world, server, connection):
    """What bounds connections bounds these too."""
    vu = await world.vu(say(), url=f"http://127.0.0.1:{server.port}", connection=PlanConnection(**connection))
    for number in range(3):
        await vu.iterate(number)
    assert [record[0].reused for record in world.requests()] == [False] * 3


async def test_a_call_follows_a_request(world, server):
    """A virtual user that goes on without its task, from a request's answer on, makes calls and streams as ever."""

    async def answer(reader, writer):
        while await reader.readline():
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.01)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        gone.release()

    gone = asyncio.Semaphore(0)
    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    request = {"request": {"name": "r", "url": f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/"}}
    count = stream("Count", message={"number": 3}, until={"count": 2}, **{"for": "5s"})
    chat = stream("Chat", messages=[{"text": "a"}], times=2)
    vu = await world.vu(request, request, say(), request, count, request, chat, url=f"http://127.0.0.1:{server.port}")

    async def work():
        for number in range(2):
            assert await vu.iterate(number) is Outcome.COMPLETED, world.log

    await asyncio.create_task(on_a_strand(work()))
    assert [record[0].error for record in world.requests()] == [None] * 14
    await vu.close()
    listener.close()
    await gone.acquire()


async def test_metadata_goes_both_ways(do, world):
    """Metadata holds templates and bytes; what the server sends before and behind the reply is looked at as headers."""
    target = {"headers": {"X-Token": "t", "Accept": "*/*", "Content-Type": "text/plain", "User-Agent": "me"}}
    check = {"headers": {"x-trailing": "last", "x-authority": "mine 1", "X-Raw-Bin": "AP8=", "grpc-status": "0"}}
    step = say({}, check, metadata={"x-token": "mine ${vu.id}", "data-bin": "AAH/"}, auth={"bearer": "secret"})
    await do(step, **target)
    assert all(all(results) for results in world.recorder.checks().values()), world.recorder.checks()


@pytest.mark.parametrize(
    ("metadata", "words"),
    [({"x-a": "${setup.odd}"}, "only printable ASCII"), ({"x-a-bin": "${setup.odd}"}, "is base64")],
)
async def test_what_metadata_cannot_carry_fails_the_iteration(world, server, metadata, words):
    """A value that can't be sent is a fault of the journey, told in its log."""
    world.context.setup["odd"] = "schön"
    vu = await world.vu(say({}, metadata=metadata), url=f"http://127.0.0.1:{server.port}")
    assert await vu.iterate(0) is Outcome.FAILED
    assert words in world.log[0]


@pytest.mark.parametrize(
    ("status", "accepts", "error", "expected"),
    [
        ("NOT_FOUND", None, Failure.GRPC, False),
        ("NOT_FOUND", "NOT_FOUND", None, True),
        ("NOT_FOUND", ["OK", "NOT_FOUND"], None, True),
        ("NOT_FOUND", "OK", Failure.GRPC, False),
        ("INTERNAL", "OK", Failure.GRPC, False),
    ],
)
async def test_a_status_is_a_failure_unless_it_is_wished_for(do, world, status, accepts, error, expected):
    """Other statuses are failures of a kind of their own, of which checks see status, message and metadata."""
    check = {
        "headers": {"grpc-message": "as asked  for", "x-trailing": "last"},
        **({"status": accepts} if accepts else {}),
    }
    response, took = await do(say({}, check, metadata={"x-status": status}))
    assert (response.status, response.error, took) == (OK + 5 if status == "NOT_FOUND" else OK + 13, error, expected)
    assert (f"{status}: as asked for" in response.message) is bool(error)
    results = world.recorder.checks()
    assert results.pop(f"status is {accepts if isinstance(accepts, str) else 'OK or NOT_FOUND'}", [expected]) == [
        expected
    ]
    assert all(all(values) for values in results.values()), results


async def test_a_method_that_is_described_and_not_there_is_unimplemented(do):
    """The server says so by the status."""
    response, _ = await do(stream("Missing"))
    assert (response.status, response.error) == (UNIMPLEMENTED, Failure.GRPC)


@pytest.mark.parametrize("limits", [{"total": 0.2}, {"total": 10, "first_byte": 0.2}])
async def test_a_deadline_passes(world, server, limits):
    """A reply that isn't there in time is DEADLINE_EXCEEDED, whichever limit it is, and takes that long."""
    where = PlanTarget(url=f"http://127.0.0.1:{server.port}", timeouts=PlanTimeouts(total=10))
    timeout = {"total": f"{limits['total']}s", **({"firstByte": "200ms"} if len(limits) > 1 else {})}
    vu = await world.vu(say({}, metadata={"x-delay": "5"}, timeout=timeout), url=where.url)
    await vu.iterate(0)
    response, expected, _ = world.requests()[0]
    assert (response.status, response.error, expected) == (DEADLINE_EXCEEDED, Failure.GRPC, False)
    assert 150_000 < response.duration < 4_000_000


async def test_a_server_that_goes_is_unavailable_and_then_refuses(do, start, world):
    """A call under way ends as UNAVAILABLE; the next one finds no connection, which is a failure of that kind."""
    process = start()
    step = say({}, metadata={"x-die": "${vu.iteration}"})
    vu = await world.vu(step, url=f"http://127.0.0.1:{process.port}", seconds=5)
    await vu.iterate(0)
    first = world.requests()[0][0]
    assert (first.status, first.error, first.reused) == (UNAVAILABLE, Failure.GRPC, False)
    process.process.wait()
    async with asyncio.timeout(30):  # until grpc knows that its connection is gone
        while (second := world.requests()[-1][0]).error is Failure.GRPC:
            assert second.status == UNAVAILABLE
            await vu.iterate(1)
    assert (second.status, second.error) == (0, Failure.CONNECT)
    assert "refused" in second.message


async def test_where_nobody_answers_there_is_no_connection_in_time(world, tmp_path):
    """A server that takes connections and says nothing is a timeout; one that speaks HTTP/1.1 is a protocol failure."""
    gone = asyncio.Semaphore(0)

    async def mute(reader, writer):
        await reader.read()
        await leave(writer)

    async def old(reader, writer):
        await reader.read(24)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        with suppress(ConnectionError):
            await reader.read()
        await leave(writer)

    async def leave(writer):
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        gone.release()

    config = tmp_path / "cm"
    config.mkdir()
    (config / "echo.binpb").write_bytes(protoset())
    described = {"protoset": {"configMapKeyRef": {"name": "cm", "key": "echo.binpb"}}}
    for serve, kind in ((mute, Failure.TIMEOUT), (old, Failure.PROTOCOL)):
        listener = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        vu = await world.vu(say(**described, timeout={"connect": "300ms", "total": "5s"}), url=url)
        await vu.iterate(0)
        response = world.requests()[-1][0]
        assert (response.error, response.status) == (kind, 0), response.message
        listener.close()
        await gone.acquire()


async def test_a_reply_that_is_too_large_is_refused(do):
    """A reply of more than 4 MiB is RESOURCE_EXHAUSTED, so that no server fills a runner's memory."""
    response, _ = await do(say({"number": 5 << 20}, metadata={"x-large": "1"}))
    assert (response.status, response.error) == (OK + 8, Failure.GRPC)


async def test_a_servers_stream_is_read_to_its_end_and_measured(do, world):
    """Checks see the last reply; the duration is the time to the first; replies, gaps and times are metrics."""
    response, expected = await do(stream("Count", {"status": "OK", "json": {"$.small": 4}}, message={"number": 5}))
    assert (response.status, expected) == (OK, True)
    assert world.recorder.checks() == {"status is OK": [True], "json $.small is 4": [True]}
    assert [len(world.metric(f"grpc_{what}")) for what in ("streams", "msgs_sent", "msgs_received")] == [1, 1, 5]
    gaps, (first,), (whole,) = (
        world.metric(f"grpc_{n}") for n in ("message_gap", "time_to_first_message", "stream_duration")
    )
    assert len(gaps) == 4
    assert whole >= sum(gaps)
    assert response.duration / 1000 <= first
    assert dict(next(key[2] for key in world.recorder.series if key[1] == "grpc_streams")) == {
        "scenario": "s", "group": "", "name": "s"}  # fmt: skip


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"until": {"json": {"$.small": 7}}}, None),
        ({"until": {"count": 3}}, None),
        ({"until": {"json": {"$.small": ">3"}, "count": 2}, "for": "9s"}, None),
        ({"for": "150ms"}, None),
        ({"until": {"json": {"$.text": "never"}}, "for": "150ms"}, Failure.TIMEOUT),
        ({"until": {"json": {"$.text": "never"}}, "message": {"number": 3}}, Failure.BODY),
    ],
)
async def test_until_and_for_end_a_stream(do, how, error):
    """What is waited for ends it well; `for` alone is content; what doesn't come is a timeout, or `body` at the end."""
    response, expected = await do(stream("Count", **how))
    assert (response.error, expected) == (error, error is None)
    assert response.status == (0 if error else OK)


async def test_a_clients_stream_and_a_stream_both_ways(do, world):
    """Messages are sent over and over, each made when it is sent, and replies are read meanwhile."""
    messages = {"messages": [{"number": 5}, {"number": "${vu.id}", "text": "a"}], "times": 3}
    await do(stream("Sum", {"status": "OK", "json": {"$.number": "18", "$.small": 6}}, **messages))
    assert world.metric("grpc_msgs_sent") == [1] * 6
    await do(stream("Chat", {"json": {"$.text": "a"}}, **messages, every="5ms"))
    assert world.metric("grpc_msgs_sent") == [1] * 12
    assert len(world.metric("grpc_msgs_received")) == 7
    assert all(all(results) for results in world.recorder.checks().values())


async def test_a_server_may_answer_a_stream_before_its_end(do):
    """The reply counts, and what hasn't been sent isn't."""
    response, _ = await do(
        stream("Sum", messages=[{"number": 1}], times=1000, every="100ms", metadata={"x-early": "1"})
    )
    assert (response.status, response.error) == (OK, None)
    assert response.sent < 1000


async def test_a_stream_that_the_server_refuses_keeps_its_status(do):
    """While messages are being sent, the status that counts is the server's own, every time."""
    for _ in range(30):
        response, _ = await do(
            stream("Chat", messages=[{"text": "x" * 1000}], times=50, metadata={"x-status": "NOT_FOUND"})
        )
        assert (response.status, response.error) == (NOT_FOUND, Failure.GRPC)


async def test_a_message_that_does_not_fit_fails_the_iteration(world, server):
    """What a template gives and no field takes ends the iteration, in a stream too, and the virtual user goes on."""
    world.context.setup["odd"] = "many"
    for step in (say({"number": "${setup.odd}"}), stream("Chat", messages=[{"text": "a"}, {"number": "${setup.odd}"}])):
        vu = await world.vu(step, url=f"http://127.0.0.1:{server.port}")
        assert await vu.iterate(0) is Outcome.FAILED
    assert len(world.log) == 2
    assert all("no test.v1.Said" in line for line in world.log)


async def test_a_virtual_user_that_is_cancelled_ends_its_call(world, server):
    """Nothing is left behind, and nothing is recorded."""
    for step in (
        say({}, metadata={"x-delay": "30"}),
        stream("Count"),
        stream("Sum", messages=[{}], times=999, every="1s"),
    ):
        vu = await world.vu(step, url=f"http://127.0.0.1:{server.port}", seconds=60)
        task = asyncio.ensure_future(vu.iterate(0))
        async with asyncio.timeout(20):
            while not world.network.open_connections:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await vu.close()
    assert world.requests() == []


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_both_reflections_describe(do, start, version):
    """The newer is asked first, and where it isn't there the older one, each time."""
    process = start(reflection=version)
    for _ in range(5):
        response, _ = await do(say({"text": "a"}), port=process.port)
        assert response.status == OK


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (say(method="test.v1.Ecko/Say"), "the server has no service 'test.v1.Ecko': did you mean 'test.v1.Echo'?"),
        (say(method="test.v1.Echo/Sai"), "test.v1.Echo has no method 'Sai': did you mean 'Say'?"),
        (say({"txt": "a"}), "test.v1.Said has no field 'txt': did you mean 'text'?"),
        (say({"inner": {"name": "${vu.id}"}}), "test.v1.Inner has no field 'name'"),
        (say({"counts": {"a": {"name": "${vu.id}"}}}), "test.v1.Inner has no field 'name'"),
        (say({"number": "many"}), "no test.v1.Said"),
        (stream("Count", messages=[{}]), "takes one message: give `message`"),
        (say(until={"count": 1}), "gives one reply"),
        (say(metadata={"x-a": "schön"}), "only printable ASCII"),
    ],
)
async def test_what_descriptors_do_not_allow_is_told_before_the_load(world, server, step, words):
    """A scenario, or a block, whose calls don't fit the server's descriptors is none."""
    with pytest.raises(JourneyError, match=words.replace("?", "[?]")):
        await world.vu(step, url=f"http://127.0.0.1:{server.port}")
    plan = plan_of(step, target=PlanTarget(url=f"http://127.0.0.1:{server.port}", timeouts=PlanTimeouts(total=5)))
    with pytest.raises(JourneyError, match=words.replace("?", "[?]")):
        await check_block("setup", steps_of(step), plan, world.context)()


async def test_a_server_without_reflection_needs_a_protoset(do, start, tmp_path, world):
    """Without either it is told what to give; with a protoset nothing is asked."""
    process = start(reflection="none")
    with pytest.raises(JourneyError, match="the server has no reflection: give a protoset"):
        await do(say(), port=process.port)
    (tmp_path / "cm").mkdir()
    (tmp_path / "cm" / "echo.binpb").write_bytes(protoset())
    described = {"protoset": {"configMapKeyRef": {"name": "cm", "key": "echo.binpb"}}}
    response, _ = await do(say({"text": "a"}, {"json": {"$.text": "a"}}, **described), port=process.port)
    assert response.status == OK


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\xff", "no file of descriptors"),
        (b"", "without any file"),
        (protoset(whole=False), "test/common.proto isn't in it"),
        (protoset()[:-40], "no file of descriptors: Error parsing"),
        (b'// ours\nsyntax = "proto3";', "no file of descriptors: but text: it is what `protoc --include_imports -o"),
    ],
)
async def test_a_bad_protoset_is_told_before_the_load(world, server, tmp_path, data, words):
    """What can't be read, or lacks what it imports, is said to do so."""
    (tmp_path / "cm").mkdir()
    (tmp_path / "cm" / "bad.binpb").write_bytes(data)
    step = say(protoset={"configMapKeyRef": {"name": "cm", "key": "bad.binpb"}})
    with pytest.raises(JourneyError, match=words):
        await world.vu(step, url=f"http://127.0.0.1:{server.port}")


async def test_load_goes_only_where_it_may(server, tmp_path):
    """An address that isn't allowed isn't tried, not even for reflection, and whoever must know is told."""
    denied = World(tmp_path, allowed=["10.0.0.0/8"])
    with pytest.raises(JourneyError, match=r"127\.0\.0\.1"):
        await denied.vu(say(), url=f"http://127.0.0.1:{server.port}")
    assert denied.told == ["denied"]
    assert denied.network.gate.denied == 1
    denied.network.close()


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


async def test_calls_to_the_target_carry_its_token(world, server, start):
    """What the target's `auth` got goes as metadata, and UNAUTHENTICATED says that it was refused; others don't see it."""
    world.context.tokens = Tokens()
    seen = {"seen": {"header": "x-auth"}}
    other = start()
    url = f"http://127.0.0.1:{server.port}"
    cases = [
        (say({}, None, seen), "Bearer t0"),
        (say({}, None, seen, metadata={"x-status": "UNAUTHENTICATED"}), "Bearer t0"),
        (say({}, None, seen), "Bearer t1"),
        (say({}, None, seen, auth={"bearer": "mine"}), "Bearer mine"),
        (say({}, None, seen, auth={"basic": {"username": "u", "password": "p"}}), "Basic dTpw"),
        (say({}, None, seen, auth={"none": True}), "none"),
        (say({}, None, seen, url=f"grpc://127.0.0.1:{other.port}"), "none"),
    ]
    for step, sent in cases:
        vu = await world.vu(step, url=url)
        await vu.iterate(0)
        assert vu.state.vars == {"seen": sent}


async def test_a_unix_socket_stands_for_the_server(start, world, tmp_path):
    """Where the target is reached by a socket, so are its gRPC calls."""
    path = str(tmp_path / "s")
    start(address=f"unix:{path}")
    origin, _ = locate("http://shop.example:80")
    world.network = Network(sockets={origin: path})
    vu = await world.vu(say({"text": "a"}), url="http://shop.example:80")
    await vu.iterate(0)
    assert world.requests()[0][0].status == OK


async def test_a_share_of_calls_carries_trace_ids(do, world):
    """A call that is sampled has the id in its metadata, as a request has it in its headers."""
    await do(say({}, {"headers": {"x-trace": "~^00-[0-9a-f]{32}-[0-9a-f]{16}-01$"}}), tracing=1.0)
    assert list(world.recorder.checks().values()) == [[True]]


async def test_no_proxy_of_the_environment_is_used(do, monkeypatch):
    """What the environment says of proxies is nothing to a load test."""
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    response, _ = await do(say())
    assert response.status == OK


async def test_a_block_makes_calls_too(world, server):
    """What setup extracts from a reply is there for later; a status that isn't wished for ends it."""
    plan = plan_of(say(), target=PlanTarget(url=f"http://127.0.0.1:{server.port}", timeouts=PlanTimeouts(total=5)))
    steps = steps_of(say({"text": "a"}, extract={"got": {"json": "$.text"}}))
    assert await run_block("setup", steps, plan, world.context) == {"got": "a"}
    with pytest.raises(BlockError, match="NOT_FOUND: as asked for"):
        await run_block("setup", steps_of(say(metadata={"x-status": "NOT_FOUND"})), plan, world.context)


@pytest.fixture(scope="module")
def authority():
    """A certificate authority."""
    return trustme.CA()


def tls_files(folder, authority, *names):
    """A server's key and certificate as files."""
    made = authority.issue_cert(*names)
    key, cert, ca = folder / "key.pem", folder / "cert.pem", folder / "ca.pem"
    made.private_key_pem.write_to_path(key)
    cert.write_bytes(b"".join(each.bytes() for each in made.cert_chain_pems))
    authority.cert_pem.write_to_path(ca)
    return {"key": str(key), "cert": str(cert)}, "ca.pem"


async def test_tls_is_verified_against_the_targets_authority(world, start, tmp_path, authority):
    """The target's CA, its server name and a client certificate are used; an unknown CA and a wrong name are `tls`."""
    files, ca = tls_files(tmp_path, authority, "shop.example")
    process = start(**files, client_ca=str(tmp_path / "ca.pem"))
    own = authority.issue_cert("client.example")
    world.context.environ = {"C": own.cert_chain_pems[0].bytes().decode(), "K": own.private_key_pem.bytes().decode()}
    right = {"ca_file": ca, "server_name": "shop.example", "cert_env": "C", "key_env": "K"}
    url = f"https://127.0.0.1:{process.port}"
    (tmp_path / "cm").mkdir()
    (tmp_path / "cm" / "echo.binpb").write_bytes(protoset())
    described = {"protoset": {"configMapKeyRef": {"name": "cm", "key": "echo.binpb"}}}
    await (await world.vu(say(), url=url, **right)).iterate(0)
    hosted = {"ca_file": ca, "host": "shop.example", "cert_env": "C", "key_env": "K"}
    await (await world.vu(say(), url=url, **hosted)).iterate(0)
    assert [(record[0].status, record[0].error) for record in world.requests()] == [(OK, None)] * 2
    for wrong in ({**right, "ca_file": None}, {**right, "server_name": "other.example"}):
        await (await world.vu(say(**described), url=url, **wrong)).iterate(0)
        response = world.requests()[-1][0]
        assert (response.error, response.status) == (Failure.TLS, 0), response.message


async def test_tls_over_a_unix_socket(world, start, tmp_path, authority):
    """The certificate is judged by the target's name there too, whatever the socket's path."""
    files, ca = tls_files(tmp_path, authority, "shop.example")
    path = str(tmp_path / "s")
    start(address=f"unix:{path}", **files)
    (tmp_path / "cm").mkdir()
    (tmp_path / "cm" / "echo.binpb").write_bytes(protoset())
    described = {"protoset": {"configMapKeyRef": {"name": "cm", "key": "echo.binpb"}}}
    for host, came in (("shop.example", (OK, None)), ("other.example", (0, Failure.TLS))):
        url = f"https://{host}:443"
        world.network = Network(sockets={locate(url)[0]: path})
        vu = await world.vu(say(**described), url=url, ca_file=ca)
        await vu.iterate(0)
        response = world.requests()[-1][0]
        assert (response.status, response.error) == came, response.message
        await vu.close()


async def test_no_call_passes_by_a_proxy(world, server):
    """Validation refuses it; a plan that has a proxy all the same makes no connection, neither through it nor past it."""
    with pytest.raises(JourneyError, match="gRPC goes through no proxy"):
        await world.vu(say(), url=f"http://127.0.0.1:{server.port}", proxy=PlanProxy(url="http://127.0.0.1:1"))


async def test_a_name_is_looked_up_by_our_own_resolver(world, server):
    """Each address is tried in turn, and what goes as authority is the name."""
    asked = []

    async def resolve(host, port):
        asked.append(host)
        return [(socket.AF_INET, ("127.0.0.2", 1)), (socket.AF_INET, ("127.0.0.1", port))]

    world.network = Network(resolve=resolve)
    vu = await world.vu(say(), url=f"http://shop.example:{server.port}")
    await vu.iterate(0)
    assert world.requests()[0][0].status == OK
    assert set(asked) == {"shop.example"}
    assert len(asked) == 2  # once for reflection


async def test_grpc_is_not_loaded_where_no_step_needs_it():
    """A runner whose plan has no gRPC step pays nothing for it."""
    code = "import sys, loadgate_runner.child, loadgate_runner.__main__; sys.exit('grpc' in sys.modules or 'google.protobuf' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0
