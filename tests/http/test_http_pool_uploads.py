"""Files that go up through pooled connections, whatever ends them on the way: no place in the pool is lost by it."""

import asyncio
import contextlib
import hashlib
import os
import socket

import pytest
from http_peers import reset, until

from loadgate_runner.http import (
    TLS,
    Client,
    Content,
    Failure,
    Network,
    Options,
    Origin,
    Part,
    StoredFile,
    multipart_body,
    prepare,
)

MOST = 3
SIZE = 300_001
LARGE = 64 << 20
"""Bytes that no socket's buffers hold."""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig"


class Store:
    """A server that does with an upload what its path says."""

    def __init__(self):
        self.digests, self.waiting, self.most = [], 0, 0
        self.gate = asyncio.Event()

    async def __call__(self, peer, reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                peer.requests.append(head)
                if not await self._act(head, reader, writer):
                    return

    async def _act(self, head, reader, writer):
        """Whether the connection goes on."""
        path = head.split(b" ")[1].decode()
        left = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0] or 0)
        if path == "/held":
            await self._hold(writer)
        elif path == "/store":
            if b"Expect: 100-continue" in head:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.digests.append(await self._digest(reader, left))
            writer.write(OK)
        else:
            await self._spoil(path, reader, writer)
            return False
        return True

    async def _spoil(self, path, reader, writer):
        if "later" in path:
            await reader.readexactly(100_000)
        if "refuse" in path:
            writer.write(TOO_LARGE)
        if "break" in path:
            reset(writer)
        else:
            while await reader.read(1 << 20):
                pass

    @staticmethod
    async def _digest(reader, left):
        digest = hashlib.sha256()
        while left:
            if not (piece := await reader.read(min(left, 100_000))):
                raise ConnectionResetError
            digest.update(piece)
            left -= len(piece)
        return digest.hexdigest()

    async def _hold(self, writer):
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await self.gate.wait()
        self.waiting -= 1
        writer.write(OK)


class Users:
    """Virtual users that take from pools of MOST connections to one server."""

    def __init__(self, peer, store, options):
        self.network = Network(most=MOST)
        self.clients = [Client(self.network) for _ in range(MOST + 2)]
        self._peer, self._store, self._options = peer, store, options

    def put(self, path, body, method="PUT", **more):
        """A request with a body."""
        return prepare(method, self._peer.origin, path, body=body, options=self._options, needs_body=True, **more)

    async def send(self, request, number=0):
        """An answer to one of them."""
        return await self.clients[number].deliver(request)

    async def can_use_all(self):
        """All that may stand are used at once, no more, and an upload goes through each."""
        store = self._store
        store.gate.clear()
        store.most = 0
        request = prepare("GET", self._peer.origin, b"/held", options=self._options)
        asking = [asyncio.ensure_future(_send(client, request)) for client in self.clients]
        async with asyncio.timeout(5):
            await until(lambda: store.waiting == MOST)
            store.gate.set()
            assert [one.status for one in await asyncio.gather(*asking)] == [200] * len(self.clients)
        assert store.most == MOST
        assert self.network.open_connections == MOST


async def _send(client, request):
    return await client.send(request)


@pytest.fixture(params=["http", "https"])
async def users(request, serve, server_tls, authority):
    """Users and the store that they send to."""
    store = Store()
    secure = request.param == "https"
    peer = await serve(store, tls=server_tls("127.0.0.1") if secure else None)
    made = Users(peer, store, Options(tls=TLS(ca=authority.cert_pem.bytes().decode())))
    yield made, store, peer
    for client in made.clients:
        client.close()
    store.gate.set()
    await until(lambda: made.network.open_connections == 0)
    made.network.close()


@pytest.fixture
def stored(tmp_path):
    """A file of bytes that are nowhere the same, and its bytes."""
    content = os.urandom(SIZE)
    (tmp_path / "blob").write_bytes(content)
    return StoredFile(tmp_path / "blob"), content


