"""Requests and answers over HTTP/2, against h2's other side: the same as over HTTP/1.1 to whoever asks."""

import asyncio
import gzip

import pytest
from h2.settings import SettingCodes
from h2_peer import echo, knowing, second
from http_peers import until

from loadgate_runner.http import Keeping, prepare


async def plain(connection, stream):
    await connection.answer(stream)


async def empty(connection, stream):
    await connection.answer(stream, b"")


async def no_content(connection, stream):
    await connection.answer(stream, b"", 204)


async def not_modified(connection, stream):
    await connection.answer(stream, b"", 304, [("content-length", "5")])


async def interim(connection, stream):
    connection.h2.send_headers(stream, [(":status", "103"), ("link", "</a.css>")])
    connection.h2.send_headers(stream, [(":status", "100")])
    await connection.flush()
    await connection.answer(stream, b"hello", 200, [("x", "final")])


async def trailers(connection, stream):
    connection.h2.send_headers(stream, [(":status", "200"), ("trailer", "x-sum")])
    await connection.send(stream, b"hello", end=False)
    connection.h2.send_headers(stream, [("x-sum", "1"), ("set-cookie", "trailing=1")], end_stream=True)
    await connection.flush()


async def padded(connection, stream):
    connection.h2.send_headers(stream, [(":status", "200")])
    connection.h2.send_data(stream, b"hel", pad_length=200)
    connection.h2.send_data(stream, b"", pad_length=0)
    connection.h2.send_data(stream, b"lo", end_stream=True, pad_length=3)
    await connection.flush()


async def in_many_frames(connection, stream):
    connection.h2.send_headers(stream, [(":status", "103")])
    connection.h2.streams[stream].max_outbound_frame_size = 30
    connection.h2.send_headers(stream, [(":status", "200"), *((f"x-{n}", "y" * 20) for n in range(15))])
    for byte in b"hello":
        connection.h2.send_data(stream, bytes([byte]))
    connection.h2.end_stream(stream)
    await connection.flush()


async def an_error(connection, stream):
    await connection.answer(stream, b"no", 500)


async def beside_pings(connection, stream):
    for number in range(20):
        connection.h2.ping(bytes([number]) * 8)
    await connection.raw(bytes([0, 0, 3, 0xFA, 0, 0, 0, 0, 0]) + b"new")  # a kind of frame that nobody knows
    await connection.answer(stream)


WHOLE = {
    plain: (200, b"hello"),
    empty: (200, b""),
    no_content: (204, b""),
    not_modified: (304, b""),
    interim: (200, b"hello"),
    trailers: (200, b"hello"),
    padded: (200, b"hello"),
    in_many_frames: (200, b"hello"),
    an_error: (500, b"no"),
    beside_pings: (200, b"hello"),
}


def always(one):
    async def handler(connection):
        while (stream := await connection.ready.get()) is not None:
            await one(connection, stream)

    return handler


@pytest.mark.parametrize("pieces", [0, 1, 7])
@pytest.mark.parametrize("one", WHOLE)
async def test_an_answer_reads_the_same_however_it_is_cut(one, pieces, serve, client):
    """Status, body and size don't depend on frames and pieces, trailers are passed over, and the connection goes on."""
    status, body = WHOLE[one]
    peer = await serve(second(always(one), pieces=pieces))
    request = prepare("GET", peer.origin, b"/", options=knowing(peer.origin), needs_body=True)
    for number in range(2):
        response = await client.send(request)
        assert (response.status, response.body, response.error) == (status, body, None), response.message
        assert (response.size, response.reused, response.cookies) == (len(body), number > 0, {})
        assert response.received >= 9 + len(body)
        assert response.duration == response.sending + response.waiting + response.receiving
    assert peer.connections == 1
    assert response.headers.get("link") is None


@pytest.mark.parametrize("one", WHOLE)
async def test_an_answer_that_nobody_reads_is_counted_all_the_same(one, serve, client):
    """Without a need for body or headers the status is right, and nothing is kept."""
    peer = await serve(second(always(one)))
    response = await client.send(prepare("GET", peer.origin, b"/", options=knowing(peer.origin)))
    assert (response.status, response.error, response.body, response.size) == (WHOLE[one][0], None, b"", 0)
    assert len(response.headers) == 0
    assert response.received > 0


