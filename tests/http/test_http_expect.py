"""Bodies that wait to be asked for (RFC 9110, 10.1.1), over real sockets."""

import asyncio

import pytest
from h2_peer import knowing, second
from http_peers import read_request, until

from loadgate_runner.http import Failure, Options, Timeouts, prepare

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
WAIT = 0.05
"""Seconds."""


def put(origin, body=b"hello", *, patience=20.0, **more):
    """A request whose body waits."""
    return prepare("PUT", origin, b"/file", body=body, patience=patience, needs_body=True, **more)


async def head_of(reader):
    """A request's head."""
    return await reader.readuntil(b"\r\n\r\n")


async def holds_back(reader):
    """Whether nothing comes for a while."""
    try:
        await asyncio.wait_for(reader.read(1), WAIT)
    except TimeoutError:
        return True
    return False


@pytest.mark.parametrize("size", [5, 3_000_000])
async def test_a_body_goes_out_once_it_is_asked_for(size, serve, client):
    """Only a 100 is the word, and nothing follows the head before it; the connection is kept behind the answer."""
    body = b"x" * size

    async def handler(peer, reader, writer):
        while True:
            head = await head_of(reader)
            writer.write(EARLY)
            peer.requests.append((head, await holds_back(reader)))
            writer.write(CONTINUE)
            assert await reader.readexactly(size) == body
            writer.write(OK)

    peer = await serve(handler)
    for _ in range(2):
        response = await client.deliver(put(peer.origin, body))
        assert (response.status, response.body, response.error) == (200, b"ok", None)
        head, held = peer.requests[-1]
        assert held
        assert b"Expect: 100-continue\r\n" in head
        assert b"Content-Length: %d\r\n" % size in head
        assert response.sent == len(head) + size
        assert response.received == len(EARLY + CONTINUE + OK)
    assert peer.connections == 1


async def test_the_wait_for_the_word_is_sending_and_the_answer_is_waited_for_from_the_bodys_end(serve, client):
    """`sending` spans the head, the wait and the body, `waiting` what follows, and the three phases are the duration."""

    async def handler(_peer, reader, writer):
        await head_of(reader)
        await asyncio.sleep(WAIT)
        writer.write(CONTINUE)
        await reader.readexactly(5)
        await asyncio.sleep(2 * WAIT)
        writer.write(OK)
        await reader.read()

    response = await client.deliver(put((await serve(handler)).origin))
    assert response.error is None
    assert WAIT <= response.sending / 1e6 < 2 * WAIT
    assert response.waiting / 1e6 >= 2 * WAIT - 0.01
    assert response.sending + response.waiting + response.receiving == response.duration


async def test_a_silent_peer_gets_the_body_when_the_wait_is_over(serve, client):
    """A server that knows no 100 is waited for as long as was said; its answer is one like any other."""

    async def handler(peer, reader, writer):
        while request := await read_request(reader):
            peer.requests.append(request)
            writer.write(OK)

    peer = await serve(handler)
    response = await client.deliver(put(peer.origin, patience=WAIT))
    assert (response.status, response.error) == (200, None)
    assert response.sending / 1e6 >= 0.9 * WAIT  # it is waited for from a little before the head goes out
    assert peer.requests[0].endswith(b"\r\n\r\nhello")


@pytest.mark.parametrize("pieces", [1, 1000])
@pytest.mark.parametrize("before", [b"", CONTINUE, EARLY])
async def test_a_final_answer_leaves_the_body_unsent_and_ends_the_connection(before, pieces, serve, client):
    """Who answers without the body gets none, though it keeps the connection; the next request makes another one."""
    refusal = before + b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig"

    async def handler(peer, reader, writer):
        await head_of(reader)
        for at in range(0, len(refusal), pieces):
            writer.write(refusal[at : at + pieces])
            await writer.drain()
            if before != CONTINUE:
                await asyncio.sleep(0)
        peer.requests.append(len(await reader.read()))

    peer = await serve(handler)
    for _ in range(2):
        response = await client.deliver(put(peer.origin, b"x" * 20_000_000))
        assert (response.status, response.body, response.error) == (413, b"big", None)
        assert response.sent < 10_000_000
        if before != CONTINUE:
            assert response.sending <= response.duration
    assert peer.connections == 2


async def test_a_body_made_each_time_waits_too(serve, client):
    """What is given to `deliver` replaces the prepared body, with its own length, path and headers."""

    async def handler(peer, reader, writer):
        while head := await head_of(reader):
            writer.write(CONTINUE)
            length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
            peer.requests.append(head + await reader.readexactly(length))
            writer.write(OK)

    peer = await serve(handler)
    request = prepare("POST", peer.origin, None, patience=20)
    for path, body in ((b"/a", b"one"), (b"/b", b"three")):
        response = await client.deliver(request, path, b"X-N: 1\r\n", body)
        assert (response.status, response.error, response.path) == (200, None, path)
        assert peer.requests[-1].startswith(b"POST " + path + b" HTTP/1.1\r\n")
        assert b"X-N: 1\r\n" in peer.requests[-1]
        assert peer.requests[-1].endswith(b"\r\n\r\n" + body)


