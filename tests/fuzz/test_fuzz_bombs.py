"""What is large on purpose: heads, chunks, trailers and codings that would eat memory or time if they were let."""

import asyncio
import gzip
import time
import tracemalloc

import brotli
import pytest
import zstandard
from fuzz_stage import WELL

from loadgate_runner.http import Client, Failure, Network, Options, Origin, Timeouts, prepare

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BLOCK = 1 << 16
MUCH = 1_000_000_000
MEMORY = 40_000_000
"""Bytes at once: what is kept of a body, what it unpacks to, and what a decoder has beside it."""
BUSY = 0.5
"""CPU seconds in one piece."""


def coded(coding, body):
    return HEAD + b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (coding, len(body)) + body


ENDLESS = {
    "a gigabyte of headers": (HEAD, b"X-A: " + b"y" * 100 + b"\r\n", Failure.PROTOCOL),
    "a gigabyte in one header": (HEAD + b"X-A: ", b"y", Failure.PROTOCOL),
    "a gigabyte of a reason": (b"HTTP/1.1 200 ", b"y", Failure.PROTOCOL),
    "a gigabyte of empty headers": (HEAD, b"X:\r\n", Failure.PROTOCOL),
    "a gigabyte of interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n", Failure.PROTOCOL),
    "a gigabyte of chunks of a byte": (CHUNKED, b"1\r\nx\r\n", Failure.TIMEOUT),
    "a gigabyte of a chunk's extension": (CHUNKED + b"1;", b"y", Failure.TIMEOUT),
    "a gigabyte of trailers": (CHUNKED + b"0\r\n", b"X: y\r\n", Failure.TIMEOUT),
    "a chunk of exabytes": (CHUNKED + b"fffffffffffffff\r\n", b"y", Failure.TIMEOUT),
    "a length of exabytes": (HEAD + b"Content-Length: 999999999999999999\r\n\r\n", b"y", Failure.TIMEOUT),
}
PACKED = {
    "gzip": coded(b"gzip", gzip.compress(bytes(MUCH // 2), 9)),
    "gzip twice": coded(b"gzip, gzip", gzip.compress(gzip.compress(bytes(MUCH // 2), 9))),
    "brotli": coded(b"br", brotli.compress(bytes(MUCH // 2), quality=1)),
    "zstd": coded(b"zstd", zstandard.compress(bytes(MUCH // 2))),
    "empty gzip members": coded(b"gzip", gzip.compress(b"") * (1_000_000 // len(gzip.compress(b"")))),
    "empty zstd frames": coded(b"zstd", zstandard.compress(b"") * (1_000_000 // len(zstandard.compress(b"")))),
    "cookies": HEAD + b"Set-Cookie: a=b; Path=/x\r\n" * 2000 + b"Content-Length: 0\r\n\r\n",
}


async def stream(writer, first, unit):
    writer.write(first)
    if not unit:
        return
    block = unit * (BLOCK // len(unit))
    for _ in range(MUCH // len(block)):
        writer.write(block)
        await writer.drain()


async def meet(first, unit=b""):
    """Send a request to such a server, and say what came of it, the most memory, and how long another task had to wait."""

    async def serve(reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if b" /after " in head:
                    writer.write(WELL)
                else:
                    await stream(writer, first, unit)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    network = Network()
    client = Client(network)
    origin = Origin("http", "127.0.0.1", server.sockets[0].getsockname()[1])
    options = Options(timeouts=Timeouts(total=1.0, first_byte=1.0))
    tracemalloc.start()
    beside = asyncio.ensure_future(longest_wait())
    response = await client.send(prepare("GET", origin, b"/", options=options, needs_body=True))
    await asyncio.sleep(0)  # it may have waited until now
    await asyncio.sleep(0)
    beside.cancel()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    after = await client.send(prepare("GET", origin, b"/after", needs_body=True))
    client.close()
    server.close()
    while network.open_connections:  # noqa: ASYNC110 - what is waited for has no event of its own
        await asyncio.sleep(0)
    network.close()
    assert (after.status, after.body) == (200, b"well")
    return response, most, await beside


async def longest_wait():
    """The most CPU seconds between two turns of the loop, until cancelled."""
    longest = 0.0
    try:
        while True:
            began = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - began)
    except asyncio.CancelledError:
        return longest


@pytest.mark.parametrize("name", ENDLESS)
async def test_what_never_ends_is_ended(name):
    """A gigabyte of anything fails as it should, in the time and memory that it may take, and the loop stays free."""
    first, unit, kind = ENDLESS[name]
    response, most, busy = await meet(first, unit)
    assert response.error is kind
    assert most < MEMORY
    assert busy < BUSY


@pytest.mark.parametrize("name", PACKED)
async def test_what_unpacks_to_much_costs_little(name):
    """A body of a megabyte at most can't be made into more memory or time than the limits allow."""
    response, most, busy = await meet(PACKED[name])
    assert response.status == 200
    assert response.error in {None, Failure.BODY}
    assert len(response.body) <= 4 << 20
    assert most < MEMORY
    assert busy < BUSY
