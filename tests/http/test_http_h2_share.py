"""Several VUs on one connection, each on a stream of its own."""

import asyncio

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from h2_peer import echo, knowing, second
from http_peers import until

from loadgate_runner.http import Client, Failure, Timeouts, prepare


@pytest.fixture
async def vus(network):
    """Makes VUs."""
    clients = []

    def make(count):
        clients.extend(Client(network) for _ in range(count))
        return clients[-count:]

    yield make
    for client in clients:
        client.close()
    await until(lambda: network.open_connections == 0)


def to(peer, share, path=b"/", **more):
    return prepare("POST", peer.origin, path, body=b"x", options=knowing(peer.origin, share, **more), needs_body=True)


async def test_vus_share_connections_as_many_as_may(serve, vus):
    """Ten VUs by four to a connection make three of them, and each VU gets its own answers."""
    peer = await serve(second(echo))
    clients = vus(10)
    for number in range(3):
        paths = [b"/%d/%d" % (number, vu) for vu in range(10)]
        responses = await asyncio.gather(
            *(client.send(to(peer, 4, path)) for client, path in zip(clients, paths, strict=True))
        )
        assert [one.body for one in responses] == [path + b" x" for path in paths]
    assert peer.connections == 3
    assert sum(not one.reused for one in responses) == 0


async def test_a_peer_bounds_streams(serve, vus):
    """Beyond what the peer lets be at once, requests wait, as long as their time lasts; the wait is `blocked`."""

    async def slow(connection):
        while (stream := await connection.ready.get()) is not None:
            if connection.path(stream) != "/never":
                await asyncio.sleep(0.02)
                await connection.answer(stream)

    peer = await serve(second(slow, {SettingCodes.MAX_CONCURRENT_STREAMS: 2}))
    clients = vus(6)
    assert (await clients[0].send(to(peer, 6))).error is None  # the peer's SETTINGS are known now
    responses = await asyncio.gather(*(client.send(to(peer, 6)) for client in clients))
    assert [one.error for one in responses] == [None] * 6
    assert (peer.connections, peer.requests[0].most) == (1, 2)
    assert max(one.blocked for one in responses) > 20_000
    never = [asyncio.ensure_future(client.send(to(peer, 6, b"/never"))) for client in clients[:2]]
    await asyncio.sleep(0)
    late = await clients[2].send(to(peer, 6, timeouts=Timeouts(total=0.03)))
    assert (late.error, late.message) == (Failure.TIMEOUT, "a free stream didn't come in time")
    assert late.sent == 0
    for task in never:
        task.cancel()
    await asyncio.gather(*never, return_exceptions=True)
    assert (await clients[2].send(to(peer, 6))).error is None


async def test_a_vu_that_leaves_disturbs_no_other(serve, vus):
    """A request that is cancelled ends its stream and no more; the last VU to leave ends the connection."""
    go_on = asyncio.Event()

    async def handler(connection):
        streams = [await connection.ready.get() for _ in range(3)]
        await until(lambda: connection.resets)
        await go_on.wait()
        for stream in streams:
            if stream != connection.resets[0][0]:
                await connection.answer(stream)

    peer = await serve(second(handler))
    first, *others = vus(3)
    tasks = [asyncio.ensure_future(client.send(to(peer, 3))) for client in (first, *others)]
    await until(lambda: peer.requests and len(peer.requests[0].asked) == 3)
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    first.close()
    go_on.set()
    assert [one.body for one in await asyncio.gather(*tasks[1:])] == [b"hello"] * 2
    assert peer.connections == 1


async def test_one_that_is_out_of_time_is_alone_in_that(serve, vus):
    """Others on the connection get their answers."""

    async def handler(connection):
        while (stream := await connection.ready.get()) is not None:
            if connection.path(stream) == "/late":
                continue
            await connection.answer(stream)

    peer = await serve(second(handler))
    late, other = vus(2)
    waiting = asyncio.ensure_future(late.send(to(peer, 2, b"/late", timeouts=Timeouts(total=0.1))))
    answers = [await other.send(to(peer, 2)) for _ in range(20)]
    assert (await waiting).error is Failure.TIMEOUT
    assert {one.error for one in answers} == {None}
    assert peer.connections == 1


