"""WebSockets over connections: handshakes, messages, closes, and what hostile peers come to."""

import asyncio
import base64
import contextlib
import hashlib
import ssl
import struct
import time

import pytest
import trustme
from http_peers import read_request, reset, until
from websockets.asyncio.server import serve as serve_websocket
from websockets.exceptions import ConnectionClosedError

from loadgate.plan.targets import Targets
from loadgate_runner.http import (
    TLS,
    Client,
    Failure,
    Gate,
    Limits,
    Network,
    Options,
    Origin,
    Timeouts,
    converse,
    prepare,
)

ANY = 5.0


def accept(request, **more):
    """The answer that accepts a handshake."""
    key = next(
        line.partition(b": ")[2] for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
    )
    digest = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
    fields = {"Upgrade": "websocket", "Connection": "keep-alive, Upgrade", "Sec-WebSocket-Accept": digest, **more}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
    return f"HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n".encode()


def frame(opcode, payload=b"", *, fin=True, rsv=0):
    """A server's frame."""
    size = len(payload)
    length = (
        bytes([size])
        if size < 126
        else b"\x7e" + struct.pack("!H", size)
        if size < 65536
        else b"\x7f" + struct.pack("!Q", size)
    )
    return bytes([fin << 7 | rsv << 4 | opcode]) + length + payload


@pytest.fixture
def sockets(serve):
    """Starts servers that accept a handshake and then write what they are told, once or for ever."""

    async def start(*pieces, close=False, forever=b"", answer=accept, at_once=b"", **fields):
        async def handler(peer, reader, writer):
            request = await read_request(reader)
            peer.requests.append(request)
            if answer is not None:
                writer.write(
                    answer(request, **{name.replace("_", "-"): value for name, value in fields.items()}) + at_once
                )
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            while forever:
                writer.write(forever)
                await writer.drain()
            while not close and (piece := await reader.read(1000)):
                peer.requests.append(piece)

        return await serve(handler)

    return start


async def talked(origin, talk, *, subprotocols=(), total=5.0, limits=None, gate=None, code=1000):
    """What came of talking to a peer."""
    network = Network(limits=limits, gate=gate)
    options = Options(timeouts=Timeouts(first_byte=total, total=total), compressed=False)
    request = prepare("GET", origin, b"/ws?x=1", headers=[("X-Test", "1")], options=options, needs_headers=True)
    response = await converse(Client(network).opening(request), subprotocols, talk, code)
    await until(lambda: network.open_connections == 0)
    network.close()
    return response


async def nothing(socket):
    """Say nothing."""


def hearing(messages, count, within=ANY):
    """A talk that hears so many messages."""

    async def talk(socket):
        for _ in range(count):
            got = await socket.receive(socket.clock() + round(within * 1e9))
            messages.append((got.data, got.text))

    return talk


async def test_talk_with_another_library():
    """Texts, binaries, large and fragmented messages, pings and a subprotocol go both ways; the close is in order."""
    closed = asyncio.get_running_loop().create_future()

    async def handler(connection):
        assert connection.subprotocol == "b"
        assert connection.request.headers["X-Test"] == "1"
        with contextlib.suppress(ConnectionClosedError):  # 3001 is none to this library
            await echo(connection)
        closed.set_result((connection.close_code, connection.close_reason))

    async def echo(connection):
        async for message in connection:
            if message == "parts":
                await connection.send(["ä", "ö", "", "ü"])
            elif message == "ping":
                await (await connection.ping())
                await connection.send("ponged")
            else:
                await connection.send(message)

    large, got = "ü" * 100_000, []

    async def talk(socket):
        for message in ("one", b"\0\xff", "", large, "parts", "ping"):
            await socket.send(message, ANY)
            await hearing(got, 1)(socket)

    async with serve_websocket(handler, "127.0.0.1", 0, subprotocols=["b"], max_size=None) as server:
        origin = Origin("http", "127.0.0.1", server.sockets[0].getsockname()[1])
        response = await talked(origin, talk, subprotocols=("a", "b"), code=3001)
        assert await closed == (3001, "")
    assert got == [
        (b"one", True), (b"\0\xff", False), (b"", True), (large.encode(), True), ("äöü".encode(), True), (b"ponged", True),
    ]  # fmt: skip
    assert (response.error, response.status) == (None, 101)
    assert response.headers.get("sec-websocket-protocol") == "b"
    assert response.sent > 200_000 < response.received
    assert response.duration == response.sending + response.waiting + response.receiving
    assert response.duration <= (response.ended - response.started) // 1000


