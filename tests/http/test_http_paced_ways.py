"""Limited rates beside all else that a connection may be: streams, proxies, tunnels, pools, unix sockets, real peers."""

import asyncio
import os

import pytest
from http_peers import Peer, Relaying, end, join, read_request, until
from websockets.asyncio.server import serve as serve_websocket

from loadgate_runner.http import (
    TLS,
    Client,
    Content,
    Network,
    Options,
    Origin,
    Proxy,
    Rates,
    Timeouts,
    Wish,
    converse,
    listen,
    prepare,
)

RATE = 1_000_000.0
SENT, CAME = os.urandom(200_000), os.urandom(150_000)
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
WAYS = ["direct", "forward", "tunnel", "http by a TLS proxy", "https by a TLS proxy"]


async def exchanging(peer, reader, writer):
    """Keeps each request, and answers with what is large."""
    while request := await read_request(reader):
        peer.requests.append(request)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(CAME) + CAME)


@pytest.fixture
async def way(serve, server_tls, authority):
    """Starts a server, and gives it with options by which it is reached in some way, at a rate."""

    async def start(how, handler, rates, *, tunnels=False):
        trusted = TLS(ca=authority.cert_pem.bytes().decode())
        secure = how in {"tunnel", "https by a TLS proxy"}
        peer = await serve(handler, tls=server_tls("127.0.0.1") if secure else None)
        proxy = None
        if how != "direct":
            hop = await serve(Relaying(), tls=server_tls("127.0.0.1") if "TLS" in how else None)
            proxy = Proxy(hop.origin, tls=trusted, tunnels=tunnels)
        return peer, Options(timeouts=Timeouts(total=10), rates=rates, proxy=proxy, tls=trusted, compressed=False)

    return start


def took_their_time(response):
    """That a request and its answer were as fast as may be: what is beyond a burst of each, and not much more."""
    assert (response.status, response.error, response.message) == (200, None, "")
    assert 0.14 < response.sending / 1e6 < 2
    assert 0.09 < response.receiving / 1e6 < 2


@pytest.mark.parametrize("how", WAYS)
async def test_whatever_the_way_bytes_take_their_time_and_are_what_they_were(how, way, client):
    """Bodies from memory and from elsewhere go up and down at the rate, whole, on one connection that is kept."""
    peer, options = await way(how, exchanging, Rates(RATE, RATE))
    for number, body in enumerate((SENT, Content(SENT))):
        request = prepare("PUT", peer.origin, b"/", body=body, options=options, needs_body=True)
        response = await (client.deliver if request.content else client.send)(request)
        took_their_time(response)
        assert response.body == CAME
        assert peer.requests[-1].endswith(b"\r\n\r\n" + SENT)
        assert response.reused is bool(number)


@pytest.fixture
async def users():
    """Makes virtual users on a network of their own."""
    made = []

    def make(count, **how):
        network = Network(**how)
        clients = [Client(network) for _ in range(count)]
        made.append((network, clients))
        return network, clients

    yield make
    for network, clients in made:
        for client in clients:
            client.close()
        await until(lambda network=network: network.open_connections == 0)
        network.close()


@pytest.mark.parametrize("how", ["direct", "tunnel"])
async def test_pooled_connections_have_a_rate_each(how, way, users):
    """Four VUs that share two connections are answered in two turns, each at a connection's rate, none with another's."""
    peer, options = await way(how, exchanging, Rates(RATE, RATE))
    network, clients = users(4, most=2)
    request = prepare("PUT", peer.origin, b"/", body=Content(SENT), options=options, needs_body=True)
    began = network.clock()
    responses = await asyncio.gather(*(_deliver(client, request) for client in clients))
    assert 0.48 < (network.clock() - began) / 1e9 < 3
    for response in responses:
        took_their_time(response)
        assert response.body == CAME
    assert all(one.endswith(b"\r\n\r\n" + SENT) for one in peer.requests)
    assert (peer.connections, network.open_connections) == (2, 2)
    assert sorted(one.reused for one in responses) == [False, False, True, True]


async def _deliver(client, request):
    return await client.deliver(request)


@pytest.fixture
async def unix_socket(tmp_path):
    """The path of a server on a unix socket, and the server."""
    peer = Peer(Origin("http", "shop.test", 80))

    async def accept(reader, writer):
        await exchanging(peer, reader, writer)
        await end(writer)
        ended.set()

    ended, path = asyncio.Event(), str(tmp_path / "s")
    server = await asyncio.start_unix_server(accept, path)
    yield path, peer
    server.close()
    await ended.wait()


