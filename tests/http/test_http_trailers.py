"""Fields behind a body: read where someone asks for them, bounded, and never taken for headers."""

import pytest
from h2_peer import knowing, second

from loadgate_runner.http import Failure, prepare

HEAD = b"HTTP/1.1 200 OK\r\nX: head\r\nTransfer-Encoding: chunked\r\n\r\n"
BODY = b"5\r\nhello\r\n0\r\n"
WHOLE = HEAD + BODY + b"X-Sum: 1\r\nx-Sum:  2 \r\nSet-Cookie: late=1\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"


def asking(origin, **more):
    """A request that looks at trailers."""
    return prepare("GET", origin, b"/", needs_trailers=True, **more)


@pytest.mark.parametrize("pieces", [0, 1, 7])
@pytest.mark.parametrize("before", [b"", EARLY, EARLY * 2])
async def test_trailers_are_found_however_an_answer_is_cut(before, pieces, answers, client):
    """All values in their order, the body whole, the connection kept; they are no headers, and set no cookie."""
    peer = await answers(before + WHOLE, pieces=pieces)
    request = asking(peer.origin, needs_body=True)
    for _ in range(2):
        response = await client.send(request)
        assert (response.status, response.body, response.error) == (200, b"hello", None)
        assert response.trailers.all("x-sum") == ["1", "2"]
        assert (response.headers.get("x"), response.headers.get("x-sum")) == ("head", None)
        assert client.cookies.size == 0
    assert peer.connections == 1
    assert b"TE: trailers\r\nConnection: TE\r\n" in peer.requests[0]


async def test_an_answer_without_trailers_has_none(answers, client):
    """Whether its length was said or it was chunked, and though the one before had some."""
    plain = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    peer = await answers(WHOLE, HEAD + BODY + b"\r\n", plain, plain, WHOLE)
    request = asking(peer.origin)
    found = [len((await client.send(request)).trailers) for _ in range(5)]
    assert found == [3, 0, 0, 0, 3]


async def test_who_does_not_ask_gets_none(answers, client):
    """Nothing is said of them in the request, and they are read over."""
    peer = await answers(WHOLE)
    response = await client.send(prepare("GET", peer.origin, b"/", needs_body=True))
    assert (response.body, len(response.trailers), response.error) == (b"hello", 0, None)
    assert b"TE:" not in peer.requests[0]


async def test_a_requests_own_headers_win(answers, client):
    """Who says what it takes, or of what kind the connection is, is left alone."""
    peer = await answers(WHOLE)
    await client.send(asking(peer.origin, headers=[("te", "gzip"), ("Connection", "close")]))
    assert b"te: gzip\r\nConnection: close\r\n" in peer.requests[0]
    assert b"trailers" not in peer.requests[0]


@pytest.mark.parametrize("pieces", [0, 50])
@pytest.mark.parametrize(
    "fields", [b"X: " + b"y" * 5000 + b"\r\n", b"".join(b"X-%d: y\r\n" % n for n in range(500))], ids=["one", "many"]
)
async def test_trailers_are_bounded_as_a_head_is(fields, pieces, answers, frugal):
    """One that is too long, or too many of them, are a protocol failure; the body doesn't count."""
    peer = await answers(HEAD + b"7d0\r\n" + b"z" * 2000 + b"\r\n0\r\n" + fields + b"\r\n", pieces=pieces)
    response = await frugal.send(asking(peer.origin))
    assert (response.error, response.message) == (
        Failure.PROTOCOL,
        "the answer's trailers are larger than 1000 bytes",
    )


async def test_trailers_without_an_end_are_a_protocol_failure(serve, frugal):
    """A peer that begins a trailer and never ends it is stopped at the limit."""

    async def handler(_peer, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + BODY + b"X: ")
        while True:
            writer.write(b"y" * 10_000)
            await writer.drain()

    response = await frugal.send(asking((await serve(handler)).origin))
    assert response.error is Failure.PROTOCOL


async def trailing(connection, fields):
    """Answer with a body and these fields."""
    while (stream := await connection.ready.get()) is not None:
        connection.h2.send_headers(stream, [(":status", "200"), ("x", "head")])
        await connection.send(stream, b"hello", end=False)
        connection.h2.send_headers(stream, fields, end_stream=True)
        await connection.flush()


async def test_over_http2_trailers_are_found_as_well(serve, client):
    """They come to whoever asks, who says so in the request, and to nobody else."""
    peer = await serve(second(lambda connection: trailing(connection, [("x-sum", "1"), ("set-cookie", "late=1")])))
    options = knowing(peer.origin)
    response = await client.send(asking(peer.origin, options=options, needs_body=True))
    assert (response.status, response.body, response.error) == (200, b"hello", None)
    assert (response.trailers.get("x-sum"), response.headers.get("x-sum")) == ("1", None)
    assert client.cookies.size == 0
    response = await client.send(prepare("GET", peer.origin, b"/", options=options))
    assert (response.error, len(response.trailers)) == (None, 0)
    (connection,) = peer.requests
    assert dict(connection.asked[1])["te"] == "trailers"
    assert "te" not in dict(connection.asked[3])


@pytest.mark.parametrize("fields", [[("x", "y" * 900), ("z", "y" * 200)], [("connection", "close")], [("x", "a\rb")]])
async def test_over_http2_trailers_that_may_not_be_are_a_protocol_failure(fields, serve, frugal):
    """More than a head may have, about a connection, or with characters that a field may not have."""
    peer = await serve(second(lambda connection: trailing(connection, fields)))
    response = await frugal.send(asking(peer.origin, options=knowing(peer.origin)))
    assert response.error is Failure.PROTOCOL
