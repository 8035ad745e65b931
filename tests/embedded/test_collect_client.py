"""Calls to a runner that answers well, badly, slowly, endlessly or not at all."""

import asyncio

import pytest
import zstandard
from fake_exchange import exchange_of, reply

from loadgate.control import BlockReport, BlockState, RunnerReport, RunnerState, Start
from loadgate.metrics import Measurement, Snapshot
from loadgate_operator.collect import ClientLimits, Runner, RunnerClient
from loadgate_operator.collect.client import RunnerFaultError, decompressed
from loadgate_operator.collect.exchange import Answer, ExchangeError

RUNNER = Runner(run="r-1", index=0, uid="u-0", url="http://10.0.0.1:9119", token="secret-token")


def report(**fields):
    return RunnerReport(**{"run": "r-1", "index": 0, "uid": "u-0", "state": RunnerState.ARMED, **fields})


def snapshot(**fields):
    base = {"run": "r-1", "runner": 0, "uid": "u-0", "sequence": 1, "clock": 1.0, "state": "Running", "elapsed": 1.0}
    return Snapshot(**{**base, "measurement": Measurement(), **fields})


def client_of(handler, **limits):
    return RunnerClient(ClientLimits(**limits), exchange_of(handler))


async def test_calls_carry_the_token_and_the_message():
    """Every call is authorised by the run's token, and a message is the body of its POST."""
    seen = []

    async def handler(request):
        seen.append((request.method, request.url, request.headers["Authorization"], request.body))
        return reply(200, content=report().encode())

    async with client_of(handler) as client:
        await client.state(RUNNER)
        message = Start(run="r-1", in_seconds=0.5, offset=0.0, setup={"a": 1})
        await client.start(RUNNER, lambda: message)
    assert seen == [
        ("GET", f"{RUNNER.url}/state", "Bearer secret-token", None),
        ("POST", f"{RUNNER.url}/start", "Bearer secret-token", message.encode()),
    ]


async def test_a_report_comes_back_whole():
    """What the runner said of itself, setup's values included, is what the caller gets."""
    said = report(state=RunnerState.RUNNING, elapsed=3.5, setup=BlockReport(BlockState.DONE, {"token": "t"}))
    async with client_of(lambda _: reply(200, content=said.encode())) as client:
        assert await client.state(RUNNER) == said


@pytest.mark.parametrize("encoding", ["identity", "zstd"])
async def test_a_snapshot_may_be_compressed(encoding):
    """A snapshot reads the same however it was sent, and the view is asked for."""
    data = snapshot().encode()
    sent = zstandard.compress(data) if encoding == "zstd" else data

    async def handler(request):
        assert request.query == "view=full"
        return reply(200, content=sent, encoding=encoding)

    async with client_of(handler) as client:
        assert (await client.snapshot(RUNNER, "full")).sequence == 1


async def raising(error):
    raise error


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (lambda _: reply(200, content=b"not json"), "garbage"),
        (lambda _: reply(200, content=b"[]"), "garbage"),
        (lambda _: reply(200, content=b'{"run": "r-1"}'), "garbage"),
        (lambda _: reply(200, content=b"\xff\xfe"), "garbage"),
        (lambda _: reply(200, content=b"x", encoding="zstd"), "garbage"),
        (lambda _: reply(200, content=b"x", encoding="br"), "br"),
        (lambda _: reply(200, content=report(run="r-2").encode()), "wrong run"),
        (lambda _: reply(200, content=report(uid="u-9").encode()), "wrong runner"),
        (lambda _: reply(409, content=b"another run"), "status 409: another run"),
        (lambda _: reply(401), "status 401"),
        (lambda _: reply(302), "status 302"),
        (lambda _: reply(200, content=b"x" * 2000), "more than 1,000 bytes"),
        (lambda _: reply(200, content=b"[{}" * 50), "more than 60 parts"),
        (lambda _: raising(ExchangeError("connection refused")), "connection refused"),
    ],
)
async def test_whatever_goes_wrong_is_one_error_with_a_reason(handler, words):
    """Garbage, the wrong run, refusal, and answers without end are all a RunnerFaultError that says what happened."""
    async with client_of(handler, wire_bytes=1000, parts=60) as client:
        with pytest.raises(RunnerFaultError, match=words):
            await client.state(RUNNER)


@pytest.mark.looptime
async def test_a_runner_that_never_answers_costs_its_time_limit():
    """A call ends when its time is over, to the second, whatever the other side does."""

    async def handler(_):
        await asyncio.sleep(3600)
        return reply(200)

    async with client_of(handler, seconds=5.0) as client:
        began = asyncio.get_running_loop().time()
        with pytest.raises(RunnerFaultError, match="no answer within 5s"):
            await client.state(RUNNER)
        assert asyncio.get_running_loop().time() - began == pytest.approx(5.0, abs=0.1)


@pytest.mark.looptime
async def test_a_trickle_does_not_outlast_the_limit():
    """A byte every second keeps a call from ending no more than silence does."""

    async def trickle():
        while True:
            await asyncio.sleep(1)
            yield b"x"

    async with client_of(lambda _: Answer(200, "identity", trickle()), seconds=5.0) as client:
        with pytest.raises(RunnerFaultError, match="no answer within 5s"):
            await client.state(RUNNER)


@pytest.mark.looptime
async def test_time_in_the_queue_is_no_fault_of_the_runner():
    """With more runners than calls at a time, each call's limit begins when it is made."""

    async def handler(_):
        await asyncio.sleep(4)
        return reply(200, content=report().encode())

    async with client_of(handler, seconds=5.0, concurrency=1) as client:
        answers = await asyncio.gather(*(client.state(RUNNER) for _ in range(5)))
    assert len(answers) == 5


def test_a_small_answer_may_not_become_a_huge_one():
    """What decompresses to more than the limit is refused before it is held."""
    with pytest.raises(RunnerFaultError, match="more than 1,000 bytes"):
        decompressed(zstandard.compress(b"\0" * 10_000_000), 1000)
    assert decompressed(zstandard.compress(b"\0" * 1000), 1000) == b"\0" * 1000


async def test_proxies_of_the_environment_are_not_used(monkeypatch):
    """Runners are reached directly, whatever proxy a person's shell names."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        body = report().encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with RunnerClient() as client:
            here = Runner(run="r-1", index=0, uid="u-0", url=f"http://127.0.0.1:{port}", token="t")
            assert (await client.state(here)).state == RunnerState.ARMED
