"""What goes wrong over HTTP/2: each as the failure that it is, and no more than it touches."""

import asyncio

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from h2_peer import echo, knowing, second
from http_peers import reset, until

from loadgate_runner.http import Failure, Timeouts, prepare

IMPATIENT = Timeouts(first_byte=0.05, total=5)


async def test_a_stream_that_is_reset_is_a_reset(serve, client):
    """RST_STREAM fails its request with the code's name, and the connection carries the next one."""

    async def handler(connection):
        connection.h2.reset_stream(await connection.ready.get(), ErrorCodes.REFUSED_STREAM)
        await connection.flush()
        await echo(connection)

    peer = await serve(second(handler))
    request = prepare("GET", peer.origin, b"/", options=knowing(peer.origin), needs_body=True)
    first, then = await client.send(request), await client.send(request)
    assert (first.error, first.status, first.message) == (Failure.RESET, 0, "the peer reset the stream: REFUSED_STREAM")
    assert (then.body, then.reused, peer.connections) == (b"/ ", True, 1)


@pytest.mark.parametrize("code", [ErrorCodes.REFUSED_STREAM, ErrorCodes.INTERNAL_ERROR, ErrorCodes.NO_ERROR])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_stream_that_is_reset_on_a_used_connection_is_not_sent_again(method, code, serve, client):
    """A reset is what the peer made of a request: it is a failure, as on a new connection, and isn't hidden by another try."""

    async def handler(connection):
        connection.h2.send_headers(await connection.ready.get(), [(":status", "200")], end_stream=True)
        await connection.flush()
        connection.h2.reset_stream(await connection.ready.get(), code)
        await connection.flush()
        await echo(connection)

    peer = await serve(second(handler))
    request = prepare(method, peer.origin, b"/", options=knowing(peer.origin), needs_body=True)
    first, then, last = [await client.send(request) for _ in range(3)]
    assert (first.status, last.body, peer.connections) == (200, b"/ ", 1)
    assert (then.error, then.reused) == (Failure.RESET, True)
    assert then.message == f"the peer reset the stream: {code.name}"
    assert then.waiting > 0
    assert len(peer.requests[0].asked) == 3


async def test_a_window_that_overflows_is_a_protocol_failure(serve, client):
    """Whose window a peer opens beyond 2^31 - 1 has failed alone, and isn't sent again (RFC 9113, 6.9.1)."""

    async def handler(connection):
        connection.h2.send_headers(await connection.ready.get(), [(":status", "200")], end_stream=True)
        await connection.flush()
        stream = await connection.ready.get()
        await connection.raw(bytes([0, 0, 4, 8, 0]) + stream.to_bytes(4, "big") + b"\x7f\xff\xff\xff")
        await echo(connection)

    peer = await serve(second(handler))
    request = prepare("GET", peer.origin, b"/", options=knowing(peer.origin), needs_body=True)
    first, then, last = [await client.send(request) for _ in range(3)]
    assert (first.status, last.body, peer.connections) == (200, b"/ ", 1)
    assert (then.error, then.message) == (
        Failure.PROTOCOL, "the peer broke the stream's rules: FLOW_CONTROL_ERROR",
    )  # fmt: skip


async def test_a_stream_that_is_reset_within_its_answer_is_a_reset(serve, client):
    """The status that came is there, and the request has failed."""

    async def handler(connection):
        stream = await connection.ready.get()
        connection.h2.send_headers(stream, [(":status", "200")])
        await connection.send(stream, b"half", end=False)
        connection.h2.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
        await connection.flush()

    peer = await serve(second(handler))
    response = await client.send(prepare("GET", peer.origin, b"/", options=knowing(peer.origin), needs_body=True))
    assert (response.error, response.status, response.body) == (Failure.RESET, 200, b"half")


async def test_what_a_goaway_leaves_out_is_sent_again(serve, client):
    """A request above the last stream wasn't looked at, so it goes over a new connection, a POST too; that is no failure."""

    async def handler(connection):
        await connection.answer(await connection.ready.get())
        if peer.connections > 1:
            return
        await connection.ready.get()
        connection.h2.close_connection(ErrorCodes.NO_ERROR, last_stream_id=1)
        await connection.flush()

    peer = await serve(second(handler))
    request = prepare("POST", peer.origin, b"/", body=b"x", options=knowing(peer.origin), needs_body=True)
    for _ in range(2):
        response = await client.send(request)
        assert (response.status, response.error, response.body) == (200, None, b"hello"), response.message
    assert (peer.connections, response.reused) == (2, False)