@pytest.fixture
def large(tmp_path):
    """A body that isn't sent at once."""
    with (tmp_path / "large").open("wb") as file:
        file.truncate(LARGE)
    return Content(StoredFile(tmp_path / "large"))


@pytest.mark.parametrize("patience", [0.0, 20.0])
@pytest.mark.parametrize("form", [False, True])
async def test_files_arrive_whole_whoever_had_the_connection_before(form, patience, users, stored):
    """Five virtual users on three connections send a file three times each, by itself or in a form, asked for or not."""
    vus, store, peer = users
    file, content = stored
    content_type, body, whole = None, Content(file), content
    if form:
        content_type, body = multipart_body([Part("a", b"1"), Part("up", file, "b.bin"), Part("c", b"2")], "xyz")
        _, whole = multipart_body([Part("a", b"1"), Part("up", content, "b.bin"), Part("c", b"2")], "xyz")
    request = vus.put(b"/store", body, "POST", content_type=content_type, patience=patience)
    for _ in range(3):
        responses = await asyncio.gather(*(vus.send(request, number) for number in range(5)))
        assert [(one.status, one.error) for one in responses] == [(200, None)] * 5
    assert store.digests == [hashlib.sha256(whole).hexdigest()] * 15
    assert peer.connections == 3
    assert all((b"Expect" in head) is bool(patience) for head in peer.requests)


@pytest.mark.parametrize("patience", [0.0, 20.0])
@pytest.mark.parametrize("path", ["/refuse", "/refuse-later"])
async def test_an_early_answer_ends_its_connection_and_frees_its_place(path, patience, users, large, stored):
    """A 413 amid a body is the answer, each time on a connection that nobody is lent again; the next upload is whole."""
    vus, store, peer = users
    if patience and "later" in path:
        patience = 0.01  # the body goes without its word
    request = vus.put(path.encode(), large, patience=patience)
    for _ in range(2):
        responses = await asyncio.gather(*(vus.send(request, number) for number in range(5)))
        assert [(one.status, one.body, one.error) for one in responses] == [(413, b"big", None)] * 5
        assert all(one.sent < LARGE for one in responses)
    assert peer.connections == 10
    await vus.can_use_all()
    assert (await vus.send(vus.put(b"/store", Content(stored[0])))).status == 200
    assert store.digests == [hashlib.sha256(stored[1]).hexdigest()]
    assert peer.connections == 13


@pytest.mark.parametrize("path", ["/refuse-break", "/refuse-later-break"])
async def test_an_answer_that_comes_with_the_connections_end_is_the_answer(path, users, large):
    """A peer that refuses and breaks the connection at once has refused; what it said isn't lost over what it did."""
    vus, _, _ = users
    request = vus.put(path.encode(), large, "POST")
    for _ in range(20):
        responses = await asyncio.gather(*(vus.send(request, number) for number in range(3)))
        assert [(one.status, one.error, one.message) for one in responses] == [(413, None, "")] * 3
    await vus.can_use_all()


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("path", ["/break", "/break-later"])
async def test_a_connection_that_breaks_amid_a_body_is_replaced(path, method, users, large, stored):
    """Such an upload has failed as a reset, once more on a new connection where that may be; all places are there after."""
    vus, store, peer = users
    request = vus.put(path.encode(), large, method)
    for _ in range(2):
        responses = await asyncio.gather(*(vus.send(request, number) for number in range(5)))
        assert [one.error for one in responses] == [Failure.RESET] * 5
    await vus.can_use_all()
    before = peer.connections
    response = await vus.send(request)
    assert response.error is Failure.RESET
    assert (response.reused, peer.connections - before) == ((False, 1) if method == "PUT" else (True, 0))
    await vus.can_use_all()
    assert (await vus.send(vus.put(b"/store", Content(stored[0])))).status == 200
    assert store.digests == [hashlib.sha256(stored[1]).hexdigest()]


