"""Requests and answers as RFC 9110 and 9112 have them, over real sockets."""

import asyncio

import pytest
from http_peers import read_request, until

from loadgate_runner.http import TLS, Failure, Options, prepare

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nX: early\r\n\r\n"

WHOLE = {
    "content-length": (OK, 200, b"hello"),
    "empty": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b""),
    "chunked": (CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", 200, b"hello"),
    "chunk extensions": (CHUNKED + b'2;a=1\r\nhe\r\n3;b="x;y"\r\nllo\r\n0;last\r\n\r\n', 200, b"hello"),
    "trailers": (CHUNKED + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Time: 2\r\n\r\n", 200, b"hello"),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b""),
    "100 first": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"hello"),
    "103 and 102 first": (EARLY + b"HTTP/1.1 102 Processing\r\n\r\n" + OK, 200, b"hello"),
    "an error": (b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno", 500, b"no"),
    "no reason phrase": (b"HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx", 200, b"x"),
    "HTTP/1.0 kept alive": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
        200,
        b"hello",
    ),
}


@pytest.mark.parametrize("pieces", [0, 1, 7])
@pytest.mark.parametrize("name", WHOLE)
async def test_an_answer_reads_the_same_however_it_is_cut(name, pieces, answers, client):
    """Status, body and bytes received don't depend on how an answer is split, and the connection goes on."""
    reply, status, body = WHOLE[name]
    peer = await answers(reply, pieces=pieces)
    request = prepare("GET", peer.origin, b"/", needs_body=True)
    for _ in range(2):
        response = await client.send(request)
        assert (response.status, response.body, response.error) == (status, body, None)
        assert response.received == len(reply)
        assert response.size == len(body)
        assert response.sent == len(peer.requests[-1])
    assert peer.connections == 1
    assert response.reused


@pytest.mark.parametrize("pieces", [0, 1, 40, 70])
async def test_a_head_in_pieces_behind_interim_answers_is_found(pieces, answers, frugal):
    """The final head is read although its pieces came after a whole interim answer, and a large body isn't part of it."""
    final = b"HTTP/1.1 200 OK\r\nX: final\r\nContent-Length: 2000\r\n\r\n"
    peer = await answers(EARLY + final + b"y" * 2000, pieces=pieces)
    response = await frugal.send(prepare("GET", peer.origin, b"/", needs_body=True))
    assert (response.status, response.error, response.headers.all("x")) == (200, None, ["final"])
    assert response.size == 2000


async def test_bytes_behind_an_answer_are_not_taken_for_the_interim_ones_before_another(serve, client):
    """Where an answer behind interim ones was read, one of the same head and as many bytes has no longer a body."""
    final = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell"

    async def handler(_peer, reader, writer):
        for pieces in ([EARLY, final], [final + EARLY]):
            await read_request(reader)
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0.01)

    peer = await serve(handler)
    request = prepare("GET", peer.origin, b"/", needs_body=True)
    for _ in range(2):
        response = await client.send(request)
        assert (response.status, response.error, response.body) == (200, None, b"well")


SURPLUS = {
    "one byte": b"H",
    "a line": b"HTTP/1.1 200 OK\r\n",
    "a piece of another answer": b"HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nmo",
    "another answer": b"HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nmore",
    "another one in chunks, with trailers": b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nm\r\n0\r\nX: 2\r\n\r\n",
    "an interim one": b"HTTP/1.1 103 Early\r\n\r\n",
    "a change of protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "garbage": b"\0\1\2",
}