async def test_what_a_goaway_lets_in_is_answered(serve, client):
    """A request up to the last stream goes on, whatever is said after the GOAWAY; the next one has a new connection."""

    async def handler(connection):
        stream = await connection.ready.get()
        connection.h2.send_headers(stream, [(":status", "200")])
        connection.h2.send_data(stream, b"be")
        before = connection.h2.data_to_send()
        goaway = bytes([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0])
        connection.h2.ping(b"12345678")
        connection.h2.send_data(stream, b"hind", end_stream=True)
        await connection.raw(before + goaway + connection.h2.data_to_send())

    peer = await serve(second(handler))
    request = prepare("GET", peer.origin, b"/", options=knowing(peer.origin), needs_body=True)
    for number in range(2):
        response = await client.send(request)
        assert (response.body, response.error) == (b"behind", None), response.message
        assert peer.connections == number + 1


@pytest.mark.parametrize(("code", "kind"), [(0, Failure.BODY), (2, Failure.RESET)])
async def test_a_goaway_and_an_end_within_a_body(code, kind, serve, client):
    """A peer that says goodbye in order and closes within an answer has cut it short; one that says a fault has broken off."""

    async def handler(connection):
        stream = await connection.ready.get()
        connection.h2.send_headers(stream, [(":status", "200"), ("content-length", "10")])
        connection.h2.send_data(stream, b"half")
        goaway = bytes([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, code])
        await connection.raw(goaway + connection.h2.data_to_send())
        connection.writer.close()

    peer = await serve(second(handler))
    response = await client.send(prepare("GET", peer.origin, b"/", options=knowing(peer.origin), needs_body=True))
    assert (response.status, response.error) == (200, kind), response.message


async def test_a_body_goes_on_where_its_window_opens_with_a_goaway(serve, client):
    """A WINDOW_UPDATE and a GOAWAY that lets the request go on, in one piece: the body is sent, and answered."""

    async def handler(connection):
        await connection.answer(await connection.ready.get())
        await until(lambda: 3 in connection.asked)
        connection.h2.increment_flow_control_window(5, 3)
        goaway = bytes([0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0])
        await connection.raw(connection.h2.data_to_send() + goaway)
        await echo(connection)

    peer = await serve(second(handler, {SettingCodes.INITIAL_WINDOW_SIZE: 0}))
    await client.send(prepare("GET", peer.origin, b"/", options=knowing(peer.origin)))  # which tells of the window
    request = prepare("POST", peer.origin, b"/", body=b"hello", options=knowing(peer.origin), needs_body=True)
    response = await client.send(request)
    assert (response.status, response.body, response.error) == (200, b"/ hello", None), response.message


async def test_a_goaway_to_a_first_request_is_a_reset(serve, client):
    """Who is turned away by a new connection isn't sent again for ever: the code is in the message."""

    async def handler(connection):
        await connection.ready.get()
        connection.h2.close_connection(ErrorCodes.ENHANCE_YOUR_CALM, last_stream_id=0)
        await connection.flush()

    peer = await serve(second(handler))
    response = await client.send(prepare("GET", peer.origin, b"/", options=knowing(peer.origin)))
    assert (response.error, response.message) == (Failure.RESET, "the peer ended the connection: ENHANCE_YOUR_CALM")
    assert peer.connections == 1


async def closed(connection):
    connection.writer.close()


async def broken(connection):
    reset(connection.writer)


async def closed_in_body(connection):
    connection.h2.send_headers(1, [(":status", "200"), ("content-length", "9")])
    await connection.send(1, b"half", end=False)
    connection.writer.write_eof()


@pytest.mark.parametrize(
    ("end", "kind"), [(closed, Failure.RESET), (broken, Failure.RESET), (closed_in_body, Failure.BODY)]
)
async def test_a_connection_that_ends_too_early(end, kind, serve, client):
    """Before an answer it is a reset, within a body the body's failure."""

    async def handler(connection):
        await connection.ready.get()
        await end(connection)

    peer = await serve(second(handler))
    response = await client.send(prepare("GET", peer.origin, b"/", options=knowing(peer.origin), needs_body=True))
    assert response.error is kind, response.message
    assert response.status == (200 if kind is Failure.BODY else 0)


async def test_a_connection_that_was_closed_meanwhile_is_no_failure(serve, client):
    """The next request finds it gone, and makes another."""

    async def handler(connection):
        await connection.answer(await connection.ready.get())
        connection.writer.close()

    peer = await serve(second(handler))
    request = prepare("GET", peer.origin, b"/", options=knowing(peer.origin))
    for _ in range(3):
        assert (await client.send(request)).error is None
    assert peer.connections == 3


