"""Streams of events over connections: what came of them, and what hostile peers come to."""

import asyncio
import time

import pytest
from http_peers import read_request, reset, until

from loadgate_runner.http import Client, Failure, Gate, Limits, Network, Options, Timeouts, Wish, listen, prepare

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n"
CHUNKED = HEAD.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")


class Ear:
    """Hears events, and says after so many that these were it."""

    def __init__(self, wanted=None):
        self.heard = []
        self.wanted = wanted

    def __call__(self, event, moment):
        """Keep it."""
        self.heard.append((event.type, event.data, moment))
        return len(self.heard) == self.wanted


async def heard(peer, ear, *, seconds=None, total=5.0, first_byte=5.0, limits=None, head=True, gate=None):
    """What came of listening to a peer."""
    network = Network(limits=limits, gate=gate)
    options = Options(timeouts=Timeouts(first_byte=first_byte, total=total), compressed=False)
    request = prepare("GET", peer.origin, b"/s", options=options, needs_headers=head, needs_body=True)
    client = Client(network)
    response = await listen(client.opening(request), Wish(ear, ear.wanted is not None, seconds))
    await until(lambda: network.open_connections == 0)
    network.close()
    return response


@pytest.fixture
def streams(serve):
    """Starts servers that write pieces after each request, with turns of the loop between them, and close then or not."""

    async def start(*pieces, close=True, forever=b""):
        async def handler(peer, reader, writer):
            peer.requests.append(await read_request(reader))
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            while forever:
                writer.write(forever)
                await writer.drain()
            if not close:
                await reader.read()

        return await serve(handler)

    return start


async def test_events_are_heard_as_they_come(streams):
    """Events reach the ear while the stream goes on; the one that is wanted ends it, and its data is the body."""
    peer = await streams(HEAD, b"data: 1\n\nda", b"ta: 2\n\n", b"event: e\ndata: 3\n\n", b"data: 4\n\n", close=False)
    ear = Ear(3)
    response = await heard(peer, ear)
    assert [one[:2] for one in ear.heard] == [("message", "1"), ("message", "2"), ("e", "3")]
    assert (response.error, response.status, response.body, response.size) == (None, 200, b"3", 1)
    assert response.headers.get("content-type") == "text/event-stream; charset=utf-8"
    assert response.started < response.first <= response.ended <= ear.heard[0][2]
    assert response.duration <= (response.ended - response.started) // 1000
    assert response.duration == response.sending + response.waiting + response.receiving
    assert response.received >= len(HEAD)
    assert response.sent == len(peer.requests[0])


async def test_chunks_are_no_part_of_events(streams):
    """A chunked stream's events are what its chunks hold, and its last chunk is its end."""
    peer = await streams(CHUNKED, b"6\r\ndata: \r\n", b"3\r\n1\n\n\r\n", b"0\r\n\r\n", close=False)
    ear = Ear()
    response = await heard(peer, ear)
    assert (response.error, [one[1] for one in ear.heard]) == (None, ["1"])


async def test_what_comes_behind_the_end_is_no_event(streams):
    """A second answer in the same piece as the stream's last chunk says nothing."""
    last = b"9\r\ndata: 1\n\n\r\n0\r\n\r\n"
    peer = await streams(CHUNKED, last + CHUNKED + last.replace(b"1\n", b"2\n"), close=False)
    ear = Ear()
    response = await heard(peer, ear)
    assert (response.error, [one[1] for one in ear.heard]) == (None, ["1"])


async def test_time_is_the_end_where_nothing_is_awaited(streams):
    """A stream without an end is listened to for as long as was asked, which is no failure."""
    peer = await streams(HEAD, b"data: 1\n\n", close=False)
    began = time.monotonic()
    response = await heard(peer, Ear(), seconds=0.1)
    assert 0.1 <= time.monotonic() - began < 20
    assert (response.error, response.body) == (None, b"1")


async def test_a_stream_may_outlast_the_requests_time(streams):
    """The time to listen counts instead of the request's own limit, once the answer's head is there."""
    peer = await streams(HEAD, close=False)
    response = await heard(peer, Ear(), seconds=0.2, total=0.1)
    assert response.error is None
    assert response.duration <= (response.ended - response.started) // 1000 < 100_000