@pytest.mark.parametrize("needs", ["nothing", "body", "trailers"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("surplus", SURPLUS)
async def test_what_comes_in_one_piece_behind_an_answer_is_no_part_of_it(surplus, method, needs, serve, client):
    """Whatever follows a whole answer, neither status nor body nor trailers change, and the connection isn't used again."""
    reply = b"HTTP/1.1 204 Well\r\n\r\n" if method == "HEAD" or needs == "nothing" else OK
    if needs == "trailers" and method == "GET":
        reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: 1\r\n\r\n"

    async def handler(peer, reader, writer):
        while await read_request(reader):
            writer.write(reply + SURPLUS[surplus] if peer.connections == 1 else OK)

    peer = await serve(handler)
    request = prepare(
        method, peer.origin, b"/", needs_body=needs == "body", needs_trailers=needs == "trailers", needs_headers=True
    )
    response = await client.send(request)
    assert (response.status, response.error) == (204 if reply.startswith(b"HTTP/1.1 204") else 200, None)
    assert response.body == (b"hello" if method == "GET" and needs != "nothing" else b"")
    assert response.trailers.all("x") == (["1"] if method == "GET" and needs == "trailers" else [])
    after = await client.send(prepare("GET", peer.origin, b"/after", needs_body=True))
    assert (after.status, after.body, after.error, after.reused) == (200, b"hello", None, False)


@pytest.mark.parametrize("pieces", [0, 1])
@pytest.mark.parametrize("name", WHOLE)
async def test_an_answer_that_nobody_reads_is_counted_all_the_same(name, pieces, answers, client):
    """Without a need for the body or headers, status and bytes are right and nothing is kept."""
    reply, status, _ = WHOLE[name]
    peer = await answers(reply, pieces=pieces)
    for _ in range(2):
        response = await client.send(prepare("GET", peer.origin, b"/"))
        assert (response.status, response.error, response.received) == (status, None, len(reply))
        assert (response.body, response.size, len(response.headers)) == (b"", 0, 0)
    assert peer.connections == 1


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        EARLY + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    ],
)
@pytest.mark.parametrize("pieces", [0, 1])
async def test_an_answer_to_head_has_no_body_whatever_it_says(head, pieces, answers, client):
    """HEAD ends with the head, and the connection carries the next request."""
    peer = await answers(head, pieces=pieces)
    for _ in range(2):
        response = await client.send(prepare("HEAD", peer.origin, b"/", needs_headers=True))
        assert (response.status, response.error) == (404 if b"404" in head else 200, None)
    assert response.headers.get("link") is None
    assert peer.connections == 1


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("early", [b"", EARLY])
@pytest.mark.parametrize("cut", [0, 60])
@pytest.mark.parametrize("stray", [b"hello", b"\r\n", OK])
async def test_what_stands_behind_an_answer_to_head_ends_its_connection(
    stray, cut, early, tls, serve, client, server_tls, authority
):
    """The answer is fine, however it is cut; the next request goes out on another connection, where nothing is stray."""
    head = early + b"HTTP/1.1 200 OK\r\nX-Filler: some bytes to be cut in\r\nContent-Length: 5\r\n\r\n"

    async def handler(peer, reader, writer):
        while request := await read_request(reader):
            peer.requests.append(request)
            reply = head + (stray if len(peer.requests) == 2 else b"")
            for piece in filter(None, (reply[:cut], reply[cut:])):
                writer.write(piece)
                await asyncio.sleep(0.002)

    peer = await serve(handler, tls=server_tls("127.0.0.1") if tls else None)
    options = Options(tls=TLS(ca=authority.cert_pem.bytes().decode()))
    request = prepare("HEAD", peer.origin, b"/", options=options, needs_headers=True, needs_body=True)
    responses = [await client.send(request) for _ in range(3)]
    assert [(one.status, one.error, one.body, one.headers.get("content-length")) for one in responses] == [
        (200, None, b"", "5")
    ] * 3
    assert [one.reused for one in responses] == [False, True, False]
    assert peer.connections == 2


