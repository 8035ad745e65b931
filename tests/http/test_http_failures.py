"""What a target can do wrong becomes a response with the right kind, in bounded time and memory."""

import asyncio
import resource
import socket
import tracemalloc

import pytest
from http_peers import read_request, reset

from loadgate_runner.http import Client, Failure, Limits, Network, Options, Origin, Timeouts, prepare

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
SHORT = Options(timeouts=Timeouts(connect=0.05, tls=0.05, first_byte=0.05, total=0.1))


def origin_at(port):
    """An origin at a port of this machine."""
    return Origin("http", "127.0.0.1", port)


async def first_then(serve, *steps, end="close"):
    """A server that reads a request, does some steps, then closes, resets or stalls."""

    async def handler(peer, reader, writer):
        peer.requests.append(await read_request(reader))
        for step in steps:
            writer.write(step)
            await writer.drain()
            await asyncio.sleep(0)
        if end == "reset":
            reset(writer)
        elif end == "stall":
            await reader.read()
        else:
            writer.close()
            await writer.wait_closed()

    return await serve(handler)


CUT = {
    "closed instead of an answer": ([], "close", Failure.RESET, 0),
    "reset instead of an answer": ([], "reset", Failure.RESET, 0),
    "closed within the head": ([b"HTTP/1.1 200 OK\r\nContent-Le"], "close", Failure.PROTOCOL, 0),
    "reset within the head": ([b"HTTP/1.1 200 OK\r\nContent-Le"], "reset", Failure.RESET, 0),
    "closed after an interim answer": ([b"HTTP/1.1 100 Continue\r\n\r\n"], "close", Failure.PROTOCOL, 0),
    "closed within a body of known length": ([OK[:-2]], "close", Failure.BODY, 200),
    "closed within chunks": (
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"],
        "close",
        Failure.BODY,
        200,
    ),
    "reset within the body": ([OK[:-2]], "reset", Failure.RESET, 200),
    "reset within a body without length": ([b"HTTP/1.1 200 OK\r\n\r\nhel"], "reset", Failure.RESET, 200),
}


@pytest.mark.parametrize("name", CUT)
async def test_an_answer_that_is_cut_off_is_a_failure(name, serve, client):
    """Where and how a connection breaks decides the kind; a status that came is kept."""
    steps, end, kind, status = CUT[name]
    peer = await first_then(serve, *steps, end=end)
    response = await client.send(prepare("POST", peer.origin, b"/", needs_body=True))
    assert (response.error, response.status) == (kind, status), response.message
    assert response.message
    assert response.received == sum(map(len, steps))
    assert response.duration == (response.ended - response.started) // 1000


GARBAGE = {
    "not HTTP": b"220 smtp.example ready\r\n",
    "binary": bytes(range(256)),
    "TLS": b"\x15\x03\x01\x00\x02\x02\x16",
    "HTTP/2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
    "a bad status": b"HTTP/1.1 abc OK\r\n\r\n",
    "a bad header": b"HTTP/1.1 200 OK\r\nbad header: x\r\nno colon\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "a length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bad chunk size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "an empty line first": b"\r\n\r\n" + OK,
    "an empty line behind an interim answer": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\r\n" + OK,
    "an empty line between interim answers": b"HTTP/1.1 100 Continue\r\n\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + OK,
    "a bare line end behind an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n\n" + OK,
    "a status below 100": b"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n",
    "a huge length": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
}


@pytest.mark.parametrize("pieces", [0, 1])
@pytest.mark.parametrize("name", GARBAGE)
async def test_what_is_not_http_is_a_protocol_failure(name, pieces, answers, client):
    """Garbage fails at once, without waiting for a time limit, and the next request has a new connection."""
    peer = await answers(GARBAGE[name], OK, pieces=pieces)
    request = prepare("GET", peer.origin, b"/", needs_body=True)
    response = await client.send(request)
    assert response.error is Failure.PROTOCOL
    assert response.message
    response = await client.send(request)
    assert (response.status, response.error, response.reused) == (200, None, False)


async def test_no_need_reads_past_an_empty_line(answers, client):
    """Behind an interim answer an empty line is a protocol failure without a status to HEAD, too, and whatever is asked of an answer."""
    peer = await answers(GARBAGE["an empty line behind an interim answer"])
    for method, needs in (
        ("HEAD", {}),
        ("GET", {}),
        ("GET", {"needs_headers": True}),
        ("GET", {"needs_trailers": True}),
    ):
        response = await client.send(prepare(method, peer.origin, b"/", **needs))
        assert (response.error, response.status) == (Failure.PROTOCOL, 0)
        assert "empty line" in response.message