async def test_an_upload_that_is_stopped_leaves_its_place(users, large):
    """Whether its virtual user is cancelled, or closed, or its file becomes shorter: nobody waits for its connection."""
    vus, store, peer = users
    request = vus.put(b"/nothing", large)
    sending = [asyncio.ensure_future(vus.send(request, number)) for number in range(4)]
    await until(lambda: len(peer.requests) == 3)
    for one in sending[:2]:
        one.cancel()
    vus.clients[2].close()
    assert (await sending[2]).error is Failure.RESET
    await until(lambda: len(peer.requests) == 4)
    sending[3].cancel()
    await asyncio.gather(*sending, return_exceptions=True)
    await vus.can_use_all()
    assert store.most == 3


async def test_a_file_that_became_shorter_leaves_its_place(users, tmp_path):
    """The upload fails by what was read of it, and its connection, which waits for the rest, isn't lent again."""
    vus, _, peer = users
    path = tmp_path / "shrinks"
    path.write_bytes(os.urandom(SIZE))
    body = Content(StoredFile(path))
    os.truncate(path, 1000)
    for _ in range(2):
        responses = await asyncio.gather(*(vus.send(vus.put(b"/store", body), number) for number in range(5)))
        assert {one.error for one in responses} == {Failure.BODY}
    assert peer.connections == 10
    await vus.can_use_all()


class Refusing:
    """A server of one connection that is refused at a moment that a test chooses, in one go with its end."""

    def __init__(self, listening):
        self._sock, _ = listening.accept()
        self._sock.setblocking(False)

    def came(self):
        """Whether something has come since."""
        try:
            return bool(self._sock.recv(1 << 20))
        except BlockingIOError:
            return False

    def answer(self):
        """As if all were well."""
        self._sock.sendall(OK)

    def refuse(self):
        """And break the connection."""
        self._sock.sendall(TOO_LARGE)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._sock.close()


@pytest.fixture
async def alone():
    """A pool's only user, and where a server listens that a test plays itself."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        network = Network(most=1)
        client = Client(network)
        yield network, client, listening, Origin("http", *listening.getsockname())
        client.close()
        await until(lambda: network.open_connections == 0)
        network.close()


@pytest.mark.parametrize("seconds", [0.002, 0.05])
async def test_what_a_peer_said_before_it_broke_the_connection_is_read(seconds, alone, large):
    """A refusal that is there when sending fails is the answer, whether or not the socket's buffer was full by then."""
    network, client, listening, origin = alone
    request = prepare("POST", origin, b"/", body=large, needs_body=True)
    for _ in range(5):
        sending = asyncio.ensure_future(_deliver(client, request))
        await until(lambda: network.open_connections == 1)
        peer = Refusing(listening)
        await asyncio.sleep(seconds)
        assert peer.came()
        peer.refuse()
        response = await sending
        assert (response.status, response.body, response.error, response.message) == (413, b"big", None, "")


async def test_it_is_read_though_the_loop_has_not_told_of_it(alone, large):
    """A refusal that comes between the loop's look at its sockets and the sending that fails is the answer too."""
    _, client, listening, origin = alone
    first = asyncio.ensure_future(_deliver(client, prepare("POST", origin, b"/", body=Content(b"x"))))
    await asyncio.sleep(0.01)
    peer = Refusing(listening)
    await asyncio.sleep(0.01)
    assert peer.came()
    peer.answer()
    assert (await first).status == 200

    async def refuse():
        while not peer.came():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0)
        peer.refuse()

    refusing = asyncio.ensure_future(refuse())
    await asyncio.sleep(0)  # from here on it has its turn first
    response = await client.deliver(prepare("POST", origin, b"/", body=large, needs_body=True))
    await refusing
    assert (response.status, response.body, response.error, response.message) == (413, b"big", None, "")
    assert response.reused


async def _deliver(client, request):
    return await client.deliver(request)