async def test_one_dials_for_all_and_fails_for_all(serve, vus, network):
    """Whoever comes while a connection is made waits for it, or shares its failure, at most as long as its own time."""
    peer = await serve(second(echo))
    nowhere = peer.origin._replace(port=1)
    clients = vus(5)
    request = prepare("GET", nowhere, b"/", options=knowing(nowhere, 5))
    assert {one.error for one in await asyncio.gather(*(c.send(request) for c in clients))} == {Failure.CONNECT}

    async def never(host, port):
        await asyncio.Event().wait()

    network._resolve._ask = never
    asleep = peer.origin._replace(host="asleep.example")
    waits = [0.3, 0.05, 0.05]
    requests = [
        prepare("GET", asleep, b"/", options=knowing(asleep, 5, timeouts=Timeouts(connect=9, total=wait)))
        for wait in waits
    ]
    done = await asyncio.gather(*(c.send(one) for c, one in zip(clients, requests, strict=False)))
    assert {one.error for one in done} == {Failure.TIMEOUT}
    assert done[1].duration < done[0].duration


async def test_a_goaway_moves_all_to_another_connection(serve, vus):
    """What wasn't looked at is sent again, what was is answered, and all of them go on together."""

    async def handler(connection):
        if peer.connections > 1:
            await echo(connection)
            return
        streams = [await connection.ready.get() for _ in range(4)]
        connection.h2.close_connection(ErrorCodes.NO_ERROR, last_stream_id=streams[1])
        goaway = connection.h2.data_to_send()
        connection.h2.state_machine.state = type(connection.h2.state_machine.state).SERVER_OPEN
        await connection.raw(goaway)
        for stream in streams[:2]:
            await connection.answer(stream, b"before")

    peer = await serve(second(handler))
    clients = vus(4)
    bodies = [one.body for one in await asyncio.gather(*(client.send(to(peer, 4)) for client in clients))]
    assert sorted(bodies) == [b"/ x", b"/ x", b"before", b"before"]
    assert peer.connections == 2
    assert {one.body for one in await asyncio.gather(*(client.send(to(peer, 4)) for client in clients))} == {b"/ x"}
    assert peer.connections == 2


@pytest.mark.parametrize("status", ["103", "200"])
async def test_a_late_head_of_a_request_that_was_given_up_touches_no_other(status, serve, vus):
    """A request timed out, and then its head comes, an interim one or the answer's: who shares the connection goes on."""

    async def late(connection):
        while (stream := await connection.ready.get()) is not None:
            if connection.path(stream) == "/late":
                await until(lambda: connection.resets)
                fields = [(b":status", status.encode())]
                head = connection.h2.encoder.encode(fields)
                await connection.raw(len(head).to_bytes(3, "big") + b"\1\4" + stream.to_bytes(4, "big") + head)
            else:
                await connection.answer(stream)

    peer = await serve(second(late))
    waiting, other = vus(2)
    assert (await other.send(to(peer, 2))).error is None
    impatient = Timeouts(first_byte=0.05, total=5)
    gone = asyncio.ensure_future(waiting.send(to(peer, 2, b"/late", timeouts=impatient)))
    while not gone.done():
        assert (await other.send(to(peer, 2))).error is None
    assert (await gone).error is Failure.TIMEOUT
    for _ in range(20):
        response = await other.send(to(peer, 2))
        assert (response.error, response.body) == (None, b"hello"), response.message
    assert peer.connections == 1


async def test_large_bodies_share_a_connections_window(serve, vus):
    """Several uploads at once all arrive, and a small request beside them isn't held up behind them."""
    peer = await serve(second(echo))
    clients = vus(4)
    options = knowing(peer.origin, 4)
    large = prepare("POST", peer.origin, b"/", body=bytes(500_000), options=options, needs_body=True)
    small = prepare("GET", peer.origin, b"/small", options=options, needs_body=True)
    uploads = [asyncio.ensure_future(client.send(large)) for client in clients[:3]]
    await until(lambda: peer.requests and peer.requests[0].asked)
    assert (await clients[3].send(small)).body == b"/small "
    assert [one.size for one in await asyncio.gather(*uploads)] == [500_002] * 3
    assert peer.connections == 1
