"""How long a connection is kept, where that is bounded: by requests, age and idleness, over real servers."""

import asyncio

import pytest
from http_peers import read_request, until

from loadgate_runner.http import Client, Keeping, Network, Options, prepare

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def asking(peer, method="GET", **bounds):
    return prepare(method, peer.origin, b"/", options=Options(keeping=Keeping(**bounds)))


@pytest.mark.parametrize(("requests", "connections"), [(1, 6), (2, 3), (4, 2), (6, 1)])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_connection_carries_so_many_requests(requests, connections, method, answers, client, network):
    """Behind the last that it may carry, a connection is closed, and not only when the next one is made."""
    peer = await answers(OK)
    request = asking(peer, method, requests=requests)
    responses = [await client.send(request) for _ in range(6)]
    assert [response.error for response in responses] == [None] * 6
    assert [response.reused for response in responses] == [bool(n % requests) for n in range(6)]
    assert peer.connections == connections
    if 6 % requests == 0:
        await until(lambda: network.open_connections == 0)


async def test_a_second_try_is_bounded_as_the_first(serve, client, network):
    """Where a request that met a closed connection goes out once more, its answer may end that connection too."""

    async def handler(peer, reader, writer):
        while await read_request(reader):
            if peer.requests and peer.connections == 1:
                return
            peer.requests.append(b"")
            writer.write(OK if peer.connections == 1 else OK.replace(b"Content", b"Connection: close\r\nContent", 1))

    peer = await serve(handler)
    request = prepare("GET", peer.origin, b"/")
    responses = [await client.send(request) for _ in range(2)]
    assert [(one.error, one.reused) for one in responses] == [(None, False)] * 2
    await until(lambda: network.open_connections == 0)
    assert peer.connections == 2


async def test_a_connection_is_closed_behind_its_age(answers):
    """The first answer after that time is the last on it; until then it carries any number."""
    peer = await answers(OK)
    ahead = [0]
    loop = asyncio.get_running_loop()
    network = Network(clock=lambda: round(loop.time() * 1e9) + ahead[0])
    client = Client(network)
    request = asking(peer, age=60.0)
    reused = []
    for seconds in (0, 1, 58, 2, 0, 0):
        ahead[0] += seconds * 1_000_000_000
        reused.append((await client.send(request)).reused)
    assert reused == [False, True, True, True, False, True]
    client.close()
    network.close()


async def test_an_idle_connection_is_closed(answers, client, network):
    """Without a request for that long it goes, while nobody does anything; one in use stays."""
    peer = await answers(OK)
    request = asking(peer, idle=0.05)
    assert not (await client.send(request)).reused
    assert (await client.send(request)).reused
    await until(lambda: network.open_connections == 0)
    assert not (await client.send(request)).reused
    assert peer.connections == 2


async def test_what_nothing_bounds_is_not_looked_at(answers, client):
    """Without bounds an answer that is as the one before isn't parsed; with one each is."""
    peer = await answers(OK)
    plain, bounded = prepare("GET", peer.origin, b"/"), asking(peer, requests=100)
    for _ in range(2):
        response = await client.send(plain)
    assert response.plain
    client.close()
    for _ in range(2):
        response = await client.send(bounded)
    assert not response.plain