async def test_a_peer_of_http_1_is_a_protocol_failure(answers, client):
    """Prior knowledge that is wrong is said so."""
    peer = await answers(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    response = await client.send(prepare("GET", peer.origin, b"/", options=knowing(peer.origin)))
    assert (response.error, response.status) == (Failure.PROTOCOL, 0)
    assert "HTTP/1.1" in response.message


MALFORMED = {
    "no status": [("x", "y")],
    "a status that is none": [(":status", "2OO")],
    "a status of two digits": [(":status", "20")],
    "the status 101": [(":status", "101")],
    "a status behind fields": [("x", "y"), (":status", "200")],
    "two statuses": [(":status", "200"), (":status", "200")],
    "a name in upper case": [(":status", "200"), ("X-Up", "1")],
    "a name with a colon": [(":status", "200"), ("a:b", "1")],
    "no name": [(":status", "200"), ("", "1")],
    "a line end in a value": [(":status", "200"), ("x", "a\r\nset-cookie: b=c")],
    "a NUL in a value": [(":status", "200"), ("x", "a\0b")],
    "a connection's field": [(":status", "200"), ("connection", "close")],
    "chunks": [(":status", "200"), ("transfer-encoding", "chunked")],
}


@pytest.mark.parametrize("fields", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_answer_fails_alone(fields, serve, client):
    """It is a protocol failure of its stream, which is reset; the connection carries the next one (RFC 9113, 8.1.1)."""

    async def handler(connection):
        stream = await connection.ready.get()
        connection.h2.send_headers(stream, fields)
        await connection.flush()
        await echo(connection)

    peer = await serve(second(handler))
    request = prepare("GET", peer.origin, b"/", options=knowing(peer.origin), needs_body=True)
    first, then = await client.send(request), await client.send(request)
    assert (first.error, first.head) == (Failure.PROTOCOL, None)
    assert (then.body, then.reused) == (b"/ ", True)
    await until(lambda: peer.requests[0].resets)
    assert peer.requests[0].resets == [(1, ErrorCodes.PROTOCOL_ERROR)]


@pytest.mark.parametrize("lengths", [["-1"], ["+4"], ["1_0"], ["four"], ["9" * 20], ["4", "5"]], ids=str)
async def test_a_length_that_is_no_number_is_none_to_head_either(lengths, serve, client):
    """An answer fails as soon as it tells such a length, also to a request whose answers have no bodies."""

    async def handler(connection):
        stream = await connection.ready.get()
        connection.h2.send_headers(stream, [(":status", "200"), *(("content-length", length) for length in lengths)])
        await connection.flush()
        await echo(connection)

    peer = await serve(second(handler))
    options = knowing(peer.origin, timeouts=Timeouts(total=2))
    response = await client.send(prepare("HEAD", peer.origin, b"/", options=options))
    assert (response.error, response.head) == (Failure.PROTOCOL, None)


@pytest.mark.parametrize("sort", ["one field", "many fields", "interim answers"])
async def test_a_head_that_is_too_large_is_a_protocol_failure(sort, serve, frugal):
    """The limit holds for all heads of an answer together."""

    async def handler(connection):
        stream = await connection.ready.get()
        if sort == "interim answers":
            for _ in range(40):
                connection.h2.send_headers(stream, [(":status", "103"), ("link", "</a.css>; rel=preload")])
        fields = [("x", "y" * 990)] if sort == "one field" else [(f"x{n}", "y" * 20) for n in range(40)]
        connection.h2.send_headers(stream, [(":status", "200"), *fields], end_stream=True)
        await connection.flush()

    peer = await serve(second(handler))
    response = await frugal.send(prepare("GET", peer.origin, b"/", options=knowing(peer.origin)))
    assert response.error is Failure.PROTOCOL, response.message


async def test_a_stream_that_the_server_opens_is_a_protocol_failure(serve, client):
    """A client takes no requests, whatever else the connection carries (RFC 9113, 5.1.1 and 8.4)."""

    async def handler(connection):
        await connection.ready.get()
        connection.writer.write(b"\0\0\1\1\5\0\0\0\2\x88")  # HEADERS of stream 2, its last: `:status: 200`
        await connection.ready.get()

    peer = await serve(second(handler))
    response = await client.send(prepare("GET", peer.origin, b"/", options=knowing(peer.origin)))
    assert (response.error, response.status) == (Failure.PROTOCOL, 0), response.message


async def test_a_body_of_another_length_is_a_protocol_failure(serve, client):
    """A body that isn't as long as its head says is malformed."""

    async def handler(connection):
        await connection.answer(await connection.ready.get(), b"hello", 200, [("content-length", "9")])

    peer = await serve(second(handler))
    response = await client.send(prepare("GET", peer.origin, b"/", options=knowing(peer.origin)))
    assert response.error is Failure.PROTOCOL


@pytest.mark.parametrize("body", [b"", b"hell", b"hello!"])
@pytest.mark.parametrize("needs", [{}, {"needs_trailers": True}])
async def test_a_body_that_fields_end_has_its_length_too(body, needs, serve, client):
    """Where a head or trailers are the last of an answer, its body is as long as its head says all the same, or it fails alone."""

    async def handler(connection):
        stream = await connection.ready.get()
        connection.h2.send_headers(stream, [(":status", "200"), ("content-length", "5")], end_stream=not body)
        if body:
            await connection.send(stream, body, end=False)
            connection.h2.send_headers(stream, [("x-sum", "1")], end_stream=True)
        await connection.flush()
        await echo(connection)

    peer = await serve(second(handler))
    request = prepare("GET", peer.origin, b"/", options=knowing(peer.origin), needs_body=True, **needs)
    response = await client.send(request)
    assert (response.error, response.status) == (Failure.PROTOCOL, 0 if len(body) > 5 else 200)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304), ("GET", 204)])