async def test_a_refused_handshake_is_an_answer(sockets):
    """An answer that is no upgrade comes back with its status and body, and nothing is said."""
    peer = await sockets(
        answer=lambda _request: b"HTTP/1.1 403 No\r\nContent-Length: 6\r\nSet-Cookie: a=b\r\n\r\nsorry!", close=True
    )
    response = await talked(peer.origin, hearing([], 1))
    assert (response.error, response.status, response.body) == (None, 403, b"sorry!")
    assert response.cookies == {"a": "b"}


async def test_messages_that_come_with_the_head_are_heard(sockets):
    """What a server sends in one piece with its answer isn't lost, nor what comes while time passes."""
    peer = await sockets(at_once=frame(1, b"early") + frame(1, b"to", fin=False))
    got = []

    async def talk(socket):
        await socket.idle(0.05)
        await hearing(got, 1)(socket)

    assert (await talked(peer.origin, talk)).error is None
    assert got == [(b"early", True)]


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ({"pieces": [frame(8, struct.pack("!H", 1011) + b"overload")], "close": True}, Failure.CLOSED),
        ({"pieces": [frame(8)], "close": True}, Failure.CLOSED),
        ({"close": True}, Failure.RESET),
        ({}, Failure.TIMEOUT),
        ({"forever": frame(9, b"ping" * 20) * 100}, Failure.TIMEOUT),
        ({"forever": frame(10) * 100}, Failure.TIMEOUT),
        ({"forever": frame(0, b"", fin=False) * 100, "pieces": [frame(1, b"x", fin=False)]}, Failure.TIMEOUT),
        ({"pieces": [frame(2, b"", fin=False)], "forever": frame(0, b"x" * 10_000, fin=False)}, Failure.PROTOCOL),
        ({"pieces": [b"\x82\x7f\x00\x00\x00\x10\x00\x00\x00\x00"], "forever": b"x" * 10_000}, Failure.PROTOCOL),
        ({"pieces": [b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"]}, Failure.PROTOCOL),
        ({"pieces": [frame(1, b"\xff\xfe")]}, Failure.PROTOCOL),
        ({"pieces": [frame(1, b"x", rsv=4)]}, Failure.PROTOCOL),
        ({"pieces": [frame(3, b"x")]}, Failure.PROTOCOL),
        ({"pieces": [frame(0, b"x")]}, Failure.PROTOCOL),
        ({"pieces": [frame(9, b"x" * 126)]}, Failure.PROTOCOL),
        ({"pieces": [b"\x81\x81\0\0\0\0x"]}, Failure.PROTOCOL),
        ({"pieces": [b"HTTP/1.1 200 OK\r\n\r\n"]}, Failure.PROTOCOL),
        ({"answer": None}, Failure.TIMEOUT),
        ({"answer": None, "close": True}, Failure.RESET),
        ({"answer": None, "pieces": [b"\x00\x01garbage\r\n\r\n"]}, Failure.PROTOCOL),
        ({"answer": None, "pieces": [b"HTTP/1.1 what\r\n\r\n"]}, Failure.PROTOCOL),
        ({"answer": None, "pieces": [b"HTTP/1.1 101"], "close": True}, Failure.PROTOCOL),
        ({"answer": None, "pieces": [b"HTTP/1.1 103 Early Hints\r\n\r\n\r\n"]}, Failure.PROTOCOL),
        (
            {"answer": None, "pieces": [b"HTTP/1.1 101 S\r\n"], "forever": b"X: " + b"y" * 1000 + b"\r\n"},
            Failure.PROTOCOL,
        ),
        ({"answer": None, "forever": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000}, Failure.PROTOCOL),
        ({"Sec_WebSocket_Accept": "bm90IGl0"}, Failure.PROTOCOL),
        ({"Upgrade": "h2c"}, Failure.PROTOCOL),
        ({"Connection": None}, Failure.PROTOCOL),
        ({"Sec_WebSocket_Extensions": "permessage-deflate"}, Failure.PROTOCOL),
        ({"Sec_WebSocket_Protocol": "other"}, Failure.PROTOCOL),
    ],
)
async def test_what_peers_do_is_a_failure_of_its_kind(sockets, how, kind):
    """Closes, silence, floods, garbage, giant messages and wrong answers fail in time and within bounds."""
    peer = await sockets(*how.get("pieces", ()), **{name: value for name, value in how.items() if name != "pieces"})
    began = time.monotonic()
    response = await talked(
        peer.origin, hearing([], 10**9, within=0.4), total=0.5, limits=Limits(body=100_000, head=20_000)
    )
    assert (response.error, bool(response.message)) == (kind, True), response.message
    assert time.monotonic() - began < 30  # a busy machine takes its time for a flood
    assert response.duration == (response.ended - response.started) // 1000


async def test_what_nobody_waits_for_is_bounded(sockets):
    """Messages that pile up while time passes are given up at the limit."""
    peer = await sockets(forever=frame(2, b"x" * 5_000))

    async def talk(socket):
        await socket.idle(30)

    response = await talked(peer.origin, talk, limits=Limits(body=100_000))
    assert response.error is Failure.PROTOCOL


@pytest.mark.parametrize(("code", "error"), [(1000, None), (1011, Failure.CLOSED)])
async def test_what_came_before_a_close_is_heard(sockets, code, error):
    """A message is heard though the close came in one piece with it; a close that tells of an error fails even so."""
    peer = await sockets(frame(1, b"last") + frame(8, struct.pack("!H", code)), close=True)
    got = []
    response = await talked(peer.origin, hearing(got, 1))
    assert (response.error, got) == (error, [(b"last", True)])


@pytest.mark.parametrize(("code", "error"), [(1000, None), (1001, None), (1011, Failure.CLOSED)])
async def test_a_peer_may_close_while_it_is_only_listened_to(sockets, code, error):
    """An orderly close ends listening well; one that tells of an error doesn't."""
    peer = await sockets(frame(1, b"x"), frame(8, struct.pack("!H", code)), close=True)
    response = await talked(peer.origin, lambda socket: socket.drain(20))
    assert response.error is error


async def test_a_peer_that_reads_nothing_stops_a_sender_in_time(serve):
    """Sending to a peer that takes nothing in is a timeout, and no heap of unsent bytes."""

    async def handler(_peer, reader, writer):
        writer.write(accept(await read_request(reader)))
        await asyncio.sleep(30)

    async def talk(socket):
        for _ in range(1000):
            await socket.send(b"x" * 1_000_000, 0.3)

    response = await talked((await serve(handler)).origin, talk)
    assert response.error is Failure.TIMEOUT


async def test_a_broken_connection_is_a_reset(serve):
    """A peer that resets has not closed in order."""

    async def handler(_peer, reader, writer):
        writer.write(accept(await read_request(reader)))
        await writer.drain()
        await asyncio.sleep(0.05)
        reset(writer)

    response = await talked((await serve(handler)).origin, lambda socket: socket.drain(5))
    assert response.error is Failure.RESET


async def test_load_goes_no_further_than_it_may(sockets):
    """A WebSocket is dialled through the gate: where load may not go, nothing is connected to."""
    peer = await sockets()
    gate = Gate(Targets(["10.0.0.0/8"]))
    response = await talked(peer.origin, nothing, gate=gate)
    assert (response.error, peer.connections, gate.denied) == (Failure.DENIED, 0, 1)


async def test_a_peer_that_never_answers_a_close_is_left(sockets):
    """A close that is never answered costs a second, and is no failure."""
    peer = await sockets()
    began = time.monotonic()
    response = await talked(peer.origin, nothing)
    assert response.error is None
    assert time.monotonic() - began < 20


async def test_a_cancelled_talk_leaves_no_connection(sockets):
    """When an iteration is cut off, its WebSocket is closed."""
    peer = await sockets()
    network = Network()
    request = prepare("GET", peer.origin, b"/ws")
    task = asyncio.ensure_future(converse(Client(network).opening(request), (), lambda socket: socket.drain(60)))
    await until(lambda: network.open_connections == 1 and peer.requests)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: network.open_connections == 0)


async def test_wss_is_a_websocket_over_tls(sockets_over_tls):
    """The handshake goes over TLS, which has a phase of its own."""
    origin, tls = sockets_over_tls
    network, got = Network(), []
    request = prepare("GET", origin, b"/ws", options=Options(tls=tls))
    response = await converse(Client(network).opening(request), (), hearing(got, 1))
    await until(lambda: network.open_connections == 0)
    assert (response.error, got) == (None, [(b"secret", True)])
    assert response.tls > 0
    network.close()


@pytest.fixture
async def sockets_over_tls():
    """A server made with another library, over TLS: its origin, and what trusts it."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with serve_websocket(lambda connection: connection.send("secret"), "127.0.0.1", 0, ssl=context) as server:
        origin = Origin("https", "127.0.0.1", server.sockets[0].getsockname()[1])
        yield origin, TLS(ca=authority.cert_pem.bytes().decode())