async def test_a_request_becomes_fields(serve, client):
    """`Host` is `:authority`, names are in lower case, and what is about a connection stays behind (RFC 9113, 8.2.2)."""
    peer = await serve(second(echo))
    headers = [
        ("Connection", "keep-alive, X-Hop"), ("Keep-Alive", "5"), ("Proxy-Connection", "x"), ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMA"), ("Transfer-Encoding", "chunked"), ("X-Hop", "1"), ("TE", "gzip"),
        ("X-Mine", " a  b "), ("Cookie", "a=1; b=2"),
    ]  # fmt: skip
    options = knowing(peer.origin, host="shop.example")
    request = prepare("PUT", peer.origin, b"/a?b=c", headers=headers, body=b"text", options=options, needs_body=True)
    assert (await client.send(request)).body == b"/a?b=c text"
    (fields,) = peer.requests[0].asked.values()
    assert fields[:4] == [(":method", "PUT"), (":scheme", "http"), (":authority", "shop.example"), (":path", "/a?b=c")]
    assert dict(fields[4:]).keys() == {
        "user-agent", "accept", "accept-encoding", "x-mine", "cookie", "content-length",
    }  # fmt: skip
    assert (dict(fields)["x-mine"], dict(fields)["content-length"]) == ("a  b", "4")


async def test_trailers_may_be_asked_for(serve, client):
    """`TE: trailers` is the one about a connection that goes."""
    peer = await serve(second(echo))
    request = prepare("GET", peer.origin, b"/", headers=[("TE", "trailers")], options=knowing(peer.origin))
    assert (await client.send(request)).status == 200
    assert ("te", "trailers") in peer.requests[0].asked[1]


async def test_parts_that_change_are_sent(serve, client):
    """Path, headers and body of each time are the ones that arrive, and prepared ones are the same each time."""
    peer = await serve(second(echo))
    request = prepare("POST", peer.origin, None, options=knowing(peer.origin), needs_body=True)
    for number in range(3):
        response = await client.send(request, path=b"/%d" % number, headers=b"X-N: %d\r\n" % number, body=b"b" * number)
        assert response.body == b"/%d " % number + b"b" * number
    assert [dict(fields)["x-n"] for fields in peer.requests[0].asked.values()] == ["0", "1", "2"]
    same = prepare("POST", peer.origin, b"/same", body=b"1", options=knowing(peer.origin), needs_body=True)
    assert [(await client.send(same)).body for _ in range(3)] == [b"/same 1"] * 3


