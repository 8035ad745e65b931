"""How a socket comes to be: families, source addresses, unix sockets; tests/runner has their races."""

import asyncio
import random
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path

import pytest
from http_peers import Names, read_request, until

from loadgate.plan import Targets
from loadgate_runner.http import TLS, Client, Failure, Gate, Network, Options, Origin, Sources, Timeouts, prepare

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture
async def make():
    """Makes clients that must have no connection left in the end."""
    made = []

    def make(**how):
        network = Network(**how)
        made.append((network, Client(network)))
        return made[-1][1]

    yield make
    for network, client in made:
        client.close()
        await until(lambda network=network: network.open_connections == 0)
        network.close()


def get(origin, tls=None, **more):
    options = Options(timeouts=Timeouts(total=10.0), tls=tls or TLS())
    return prepare("GET", origin, b"/", options=options, needs_body=True, **more)


async def test_a_name_of_both_families_is_reached_where_one_refuses(answers, make):
    """Over real sockets: nothing listens on IPv6, and the server on IPv4 answers."""
    peer = await answers(OK)
    client = make(resolve=Names(shop_test=[["::1", "127.0.0.1"]]))
    response = await client.send(get(Origin("http", "shop.test", peer.origin.port)))
    assert (response.status, peer.connections) == (200, 1)
    refused = Origin("http", "shop.test", peer.origin.port)._replace(port=1)
    response = await client.send(get(refused))
    assert (response.error, response.message.startswith("shop.test:1: ")) == (Failure.CONNECT, True)


@pytest.mark.processes
@pytest.mark.parametrize(("rules", "comes_to"), [((), "200 None 1"), (("10.0.0.0/8",), "0 denied 1")])
def test_an_address_is_connected_to_without_a_resolver(rules, comes_to):
    """On the loop that runners stand on, too, there is nothing to look up, in no thread; rules on targets hold."""
    run = [sys.executable, str(Path(__file__).with_name("http_threads.py")), *rules]
    out = subprocess.run(run, capture_output=True, text=True, timeout=60, check=True).stdout
    assert out.strip() == comes_to


async def test_connections_come_from_their_sources_in_turn(serve, make):
    """Each new one from the next address, of networks too; the server sees them."""
    seen = []

    async def handler(peer, reader, writer):
        seen.append(writer.get_extra_info("peername")[0])
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    peer = await serve(handler)
    sources = Sources([ip_network("127.0.0.2"), ip_network("127.0.1.0/31"), ip_network("::1")], random.Random(1))
    assert sources.fault() == ""
    client = make(sources=sources)
    assert [(await client.send(get(peer.origin))).status for _ in range(6)] == [200] * 6
    assert sorted(seen[:3]) == ["127.0.0.2", "127.0.1.0", "127.0.1.1"]
    assert seen[3:] == seen[:3]


async def test_a_source_that_is_not_ours_is_named(answers, make):
    """Before the load, and by a failure of connecting; so is a family that no source is of."""
    peer = await answers(OK)
    foreign = Sources([ip_network("192.0.2.1")])
    assert foreign.fault().startswith("no connection can come from 192.0.2.1: ")
    response = await make(sources=foreign).send(get(peer.origin))
    assert (response.error, "can come from 192.0.2.1" in response.message) == (Failure.CONNECT, True)
    response = await make(sources=Sources([ip_network("::1")])).send(get(peer.origin))
    assert (response.error, "no source address is of that family" in response.message) == (Failure.CONNECT, True)
    assert peer.connections == 0


@pytest.fixture
async def unix_peer(tmp_path):
    """Starts servers on a unix socket; gives its path and the requests that came."""
    servers = []

    async def start(reply, tls=None):
        requests = []

        async def handler(reader, writer):
            while request := await read_request(reader):
                requests.append(request)
                writer.write(reply)
            writer.close()

        path = str(tmp_path / f"{len(servers)}.sock")
        servers.append(await asyncio.start_unix_server(handler, path, ssl=tls))
        return path, requests

    yield start
    for server in servers:
        server.close()


async def test_a_unix_socket_stands_for_its_origin_alone(unix_peer, answers, make):
    """Nothing is looked up, the Host header is the URL's, connections are kept, and a redirect elsewhere goes there."""
    other = await answers(OK)
    away = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/x\r\nContent-Length: 0\r\n\r\n" % other.origin.port
    path, requests = await unix_peer(OK)
    origin = Origin("http", "shop.test", 80)
    client = make(sockets={origin: path}, resolve=Names())
    responses = [await client.send(get(origin)) for _ in range(3)]
    assert [(one.status, one.text, one.reused) for one in responses] == [(200, "hello", at > 0) for at in range(3)]
    assert b"\r\nHost: shop.test\r\n" in requests[0]
    path, _ = await unix_peer(away)
    response = await make(sockets={origin: path}).send(get(origin))
    assert (response.status, other.lines) == (200, ["GET /x HTTP/1.1"])


async def test_a_large_body_goes_through_a_unix_socket(unix_peer, make):
    """More than a socket's buffer holds."""
    path, requests = await unix_peer(OK)
    origin = Origin("http", "shop.test", 80)
    request = prepare("POST", origin, b"/", body=b"x" * 3_000_000)
    assert (await make(sockets={origin: path}).send(request)).status == 200
    assert len(requests[0]) > 3_000_000


async def test_tls_is_spoken_over_a_unix_socket(unix_peer, make, server_tls, authority):
    """The certificate is for the URL's host."""
    trusted = TLS(ca=authority.cert_pem.bytes().decode())
    path, _ = await unix_peer(OK, server_tls("shop.test"))
    for host, error in (("shop.test", None), ("other.test", Failure.TLS)):
        origin = Origin("https", host, 443)
        response = await make(sockets={origin: path}).send(get(origin, trusted))
        assert response.error is error


async def test_a_unix_socket_that_is_not_there_is_a_failure_of_connecting(make, tmp_path):
    """Which names its path."""
    origin = Origin("http", "shop.test", 80)
    response = await make(sockets={origin: str(tmp_path / "none.sock")}).send(get(origin))
    assert response.error is Failure.CONNECT
    assert response.message == f"shop.test by the socket {tmp_path / 'none.sock'}: No such file or directory"


async def test_a_unix_socket_is_held_to_the_rules(unix_peer, make):
    """Its path has to be listed where there are rules, and the URL's host as well."""
    path, requests = await unix_peer(OK)
    origin = Origin("http", "shop.test", 80)
    for rules, error in (
        ([f"unix:{path}", "shop.test"], None),
        ([], None),
        (["shop.test", "0.0.0.0/0", "::/0"], Failure.DENIED),
        ([f"unix:{path}"], Failure.DENIED),
    ):
        response = await make(sockets={origin: path}, gate=Gate(Targets(rules))).send(get(origin))
        assert response.error is error, rules
    assert len(requests) == 2