async def test_an_empty_body_is_not_waited_for(serve, client):
    """A request without content must not carry the expectation (RFC 9110, 10.1.1)."""

    async def handler(peer, reader, writer):
        while request := await read_request(reader):
            peer.requests.append(request)
            writer.write(OK)

    peer = await serve(handler)
    response = await client.deliver(put(peer.origin, b""))
    assert (response.status, response.error) == (200, None)
    assert b"Expect" not in peer.requests[0]


async def test_a_redirect_that_keeps_the_body_is_asked_in_the_same_way(serve, client):
    """The body waits again where a 307 leads, and goes nowhere where a 303 makes a GET of it."""

    async def handler(peer, reader, writer):
        while head := await head_of(reader):
            peer.requests.append(head)
            if b" /file " in head or b" /see " in head:
                code = b"307" if b" /file " in head else b"303"
                writer.write(b"HTTP/1.1 " + code + b" There\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n")
                break
            if head.startswith(b"PUT"):
                writer.write(CONTINUE)
                await reader.readexactly(5)
            writer.write(OK)
        await reader.read()

    peer = await serve(handler)
    response = await client.deliver(put(peer.origin))
    assert (response.status, response.method, len(response.hops)) == (200, "PUT", 1)
    assert b"Expect" in peer.requests[-1]
    response = await client.deliver(put(peer.origin), b"/see")
    assert (response.status, response.method) == (200, "GET")
    assert b"Expect" not in peer.requests[-1]


async def test_time_limits_hold_while_a_body_waits(serve, client):
    """The limit on the first byte counts from the body's last byte, and the one on the whole request from its start."""

    async def handler(_peer, reader, _writer):
        await reader.read()

    origin = (await serve(handler)).origin
    for timeouts, patience, least in (
        (Timeouts(first_byte=2 * WAIT), WAIT, 3 * WAIT),
        (Timeouts(total=WAIT), 20, WAIT),
    ):
        response = await client.deliver(put(origin, patience=patience, options=Options(timeouts=timeouts)))
        assert response.error is Failure.TIMEOUT
        assert response.duration / 1e6 >= least


async def test_interim_answers_without_end_are_a_protocol_failure(serve, client):
    """A peer that neither asks for the body nor answers fills no more than a head's limit with interim answers."""

    async def handler(_peer, reader, writer):
        await head_of(reader)
        while True:
            writer.write(EARLY * 50)
            await writer.drain()

    response = await client.deliver(put((await serve(handler)).origin))
    assert response.error is Failure.PROTOCOL
    assert response.received < 1_000_000


async def test_an_empty_line_behind_an_interim_answer_is_a_protocol_failure(serve, client):
    """What isn't an answer isn't skipped either while a body is still to be sent."""

    async def handler(_peer, reader, writer):
        await head_of(reader)
        writer.write(EARLY)
        await asyncio.sleep(WAIT / 2)
        writer.write(b"\r\n" + OK)
        await reader.read()

    response = await client.deliver(put((await serve(handler)).origin, patience=20))
    assert (response.error, response.status) == (Failure.PROTOCOL, 0)


async def test_a_cancelled_request_sends_nothing_more(serve, client):
    """A VU that is stopped while its body waits leaves neither a connection nor a timer that sends."""
    asked = asyncio.Event()

    async def handler(peer, reader, _writer):
        await head_of(reader)
        asked.set()
        peer.requests.append(await reader.read())

    peer = await serve(handler)
    sending = asyncio.ensure_future(_deliver(client, put(peer.origin, patience=WAIT)))
    await asked.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await asyncio.sleep(2 * WAIT)
    assert peer.requests == [b""]


async def _deliver(client, request):
    return await client.deliver(request)


async def test_over_http2_a_body_waits_as_well(serve, client):
    """A 100 lets the body go, a final answer leaves it unsent and cancels the stream, and silence ends the wait."""

    async def handler(connection):
        await until(lambda: connection.asked)
        await asyncio.sleep(WAIT)
        assert connection.bodies == {1: b""}
        connection.h2.send_headers(1, [(":status", "103")])
        connection.h2.send_headers(1, [(":status", "100")])
        await connection.flush()
        await connection.answer(await connection.ready.get(), connection.bodies[1][-5:])
        await until(lambda: len(connection.asked) == 2)
        await connection.answer(3, b"big", 413)
        await connection.answer(await connection.ready.get(), b"late")

    peer = await serve(second(handler))
    options = knowing(peer.origin)
    body = b"x" * 300_000 + b"hello"
    response = await client.deliver(put(peer.origin, body, options=options))
    assert (response.status, response.body, response.error) == (200, b"hello", None)
    assert response.sending / 1e6 >= WAIT
    assert response.sent > len(body)
    response = await client.deliver(put(peer.origin, body, options=options))
    assert (response.status, response.body, response.error) == (413, b"big", None)
    assert response.sent < 1000
    response = await client.deliver(put(peer.origin, body, patience=WAIT, options=options))
    assert (response.status, response.body, response.error) == (200, b"late", None)
    (connection,) = peer.requests
    assert dict(connection.asked[1])["expect"] == "100-continue"
    assert [stream for stream, _ in connection.resets] == [3]
