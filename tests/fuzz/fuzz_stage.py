"""A hostile server on loopback, the VU that meets it, and another VU at a decent server beside, which must notice nothing."""

import asyncio
import ssl
import time
from dataclasses import dataclass, field

import trustme
from fuzz_opinion import is_request
from fuzz_scripts import swallows
from fuzz_wires import Plain, Session, no_names

from loadgate.plan import Targets
from loadgate_runner.http import TLS, Client, Failure, Gate, Limits, Network, Options, Origin, Timeouts, prepare

WELL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell"
WARM = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
LIMITS = Limits(head=2000, body=4000, decoded=8000)
PATIENT = Timeouts(connect=5, tls=5, first_byte=5, total=5)
"""Longer than any answer takes, on a busy machine too: whoever runs into it has hung."""
SHORT = Timeouts(connect=1, tls=1, first_byte=0.02, total=0.04)


@dataclass
class Outcome:
    """What came of a script."""

    response: object
    after: object
    """The response to an ordinary request behind it, by the same client."""
    busy: float
    """The most CPU seconds in one piece that the other VU waited for."""
    beside: list = field(default_factory=list)
    """What the other VU got, beside the right answers."""
    requests: list = field(default_factory=list)
    """What the server was sent that isn't a request."""


class Stage:
    """Set up once; then scripts are played on it, one at a time."""

    def __init__(self, *, secure=False):
        self._secure = secure
        self._authority = trustme.CA() if secure else None
        self._tasks = set()
        self._script = None
        self._said = asyncio.Event()

    async def open(self):
        """Start the servers and make the clients. Load goes nowhere but to them, whatever a redirect says."""
        self._network = Network(limits=LIMITS, gate=Gate(Targets(["127.0.0.1"])), resolve=no_names)
        self.client, self._decent = Client(self._network), Client(self._network)
        self._servers = [await asyncio.start_server(accept, "127.0.0.1", 0) for accept in (self._accept, _be_decent)]
        ports = [server.sockets[0].getsockname()[1] for server in self._servers]
        self.origin = Origin("https" if self._secure else "http", "127.0.0.1", ports[0])
        self._beside = prepare("GET", Origin("http", "127.0.0.1", ports[1]), b"/", needs_body=True)
        self._tls = TLS(ca=self._authority.cert_pem.bytes().decode()) if self._secure else TLS()
        if self._secure:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._authority.issue_cert("127.0.0.1").configure_cert(self._context)

    async def close(self):
        """Everything is over, and nothing is left open."""
        self.client.close()
        self._decent.close()
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        async with asyncio.timeout(PATIENT.total):
            while self._network.open_connections:  # noqa: ASYNC110 - what is waited for has no event of its own
                await asyncio.sleep(0.001)
        self._network.close()

    async def play(self, script, timeouts):
        """Have the server follow a script and say what became of it."""
        self._script, self._sent = script, []
        self._said.clear()
        request = self._request(script, timeouts)
        outcome = Outcome(None, None, 0.0)
        beside = asyncio.ensure_future(be_beside(self._decent, self._beside, outcome))
        try:
            async with asyncio.timeout(2 * PATIENT.total):
                if script.warm:
                    warm = await self.client.send(request, path=b"/warm")
                    assert warm.error in {None, Failure.TIMEOUT}  # the latter where others keep the machine from it
                outcome.response = await self.client.send(request, path=b"/script")
                if script.end == "stall":
                    self.client.close()  # whoever was answered would rightly ask again there
                elif outcome.response.sent:
                    await self._said.wait()  # what comes behind an answer is here before the next request goes out
                    for _ in range(10):
                        await asyncio.sleep(0)
                after = SHORT if swallows(script.raw) else PATIENT
                ordinary = prepare("GET", self.origin, b"/after", options=self._options(after), needs_body=True)
                outcome.after = await self.client.send(ordinary)
        finally:
            beside.cancel()
            await asyncio.gather(beside, return_exceptions=True)
        outcome.requests = [wire for wire in self._sent if not is_request(wire)]
        self.client.reset()
        return outcome

    def _options(self, timeouts):
        return Options(timeouts=timeouts, tls=self._tls)

    def _request(self, script, timeouts):
        return prepare(
            script.method,
            self.origin,
            None,
            options=self._options(timeouts),
            needs_headers=script.needs != "nothing",
            needs_body=script.needs == "body",
        )

    async def _accept(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        try:
            wire = await Session.open(self._context, reader, writer) if self._secure else Plain(reader, writer)
            while head := await wire.read_request():
                self._sent.append(head)
                path = head.split(b" ", 2)[1]
                if path != b"/script":
                    wire.write(WELL if path == b"/after" else _without_body(WARM, self._script.method))
                elif not await self._follow(self._script, wire):
                    break
        except (ConnectionError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            self._said.set()
            writer.transport.abort()
            self._tasks.discard(asyncio.current_task())

    async def _follow(self, script, wire):
        """Say the script's pieces; whether the connection goes on."""
        for piece in script.pieces:
            wire.write(piece)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        if script.raw:
            wire.write_raw(script.raw)
        if script.end == "stall":
            await wire.read_on()
        elif script.end == "reset":
            wire.reset()
        elif script.end == "close":
            await wire.close()
        self._said.set()
        return script.end == "stay"


def _without_body(answer, method):
    return answer[: answer.index(b"\r\n\r\n") + 4] if method == "HEAD" else answer


async def _be_decent(reader, writer):
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(WELL)
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        pass
    finally:
        writer.transport.abort()


async def be_beside(client, request, outcome):
    """Ask a decent peer again and again, and see that the loop is free: in CPU time, since others use this machine."""
    while True:
        began = time.thread_time()
        response = await client.send(request)
        if (response.status, response.body, response.error) != (200, b"well", None):
            outcome.beside.append(response)
        await asyncio.sleep(0.0005)
        outcome.busy = max(outcome.busy, time.thread_time() - began)
