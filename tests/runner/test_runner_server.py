"""The control port's HTTP: bounded, in order, and unmoved by what strangers send."""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus

import pytest

from loadgate_runner.serve.server import MOST_BODY, MOST_HEAD, Answer, ControlServer, Request


@pytest.fixture
async def connect():
    """A server that answers with what it was asked, and connections to it."""
    asked: list[Request] = []

    async def handle(request: Request) -> Answer:
        asked.append(request)
        if request.path == "/slow":
            await asyncio.sleep(0.05)
        return Answer(HTTPStatus.OK, f"{request.method} {request.path}?{request.query} {len(request.body)}".encode())

    server = ControlServer(handle)
    port = await server.listen("127.0.0.1", 0)
    writers = []

    async def open_one():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        return reader, writer

    open_one.asked = asked
    yield open_one
    for writer in writers:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    await server.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode()
    length = next(int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length"))
    return int(head.split()[1]), await reader.readexactly(length)


REQUESTS = b"GET /a?x=1 HTTP/1.1\r\nHost: r\r\n\r\nPOST /b HTTP/1.1\r\nHost: r\r\nContent-Length: 3\r\n\r\nabc"


@pytest.mark.parametrize("size", [1, 7, len(REQUESTS)])
async def test_requests_are_answered_in_order_however_they_are_cut(connect, size):
    """Two requests on one connection, fed byte by byte or in one piece."""
    reader, writer = await connect()
    for i in range(0, len(REQUESTS), size):
        writer.write(REQUESTS[i : i + size])
        await writer.drain()
    assert await _answer(reader) == (200, b"GET /a?x=1 0")
    assert await _answer(reader) == (200, b"POST /b? 3")


async def test_a_slow_answer_holds_only_its_own_connection(connect):
    """The next request of that connection waits its turn, another connection doesn't."""
    reader, writer = await connect()
    writer.write(b"GET /slow HTTP/1.1\r\n\r\nGET /next HTTP/1.1\r\n\r\n")
    other_reader, other_writer = await connect()
    other_writer.write(b"GET /other HTTP/1.1\r\n\r\n")
    assert (await _answer(other_reader))[1].startswith(b"GET /other")
    assert [request.path for request in connect.asked] == ["/slow", "/other"]
    assert (await _answer(reader))[1].startswith(b"GET /slow")
    assert (await _answer(reader))[1].startswith(b"GET /next")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", 400),
        (b"GET /" + b"a" * MOST_HEAD + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"x: %s\r\n" % (b"y" * MOST_HEAD) + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n" + b"z" * (MOST_BODY + 1), 413),
        (b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 400),
        (b"GET /slow HTTP/1.1\r\n\r\n" * 40, 429),
    ],
)
async def test_what_is_no_small_request_is_refused_and_the_connection_closed(connect, sent, status):
    """Garbage, endless heads, bodies beyond a megabyte, and floods end with an error, not with memory."""
    reader, writer = await connect()
    writer.write(sent)
    data = await asyncio.wait_for(_read_all(reader), 10)
    last = data[data.rindex(b"HTTP/1.1 ") :]
    assert int(last.split()[1]) == status
    assert b"Connection: close" in last


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    data = b""
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            data += piece
    return data


async def test_a_connection_that_wants_to_be_closed_is(connect):
    """HTTP/1.0 and `Connection: close` get their answer, then the end."""
    for request in (b"GET /x HTTP/1.0\r\n\r\n", b"GET /x HTTP/1.1\r\nConnection: close\r\n\r\n"):
        reader, writer = await connect()
        writer.write(request)
        assert (await _answer(reader))[0] == 200
        assert await reader.read() == b""


async def test_head_has_no_body(connect):
    """HEAD answers with the length and nothing else, so the next answer is where it belongs."""
    reader, writer = await connect()
    writer.write(b"HEAD /x HTTP/1.1\r\n\r\nGET /y HTTP/1.1\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"200 OK" in head
    assert await _answer(reader) == (200, b"GET /y? 0")


async def test_a_client_that_leaves_amid_an_answer_disturbs_nobody(connect):
    """Its answer is given up; the server goes on."""
    _, writer = await connect()
    writer.write(b"GET /slow HTTP/1.1\r\n\r\n")
    await writer.drain()
    writer.transport.abort()
    await asyncio.sleep(0.1)
    reader, writer = await connect()
    writer.write(b"GET /x HTTP/1.1\r\n\r\n")
    assert (await _answer(reader))[0] == 200
