"""A server of HTTP/2 made of h2's other side: it does what a test's handler says, frame by frame."""

import asyncio

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from loadgate_runner.http import Options, Protocol


class Second:
    """One connection as a server has it: `h2` is the state machine; what was asked and said is kept by stream."""

    def __init__(self, reader, writer, settings, pieces, *, greedy=True):
        self.reader, self.writer, self.pieces = reader, writer, pieces
        config = h2.config.H2Configuration(
            client_side=False, header_encoding="latin-1",
            validate_outbound_headers=False, normalize_outbound_headers=False,
        )  # fmt: skip
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        if settings:
            self.h2.update_settings(settings)
        self.sending = asyncio.Lock()
        self.asked, self.bodies, self.resets = {}, {}, []
        self.ready = asyncio.Queue()
        self.greedy = greedy
        """Whether windows are opened again for what came."""
        self.most = 0
        """Streams at once, at most."""

    async def flush(self):
        """Send, in pieces where a test wants that."""
        async with self.sending:
            data = self.h2.data_to_send()
            size = self.pieces or len(data) or 1
            for at in range(0, len(data), size):
                self.writer.write(data[at : at + size])
                await self.writer.drain()
                if self.pieces:
                    await asyncio.sleep(0)

    async def raw(self, data):
        """Send what no h2 would."""
        async with self.sending:
            self.writer.write(data)
            await self.writer.drain()

    async def serve(self):
        """Read until the end; whole requests go to `ready`, in the order in which they became whole."""
        await self.flush()
        while data := await self.reader.read(1 << 16):
            for event in self.h2.receive_data(data):
                self._take(event)
            await self.flush()
        self.ready.put_nowait(None)

    def _take(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self.asked[event.stream_id] = event.headers
            self.bodies[event.stream_id] = b""
            self.most = max(self.most, self.h2.open_inbound_streams)
        elif isinstance(event, h2.events.DataReceived):
            self.bodies[event.stream_id] += event.data
            if self.greedy:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.ready.put_nowait(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self.resets.append((event.stream_id, event.error_code))

    def path(self, stream):
        """What a stream asked for."""
        return dict(self.asked[stream])[":path"]

    async def answer(self, stream, body=b"hello", status=200, fields=()):
        """A whole answer."""
        self.h2.send_headers(stream, [(":status", str(status)), *fields], end_stream=not body)
        if body:
            await self.send(stream, body)
        await self.flush()

    async def send(self, stream, body, *, end=True):
        """A body, as fast as windows allow."""
        while body:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room:
                piece, body = body[:room], body[room:]
                self.h2.send_data(stream, piece, end_stream=end and not body)
            await self.flush()
            await asyncio.sleep(0)


def second(handler, settings=None, pieces=0, *, greedy=True):
    """What a server does that speaks HTTP/2: each connection is the test's handler's."""

    async def handle(peer, reader, writer):
        connection = Second(reader, writer, settings or {}, pieces, greedy=greedy)
        peer.requests.append(connection)
        tasks = [asyncio.ensure_future(connection.serve()), asyncio.ensure_future(handler(connection))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[1] in done:
                tasks[1].result()
                await tasks[0]
        except h2.exceptions.ProtocolError:
            pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    return handle


async def echo(connection):
    """Answers everything with what was asked: the path, and the body behind it."""
    while (stream := await connection.ready.get()) is not None:
        await connection.answer(stream, connection.path(stream).encode() + b" " + connection.bodies[stream])


def knowing(origin, share=1, **more):
    """Options by which an origin is known to speak HTTP/2."""
    return Options(protocol=Protocol(origin, share), **more)
