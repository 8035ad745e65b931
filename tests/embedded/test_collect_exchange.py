"""The way to a runner over a real socket: what aiohttp brings back, and what it does not do by itself."""

import asyncio
import contextlib

import pytest

from loadgate_operator.collect.exchange import ExchangeError, Http


@contextlib.asynccontextmanager
async def server(answer):
    """A server that sends these bytes to whoever asks, and closes; gives its URL and what it was sent."""
    seen = []

    async def serve(reader, writer):
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", seen


async def asked(url, headers=None):
    """Status, encoding and body of an answer."""
    async with Http(4) as http, http("GET", url, headers or {}, None) as answer:
        return answer.status, answer.encoding, b"".join([chunk async for chunk in answer.chunks])


async def test_an_answer_comes_as_it_was_sent():
    """Its body stays in the encoding that it came in, and headers go out as given."""
    sent = b"HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nContent-Length: 3\r\n\r\nabc"
    async with server(sent) as (url, seen):
        assert await asked(f"{url}/state", {"Authorization": "Bearer t"}) == (200, "zstd", b"abc")
    assert seen[0].startswith(b"GET /state HTTP/1.1\r\n")
    assert b"Authorization: Bearer t\r\n" in seen[0]


async def test_nobody_is_sent_elsewhere():
    """A redirect is an answer, not an order: the token goes to the runner only."""
    async with server(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n") as (url, _):
        assert (await asked(url))[0] == 302


async def test_cookies_are_not_kept():
    """What one answer sets is not in the next request."""
    async with (
        server(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n") as (url, seen),
        Http(4) as http,
    ):
        for _ in range(2):
            async with http("GET", url, {}, None) as answer:
                assert answer.status == 200
    assert b"cookie" not in seen[1].lower()


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"", "ServerDisconnectedError"),
        (b"garbage\r\n\r\n", "400"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "ClientPayloadError"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", "400"),
    ],
)
async def test_half_an_answer_is_an_error(sent, words):
    """Nothing, garbage, headers without end and a body that is cut short are errors that say so."""
    async with server(sent) as (url, _):
        with pytest.raises(ExchangeError, match=words):
            await asked(url)


@pytest.mark.parametrize(("url", "words"), [("http://127.0.0.1:1", "connection refused"), ("http://[", "InvalidUrl")])
async def test_nobody_there(url, words):
    """A port on which nobody listens, and an address that is none, are errors of the same kind."""
    with pytest.raises(ExchangeError, match=words):
        await asked(url)
