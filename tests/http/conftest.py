"""Servers that do exactly what a test says, on both event loops that runners may stand on."""

import asyncio
import ssl

import pytest
import trustme
import uvloop
from http_peers import Peer, read_request, until

from loadgate_runner.http import Client, Limits, Network, Origin


def pytest_asyncio_loop_factories(config, item):
    """The client's tests run on the standard library's loop and on uvloop."""
    return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def serve():
    """Starts servers; a handler gets peer, reader and writer of each connection."""
    running = []

    async def start(handler, *, tls=None, host="127.0.0.1", port=0):
        tasks = set()

        async def accept(reader, writer):
            peer.connections += 1
            peer.writers.append(writer)
            tasks.add(asyncio.current_task())
            try:
                await handler(peer, reader, writer)
            except (ConnectionError, asyncio.CancelledError):
                pass
            finally:
                writer.transport.abort()

        peer = Peer(Origin("http", "", 0))
        server = await asyncio.start_server(accept, host, port, ssl=tls)
        peer.origin = Origin("https" if tls else "http", host, server.sockets[0].getsockname()[1])
        running.append((server, tasks))
        return peer

    yield start
    for server, tasks in running:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def answers(serve):
    """Starts servers that give certain answers, one after another, the last one again and again."""

    async def start(*replies, pieces=0, **how):
        async def handler(peer, reader, writer):
            while request := await read_request(reader):
                peer.requests.append(request)
                reply = replies[min(len(peer.requests), len(replies)) - 1]
                for piece in [reply[at : at + pieces] for at in range(0, len(reply), pieces)] if pieces else [reply]:
                    writer.write(piece)
                    await writer.drain()
                    if pieces:
                        await asyncio.sleep(0)

        return await serve(handler, **how)

    return start


@pytest.fixture
async def network():
    """A network that must have no connection left when the test is over."""
    network = Network()
    yield network
    network.close()


@pytest.fixture
async def client(network):
    """A VU's client."""
    client = Client(network)
    yield client
    client.close()
    await until(lambda: network.open_connections == 0)


@pytest.fixture
async def frugal():
    """A client with small limits, for what would be large otherwise."""
    network = Network(limits=Limits(head=1000, body=100, decoded=200, origins=2))
    client = Client(network)
    yield client
    client.close()
    await until(lambda: network.open_connections == 0)
    network.close()


@pytest.fixture(scope="session")
def authority():
    """A certificate authority that nobody else trusts."""
    return trustme.CA()


@pytest.fixture
def server_tls(authority):
    """`server_tls("name")` is a server's context with a certificate for that name."""

    def build(*names, client_ca=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names).configure_cert(context)
        if client_ca is not None:
            client_ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    return build
