"""Connections that are no faster than asked: the bucket, what stands in between, and both with real peers."""

import asyncio

import pytest
from h2_peer import echo, knowing, second
from http_peers import read_request
from hypothesis import given
from hypothesis import strategies as st

from loadgate_runner.http import TLS, Content, Options, Origin, Rates, prepare
from loadgate_runner.http.paced import BURST, Bucket, Paced

SECOND = 1_000_000_000


@given(st.floats(1, 1e9), st.lists(st.tuples(st.integers(0, SECOND), st.integers(0, 1 << 20)), max_size=30))
def test_a_bucket_gives_no_more_than_its_rate(rate, wishes):
    """Over any time it gives at most the rate's bytes and one burst, and never more than was wished for."""
    bucket = Bucket(rate, 0)
    now = given_in_all = 0
    for pause, wanted in wishes:
        now += pause
        count = bucket.take(wanted, now)
        assert 0 <= count <= wanted
        given_in_all += count
        assert given_in_all <= rate * now / SECOND + max(1, rate * BURST) + 1e-3


@given(st.floats(1, 1e9), st.integers(1, 1 << 20))
def test_a_bucket_says_how_long_to_wait(rate, wanted):
    """After that time there is as much as was waited for, before it nothing, and it isn't long."""
    bucket = Bucket(rate, 0)
    bucket.take(1 << 40, 0)
    wait = bucket.until(wanted)
    assert wait <= max(BURST, 1 / rate) + 0.001
    assert wait == 0.001 or bucket.take(wanted, int(wait * SECOND / 2)) == 0
    assert bucket.take(wanted, int(wait * SECOND) + 1000) == min(wanted, max(1, int(rate * BURST)))


class Wire:
    """A loop's transport that takes what it is given, unless it is full, and notes when."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.written, self.reading, self.closed, self.waiting = [], True, "", 0

    def write(self, data):
        self.written.append((self.loop.time(), bytes(data)))

    def get_extra_info(self, _name, default=None):
        return default

    def set_write_buffer_limits(self, high=None, low=None):
        self.limits = high, low

    def get_write_buffer_size(self):
        return self.waiting

    def pause_reading(self):
        assert self.reading
        self.reading = False

    def resume_reading(self):
        assert not self.reading
        self.reading = True

    def is_closing(self):
        return bool(self.closed)

    def close(self):
        self.closed = "close"

    def abort(self):
        self.closed = "abort"


class Near:
    """The connection behind it, which notes what it is told, and when."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.came, self.told = [], []

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.came.append((self.loop.time(), data))

    def pause_writing(self):
        self.told.append("wait")

    def resume_writing(self):
        self.told.append((self.loop.time(), "go on"))

    def connection_lost(self, exc):
        self.told.append((self.loop.time(), "lost", exc))


def between(up=0.0, down=0.0):
    """A pace between a wire and what is near."""
    loop = asyncio.get_running_loop()
    near, wire = Near(), Wire()
    paced = Paced(near, loop, lambda: int(loop.time() * SECOND), Rates(up, down))
    paced.connection_made(wire)
    return paced, near, wire


def whole(pieces):
    """The bytes of pieces, and when the last of them came."""
    return b"".join(piece for _, piece in pieces), pieces[-1][0]


@pytest.mark.looptime
@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_what_is_sent_takes_its_time():
    """10,000 bytes at 1,000 a second take ten seconds but for a burst, and the sender is told when all is out."""
    paced, near, wire = between(up=1000)
    data = bytes(range(250)) * 40
    paced.write(data[:4000])
    paced.write(data[4000:])
    assert paced.get_write_buffer_size() == 9950
    await asyncio.sleep(20)
    sent, last = whole(wire.written)
    assert sent == data
    assert last == pytest.approx(9.95, abs=0.02)
    assert near.told == ["wait", (pytest.approx(9.95, abs=0.02), "go on")]
    assert max(len(piece) for _, piece in wire.written) <= 50


@pytest.mark.looptime
@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_what_comes_takes_its_time_and_stops_the_peer():
    """While bytes wait nothing more is read, they are passed on in order, and the end follows the last of them."""
    paced, near, wire = between(down=1000)
    data = bytes(range(250)) * 8
    paced.data_received(data)
    assert not wire.reading
    await asyncio.sleep(3)
    assert whole(near.came) == (data, pytest.approx(1.95, abs=0.02))
    assert wire.reading
    paced.data_received(data)
    paced.connection_lost(None)
    await asyncio.sleep(5)
    assert whole(near.came)[0] == data * 2
    assert near.told == [(pytest.approx(5, abs=0.1), "lost", None)]