async def test_an_answer_without_a_body_may_tell_a_length(method, status, serve, client):
    """The length is of what there would have been."""

    async def handler(connection):
        await connection.answer(await connection.ready.get(), b"", status, [("content-length", "5")])

    peer = await serve(second(handler))
    response = await client.send(prepare(method, peer.origin, b"/", options=knowing(peer.origin), needs_body=True))
    assert (response.error, response.status, response.body) == (None, status, b"")


async def test_a_push_that_was_ruled_out_is_a_protocol_failure(serve, client):
    """We say that we take no pushes; who pushes all the same isn't read further."""

    async def handler(connection):
        stream = await connection.ready.get()
        block = connection.h2.encoder.encode(
            [(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", "/p")]
        )
        length = len(block) + 4
        await connection.raw(bytes([0, length >> 8, length & 255, 5, 4, 0, 0, 0, stream, 0, 0, 0, 2]) + block)

    peer = await serve(second(handler))
    response = await client.send(prepare("GET", peer.origin, b"/", options=knowing(peer.origin)))
    assert response.error is Failure.PROTOCOL


async def test_an_answer_that_is_late_is_a_timeout(serve, client):
    """Its stream is cancelled; a peer that was heard of keeps its connection, and what it still says changes nothing."""

    async def handler(connection):
        first = await connection.ready.get()
        connection.h2.send_headers(first, [(":status", "103")])
        await connection.flush()
        second_stream = await connection.ready.get()
        await until(lambda: connection.resets)
        assert connection.resets == [(first, ErrorCodes.CANCEL)]
        await connection.answer(second_stream)

    peer = await serve(second(handler))
    late = prepare(
        "GET", peer.origin, b"/late", options=knowing(peer.origin, timeouts=Timeouts(first_byte=5, total=0.1))
    )
    response = await client.send(late)
    assert (response.error, response.status) == (Failure.TIMEOUT, 0)
    assert "whole answer" in response.message
    assert 99_000 <= response.duration < 3_000_000
    after = await client.send(prepare("GET", peer.origin, b"/", options=knowing(peer.origin), needs_body=True))
    assert (after.body, after.reused) == (b"hello", True)


async def test_a_peer_that_is_silent_loses_its_connection(serve, client):
    """Where not a byte came since a request that is out of time, the next one has a connection of its own."""

    async def handler(connection):
        await connection.answer(await connection.ready.get())
        await connection.ready.get()
        await connection.ready.get()

    peer = await serve(second(handler))
    options = knowing(peer.origin, timeouts=IMPATIENT)
    request = prepare("GET", peer.origin, b"/", options=options)
    assert (await client.send(request)).error is None
    await asyncio.sleep(0.01)
    late = await client.send(request)
    assert (late.error, late.reused) == (Failure.TIMEOUT, True)
    assert "first byte" in late.message
    again = await client.send(request)
    assert (again.error, again.reused, peer.connections) == (None, False, 2)


async def test_a_vu_that_is_stopped_leaves_nothing(serve, client, network):
    """A request that is cancelled ends its connection where nobody else is on it."""

    async def handler(connection):
        await connection.ready.get()
        await connection.ready.get()

    peer = await serve(second(handler))
    request = prepare("GET", peer.origin, b"/", options=knowing(peer.origin))
    task = asyncio.ensure_future(client.send(request))
    await until(lambda: peer.requests and peer.requests[0].asked)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: network.open_connections == 0)


async def test_nobody_there_is_a_connect_failure(serve, client):
    """What fails before HTTP is called what it is called with HTTP/1.1."""
    peer = await serve(second(echo))
    nowhere = peer.origin._replace(port=1)
    response = await client.send(prepare("GET", nowhere, b"/", options=knowing(nowhere)))
    assert (response.error, response.status) == (Failure.CONNECT, 0)
