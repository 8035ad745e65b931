"""HTTP/2 with a server that isn't ours (hypercorn), in the clear and over TLS, and what a handshake may agree on."""

import asyncio
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import pytest
from h2_peer import echo, knowing, second
from http_peers import Relaying, until

from loadgate_runner.http import TLS, Client, Failure, Network, Options, Origin, Protocol, Proxy, prepare

APP = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    said = f"{scope['http_version']} {scope['method']} {scope['path']} {len(body)}".encode()
    status = 302 if scope["path"] == "/away" else 200
    fields = [(b"location", b"/there")] if status == 302 else [(b"set-cookie", b"seen=1")]
    if scope["path"] == "/large":
        said = bytes(5_000_000)
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": said})
"""


@contextmanager
def hypercorn(folder, *options, path=None):
    """A hypercorn in a process of its own, on a free port or a unix socket; its port."""
    (folder / "served.py").write_text(APP)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    bind = f"unix:{path}" if path else f"127.0.0.1:{port}"
    command = [sys.executable, "-m", "hypercorn", "served:app", "-w", "0", "-b", bind, *options]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(OSError), socket.socket(socket.AF_UNIX if path else socket.AF_INET) as trial:
                trial.connect(path or ("127.0.0.1", port))
                break
            time.sleep(0.05)
        try:
            yield port
        finally:
            process.kill()  # it has no workers; told to end, it waits 30 seconds for a peer of TLS that is gone


@pytest.fixture
def certified(tmp_path, authority):
    """A hypercorn's options with which it speaks TLS as that name."""

    def certify(name):
        cert = authority.issue_cert(name)
        (tmp_path / "chain.pem").write_bytes(b"".join(pem.bytes() for pem in cert.cert_chain_pems))
        (tmp_path / "key.pem").write_bytes(cert.private_key_pem.bytes())
        return "--certfile", "chain.pem", "--keyfile", "key.pem"

    return certify


async def exercise(clients, options, origin):
    """What a journey does: redirects, bodies both ways, many at once."""

    def request(method, path, body=None):
        return prepare(method, origin, path, body=body, options=options, needs_body=True)

    first = await clients[0].send(request("GET", b"/away"))
    assert (first.status, first.body, first.error) == (200, b"2 GET /there 0", None), first.message
    for _ in range(3):
        posted = await clients[0].send(request("POST", b"/post", bytes(300_000)))
        assert (posted.body, posted.reused) == (b"2 POST /post 300000", True), posted.message
    large = await clients[0].send(request("GET", b"/large"))
    assert (large.size, large.truncated, large.error) == (5_000_000, True, None)
    assert (await clients[0].send(request("HEAD", b"/"))).status == 200
    together = await asyncio.gather(*(client.send(request("GET", b"/")) for client in clients for _ in range(1)))
    assert {one.body for one in together} == {b"2 GET / 0"}
    return first


@pytest.mark.processes
@pytest.mark.parametrize("share", [1, 20])
async def test_prior_knowledge(share, network, tmp_path):
    """In the clear HTTP/2 is spoken from the first byte, over a connection each, or one for all."""
    with hypercorn(tmp_path) as port:
        origin = Origin("http", "127.0.0.1", port)
        clients = [Client(network) for _ in range(20)]
        first = await exercise(clients, knowing(origin, share), origin)
        assert network.open_connections == 20 // share
        assert (first.hops[0].tls, first.hops[0].connecting > 0) == (0, True)
        for client in clients:
            client.close()


@pytest.mark.processes
@pytest.mark.parametrize("protocol", ["HTTP/2", "auto"])
async def test_over_tls(protocol, network, tmp_path, authority, certified):
    """Over TLS the handshake agrees on HTTP/2."""
    with hypercorn(tmp_path, *certified("127.0.0.1")) as port:
        origin = Origin("https", "127.0.0.1", port)
        tls = TLS(ca=authority.cert_pem.bytes().decode())
        options = Options(tls=tls, protocol=Protocol(origin if protocol == "HTTP/2" else None))
        clients = [Client(network) for _ in range(3)]
        first = await exercise(clients, options, origin)
        assert first.hops[0].tls > 0
        for client in clients:
            client.close()


