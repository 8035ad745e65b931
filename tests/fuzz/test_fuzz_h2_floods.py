"""What a peer of HTTP/2 may send without end: each is ended as the failure that it is, in bounded time and memory.

The kinds are those of CVE-2019-9511 to 9518, CVE-2016-6581 (HPACK), CVE-2023-44487 turned round, and CVE-2024-27316 and
its like (CONTINUATION).
"""

import asyncio
import struct
import time
import tracemalloc
from contextlib import suppress

import hpack
import pytest
import uvloop

from loadgate_runner.http import Client, Failure, Network, Options, Origin, Protocol, Timeouts, prepare

MUCH = 50_000_000
"""Bytes that a peer sends unless it is stopped."""
BLOCK = 1 << 18
MEMORY = 20_000_000
PATIENT = 30
"""Seconds, longer than a flood takes on a busy machine too: whoever runs into it has hung."""
BUSY = 0.25
"""CPU seconds that another task may wait for in one piece."""
SETTINGS = b"\0\0\0\4\0\0\0\0\0"
WELL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell"


def frame(kind, payload=b"", flags=0, stream=0):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def fields(*pairs):
    return hpack.Encoder().encode(pairs, huffman=False)


OK = frame(1, fields((":status", "200")), 4, 1)
INDEXED = hpack.Encoder()
BOMB = frame(1, INDEXED.encode([("x", "y" * 3500)]) + bytes([0x80 | 62]) * 12_000, 4, 1)
REPEATED = hpack.Encoder()
FIRST_INTERIM, NEXT_INTERIM = (frame(1, REPEATED.encode([(":status", "103")]), 4, 1) for _ in range(2))

FLOODS = {
    "SETTINGS": (b"", SETTINGS, Failure.PROTOCOL),
    "SETTINGS that are full": (b"", frame(4, struct.pack(">HI", 0x99, 1) * 2700), Failure.PROTOCOL),
    "SETTINGS that move windows": (
        b"",
        frame(4, struct.pack(">HI", 4, 1 << 20)) + frame(4, struct.pack(">HI", 4, 9)),
        Failure.PROTOCOL,
    ),
    "acknowledgements": (b"", frame(4, b"", 1), Failure.PROTOCOL),
    "PING": (b"", frame(6, b"12345678"), Failure.PROTOCOL),
    "answers to no PING": (b"", frame(6, b"12345678", 1), Failure.PROTOCOL),
    "PRIORITY": (b"", frame(2, b"\0\0\0\0\1", 0, 1), Failure.PROTOCOL),
    "PRIORITY of streams that aren't": (b"", frame(2, b"\0\0\0\0\1", 0, 9999), Failure.PROTOCOL),
    "WINDOW_UPDATE": (b"", frame(8, b"\0\0\0\1"), Failure.PROTOCOL),
    "WINDOW_UPDATE of a stream": (b"", frame(8, b"\0\0\0\1", 0, 1), Failure.PROTOCOL),
    "unknown kinds": (b"", frame(0xBB, b"x"), Failure.PROTOCOL),
    "large unknown kinds": (b"", frame(0xBB, bytes(16_000)), Failure.PROTOCOL),
    "GOAWAY": (b"", frame(7, b"\0\0\0\1" + bytes(4)), Failure.PROTOCOL),
    "RST_STREAM of streams that aren't": (b"", frame(3, bytes(4), 0, 9999), Failure.PROTOCOL),
    "RST_STREAM": (b"", frame(3, bytes(4), 0, 1), Failure.RESET),
    "empty DATA": (OK, frame(0, b"", 0, 1), Failure.PROTOCOL),
    "DATA of nothing but padding": (OK, frame(0, b"\4" + bytes(4), 8, 1), Failure.TIMEOUT),
    "DATA of a byte": (OK, frame(0, b"x", 0, 1), Failure.TIMEOUT),
    "DATA": (OK, frame(0, bytes(16_000), 0, 1), Failure.TIMEOUT),
    "DATA of a stream that isn't": (b"", frame(0, b"x", 0, 9), Failure.PROTOCOL),
    "interim answers": (FIRST_INTERIM, NEXT_INTERIM, Failure.PROTOCOL),
    "heads": (OK, frame(1, fields((":status", "200")), 4, 1), Failure.PROTOCOL),
    "CONTINUATION": (frame(1, b"", 0, 1), frame(9, b"", 0, 1), Failure.PROTOCOL),
    "CONTINUATION that is full": (frame(1, b"", 0, 1), frame(9, fields(("x", "y" * 8000)), 0, 1), Failure.PROTOCOL),
    "CONTINUATION of nothing": (b"", frame(9, b"", 0, 1), Failure.PROTOCOL),
    "ALTSVC": (b"", frame(10, b"\0\1xy"), Failure.PROTOCOL),
    "a bomb of fields": (b"", BOMB, Failure.PROTOCOL),
    "a frame of 16 MiB": (b"\xff\xff\xff\0\0\0\0\0\1", b"x", Failure.PROTOCOL),
    "a preface": (b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Failure.PROTOCOL),
    "zeros": (b"", bytes(100), Failure.PROTOCOL),
}


