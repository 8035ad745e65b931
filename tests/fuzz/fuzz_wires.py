"""A connection as a hostile server has it: plain, or within TLS that is done by hand, so that anything can be put in between."""

import asyncio
import socket
import ssl

_RESET_ON_CLOSE = b"\1\0\0\0\0\0\0\0"


class Plain:
    """A connection as a server has it."""

    def __init__(self, reader, writer):
        self._reader = reader
        self._writer = writer

    async def read_request(self):
        """The next request; b"" where there is none."""
        try:
            return await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as end:
            return end.partial

    async def read(self):
        """What comes next; b"" at the end."""
        return await self._reader.read(1 << 16)

    async def read_on(self):
        """Take whatever comes, until the other side closes."""
        while await self._reader.read(1 << 16):
            pass

    def write(self, data):
        """Send. Raises ConnectionResetError where the other side is gone: uvloop would raise what says a bug."""
        if self._writer.transport.is_closing():
            raise ConnectionResetError
        self._writer.write(data)

    write_raw = write

    async def close(self):
        """Send all, then end."""
        self._writer.close()
        await self._writer.wait_closed()

    async def finish(self):
        """Send all, then end, and take what still comes: with bytes that nobody took, an end would be a reset."""
        if not self._writer.transport.is_closing():
            self._writer.write_eof()
        while await self._reader.read(1 << 16):
            pass

    def reset(self):
        """End so that the other side gets a reset."""
        if not self._writer.is_closing():
            sock = self._writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._writer.transport.abort()


class Session(Plain):
    """The same within TLS that is done by hand, so that anything can be put between its records."""

    @classmethod
    async def open(cls, context, reader, writer):
        """Shake hands."""
        session = cls(reader, writer)
        session._incoming, session._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session._tls = context.wrap_bio(session._incoming, session._outgoing, server_side=True)
        session._read = b""
        await session._until(session._tls.do_handshake)
        return session

    async def _until(self, step):
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._flush()
                data = await self._reader.read(1 << 16)
                if not data:
                    raise ConnectionResetError from None
                self._incoming.write(data)
            else:
                self._flush()
                return result

    def _flush(self):
        if self._outgoing.pending:
            super().write(self._outgoing.read())

    async def read(self):
        return await self._until(lambda: self._tls.read(1 << 16))

    async def read_request(self):
        while b"\r\n\r\n" not in self._read:
            data = await self.read()
            if not data:
                return b""
            self._read += data
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n"

    def write(self, data):
        self._tls.write(data)
        self._flush()

    def write_raw(self, data):
        """Send bytes that are no record of the session."""
        super().write(data)


async def no_names(host, port):
    """Nothing that a test does may look a name up."""
    raise OSError(f"{host} is not to be looked up")
