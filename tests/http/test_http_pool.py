"""Connections that VUs take in turn from a pool, over real servers: bounds, order, time limits, ends of all kinds."""

import asyncio
import contextlib
import random

import pytest
from http_peers import Peer, Relaying, read_request, until
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgate_runner.http import TLS, Client, Failure, Keeping, Network, Options, Origin, Proxy, Timeouts, prepare

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture
async def pooled():
    """Makes VUs of one process that take connections from pools of `most`."""
    networks, clients = [], []

    def make(count, most):
        networks.append(Network(most=most))
        clients.extend(Client(networks[-1]) for _ in range(count))
        return networks[-1], clients[-count:]

    yield make
    for client in clients:
        client.close()
    await until(lambda: not any(network.open_connections for network in networks))
    for network in networks:
        network.close()


def get(peer, path=b"/", method="GET", **options):
    return prepare(method, peer.origin, path, options=Options(**options), needs_body=True)


class Held:
    """A server that answers with the path that was asked for, each only once it is let go."""

    def __init__(self):
        self.asked, self.most, self.at_once = [], 0, 0
        self._gates = {}

    def release(self, *paths):
        for path in paths:
            self._gate(path).set()

    def _gate(self, path):
        return self._gates.setdefault(path, asyncio.Event())

    async def __call__(self, peer, reader, writer):
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            while request := await read_request(reader):
                path = request.split(b" ")[1].decode()
                self.asked.append(path)
                await self._gate(path).wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path.encode()))
        finally:
            self.at_once -= 1