@pytest.mark.parametrize("line", [b"X: " + b"y" * 300 + b"\r\n", b"y" * 300])
async def test_endless_headers_are_a_protocol_failure(line, serve, frugal):
    """A head beyond the limit fails, however it is sent."""

    async def handler(peer, reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not writer.is_closing():
            writer.write(line)
            await writer.drain()
            await asyncio.sleep(0)

    peer = await serve(handler)
    response = await frugal.send(prepare("GET", peer.origin, b"/"))
    assert (response.error, response.status) == (Failure.PROTOCOL, 0)
    assert "larger than 1000 bytes" in response.message


@pytest.mark.parametrize("pieces", [0, 700])
@pytest.mark.parametrize("early", [b"", b"HTTP/1.1 103 Early Hints\r\nX: " + b"x" * 600 + b"\r\n\r\n"])
async def test_a_head_is_too_large_however_it_is_cut(pieces, early, answers, frugal):
    """A whole answer in one piece is held to the limit as one in many is, interim answers included."""
    filling = b"y" * (1000 - len(early))
    peer = await answers(early + b"HTTP/1.1 200 OK\r\nX: " + filling + b"\r\nContent-Length: 0\r\n\r\n", pieces=pieces)
    response = await frugal.send(prepare("GET", peer.origin, b"/"))
    assert response.error is Failure.PROTOCOL
    assert "larger than 1000 bytes" in response.message


async def test_endless_interim_answers_are_a_protocol_failure(serve, frugal):
    """Interim answers count as part of the head."""

    async def handler(peer, reader, writer):
        await read_request(reader)
        while not writer.is_closing():
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0)

    peer = await serve(handler)
    assert (await frugal.send(prepare("GET", peer.origin, b"/"))).error is Failure.PROTOCOL


async def endless(peer, reader, writer):
    """A body that never ends, as fast as it is taken."""
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
    block = bytes(1 << 16)
    while not writer.is_closing():
        writer.write(block)
        await writer.drain()


@pytest.mark.parametrize("needs_body", [False, True])
async def test_an_endless_body_runs_into_the_total_limit_in_bounded_memory(needs_body, serve):
    """Ten gigabytes are counted as they pass; what is kept is bounded; the total limit ends it."""
    peer = await serve(endless)
    network = Network(limits=Limits(body=10_000))
    client = Client(network)
    options = Options(timeouts=Timeouts(total=0.3))
    tracemalloc.start()
    response = await client.send(prepare("GET", peer.origin, b"/", options=options, needs_body=needs_body))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (response.error, response.status) == (Failure.TIMEOUT, 200)
    assert response.received > 1_000_000
    assert peak < 5_000_000
    assert len(response.body) == (10_000 if needs_body else 0)
    client.close()
    network.close()


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n", OK[:-1]])
async def test_a_server_that_stalls_runs_into_a_limit(said, serve, client):
    """No byte: the first-byte limit; some bytes: the total limit. The message says which, the time is right."""
    peer = await first_then(serve, said, end="stall")
    response = await client.send(prepare("GET", peer.origin, b"/", options=SHORT))
    assert response.error is Failure.TIMEOUT
    limit = 99_000 if said else 49_000  # loops count in whole milliseconds
    assert limit <= response.duration < limit + 2_000_000
    assert ("whole answer" if said else "first byte") in response.message


