"""A hostile peer of HTTP/2, the VUs that share a connection to it, and another VU at a decent one, which must notice nothing."""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass, field

import hpack
import trustme
from fuzz_h2_frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PREFACE,
    SETTINGS,
    Frame,
    frames_of,
    literally,
)
from fuzz_scripts import swallows
from fuzz_stage import LIMITS, PATIENT, SHORT, be_beside
from fuzz_wires import Plain, Session, no_names

from loadgate.plan import Targets
from loadgate_runner.http import TLS, Client, Failure, Gate, Network, Options, Origin, Protocol, prepare

MOST = 4
"""VUs on one connection."""
AGAIN = 299
"""The status of an answer to a request that was sent once more."""


@dataclass
class Outcome:
    """What came of a script."""

    responses: list = field(default_factory=list)
    after: object = None
    """The response to an ordinary request behind it, by the first of the clients."""
    busy: float = 0.0
    """The most CPU seconds in one piece that the other VU waited for."""
    beside: list = field(default_factory=list)
    """What the other VU got, beside the right answers."""
    streams: dict = field(default_factory=dict)
    """The stream of each request that the script was played to."""


class Asked:
    """What a client sends on one connection, as requests."""

    def __init__(self):
        self._unread, self._begun, self._block = b"", False, b""
        self._decoder = hpack.Decoder()
        self._decoder.max_allowed_table_size = 1 << 24  # whatever a script's SETTINGS offer

    def hear(self, data):
        """The requests that are there now: a stream, a method and a path of each."""
        self._unread += data
        if not self._begun and len(self._unread) >= len(PREFACE):
            assert self._unread.startswith(PREFACE)
            self._begun, self._unread = True, self._unread[len(PREFACE) :]
        if not self._begun:
            return []
        frames, self._unread = frames_of(self._unread)
        return [request for frame in frames if (request := self._head(frame)) is not None]

    def _head(self, frame):
        if frame.kind not in {HEADERS, CONTINUATION}:
            return None
        self._block += frame.content
        if not frame.flags & END_HEADERS:
            return None
        fields, self._block = dict(self._decoder.decode(self._block, raw=True)), b""
        return frame.stream, fields[b":method"], fields[b":path"]


class Stage:
    """Set up once; then scripts are played on it, one at a time."""

    def __init__(self, *, secure=False):
        self._secure = secure
        self._authority = trustme.CA()
        self._tasks = set()
        self._said = asyncio.Event()

    async def open(self):
        """Start the peers and make the clients."""
        self._network = Network(limits=LIMITS, gate=Gate(Targets(["127.0.0.1"])), resolve=no_names)
        self._clients, self._decent = [Client(self._network) for _ in range(MOST)], Client(self._network)
        self._servers = [
            await asyncio.start_server(accept, "127.0.0.1", 0) for accept in (self._accept, self._be_decent)
        ]
        origin, decent = (Origin("http", "127.0.0.1", one.sockets[0].getsockname()[1]) for one in self._servers)
        self._origin = origin._replace(scheme="https" if self._secure else "http")
        self._beside = prepare("GET", decent, b"/", needs_body=True, options=Options(protocol=Protocol(decent)))
        self._tls = TLS(ca=self._authority.cert_pem.bytes().decode())
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.set_alpn_protocols(["h2"])
        self._authority.issue_cert("127.0.0.1").configure_cert(self._context)

    async def close(self):
        """Everything is over, and nothing is left open."""
        for client in (*self._clients, self._decent):
            client.close()
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        async with asyncio.timeout(PATIENT.total):
            while self._network.open_connections:  # noqa: ASYNC110 - what is waited for has no event of its own
                await asyncio.sleep(0.001)
        self._network.close()

    async def play(self, script, timeouts, *, sound):
        """Have the peer follow a script and say what became of it; `sound`: the connection is in order behind it."""
        self._script, self._streams, self._played = script, {}, False
        self._said.clear()
        outcome = Outcome()
        beside = asyncio.ensure_future(be_beside(self._decent, self._beside, outcome))
        try:
            async with asyncio.timeout(2 * PATIENT.total):
                if script.warm:
                    warm = await self._ask(script, PATIENT, b"/warm")
                    assert {(one.error, one.status) for one in warm} == {(None, 200)}, warm[0].message
                outcome.responses = await self._ask(script, timeouts, b"/script")
                if not sound or Failure.TIMEOUT in {one.error for one in outcome.responses}:
                    self._leave()
                else:
                    await self._said.wait()  # what comes behind an answer is here before the next request goes out
                patience = SHORT if swallows(script.raw) else PATIENT
                after = prepare("GET", self._origin, b"/after", options=self._options(patience), needs_body=True)
                outcome.after = await self._clients[0].send(after)
        finally:
            beside.cancel()
            await asyncio.gather(beside, return_exceptions=True)
            self._leave()
        outcome.streams = self._streams
        return outcome

    def _leave(self):
        for client in self._clients:
            client.close()

    def _options(self, timeouts):
        return Options(
            timeouts=timeouts, tls=self._tls, protocol=Protocol(self._origin, MOST), max_redirects=0, compressed=False
        )

    async def _ask(self, script, timeouts, path):
        """All at once, each with a path of its own."""
        requests = [
            prepare(
                method, self._origin, path + b"/%d" % slot, options=self._options(timeouts), needs_body=True,
                needs_trailers=True, body=b"x" * 99 if method == "POST" else None,
            )
            for slot, method in enumerate(script.methods)
        ]  # fmt: skip
        return await asyncio.gather(*(self._one(*one) for one in zip(self._clients, requests, strict=False)))

    async def _one(self, client, request):
        return await client.send(request)

    async def _accept(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        try:
            wire = await Session.open(self._context, reader, writer) if self._secure else Plain(reader, writer)
            await self._serve(wire)
        except (ConnectionError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(asyncio.current_task())

    async def _serve(self, wire):
        asked, waiting = Asked(), {}
        wire.write(Frame(SETTINGS, self._script.settings).wire + Frame(SETTINGS, flags=ACK).wire)
        while data := await wire.read():
            for stream, method, path in asked.hear(data):
                if not path.startswith(b"/script"):
                    wire.write(plain_answer(stream, method, b"well"))
                elif self._played:
                    wire.write(plain_answer(stream, method, b"again", AGAIN))
                else:
                    waiting[int(path.rpartition(b"/")[2])] = stream
            if not self._played and len(waiting) == len(self._script.methods):
                self._played, self._streams = True, waiting
                if not await self._follow(self._script, wire):
                    break

    async def _follow(self, script, wire):
        """Say the script's pieces; whether the connection goes on."""
        try:
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
                await wire.finish()
        finally:
            self._said.set()
        return script.end == "stay"

    async def _be_decent(self, reader, writer):
        asked = Asked()
        writer.write(Frame(SETTINGS).wire)
        with suppress(ConnectionError, asyncio.CancelledError):
            while data := await reader.read(1 << 16):
                for stream, method, _ in asked.hear(data):
                    writer.write(plain_answer(stream, method, b"well"))
        writer.transport.abort()


def plain_answer(stream, method, body, status=200):
    """An ordinary whole answer."""
    head = literally((b":status", b"%d" % status))
    if method == b"HEAD":
        return Frame(HEADERS, head, END_HEADERS | END_STREAM, stream).wire
    return Frame(HEADERS, head, END_HEADERS, stream).wire + Frame(DATA, body, END_STREAM, stream).wire