async def test_virtual_users_take_connections_in_turn(answers, pooled):
    """Ten VUs that ask one after another need one connection, and cookies stay each VU's own."""
    peer = await answers(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n", OK)
    _, vus = pooled(10, 4)
    responses = [await vu.send(get(peer)) for vu in vus]
    assert [one.error for one in responses] == [None] * 10
    assert [one.reused for one in responses] == [False] + [True] * 9
    assert peer.connections == 1
    await vus[0].send(get(peer))
    await vus[1].send(get(peer))
    assert [b"Cookie: a=1" in request for request in peer.requests] == [False] * 10 + [True, False]


async def test_no_more_connections_than_may_be(serve, pooled):
    """Who finds none free waits for one, is served in the order of coming, and the wait is `blocked`."""
    held = Held()
    peer = await serve(held)
    _, vus = pooled(6, 2)
    asking = []
    for number, vu in enumerate(vus):
        asking.append(asyncio.ensure_future(vu.send(get(peer, b"/%d" % number))))
        await asyncio.sleep(0)
    await until(lambda: len(held.asked) == 2)
    await asyncio.sleep(0.02)
    for done in range(6):
        held.release(f"/{done}")
        await asking[done]
        while len(held.asked) < min(6, done + 3):  # noqa: ASYNC110 - it has no event of its own
            await asyncio.sleep(0)
    responses = await asyncio.gather(*asking)
    assert [one.body for one in responses] == [b"/%d" % number for number in range(6)]
    assert held.asked == [f"/{number}" for number in range(6)]
    assert (peer.connections, held.most) == (2, 2)
    assert min(one.blocked for one in responses[2:]) > 10_000
    assert max(one.duration for one in responses[4:]) < min(one.blocked for one in responses[4:])


async def test_the_connection_used_last_is_taken_first(serve, pooled):
    """So one VU alone leaves the others to their idle time, and they are closed."""
    held = Held()
    peer = await serve(held)
    network, vus = pooled(3, 3)
    keeping = Keeping(idle=0.2)
    asking = [asyncio.ensure_future(vu.send(get(peer, b"/%d" % n, keeping=keeping))) for n, vu in enumerate(vus)]
    await until(lambda: len(held.asked) == 3)
    held.release("/0", "/1", "/2", "/again")
    await asyncio.gather(*asking)
    assert network.open_connections == 3
    while network.open_connections > 1:
        assert (await vus[0].send(get(peer, b"/again", keeping=keeping))).reused
    assert peer.connections == 3


async def test_a_wait_is_part_of_a_requests_time(serve, pooled):
    """Where none comes free within it, the request has failed as a timeout that says so, and nothing was sent."""
    held = Held()
    peer = await serve(held)
    _, (first, late) = pooled(2, 1)
    asking = asyncio.ensure_future(first.send(get(peer, b"/held")))
    await until(lambda: held.asked)
    response = await late.send(get(peer, timeouts=Timeouts(total=0.05)))
    assert (response.error, response.sent) == (Failure.TIMEOUT, 0)
    assert response.message == f"no connection to {peer.origin.authority} was free in time"
    assert response.duration >= 50_000
    held.release("/held", "/")
    assert (await asking).error is None
    assert (await late.send(get(peer))).reused


async def test_a_connection_that_died_in_the_pool_is_not_lent(answers, pooled):
    """What peers closed meanwhile is passed over, whatever the method, and its place is free for another."""
    peer = await answers(OK)
    network, vus = pooled(2, 1)
    assert (await vus[0].send(get(peer, method="POST"))).error is None
    peer.writers[0].transport.abort()
    await until(lambda: network.open_connections == 0)
    response = await vus[1].send(get(peer, method="POST"))
    assert (response.error, response.reused, peer.connections) == (None, False, 2)


async def test_a_connection_that_dies_under_a_request_is_replaced(serve, pooled):
    """A GET that met a connection which was just being closed goes out once more on a new one, not on the next of the
    pool, which may have ended too; a POST has failed.
    """

    async def handler(peer, reader, writer):
        while request := await read_request(reader):
            if b"/first" not in request and peer.connections <= 4:
                return
            writer.write(OK)
            await asyncio.sleep(0.01)

    peer = await serve(handler)
    _, vus = pooled(4, 4)
    await asyncio.gather(*(vu.send(get(peer, b"/first")) for vu in vus))
    response = await vus[0].send(get(peer, method="POST"))
    assert (response.error, response.reused) == (Failure.RESET, True)
    response = await vus[1].send(get(peer))
    assert (response.error, response.reused, peer.connections) == (None, False, 5)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_bounds_are_a_connections_own(method, answers, pooled):
    """A connection carries so many requests, whosoever they are, and is closed behind the last of them."""
    peer = await answers(OK)
    network, vus = pooled(3, 2)
    request = get(peer, method=method, keeping=Keeping(requests=4))
    responses = [await vus[number % 3].send(request) for number in range(8)]
    assert [one.reused for one in responses] == [bool(number % 4) for number in range(8)]
    await until(lambda: network.open_connections == 0)


async def test_an_answer_that_ends_its_connection_ends_it_for_all(answers, pooled):
    """`Connection: close` is heeded before anyone else takes it, and the next answer isn't taken for such a one."""
    peer = await answers(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")
    network, vus = pooled(2, 1)
    for number in range(4):
        response = await vus[number % 2].send(get(peer))
        assert (response.error, response.reused, response.plain) == (None, False, False)
    assert peer.connections == 4
    await until(lambda: network.open_connections == 0)


async def test_equal_answers_are_not_parsed_again(answers, pooled):
    """As on a VU's own connection, what begins as the last one did is known."""
    peer = await answers(OK)
    _, vus = pooled(2, 1)
    request = get(peer)
    assert [(await vus[number % 2].send(request)).plain for number in range(3)] == [False, True, True]


async def test_a_virtual_user_that_is_stopped_gives_its_place_to_another(serve, pooled):
    """While it waits, it is as if it had never come; while it has a connection, that one is closed, and its place free."""
    held = Held()
    peer = await serve(held)
    network, vus = pooled(4, 1)
    asking = []
    for number, vu in enumerate(vus):
        asking.append(asyncio.ensure_future(vu.send(get(peer, b"/%d" % number))))
        await asyncio.sleep(0)
    await until(lambda: held.asked)
    asking[1].cancel()
    held.release("/2", "/3")
    asking[0].cancel()
    responses = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(one) for one in responses[:2]] == [asyncio.CancelledError] * 2
    assert [one.body for one in responses[2:]] == [b"/2", b"/3"]
    assert [one.reused for one in responses[2:]] == [False, True]
    assert (peer.connections, network.open_connections) == (2, 1)


async def test_a_line_that_came_with_the_cancellation_is_passed_on(answers, pooled):
    """A VU that is stopped in the very turn in which its connection comes hands it to the next one."""
    peer = await answers(OK)
    _, vus = pooled(3, 1)

    async def send_and_stop():
        await vus[0].send(get(peer))
        second.cancel()  # which has been given the connection, and hasn't been resumed with it

    first = asyncio.ensure_future(send_and_stop())
    await asyncio.sleep(0)
    second, third = (asyncio.ensure_future(vu.send(get(peer))) for vu in vus[1:])
    await asyncio.wait([first, second])
    assert second.cancelled()
    assert (await third).error is None
    assert (await vus[1].send(get(peer))).reused


async def test_clients_that_close_end_what_is_theirs_alone(serve, pooled):
    """A VU that is closed under way ends its request, or its wait; the last one closes the pool, and it can be used again."""
    held = Held()
    peer = await serve(held)
    network, vus = pooled(3, 1)
    asking = []
    for number, vu in enumerate(vus):
        asking.append(asyncio.ensure_future(vu.send(get(peer, b"/%d" % number, method="POST"))))
        await asyncio.sleep(0)
    await until(lambda: held.asked)
    vus[1].close()
    assert (await asking[1]).error is Failure.RESET
    vus[0].close()
    assert (await asking[0]).error is Failure.RESET
    held.release("/2", "/0")
    assert (await asking[2]).body == b"/2"
    vus[2].close()
    await until(lambda: network.open_connections == 0)
    assert (await vus[0].send(get(peer, b"/0"))).body == b"/0"


async def test_each_origin_has_its_own_pool(answers, serve, pooled):
    """A bound is of one origin: a redirect to another finds connections there though none is free here."""
    shop = await answers(OK)
    front = await answers(
        b"HTTP/1.1 302 Found\r\nLocation: " + shop.origin.url(b"/").encode() + b"\r\nContent-Length: 0\r\n\r\n"
    )
    network, vus = pooled(8, 1)
    responses = await asyncio.gather(*(vu.send(get(front)) for vu in vus))
    assert [(one.status, len(one.hops)) for one in responses] == [(200, 1)] * 8
    assert (front.connections, shop.connections, network.open_connections) == (1, 1, 2)


async def test_pools_speak_tls_and_through_proxies(authority, server_tls, answers, serve, pooled):
    """A pool's connections are made as any other: with the handshake and the tunnel, each once."""
    peer = await answers(OK, tls=server_tls("127.0.0.1"))
    proxy = await serve(Relaying())
    _, vus = pooled(5, 2)
    tls = TLS(ca=authority.cert_pem.bytes().decode())
    request = get(peer, tls=tls, proxy=Proxy(Origin("http", *proxy.origin[1:])))
    for _ in range(3):
        responses = await asyncio.gather(*(vu.send(request) for vu in vus))
        assert {one.error for one in responses} == {None}
    assert (peer.connections, len(proxy.lines)) == (2, 2)


async def test_a_target_that_is_not_there_fails_all_that_ask(pooled):
    """A connection that can't be made is its request's failure, and its place is free for the next attempt."""
    _, vus = pooled(5, 1)
    request = prepare("GET", Origin("http", "127.0.0.1", 1), b"/")
    for _ in range(2):
        responses = await asyncio.gather(*(vu.send(request) for vu in vus))
        assert {one.error for one in responses} == {Failure.CONNECT}


SENDS = ["send"] * 3
MOVES = st.lists(st.tuples(st.integers(0, 5), st.sampled_from([*SENDS, "cancel", "close", "cut", "let"])), max_size=40)


@given(moves=MOVES, most=st.integers(1, 3), requests=st.sampled_from([None, 1, 3]), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_whatever_happens_bounds_hold_and_nobody_is_forgotten(moves, most, requests, seed):
    """In any order of requests, stops, closed clients, cut connections and answers: never more connections than may be,
    every answer is its request's own, whoever isn't stopped gets an outcome, and afterwards all places are free.
    """
    asyncio.run(_play(moves, most, requests, random.Random(seed)))


async def _play(moves, most, requests, chance):
    held = Held()
    peer = Peer(Origin("http", "127.0.0.1", 0))

    async def accept(reader, writer):
        peer.writers.append(writer)
        with contextlib.suppress(ConnectionError):
            await held(peer, reader, writer)
        writer.transport.abort()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        peer.origin = peer.origin._replace(port=server.sockets[0].getsockname()[1])
        history = History(peer, held, most, requests and Keeping(requests=requests))
        for number, (vu, move) in enumerate(moves):
            history.move(number, vu, move, chance)
            for _ in range(chance.randrange(6)):
                await asyncio.sleep(0)
            assert history.network.open_connections <= most
        async with asyncio.timeout(5):
            await history.end()
        assert history.network.open_connections <= most
        history.close()
        await until(lambda: history.network.open_connections == 0)
        server.close()
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
        await asyncio.sleep(0)  # in which the loop lets go of sockets
    assert all(one.error is Failure.RESET if one.error else one.body == path for path, one in history.outcomes)


class History:
    """What happens to six VUs of one process."""

    def __init__(self, peer, held, most, keeping):
        self.peer, self.held = peer, held
        self.network = Network(most=most)
        self.outcomes = []
        self._options = Options(keeping=keeping)
        self._vus = [Client(self.network) for _ in range(6)]
        self._under_way = {}

    def move(self, number, vu, move, chance):
        task = self._under_way.get(vu)
        if move == "send" and (task is None or task.done()):
            self._under_way[vu] = asyncio.ensure_future(self._ask(vu, b"/%d" % number))
        elif move == "cancel" and task is not None:
            task.cancel()
        elif move == "close":
            self._vus[vu].close()
        elif move == "cut" and self.peer.writers:
            chance.choice(self.peer.writers).transport.abort()
        elif move == "let" and self.held.asked:
            self.held.release(chance.choice(self.held.asked))

    async def _ask(self, vu, path):
        request = prepare("GET", self.peer.origin, path, options=self._options, needs_body=True)
        self.outcomes.append((path, await self._vus[vu].send(request)))

    async def end(self):
        """All that waits gets its answer, and then each VU once more."""
        self.held.release(*(f"/{number}" for number in range(100)))
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        await asyncio.gather(*(self._ask(vu, b"/99") for vu in range(6)))
        assert [path for path, one in self.outcomes[-6:] if one.error is None] == [b"/99"] * 6

    def close(self):
        for vu in self._vus:
            vu.close()
        self.network.close()