@pytest.mark.looptime
@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_a_direction_without_a_rate_is_as_fast_as_ever():
    """Bytes pass at once, and the kernel's own pauses reach the sender."""
    paced, near, wire = between(up=1000)
    paced.data_received(b"x" * 1_000_000)
    assert whole(near.came) == (b"x" * 1_000_000, 0)
    assert wire.reading
    paced, near, wire = between(down=1000)
    paced.write(b"y" * 1_000_000)
    assert whole(wire.written) == (b"y" * 1_000_000, 0)
    paced.pause_writing()
    paced.write(b"z")
    assert near.told == ["wait"]
    assert len(wire.written) == 1
    paced.resume_writing()
    assert wire.written[-1][1] == b"z"
    assert near.told == ["wait", (0, "go on")]


@pytest.mark.looptime
@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_whoever_is_near_may_stop_reading_or_give_up():
    """Nothing is passed on while it is stopped, nor after an abort, which drops what waits; the end is told once."""
    paced, near, wire = between(up=100, down=1000)
    paced.pause_reading()
    paced.data_received(b"a" * 10)
    await asyncio.sleep(1)
    assert near.came == []
    paced.resume_reading()
    await asyncio.sleep(1)
    assert whole(near.came)[0] == b"a" * 10
    paced.write(b"b" * 1000)
    paced.data_received(b"c" * 1000)
    paced.connection_lost(OSError("gone"))
    paced.abort()
    await asyncio.sleep(20)
    assert len(whole(near.came)[0]) < 100
    assert len(wire.written) == 1
    assert [told[1] for told in near.told if told != "wait"] == ["lost"]
    assert paced.is_closing()


@pytest.mark.looptime
@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_closing_waits_for_what_is_to_go_out():
    """The wire is closed behind the last byte."""
    paced, _, wire = between(up=1000)
    paced.write(b"x" * 1000)
    paced.close()
    assert paced.is_closing()
    assert not wire.closed
    await asyncio.sleep(2)
    assert wire.closed == "close"
    assert len(whole(wire.written)[0]) == 1000


RATE = 1_000_000.0


@pytest.mark.parametrize("tls", [False, True])
async def test_a_request_and_its_answer_take_their_time(tls, serve, client, server_tls, authority):
    """Bytes are what they were, `sending` and `receiving` are as long as the rates say, and the connection is kept."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 150000\r\n\r\n" + bytes(range(250)) * 600

    async def handler(peer, reader, writer):
        while request := await read_request(reader):
            peer.requests.append(request)
            writer.write(answer)

    host = "localhost" if tls else "127.0.0.1"
    peer = await serve(handler, tls=server_tls("localhost") if tls else None, host=host)
    options = Options(rates=Rates(RATE, RATE), tls=TLS(ca=authority.cert_pem.bytes().decode()))
    body = bytes(reversed(range(250))) * 800
    for parts in (body, Content(body)):
        request = prepare("PUT", peer.origin, b"/", body=parts, options=options, needs_body=True)
        response = await (client.deliver if request.content else client.send)(request)
        assert (response.status, response.error) == (200, None)
        assert response.body == bytes(range(250)) * 600
        assert peer.requests[-1].endswith(body)
        assert response.sending / 1e6 == pytest.approx(0.15, abs=0.1)
        assert response.sending / 1e6 > 0.14
        assert response.receiving / 1e6 > 0.09
    assert peer.connections == 1


async def test_without_rates_nothing_stands_in_between(network):
    """A connection that isn't asked to be slow sends on the plain socket; one that is doesn't."""
    origin = Origin("http", "127.0.0.1", 80)
    for rates, plain in ((None, True), (Rates(up=1), False), (Rates(down=1), False)):
        request = prepare("GET", origin, b"/", options=Options(rates=rates))
        assert network.dialer(request, origin).plain is plain


async def test_over_http2_the_rates_are_the_connections(serve, client):
    """Frames wait as bytes do; a body that is large goes out in the time that its rate takes."""
    peer = await serve(second(echo))
    options = knowing(peer.origin, rates=Rates(RATE, RATE))
    body = b"x" * 200_000
    request = prepare("PUT", peer.origin, b"/a", body=body, options=options, needs_body=True)
    response = await client.send(request)
    assert (response.status, response.error, response.body) == (200, None, b"/a " + body)
    assert response.sending / 1e6 > 0.13
    assert response.receiving / 1e6 > 0.13


async def test_a_peer_that_goes_while_its_answer_waits_has_answered(serve, client):
    """An answer that ends with its connection is whole though the connection was gone long before it was passed on."""

    async def handler(_peer, reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000)
        await writer.drain()

    peer = await serve(handler)
    request = prepare("GET", peer.origin, b"/", options=Options(rates=Rates(down=RATE)), needs_body=True)
    response = await client.send(request)
    assert (response.status, response.error, response.size) == (200, None, 100_000)
    assert response.receiving / 1e6 > 0.04
