"""When an answer came and how it ended, as the kernel has it, while the runner was busy: plain and over TLS."""

import asyncio
import contextlib
import socket
import ssl
import threading
import time

import pytest
from http_peers import until

from loadgate_runner.http import TLS, Failure, Options, Origin, poller, prepare

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
BUSY = 0.3
"""Seconds that the runner's loop does something else, while its answer comes."""
REQUESTS = 4

pytestmark = pytest.mark.skipif(not poller.AVAILABLE, reason="the kernel's moments are Linux'")


class Beside:
    """A server in a thread of its own, which goes on while our loop doesn't. The last answer waits for `let`."""

    def __init__(self, context):
        self.asked, self.let = threading.Event(), threading.Event()
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.origin = Origin("https" if context else "http", "127.0.0.1", self._listening.getsockname()[1])

    def answer(self):
        """Answer one connection's requests, wait for its end."""
        with contextlib.suppress(OSError), self._taken() as stream:
            for number in range(REQUESTS):
                stream.recv(10_000)
                if number == REQUESTS - 1:
                    self.asked.set()
                    self.let.wait(10)
                stream.sendall(OK)
            while stream.recv(10_000):
                pass

    def break_off(self, goodbye):
        """End a connection within an answer, with TLS' own farewell or without."""
        with contextlib.suppress(OSError), self._taken() as stream:
            stream.recv(10_000)
            stream.sendall(OK[:-1])
            if goodbye and isinstance(stream, ssl.SSLSocket):
                stream.unwrap()

    @contextlib.contextmanager
    def _taken(self):
        with self._listening as listening:
            sock, _ = listening.accept()
        sock.settimeout(10)
        with sock, self._context.wrap_socket(sock, server_side=True) if self._context else sock as stream:
            yield stream


@pytest.fixture(params=["http", "https"])
def beside(request, server_tls):
    """A server, and how to start what it does."""
    server = Beside(server_tls("127.0.0.1") if request.param == "https" else None)
    threads = []

    def start(does, *arguments):
        threads.append(threading.Thread(target=does, args=arguments, daemon=True))
        threads[0].start()

    yield server, start
    server.let.set()
    for thread in threads:
        thread.join(10)


@pytest.fixture
def options(authority):
    """Options that trust the tests' authority."""
    return Options(tls=TLS(ca=authority.cert_pem.bytes().decode()))


async def test_an_answer_is_no_slower_for_waiting_in_the_runners_socket(beside, options, client):
    """What an answer waits for a busy runner is in none of its times."""
    server, start = beside
    start(server.answer)
    request = prepare("GET", server.origin, b"/", options=options)
    for _ in range(REQUESTS - 1):  # a kernel begins to note moments some time after it is asked to for the first time
        await client.send(request)
    asking = asyncio.ensure_future(client.send(request))
    await until(server.asked.is_set)
    server.let.set()
    time.sleep(BUSY)  # noqa: ASYNC251 - a journey that blocks
    response = await asyncio.wait_for(asking, 10)
    assert (response.status, response.error) == (200, None)
    assert response.duration < BUSY * 1e6 / 2


@pytest.mark.parametrize("goodbye", [True, False])
async def test_an_end_within_an_answer_is_told(beside, options, client, goodbye):
    """A connection that is closed within a body is a failure of the body, however it is closed."""
    server, start = beside
    start(server.break_off, goodbye)
    response = await asyncio.wait_for(client.send(prepare("GET", server.origin, b"/", options=options)), 10)
    assert response.error is Failure.BODY