@pytest.mark.parametrize("most", [None, 1])
async def test_a_unix_socket_is_as_slow_as_asked(most, unix_socket, users):
    """What stands for an origin is held to its rates as the origin's address would be."""
    path, peer = unix_socket
    _, (client,) = users(1, sockets={peer.origin: path}, most=most)
    options = Options(rates=Rates(RATE, RATE))
    request = prepare("PUT", peer.origin, b"/", body=Content(SENT), options=options, needs_body=True)
    for reused in (False, True):
        response = await client.deliver(request)
        took_their_time(response)
        assert (response.body, response.reused) == (CAME, reused)
        assert peer.requests[-1].endswith(b"\r\n\r\n" + SENT)


EVENTS = [f"{number} " + "x" * 980 for number in range(150)]


def streaming(stays):
    """A handler that streams all events as fast as it can, and stays or goes."""

    async def handler(peer, reader, writer):
        peer.requests.append(await read_request(reader))
        writer.write(STREAM + b"".join(b"data: %s\n\n" % event.encode() for event in EVENTS))
        if stays:
            await reader.read()
        else:
            await end(writer)
        peer.requests.append("gone")

    return handler


@pytest.mark.parametrize("stays", [True, False])
@pytest.mark.parametrize("how", WAYS)
async def test_events_come_as_fast_as_they_may(how, stays, way, network):
    """All are heard in their order, spread over the rate's time, though the peer sent them at once, and may have gone."""
    peer, options = await way(how, streaming(stays), Rates(down=RATE))
    heard, moments = [], []

    def hear(event, moment):
        heard.append(event.data)
        moments.append(moment)
        return len(heard) == len(EVENTS)

    response = await listen(_opening(network, peer, options), Wish(hear, awaited=True))
    assert (response.status, response.error, response.message) == (200, None, "")
    assert heard == EVENTS
    assert 0.08 < (moments[-1] - moments[0]) / 1e9 < 2
    await until(lambda: network.open_connections == 0 and peer.requests[1:] == ["gone"])


def _opening(network, peer, options, headers=b""):
    request = prepare("GET", peer.origin, b"/s", options=options, needs_headers=True, needs_body=True)
    return Client(network).opening(request, headers=headers)


@pytest.mark.parametrize("how", WAYS)
async def test_who_has_heard_enough_waits_for_nothing_more(how, way, network):
    """With the event that ends it a stream is closed at once, whatever still waits for its time."""
    peer, options = await way(how, streaming(True), Rates(down=RATE / 10))
    heard = []

    def hear(event, _moment):
        heard.append(event.data)
        return len(heard) == 3

    began = network.clock()
    response = await listen(_opening(network, peer, options), Wish(hear, awaited=True))
    assert (response.error, heard) == (None, EVENTS[:3])
    await until(lambda: network.open_connections == 0)
    assert (network.clock() - began) / 1e9 < 1


@pytest.mark.parametrize("how", ["direct", "https by a TLS proxy"])
async def test_a_streams_request_goes_out_at_its_rate(how, way, network):
    """A long head is `sending` for as long as its bytes take, and arrives as it is."""
    peer, options = await way(how, streaming(False), Rates(up=10_000.0))
    line = b"X-Long: " + b"y" * 2000 + b"\r\n"
    response = await listen(_opening(network, peer, options, line), Wish(lambda *_: True, awaited=True))
    assert response.error is None
    assert 0.14 < response.sending / 1e6 < 2
    assert line in peer.requests[0]


@pytest.mark.parametrize("how", [way for way in WAYS if way != "forward"])
async def test_messages_go_and_come_at_the_rate(how, way, network):
    """A WebSocket's large messages take the rate's time each way, and are what they were, texts and bytes."""
    closed = []

    async def echo(connection):
        async for message in connection:
            await connection.send(message)
        closed.append(connection.close_code)

    async with serve_websocket(echo, "127.0.0.1", 0, compression=None) as server:
        inner = Origin("http", *server.sockets[0].getsockname()[:2])

        async def pass_on(peer, reader, writer):
            await join(reader, writer, *await asyncio.open_connection(*inner[1:]))

        peer, options = await way(how, pass_on, Rates(RATE, RATE), tunnels=True)
        times, messages = [], (SENT, "ä" * 100_000)

        async def talk(socket):
            for message in messages:
                began = socket.clock()
                await socket.send(message, 5)
                sent = socket.clock()
                got = await socket.receive(sent + 5_000_000_000)
                assert (got.data if isinstance(message, bytes) else got.data.decode()) == message
                assert got.text is isinstance(message, str)
                times.append((sent - began, socket.clock() - began))

        response = await converse(_opening(network, peer, options), [], talk)
        assert (response.status, response.error, response.message) == (101, None, "")
        assert all(0.14 < sent / 1e9 < 2 for sent, _ in times)
        assert all(0.19 < whole / 1e9 < 4 for _, whole in times)
        await until(lambda: network.open_connections == 0 and closed)
        assert closed == [1000]