@pytest.mark.parametrize(
    ("pieces", "how", "kind"),
    [
        ([HEAD, b"data: 1\n\n"], {}, Failure.BODY),
        ([CHUNKED, b"9\r\ndata: 1\n\n\r\n"], {}, Failure.BODY),
        ([HEAD, b"data: 1\n\n"], {"close": False}, Failure.TIMEOUT),
        ([HEAD], {"forever": b"data: x\n\n" * 1000}, Failure.TIMEOUT),
        ([HEAD], {"forever": b": ping\n\n" * 1000}, Failure.TIMEOUT),
        ([HEAD], {"forever": b"\n" * 10_000}, Failure.TIMEOUT),
        ([HEAD], {"forever": b"data: " + b"x" * 10_000}, Failure.PROTOCOL),
        ([HEAD], {"forever": b"data: x\n" * 1000}, Failure.PROTOCOL),
        ([b"HTTP/1.1 200 OK\r\n"], {"forever": b"X: " + b"y" * 1000 + b"\r\n"}, Failure.PROTOCOL),
        ([b"HTTP/1.1 103 Early Hints\r\n\r\n"], {"forever": b"HTTP/1.1 103 Early Hints\r\n\r\n"}, Failure.PROTOCOL),
        ([b"\x00\xff garbage"], {}, Failure.PROTOCOL),
        ([HEAD[:30]], {}, Failure.PROTOCOL),
        ([b"\r\n" + HEAD], {}, Failure.PROTOCOL),
        ([b"HTTP/1.1 103 Early Hints\r\n\r\n", b"\r\n" + HEAD], {}, Failure.PROTOCOL),
        ([], {}, Failure.RESET),
        ([], {"close": False}, Failure.TIMEOUT),
        ([HEAD.replace(b"text/event-stream", b"text/html")], {}, Failure.PROTOCOL),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], {}, Failure.PROTOCOL),
        ([b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"], {}, Failure.PROTOCOL),
        ([b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"], {}, Failure.PROTOCOL),
        ([HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")], {}, Failure.BODY),
    ],
)
async def test_what_peers_do_is_a_failure_of_its_kind(streams, pieces, how, kind):
    """Streams that end too soon, never end, or are none fail in time, within bounds, and leave no connection."""
    peer = await streams(*pieces, **how)
    ear = Ear(10**9)
    began, total = time.monotonic(), 0.5 if kind is Failure.TIMEOUT else 20
    response = await heard(peer, ear, total=total, limits=Limits(body=100_000, head=20_000))
    assert (response.error, bool(response.message)) == (kind, True)
    assert time.monotonic() - began < 15
    assert response.duration == (response.ended - response.started) // 1000


async def test_a_broken_connection_is_a_reset(serve):
    """A stream whose peer resets it has failed so, and not as one that ended."""

    async def handler(_peer, reader, writer):
        await read_request(reader)
        writer.write(HEAD + b"data: 1\n\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        reset(writer)

    peer = await serve(handler)
    ear = Ear()
    response = await heard(peer, ear, seconds=3)
    assert (response.error, len(ear.heard)) == (Failure.RESET, 1)


async def test_the_first_byte_has_a_limit_of_its_own(streams):
    """A head that doesn't come in the time for the first byte is late, whatever the stream's own time."""
    peer = await streams(close=False)
    began = time.monotonic()
    response = await heard(peer, Ear(), seconds=30, first_byte=0.1)
    assert response.error is Failure.TIMEOUT
    assert time.monotonic() - began < 20


async def test_another_status_is_an_answer_like_any_other(streams):
    """An error's body is there to be checked."""
    peer = await streams(
        b"HTTP/1.1 503 No\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n", b'{"e":"x"}'
    )
    response = await heard(peer, Ear(1))
    assert (response.error, response.status, response.body, response.size) == (None, 503, b'{"e":"x"}', 9)


async def test_load_goes_no_further_than_it_may(streams):
    """A stream is dialled through the gate: where load may not go, nothing is connected to."""
    from loadgate.plan.targets import Targets  # noqa: PLC0415 - of this test alone

    peer = await streams(HEAD)
    gate = Gate(Targets(["10.0.0.0/8"]))
    response = await heard(peer, Ear(1), gate=gate)
    assert (response.error, peer.connections, gate.denied) == (Failure.DENIED, 0, 1)


async def test_a_cancelled_listener_leaves_no_connection(streams):
    """When an iteration is cut off, its stream is closed."""
    peer = await streams(HEAD, close=False)
    network = Network()
    request = prepare("GET", peer.origin, b"/s", needs_body=True)
    task = asyncio.ensure_future(listen(Client(network).opening(request), Wish(Ear(1), awaited=True)))
    await until(lambda: network.open_connections == 1 and peer.requests)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: network.open_connections == 0)
