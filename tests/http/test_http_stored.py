"""Bodies that are files, read as they are sent: whole, in their order, and never in memory, over real sockets."""

import asyncio
import hashlib
import os
import tracemalloc

import pytest
from h2_peer import knowing, second
from http_peers import read_request, until

from loadgate_runner.http import (
    TLS,
    Client,
    Content,
    Failure,
    Network,
    Options,
    Part,
    StoredFile,
    Timeouts,
    Unreadable,
    multipart_body,
    prepare,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SIZE = 3_000_001


@pytest.fixture
def stored(tmp_path):
    """A file of bytes that are nowhere the same, and its bytes."""
    content = os.urandom(SIZE)
    path = tmp_path / "blob"
    path.write_bytes(content)
    return path, content


async def digesting(peer, reader, writer):
    """Keeps the digest of each body; the requests are heads."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        left = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        digest = hashlib.sha256()
        while left:
            piece = await reader.read(min(left, 100_000))
            digest.update(piece)
            left -= len(piece)
        peer.requests.append((head, digest.hexdigest()))
        writer.write(OK)


@pytest.mark.parametrize("tls", [False, True])
async def test_a_file_arrives_as_it_is(tls, stored, serve, client, server_tls, authority):
    """Length and bytes are the file's, however often it is sent, and the connection is kept."""
    path, content = stored
    peer = await serve(
        digesting, tls=server_tls("localhost") if tls else None, host="localhost" if tls else "127.0.0.1"
    )
    trusting = Options(tls=TLS(ca=authority.cert_pem.bytes().decode()))
    request = prepare("PUT", peer.origin, b"/", body=Content(StoredFile(path)), options=trusting)
    for _ in range(3):
        response = await client.deliver(request)
        assert (response.status, response.error) == (200, None)
        head, digest = peer.requests[-1]
        assert b"Content-Length: %d\r\n" % SIZE in head
        assert digest == hashlib.sha256(content).hexdigest()
        assert response.sent == len(head) + SIZE
    assert peer.connections == 1


async def test_a_file_is_a_part_of_a_form(stored, serve, client):
    """Between parts in memory, in its place."""
    path, content = stored
    parts = [Part("a", b"1"), Part("up", StoredFile(path), "blob.bin"), Part("b", b"2")]
    content_type, body = multipart_body(parts, "xyz")
    _, whole = multipart_body([Part("a", b"1"), Part("up", content, "blob.bin"), Part("b", b"2")], "xyz")
    peer = await serve(digesting)
    response = await client.deliver(prepare("POST", peer.origin, b"/", body=body, content_type=content_type))
    assert (response.status, response.error) == (200, None)
    assert peer.requests[0][1] == hashlib.sha256(whole).hexdigest()
    assert body.size == len(whole)


async def test_over_http2_a_file_arrives_as_it_is(stored, serve, client):
    """In frames, as windows allow."""
    path, content = stored

    async def handler(connection):
        while (stream := await connection.ready.get()) is not None:
            await connection.answer(stream, hashlib.sha256(connection.bodies[stream]).hexdigest().encode())

    peer = await serve(second(handler))
    request = prepare(
        "PUT", peer.origin, b"/", body=Content(StoredFile(path)), options=knowing(peer.origin), needs_body=True
    )
    for _ in range(2):
        response = await client.deliver(request)
        assert (response.status, response.error) == (200, None)
        assert response.body == hashlib.sha256(content).hexdigest().encode()
    assert peer.connections == 1


async def test_many_that_send_a_large_file_need_no_memory_for_it(tmp_path, serve):
    """Twenty VUs whose peer doesn't read for a while hold a few pieces each; the file is never in memory."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(32 << 20)
    reading = asyncio.Event()
    got = []

    async def handler(_peer, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await reading.wait()
        left = 32 << 20
        while left:
            left -= len(await reader.read(65536))
        got.append(left)
        writer.write(OK)
        await writer.drain()

    peer = await serve(handler)
    network = Network()
    clients = [Client(network) for _ in range(20)]
    request = prepare("PUT", peer.origin, b"/", body=Content(StoredFile(path)))
    tracemalloc.start()
    try:
        sending = [asyncio.ensure_future(_deliver(client, request)) for client in clients]
        await until(lambda: network.open_connections == 20)
        await asyncio.sleep(0.2)
        reading.set()
        responses = await asyncio.gather(*sending)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [response.error for response in responses] == [None] * 20
    assert got == [0] * 20
    assert peak < 16 << 20  # both sides are in this process
    for client in clients:
        client.close()
    await until(lambda: network.open_connections == 0)
    network.close()


async def _deliver(client, request):
    return await client.deliver(request)


async def test_an_answer_in_between_ends_the_sending(stored, serve, client):
    """A peer that refuses in the middle is believed, and gets nothing more; its connection isn't used again."""

    async def handler(peer, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        peer.requests.append(len(await reader.read()))

    path, _ = stored
    with path.open("ab") as file:
        file.truncate(200 << 20)
    peer = await serve(handler)
    request = prepare("PUT", peer.origin, b"/", body=Content(StoredFile(path)))
    for _ in range(2):
        response = await client.deliver(request)
        assert (response.status, response.error) == (507, None)
        assert response.sent < 200 << 20
        assert response.sending <= response.duration
    assert peer.connections == 2


async def test_the_first_bytes_limit_counts_from_the_files_last_byte(stored, serve, client):
    """A slow reader isn't a slow answer: while the body is on its way only the limit on the whole request holds."""

    async def handler(_peer, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.3)
        left = 20 << 20
        while left:
            left -= len(await reader.read(min(left, 1 << 20)))
        writer.write(OK)
        await reader.read()

    path, _ = stored
    with path.open("ab") as file:
        file.truncate(20 << 20)
    options = Options(timeouts=Timeouts(first_byte=0.2))
    request = prepare("PUT", (await serve(handler)).origin, b"/", body=Content(StoredFile(path)), options=options)
    response = await client.deliver(request)
    assert (response.status, response.error) == (200, None)
    assert response.sending >= 250_000


@pytest.mark.parametrize("version", [1, 2])
async def test_a_file_that_became_shorter_fails_the_request(version, stored, serve, client):
    """What was promised can't be sent: that is said, with the file's name, and the peer isn't left waiting."""
    path, _ = stored
    file = StoredFile(path)

    async def answer_all(connection):
        while await connection.ready.get() is not None:
            raise AssertionError

    async def read_all(peer, reader, _writer):
        peer.requests.append(await reader.read())

    peer = await serve(read_all if version == 1 else second(answer_all))
    os.truncate(path, 1000)
    options = Options() if version == 1 else knowing(peer.origin)
    response = await client.deliver(prepare("PUT", peer.origin, b"/", body=Content(file), options=options))
    assert response.error is Failure.BODY
    assert "blob has become shorter than its 3000001 bytes" in response.message
    await until(lambda: version == 2 or peer.requests)


async def test_a_request_that_met_a_closed_connection_sends_the_file_anew(stored, serve, client):
    """From its beginning, on another connection, and that is no failure."""
    path, content = stored

    async def handler(peer, reader, writer):
        await digesting_once(peer, reader, writer)
        if peer.connections == 1:
            writer.close()
        await reader.read()

    async def digesting_once(peer, reader, writer):
        request = await read_request(reader)
        peer.requests.append(request.partition(b"\r\n\r\n")[2])
        writer.write(OK)
        await writer.drain()

    peer = await serve(handler)
    request = prepare("PUT", peer.origin, b"/", body=Content(StoredFile(path)))
    for _ in range(2):
        response = await client.deliver(request)
        assert (response.status, response.error) == (200, None)
    assert peer.requests == [content, content]


def test_what_is_no_file_is_refused(tmp_path):
    """A folder, a pipe (without waiting for who writes), and what isn't there."""
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("", "is no file"), ("pipe", "is no file"), ("gone", "can't be read: No such file")):
        with pytest.raises(Unreadable, match=why):
            StoredFile(tmp_path / name)
