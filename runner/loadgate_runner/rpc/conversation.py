"""One call with streams under way: messages are written and replies read in whatever order its user likes."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any, Final

import grpc

from loadgate.api.grammar.status import GRPC_OK
from loadgate_runner.http.failures import Failure, RequestFailed
from loadgate_runner.rpc.descriptors import DescriptorsError
from loadgate_runner.rpc.writing import end, write

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadgate_runner.http import Response
    from loadgate_runner.rpc.calls import Caller, Ear
    from loadgate_runner.rpc.line import Line

PREFIX: Final = 5
"""Bytes before each message on the wire (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)."""

_SECOND: Final = 1_000_000_000
_LINE_ENDS: Final = str.maketrans("\r\n\0", "   ")


class Conversation:
    """Used by one coroutine, or by one that writes and one that reads; `end` is called whatever comes of it."""

    def __init__(self, caller: Caller, line: Line, response: Response, call: Any, ear: Ear) -> None:
        self.response = response
        self._caller = caller
        self._line = line
        self._call = call
        self._ear = ear
        self._last: bytes | None = None
        self._cut = False

    @property
    def answered(self) -> bool:
        """Whether a reply has come."""
        return self._last is not None

    async def write(self, message: bytes) -> bool:
        """Send a message; False where the call is over, and reading says how it ended."""
        if not await write(self._call, message):
            return False
        self.wrote(message)
        return True

    def wrote(self, message: bytes) -> None:
        """A message is out."""
        self.response.sent += len(message) + PREFIX
        self._ear.sent()

    async def done_writing(self) -> None:
        """Say that no more messages come."""
        await end(self._call)

    async def read(self) -> bytes | None:
        """The next reply of a server's stream, to be taken; None at its end. Raises RequestFailed, AioRpcError."""
        reply = await self._in_time(self._call.read())
        return None if reply is grpc.aio.EOF else reply

    async def reply(self) -> bytes:
        """The one reply to a client's stream, to be taken. Raises RequestFailed, AioRpcError."""
        reply: bytes = await self._in_time(self.waiting())
        return reply

    async def waiting(self) -> Any:
        """The call itself, as a coroutine."""
        return await self._call

    def take(self, reply: bytes) -> bool:
        """Count a reply; whether it is the last one that is wished for. Raises RequestFailed."""
        moment, response = self._line.clock(), self.response
        self._last = reply
        response.first = response.first or moment
        response.received += len(reply) + PREFIX
        try:
            return self._ear.hear(reply, moment)
        except DescriptorsError as fault:
            raise RequestFailed(Failure.PROTOCOL, str(fault)) from fault

    def cut(self) -> None:
        """We end it ourselves, so that nothing comes behind the replies."""
        self._cut = True

    def cancel(self) -> None:
        """Give it up at once."""
        self._call.cancel()

    async def conclude(self) -> None:
        """It ended well: take what is looked at. Raises AioRpcError where it ended with another status."""
        response, prepared = self.response, self._caller.prepared
        response.ended = response.first or self._line.clock()
        if prepared.needs_head:
            initial = await self._call.initial_metadata() if response.first else ()
            trailing = () if self._cut else await self._call.trailing_metadata()
            response.head = head_of(GRPC_OK, "", initial, trailing)
        self._caller.judge(response, GRPC_OK, "")
        if self._last is not None:
            response.size = len(self._last)
            if prepared.needs_body:
                self._caller.keep(response, self._last)

    def fail(self, failed: RequestFailed) -> None:
        """It went wrong on its way."""
        self.response.ended = self._line.clock()
        self.response.settle(failed.kind, failed.message)

    def refuse(self, error: Any) -> None:
        """It ended with another status than OK, the server's or grpc's own."""
        self.response.ended = self.response.first or self._line.clock()
        self._caller.refused(self.response, error)

    def end(self) -> None:
        """It is over and counted."""
        self._call.cancel()
        self._ear.ended(self.response, self._line.clock())
        self._line.answered()

    async def _in_time(self, waiting: Any) -> Any:
        """The first reply is bounded as a first byte is."""
        limit = None if self._last is not None else self._caller.prepared.first_byte / _SECOND
        try:
            async with asyncio.timeout(limit):
                return await waiting
        except TimeoutError as late:
            raise RequestFailed(Failure.TIMEOUT, "no reply in time") from late


def head_of(status: int, details: str, *metadata: Iterable[tuple[str, str | bytes]]) -> bytes:
    """Metadata as the lines of a head, for those who look at headers; what isn't text is base64, as on the wire."""
    lines = [f"grpc-status: {status - GRPC_OK}", f"grpc-message: {details.translate(_LINE_ENDS)}"]
    for some in metadata:
        for name, value in some:
            text = base64.b64encode(value).decode() if isinstance(value, bytes) else value
            lines.append(f"{name}: {text.translate(_LINE_ENDS)}")
    return "\r\n".join(("gRPC", *lines, "", "")).encode("utf-8", "replace")