@pytest.mark.parametrize("closing", [b"Connection: close\r\n", b"Connection: Keep-Alive, Close\r\n"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_close_ends_the_connection(method, closing, answers, client):
    """After `Connection: close` the next request opens a new connection."""
    peer = await answers(b"HTTP/1.1 200 OK\r\n" + closing + b"Content-Length: 0\r\n\r\n")
    request = prepare(method, peer.origin, b"/")
    first, second = await client.send(request), await client.send(request)
    assert (first.error, second.error) == (None, None)
    assert not second.reused
    assert peer.connections == 2


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_a_body_without_length_ends_with_the_connection(version, serve, client):
    """Such a body is whole when the peer closes, and no failure."""

    async def handler(peer, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/" + version + b" 200 OK\r\n\r\nall that ")
        await writer.drain()
        writer.write(b"there is")
        writer.close()
        await writer.wait_closed()

    peer = await serve(handler)
    response = await client.send(prepare("GET", peer.origin, b"/", needs_body=True))
    assert (response.status, response.error, response.body) == (200, None, b"all that there is")


async def test_switching_protocols_is_the_answer_and_the_end(answers, client):
    """A 101 that nobody asked for is an answer with that status, on a connection that isn't used again."""
    peer = await answers(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nbinary")
    response = await client.send(prepare("GET", peer.origin, b"/"))
    assert (response.status, response.error) == (101, None)
    assert not (await client.send(prepare("GET", peer.origin, b"/"))).reused


async def test_bytes_beyond_an_answer_are_not_the_next_answer(answers, client):
    """A peer that sends two answers to one request is believed once; the connection is dropped."""
    second = b"HTTP/1.1 500 Smuggled\r\nContent-Length: 0\r\n\r\n"
    peer = await answers(OK + second)
    for _ in range(2):
        response = await client.send(prepare("GET", peer.origin, b"/", needs_body=True))
        assert (response.status, response.body, response.error) == (200, b"hello", None)
    assert peer.connections == 2


async def test_bytes_that_nobody_asked_for_end_the_connection(serve, client):
    """What a peer sends between requests is never taken for the next request's answer."""
    said = asyncio.Event()

    async def handler(peer, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        await said.wait()
        writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        peer.requests.append(await reader.read())

    peer = await serve(handler)
    assert (await client.send(prepare("GET", peer.origin, b"/"))).status == 200
    said.set()
    await until(lambda: peer.requests)
    response = await client.send(prepare("GET", peer.origin, b"/"))
    assert (response.status, response.reused) == (200, False)


async def test_a_body_larger_than_what_is_kept_is_counted_and_dropped(answers, frugal):
    """All bytes are counted, the first ones kept, and the connection goes on."""
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + b"x" * 900_000
    peer = await answers(reply)
    for _ in range(2):
        response = await frugal.send(prepare("GET", peer.origin, b"/", needs_body=True))
        assert (response.error, response.body, response.truncated) == (None, b"x" * 100, True)
        assert (response.size, response.received) == (900_000, len(reply))
    assert peer.connections == 1


async def test_a_request_larger_than_the_sockets_buffer_arrives_whole(answers, client):
    """A body of many megabytes is sent as the peer takes it, and sending it is measured."""
    peer = await answers(OK)
    body = bytes(range(256)) * 40_000
    response = await client.send(prepare("POST", peer.origin, b"/", body=body, needs_body=True))
    assert (response.status, response.body) == (200, b"hello")
    assert peer.requests[0].endswith(b"\r\n\r\n" + body)
    assert response.sending > 0
    assert response.sent == len(peer.requests[0])


async def test_an_answer_may_come_before_the_request_is_out(serve, client):
    """A peer that refuses a large body early is heard; no phase is negative."""

    async def handler(peer, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await reader.read()

    peer = await serve(handler)
    response = await client.send(prepare("POST", peer.origin, b"/", body=bytes(30_000_000)))
    assert (response.status, response.error) == (413, None)
    assert min(response.sending, response.waiting, response.receiving) >= 0


async def test_the_dynamic_parts_of_a_request_replace_or_follow_the_prepared_ones(answers, client):
    """A path, headers, a body and an origin can be given for one sending."""
    peer, other = await answers(OK), await answers(OK)
    request = prepare("POST", peer.origin, b"/static", headers=[("A", "1")], body=b"prepared")
    await client.send(request)
    await client.send(request, path=b"/dynamic?x=1", headers=b"B: 2\r\n", body=b"given")
    await client.send(request, origin=other.origin)
    assert peer.lines == ["POST /static HTTP/1.1", "POST /dynamic?x=1 HTTP/1.1"]
    assert b"\r\nA: 1\r\nB: 2\r\n" in peer.requests[1]
    assert peer.requests[1].endswith(b"\r\nContent-Length: 5\r\n\r\ngiven")
    assert other.requests[0].endswith(b"prepared")
    assert f"Host: 127.0.0.1:{other.origin.port}".encode() in other.requests[0]


async def test_phases_add_up_to_the_duration(answers, client):
    """Sending, waiting and receiving are the duration; what comes before the request isn't in it."""
    peer = await answers(OK, pieces=1)
    for reused in (False, True):
        response = await client.send(prepare("GET", peer.origin, b"/"))
        assert response.reused is reused
        assert response.duration == response.sending + response.waiting + response.receiving
        assert (response.connecting > 0) is not reused
        assert response.tls == 0
        whole = (response.ended - response.started) // 1000
        assert abs(whole - response.duration - response.blocked - response.connecting) <= 2


async def test_requests_at_once_take_turns_on_a_vus_connection(answers, client):
    """A VU that sends side by side still has one connection; waiting for it is `blocked`."""
    peer = await answers(OK)
    request = prepare("GET", peer.origin, b"/", needs_body=True)
    responses = await asyncio.gather(*(client.send(request) for _ in range(5)))
    assert [response.body for response in responses] == [b"hello"] * 5
    assert peer.connections == 1
    assert responses[-1].blocked > responses[0].duration


async def test_a_cancelled_request_leaves_the_line_usable(serve, client):
    """Cancelling one request drops its connection, and those that waited for their turn go on."""
    asked = asyncio.Event()

    async def handler(peer, reader, writer):
        first = peer.connections == 1
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        if first:
            await reader.read()  # never answers
        writer.write(OK)
        await writer.drain()
        await reader.read()

    peer = await serve(handler)
    request = prepare("GET", peer.origin, b"/")
    stuck, waiting = (asyncio.ensure_future(client.send(request)) for _ in range(2))
    await asked.wait()
    stuck.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stuck
    assert (await waiting).status == 200
    assert peer.connections == 2


async def test_a_cancelled_turn_is_passed_on(serve, client):
    """A request that is cancelled just as its turn comes doesn't keep the next one waiting."""
    asked, go = asyncio.Event(), asyncio.Event()

    async def handler(peer, reader, writer):
        while True:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            await go.wait()
            writer.write(OK)
            await writer.drain()

    peer = await serve(handler)
    request = prepare("GET", peer.origin, b"/")
    first, second, third = (asyncio.ensure_future(client.send(request)) for _ in range(3))
    await asked.wait()
    first.add_done_callback(lambda _: second.cancel())
    go.set()
    assert (await third).status == 200
    await asyncio.gather(second, return_exceptions=True)


async def test_a_vu_keeps_connections_to_a_bounded_number_of_origins(answers, frugal):
    """Beyond the bound, the origin unused for longest gives its connection up."""
    peers = [await answers(OK) for _ in range(3)]
    for peer in (peers[0], peers[1], peers[0], peers[2], peers[0], peers[1]):
        assert (await frugal.send(prepare("GET", peer.origin, b"/"))).status == 200
    assert [peer.connections for peer in peers] == [1, 2, 1]


async def test_clients_share_nothing(answers, network, client):
    """Another VU has its own connection."""
    peer = await answers(OK)
    other = type(client)(network)
    await client.send(prepare("GET", peer.origin, b"/"))
    await other.send(prepare("GET", peer.origin, b"/"))
    assert (peer.connections, network.open_connections) == (2, 2)
    other.close()
    assert (await client.send(prepare("GET", peer.origin, b"/"))).reused


async def test_a_reset_client_begins_anew(answers, client):
    """After `reset` there are no cookies and no connection."""
    peer = await answers(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")
    await client.send(prepare("GET", peer.origin, b"/"))
    assert client.cookies.size == 1
    client.reset()
    assert not (await client.send(prepare("GET", peer.origin, b"/"))).reused
    assert b"Cookie" not in peer.requests[1]


async def test_ipv6_literals_are_connected_to(answers, client):
    """An IPv6 address needs no name and stands in brackets in `Host`."""
    peer = await answers(OK, host="::1")
    response = await client.send(prepare("GET", peer.origin, b"/"))
    assert (response.status, response.error) == (200, None)
    assert f"Host: [::1]:{peer.origin.port}\r\n".encode() in peer.requests[0]
    assert response.url == f"http://[::1]:{peer.origin.port}/"


async def test_a_name_is_tried_at_each_of_its_addresses(answers, client):
    """`localhost` may be ::1 first; the server at 127.0.0.1 is found all the same."""
    peer = await answers(OK)
    response = await client.send(prepare("GET", peer.origin._replace(host="localhost"), b"/"))
    assert (response.status, response.error) == (200, None)


async def test_text_follows_the_charset(answers, client):
    """A body's text is by the charset that the answer names, UTF-8 without one, and never an error."""
    heads = [b"text/plain; charset=iso-8859-1", b"text/plain", b"text/plain; charset=nonsense", b"a/b; charset=idna"]
    replies = [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Type: " + head + b"\r\n\r\n\xe4" for head in heads]
    peer = await answers(*replies)
    texts = [(await client.send(prepare("GET", peer.origin, b"/", needs_body=True))).text for _ in heads]
    assert texts == ["ä", "\ufffd", "\ufffd", "\ufffd"]


async def test_a_lost_connection_is_not_a_failure_of_the_next_request(serve, client):
    """When the peer has closed between requests and the loop knows, a POST simply opens a new connection."""

    async def handler(peer, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        writer.close()

    peer = await serve(handler)
    network = client._network
    request = prepare("POST", peer.origin, b"/")
    assert (await client.send(request)).error is None
    await until(lambda: network.open_connections == 0)
    response = await client.send(request)
    assert (response.error, response.reused) == (None, False)


async def test_failures_are_a_closed_list():
    """The kinds are labels on measurements: these and no others."""
    on_the_way = ["dns", "denied", "connect", "proxy", "tls", "timeout", "reset", "protocol", "redirects", "body"]
    assert [*Failure] == [*on_the_way, "closed", "graphql", "grpc"]