@pytest.fixture(params=[asyncio.SelectorEventLoop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request):
    """Runs a coroutine on a loop of one of the kinds."""
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run


class Stage:
    """A peer that floods, one VU at it, and another VU at a decent server of HTTP/1.1 beside."""

    def __init__(self, first, unit, *, seconds=PATIENT, reads=True):
        self._first, self._unit, self._reads, self._seconds = first, unit, reads, seconds

    async def serve(self, reader, writer):
        try:
            await reader.readuntil(b"SM\r\n\r\n")
            writer.write(SETTINGS + self._first)
            block = self._unit * max(1, BLOCK // len(self._unit))
            draining = asyncio.ensure_future(self._drain(reader)) if self._reads else None
            for _ in range(MUCH // len(block)):
                writer.write(block)
                await writer.drain()
            await (draining or reader.read())
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def _drain(self, reader):
        with suppress(ConnectionError):
            while await reader.read(1 << 16):
                pass

    async def decent(self, reader, writer):
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(WELL)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def play(self, times=1):
        """What came of requests, the most memory, the most CPU seconds in a row, and what the other VU got."""
        servers = [await asyncio.start_server(each, "127.0.0.1", 0) for each in (self.serve, self.decent)]
        flood, decent = (Origin("http", "127.0.0.1", one.sockets[0].getsockname()[1]) for one in servers)
        network = Network()
        client, other = Client(network), Client(network)
        beside = asyncio.ensure_future(self._beside(other, prepare("GET", decent, b"/", needs_body=True)))
        options = Options(timeouts=Timeouts(total=self._seconds, first_byte=self._seconds), protocol=Protocol(flood))
        request = prepare("GET", flood, b"/", options=options, needs_body=True)
        tracemalloc.start()
        responses = [await client.send(request) for _ in range(times)]
        await asyncio.sleep(0)
        beside.cancel()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        client.close()
        other.close()
        for server in servers:
            server.close()
        while network.open_connections:  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0)
        network.close()
        busy, others = await beside
        return responses, most, busy, others

    async def _beside(self, other, request):
        longest, got = 0.0, []
        try:
            while True:
                began = time.thread_time()
                response = await other.send(request)
                if (response.status, response.body, response.error) != (200, b"well", None):
                    got.append(response)
                await asyncio.sleep(0)
                longest = max(longest, time.thread_time() - began)
        except asyncio.CancelledError:
            return longest, got


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_is_ended(name, run):
    """It fails as what it is, within its time and little memory, and another VU is undisturbed."""
    first, unit, kind = FLOODS[name]
    seconds = 1 if kind is Failure.TIMEOUT else PATIENT
    (response,), most, busy, others = run(Stage(first, unit, seconds=seconds).play())
    assert response.error is kind, response.message
    assert most < MEMORY
    assert busy < BUSY
    assert others == []


@pytest.mark.parametrize("name", ["PING", "SETTINGS"])
def test_a_peer_that_does_not_take_what_it_asks_for(name, run):
    """Answers to its frames don't heap up."""
    first, unit, kind = FLOODS[name]
    responses, most, *_ = run(Stage(first, unit, reads=False).play(times=3))
    assert {one.error for one in responses} == {kind}
    assert most < MEMORY