async def test_a_late_answer_is_not_taken_for_the_next_one(serve, client):
    """After a timeout the connection is gone, so that the late answer reaches nobody."""
    answered = asyncio.Event()

    async def handler(peer, reader, writer):
        await read_request(reader)
        if peer.connections == 1:
            await answered.wait()
            writer.write(b"HTTP/1.1 500 Late\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
        else:
            writer.write(OK)
            await writer.drain()
            await reader.read()

    peer = await serve(handler)
    request = prepare("GET", peer.origin, b"/", options=SHORT)
    assert (await client.send(request)).error is Failure.TIMEOUT
    answered.set()
    response = await client.send(request)
    assert (response.status, response.error) == (200, None)


async def test_a_stalled_keep_alive_connection_times_out_too(serve, client):
    """The limits hold for each request on a connection, not only for the first."""

    async def handler(peer, reader, writer):
        await read_request(reader)
        writer.write(OK)
        await writer.drain()
        await reader.read()

    peer = await serve(handler)
    request = prepare("GET", peer.origin, b"/", options=SHORT)
    assert (await client.send(request)).error is None
    response = await client.send(request)
    assert (response.error, response.reused) == (Failure.TIMEOUT, True)


async def test_a_refused_connection_is_a_connect_failure(client):
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    origin = origin_at(port)
    response = await client.send(prepare("GET", origin, b"/"))
    assert (response.error, response.status, response.sent) == (Failure.CONNECT, 0, 0)
    assert f"127.0.0.1:{port}" in response.message
    assert response.duration == (response.ended - response.started) // 1000
    assert response.duration >= response.connecting > 0


async def test_a_connection_that_nobody_accepts_times_out(client):
    """A full backlog drops handshakes: the connect limit ends the wait."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        origin = origin_at(listener.getsockname()[1])
        with socket.create_connection(("127.0.0.1", origin.port)):
            response = await client.send(prepare("GET", origin, b"/", options=SHORT))
    assert response.error is Failure.TIMEOUT
    assert 49_000 <= response.duration < 2_000_000
    assert response.connecting >= 20_000  # on a busy machine what comes before takes some of the limit


async def test_a_name_that_does_not_exist_is_a_dns_failure(client):
    """`.invalid` never resolves (RFC 6761)."""
    origin = origin_at(80)._replace(host="nothing.invalid")
    response = await client.send(prepare("GET", origin, b"/"))
    assert response.error is Failure.DNS
    assert "nothing.invalid" in response.message
    assert response.connecting == 0


async def test_too_few_file_descriptors_are_a_connect_failure(answers, client):
    """When this process has no descriptor left, the request fails as one that found no connection, and says why."""
    peer = await answers(OK)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # below every number that could be given: what else this process closes meanwhile frees nothing
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        response = await client.send(prepare("GET", peer.origin, b"/"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert response.error is Failure.CONNECT
    assert "open files" in response.message


async def test_a_stale_connection_is_tried_again_once(serve, client):
    """A keep-alive connection that the peer closes as the next request arrives costs an idempotent request nothing."""

    async def handler(peer, reader, writer):
        peer.requests.append(await read_request(reader))
        writer.write(OK)
        await writer.drain()
        peer.requests.append(await read_request(reader))  # and closes without an answer

    peer = await serve(handler)
    request = prepare("GET", peer.origin, b"/", needs_body=True)
    await client.send(request)
    response = await client.send(request)
    assert (response.status, response.body, response.error, response.reused) == (200, b"hello", None, False)
    assert response.hops == ()
    assert peer.connections == 2
    assert len(peer.requests) == 3


async def test_a_stale_connection_fails_what_is_not_idempotent(serve, client):
    """A POST may have been carried out, so it is not sent twice."""

    async def handler(peer, reader, writer):
        peer.requests.append(await read_request(reader))
        writer.write(OK)
        await writer.drain()
        peer.requests.append(await read_request(reader))

    peer = await serve(handler)
    request = prepare("POST", peer.origin, b"/")
    await client.send(request)
    response = await client.send(request)
    assert (response.error, response.reused) == (Failure.RESET, True)
    assert len(peer.requests) == 2


async def test_what_was_not_sent_yet_is_sent_elsewhere_whatever_it_is(client):
    """A POST that finds the connection reset before a byte of it went out can't have been carried out: it is sent anew."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        origin = origin_at(listener.getsockname()[1])

        def answer_and_reset():
            taken, _ = listener.accept()
            taken.recv(10_000)
            taken.sendall(OK)
            return taken

        request = prepare("POST", origin, b"/", body=b"x")
        first = asyncio.get_running_loop().run_in_executor(None, answer_and_reset)
        assert (await client.send(request)).error is None
        taken = await first
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        second = asyncio.get_running_loop().run_in_executor(None, answer_and_reset)
        taken.close()  # the loop doesn't know yet when the next request is made
        response = await client.send(request)
        (await second).close()
    assert (response.status, response.error, response.reused) == (200, None, False)


async def test_a_connection_that_breaks_within_an_answer_is_not_tried_again(serve, client):
    """Once a byte of the answer has come, the request was carried out: a failure, no second attempt."""

    async def handler(peer, reader, writer):
        peer.requests.append(await read_request(reader))
        writer.write(OK)
        await writer.drain()
        peer.requests.append(await read_request(reader))
        writer.write(b"HTTP/1.1 2")
        await writer.drain()

    peer = await serve(handler)
    request = prepare("GET", peer.origin, b"/")
    await client.send(request)
    assert (await client.send(request)).error is Failure.PROTOCOL
    assert len(peer.requests) == 2


async def test_a_second_attempt_may_fail_and_then_it_is_a_failure(serve, client):
    """The retry is the last one."""

    async def handler(peer, reader, writer):
        peer.requests.append(await read_request(reader))
        if peer.connections == 1:
            writer.write(OK)
            await writer.drain()
            peer.requests.append(await read_request(reader))

    peer = await serve(handler)
    request = prepare("GET", peer.origin, b"/")
    await client.send(request)
    assert (await client.send(request)).error is Failure.RESET
    assert (len(peer.requests), peer.connections) == (3, 2)


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"zstd", b"deflate", b"secret"])
async def test_a_body_that_cannot_be_decoded_is_a_body_failure(coding, answers, client):
    """The status is kept, the body is empty, the connection goes on."""
    peer = await answers(b"HTTP/1.1 200 OK\r\nContent-Encoding: " + coding + b"\r\nContent-Length: 7\r\n\r\ngarbage")
    request = prepare("GET", peer.origin, b"/", needs_body=True)
    for _ in range(2):
        response = await client.send(request)
        assert (response.error, response.status, response.body) == (Failure.BODY, 200, b"")
        assert "decoded" in response.message
    assert peer.connections == 1


async def test_a_connection_that_is_given_up_while_it_is_made_is_not_counted():
    """Whenever a request is cancelled, no connection is said to be open in the end."""

    async def listen(reader, writer):
        await reader.read()
        writer.close()

    network = Network()
    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    request = prepare("GET", origin_at(server.sockets[0].getsockname()[1]), b"/")
    for turns in range(20):
        task = asyncio.ensure_future(Client(network).send(request))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(5):
        while network.open_connections or len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110 - the end is no event of theirs
            await asyncio.sleep(0.001)
    network.close()
    server.close()