@pytest.mark.processes
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("share", [1, 20])
async def test_over_a_unix_socket(share, scheme, tmp_path, authority, certified):
    """A socket that stands for the origin carries HTTP/2, by prior knowledge or within TLS, shared or not."""
    path, origin = str(tmp_path / "s"), Origin(scheme, "shop.example", 443)
    network = Network(sockets={origin: path})
    with hypercorn(tmp_path, *(certified("shop.example") if origin.secure else ()), path=path):
        clients = [Client(network) for _ in range(20)]
        tls = TLS(ca=authority.cert_pem.bytes().decode())
        first = await exercise(clients, knowing(origin, share, tls=tls), origin)
        assert network.open_connections == 20 // share
        assert (first.hops[0].tls > 0) is origin.secure
        for client in clients:
            client.close()
        await until(lambda: network.open_connections == 0)
    network.close()


@pytest.mark.processes
@pytest.mark.parametrize("front", ["http", "https"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_through_a_proxys_tunnel(scheme, front, serve, server_tls, network, tmp_path, authority, certified):
    """A proxy is asked for a tunnel once for each connection, whether it speaks TLS itself or not; within it HTTP/2 is
    spoken as without, by prior knowledge or as the inner handshake agrees.
    """
    hop = await serve(Relaying(), tls=server_tls("127.0.0.1") if front == "https" else None)
    tls = TLS(ca=authority.cert_pem.bytes().decode())
    with hypercorn(tmp_path, *(certified("127.0.0.1") if scheme == "https" else ())) as port:
        origin = Origin(scheme, "127.0.0.1", port)
        clients = [Client(network) for _ in range(20)]
        proxy = Proxy(hop.origin, tls=tls, tunnels=True)
        first = await exercise(clients, knowing(origin, 5, tls=tls, proxy=proxy), origin)
        assert network.open_connections == 4
        assert hop.lines == [f"CONNECT 127.0.0.1:{port} HTTP/1.1"] * 4
        assert (first.hops[0].tls > 0) is origin.secure
        for client in clients:
            client.close()
        await until(lambda: network.open_connections == 0)


@pytest.fixture
def trusting(authority):
    """Options that trust the tests' authority."""
    return lambda protocol: Options(tls=TLS(ca=authority.cert_pem.bytes().decode()), protocol=protocol)


@pytest.mark.parametrize("offers", [["http/1.1"], []])
async def test_auto_takes_http_1_where_that_is_all(offers, answers, server_tls, trusting, client):
    """Where the server agrees on HTTP/1.1, or on nothing, that is spoken, on one connection."""
    context = server_tls("127.0.0.1")
    if offers:
        context.set_alpn_protocols(offers)
    peer = await answers(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", tls=context)
    request = prepare("GET", peer.origin, b"/", options=trusting(Protocol()), needs_body=True)
    got = [await client.send(request) for _ in range(3)]
    assert [one.body for one in got] == [b"hello"] * 3
    assert ([one.reused for one in got], peer.connections) == ([False, True, True], 1)
    assert got[0].tls > 0


@pytest.mark.parametrize("offers", [["http/1.1"], []])
async def test_http_2_that_a_server_does_not_take_is_a_tls_failure(offers, answers, server_tls, trusting, client):
    """Where HTTP/2 is asked for and the handshake doesn't agree on it, no request is sent."""
    context = server_tls("127.0.0.1")
    if offers:
        context.set_alpn_protocols(offers)
    peer = await answers(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", tls=context)
    response = await client.send(prepare("GET", peer.origin, b"/", options=trusting(Protocol(peer.origin))))
    assert (response.error, response.status, peer.requests) == (Failure.TLS, 0, [])
    assert response.message
    assert client._network.open_connections == 0


async def test_auto_takes_http_2_where_there_is_that(serve, server_tls, trusting, client, network):
    """Where the server offers both, HTTP/2 is spoken; event streams and WebSockets stay with HTTP/1.1."""
    context = server_tls("127.0.0.1")
    context.set_alpn_protocols(["h2", "http/1.1"])
    peer = await serve(second(echo), tls=context)
    request = prepare("GET", peer.origin, b"/", options=trusting(Protocol()), needs_body=True)
    got = [await client.send(request) for _ in range(3)]
    assert [one.body for one in got] == [b"/ "] * 3
    assert (peer.connections, peer.writers[0].get_extra_info("ssl_object").selected_alpn_protocol()) == (1, "h2")
    opening = client.opening(request)
    assert opening.dialer.tls.context is network._contexts[request.options.tls, ("http/1.1",)]


async def test_auto_in_the_clear_is_http_1(answers, client):
    """Without a handshake there is nothing to agree on."""
    peer = await answers(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    request = prepare("GET", peer.origin, b"/", options=Options(protocol=Protocol()), needs_body=True)
    assert (await client.send(request)).body == b"hello"