@pytest.mark.parametrize("window", [1, 1000, 65_535, 2**31 - 1])
async def test_bodies_keep_to_the_peers_windows(window, serve, client):
    """A body goes as the peer takes it, whatever its windows and frames are, and its answer comes whole."""
    size = {1: 100, 1000: 50_000}.get(window, 3_000_000)
    body = bytes(range(250)) * (size // 250) or bytes(range(100))
    settings = {SettingCodes.INITIAL_WINDOW_SIZE: window, SettingCodes.MAX_FRAME_SIZE: 1 << 20}
    peer = await serve(second(echo, settings))
    request = prepare("POST", peer.origin, b"/", body=body, options=knowing(peer.origin), needs_body=True)
    response = await asyncio.wait_for(client.send(request), 30)
    assert (response.error, response.size) == (None, len(body) + 2), response.message
    assert peer.requests[0].bodies[1] == body
    assert response.sent > len(body)
    assert response.truncated == (len(body) + 2 > 1 << 20)


async def test_an_answer_before_the_bodys_end_is_the_answer(serve, client):
    """Who has answered needs no more of the body: the stream ends, and the connection goes on (RFC 9113, 8.1)."""

    async def early(connection):
        await until(lambda: connection.asked)
        await connection.answer(1, b"enough", 413)
        await echo(connection)

    peer = await serve(second(early, greedy=False))
    options = knowing(peer.origin)
    request = prepare("POST", peer.origin, b"/", body=bytes(100_000), options=options, needs_body=True)
    response = await client.send(request)
    assert (response.status, response.body, response.error) == (413, b"enough", None)
    after = await client.send(prepare("GET", peer.origin, b"/after", options=options, needs_body=True))
    assert (after.body, after.reused) == (b"/after ", True)


async def test_an_answer_to_head_has_no_body(serve, client):
    """HEAD ends with its head, whatever length that says."""

    async def head(connection):
        while (stream := await connection.ready.get()) is not None:
            await connection.answer(stream, b"", 200, [("content-length", "5")])

    peer = await serve(second(head))
    request = prepare("HEAD", peer.origin, b"/", options=knowing(peer.origin), needs_headers=True)
    for _ in range(2):
        response = await client.send(request)
        assert (response.status, response.error, response.headers.get("content-length")) == (200, None, "5")
    assert peer.connections == 1


async def test_cookies_codings_and_redirects_are_as_ever(serve, answers, client):
    """Cookies are kept and sent, bodies are unpacked, redirects are followed, to a server of HTTP/1.1 too."""
    first = await answers(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthere")

    async def handler(connection):
        while (stream := await connection.ready.get()) is not None:
            path = connection.path(stream)
            if path == "/":
                fields = [("set-cookie", "a=1"), ("set-cookie", "b=2"), ("location", "/next")]
                await connection.answer(stream, b"", 302, fields)
            elif path == "/next":
                await connection.answer(stream, gzip.compress(b"unpacked"), 200, [("content-encoding", "gzip")])
            else:
                await connection.answer(stream, b"", 307, [("location", first.origin.url(b"/there"))])

    peer = await serve(second(handler))
    options = knowing(peer.origin)
    response = await client.send(prepare("GET", peer.origin, b"/", options=options, needs_body=True))
    assert (response.status, response.body, response.path) == (200, b"unpacked", b"/next")
    assert [(hop.status, hop.cookies) for hop in response.hops] == [(302, {"a": "1", "b": "2"})]
    assert dict(peer.requests[0].asked[3])["cookie"] == "a=1; b=2"
    other = await client.send(prepare("GET", peer.origin, b"/other", options=options, needs_body=True))
    assert (other.body, other.origin) == (b"there", first.origin)
    assert first.lines == ["GET /there HTTP/1.1"]


async def test_a_body_larger_than_what_is_kept_is_counted_and_dropped(serve, frugal):
    """All bytes are counted, the first ones kept, and the connection goes on."""

    async def large(connection):
        while (stream := await connection.ready.get()) is not None:
            await connection.answer(stream, b"x" * 900_000)

    peer = await serve(second(large))
    request = prepare("GET", peer.origin, b"/", options=knowing(peer.origin), needs_body=True)
    for _ in range(2):
        response = await frugal.send(request)
        assert (response.error, response.body, response.truncated) == (None, b"x" * 100, True)
        assert response.size == 900_000
        assert response.received > 900_000
    assert peer.connections == 1


async def test_a_connection_is_kept_as_long_as_it_may(serve, client):
    """So many requests, so old, so long idle: then there is another one."""
    peer = await serve(second(echo))

    async def connections(keeping, wait=0.0):
        client.close()
        before = peer.connections
        request = prepare("GET", peer.origin, b"/", options=knowing(peer.origin, keeping=keeping))
        for _ in range(4):
            assert (await client.send(request)).error is None
            await asyncio.sleep(wait)
        return peer.connections - before

    assert await connections(None) == 1
    assert await connections(Keeping(requests=2)) == 2
    assert await connections(Keeping(requests=1)) == 4
    assert await connections(Keeping(age=0.0)) == 4
    assert await connections(Keeping(idle=0.02), wait=0.1) == 4
    assert await connections(Keeping(idle=30)) == 1


async def test_closing_closes(serve, client, network):
    """A VU that ends leaves no connection."""
    peer = await serve(second(echo))
    assert (await client.send(prepare("GET", peer.origin, b"/", options=knowing(peer.origin)))).status == 200
    assert network.open_connections == 1
    client.close()
    await until(lambda: network.open_connections == 0)
    assert (await client.send(prepare("GET", peer.origin, b"/", options=knowing(peer.origin)))).reused is False
