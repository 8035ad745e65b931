"""Calls of one method: a message for a message, or streams of them; whatever comes of it is a response."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import grpc

from loadgate.api.grammar.status import GRPC_OK, status_tag
from loadgate_runner.http.failures import Failure, RequestFailed
from loadgate_runner.http.waiter import in_task
from loadgate_runner.journey.errors import ValueFault
from loadgate_runner.rpc.descriptors import DescriptorsError
from loadgate_runner.rpc.writing import end, write

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadgate_runner.http import Request as Prepared
    from loadgate_runner.http import Response
    from loadgate_runner.rpc.descriptors import Method
    from loadgate_runner.rpc.line import Line

Metadata = tuple[tuple[str, str | bytes], ...]

_SECOND: Final = 1_000_000_000
_PREFIX: Final = 5
"""Bytes before each message on the wire (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)."""
_LONGEST: Final = 300
_LINE_ENDS: Final = str.maketrans("\r\n\0", "   ")


class Ear(Protocol):
    """Who is told of a stream while it goes on."""

    def sent(self) -> None:
        """A message went out."""

    def hear(self, data: bytes, moment: int) -> bool:
        """A reply came; say whether it is the last one that is wished for."""

    def ended(self, response: Response, moment: int) -> None:
        """It is over, at that moment in ns."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What of a server's stream is read: until a reply that is `awaited`, or for so many seconds, or to its end."""

    awaited: bool = False
    seconds: float | None = None
    pause: float = 0.0
    """Seconds between two messages of the client's."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Makes the calls of one step. Statuses that aren't `accepted` are failures."""

    method: Method
    prepared: Prepared
    accepted: frozenset[int]
    wish: Wish = Wish()

    async def unary(self, line: Line, message: bytes, metadata: Metadata) -> Response:
        """Send a message and wait for the reply. Raises CancelledError only."""
        await in_task()  # which grpc and time limits ask for
        prepared = self.prepared
        response = line.begin(prepared)
        until = response.started + prepared.total
        try:
            make = await line.callable("unary_unary", self.method.path, response, until)
        except RequestFailed as failed:
            return _unsent(line, response, failed)
        left = min(until - response.began, prepared.first_byte) / _SECOND
        call = make(message, timeout=left, metadata=metadata)
        try:
            reply = await call
        except grpc.aio.AioRpcError as error:
            response.first = response.ended = line.clock()
            self._refused(response, error)
        else:
            response.first = response.ended = line.clock()
            response.received = response.size = len(reply)
            response.received += _PREFIX
            if prepared.needs_head:
                response.head = _head(GRPC_OK, "", await call.initial_metadata(), await call.trailing_metadata())
            self.judge(response, GRPC_OK, "")
            if prepared.needs_body:
                self.keep(response, reply)
        response.sent = len(message) + _PREFIX
        line.answered()
        return response

    async def stream(self, line: Line, messages: Iterable[bytes], metadata: Metadata, ear: Ear) -> Response:
        """Send messages, read replies as they come. Raises CancelledError, and what making a message raises.

        The response's duration is the time to the first reply, or to the end where there is none before.
        """
        await in_task()
        response = line.begin(self.prepared)
        until = response.started + self.prepared.total
        try:
            make = await line.callable(_SHAPES[self.method.client_streams, self.method.server_streams],
                                       self.method.path, response, until)  # fmt: skip
        except RequestFailed as failed:
            return _unsent(line, response, failed)
        seconds = (until - response.began) / _SECOND + (self.wish.seconds or 0.0)
        if self.method.client_streams:
            call = make(timeout=seconds, metadata=metadata)
        else:
            (message,) = messages
            call = make(message, timeout=seconds, metadata=metadata)
            response.sent += len(message) + _PREFIX
            ear.sent()
        talk = _Talk(self, line, response, call, ear)
        try:
            await talk.run(messages if self.method.client_streams else None)
            await talk.conclude()
        except RequestFailed as failed:
            response.ended = line.clock()
            response.settle(failed.kind, failed.message)
        except grpc.aio.AioRpcError as error:
            response.ended = response.first or line.clock()
            self._refused(response, error)
        finally:
            call.cancel()
        ear.ended(response, line.clock())
        line.answered()
        return response

    def _refused(self, response: Response, error: Any) -> None:
        """The call ended with another status than OK, the server's or grpc's own."""
        status, details = GRPC_OK + error.code().value[0], error.details() or ""
        if self.prepared.needs_head:
            response.head = _head(status, details, error.initial_metadata() or (), error.trailing_metadata() or ())
        self.judge(response, status, details)

    def judge(self, response: Response, status: int, details: str) -> None:
        """Settle a response by its status."""
        response.status = status
        if status in self.accepted:
            response.settle(None, "")
        else:
            response.settle(Failure.GRPC, f"{status_tag(status)}: {' '.join(details.split())[:_LONGEST]}")

    def keep(self, response: Response, reply: bytes) -> None:
        """Keep a reply as JSON, for those who look at bodies."""
        try:
            response.body = self.method.decode(reply)
        except DescriptorsError as fault:
            response.settle(Failure.PROTOCOL, str(fault))


_SHAPES: Final = {(False, True): "unary_stream", (True, False): "stream_unary", (True, True): "stream_stream"}


class _Talk:
    """One stream under way."""

    def __init__(self, caller: Caller, line: Line, response: Response, call: Any, ear: Ear) -> None:
        self._caller = caller
        self._wish = caller.wish
        self._clock = line.clock
        self._response = response
        self._call = call
        self._ear = ear
        self._last: bytes | None = None
        self._cut = False
        self._fault: Exception | None = None
        self._first_byte = caller.prepared.first_byte / _SECOND

    async def run(self, messages: Iterable[bytes] | None) -> None:
        """Write and read until it is over. Raises RequestFailed, AioRpcError, and what making a message raises."""
        writing = None if messages is None else asyncio.ensure_future(self._write(messages))
        try:
            async with asyncio.timeout(self._wish.seconds):
                await (self._read() if writing is None or self._caller.method.server_streams else self._reply(writing))
        except TimeoutError as late:
            self._cut = True
            if self._wish.awaited:
                raise RequestFailed(Failure.TIMEOUT, "what was waited for didn't come in time") from late
        except asyncio.CancelledError:
            if self._fault is not None:  # the call was given up, not the virtual user
                raise self._fault from None
            raise
        finally:
            if writing is not None:
                writing.cancel()
        if self._fault is not None:
            raise self._fault

    async def conclude(self) -> None:
        """It ended well: take what is looked at. Raises AioRpcError where it ended with another status."""
        response, prepared = self._response, self._caller.prepared
        response.ended = response.first or self._clock()
        if prepared.needs_head:
            initial = await self._call.initial_metadata() if response.first else ()
            trailing = () if self._cut else await self._call.trailing_metadata()
            response.head = _head(GRPC_OK, "", initial, trailing)
        self._caller.judge(response, GRPC_OK, "")
        if self._last is not None:
            response.size = len(self._last)
            if prepared.needs_body:
                self._caller.keep(response, self._last)

    async def _read(self) -> None:
        limit: float | None = self._first_byte
        while (reply := await self._within(limit, self._call.read())) is not grpc.aio.EOF:
            limit = None
            if self._heard(reply):
                self._cut = True
                return
        if self._wish.awaited:
            raise RequestFailed(Failure.BODY, "the stream ended before what was waited for came")

    async def _reply(self, writing: asyncio.Future[None]) -> None:
        """The one reply to a stream of messages, which may come before they are all sent."""
        reply = asyncio.ensure_future(_awaited(self._call))
        try:
            await asyncio.wait((writing, reply), return_when=asyncio.FIRST_COMPLETED)
            self._heard(await self._within(self._first_byte, reply))
        finally:
            reply.cancel()

    async def _within(self, seconds: float | None, waiting: Any) -> Any:
        try:
            async with asyncio.timeout(seconds):
                return await waiting
        except TimeoutError as late:
            raise RequestFailed(Failure.TIMEOUT, "no reply in time") from late

    def _heard(self, reply: bytes) -> bool:
        moment, response = self._clock(), self._response
        self._last = reply
        response.first = response.first or moment
        response.received += len(reply) + _PREFIX
        try:
            return self._ear.hear(reply, moment)
        except DescriptorsError as fault:
            raise RequestFailed(Failure.PROTOCOL, str(fault)) from fault

    async def _write(self, messages: Iterable[bytes]) -> None:
        """Send what there is. Where the stream is over before, reading says why."""
        made = iter(messages)
        first = True
        while True:
            try:
                message = next(made, None)
            except ValueFault as fault:
                self._fault = fault
                self._call.cancel()
                return
            if message is None:
                await end(self._call)
                return
            if self._wish.pause and not first:
                await asyncio.sleep(self._wish.pause)
            if not await write(self._call, message):
                return
            first = False
            self._response.sent += len(message) + _PREFIX
            self._ear.sent()


async def _awaited(call: Any) -> Any:
    return await call


def _unsent(line: Line, response: Response, failed: RequestFailed) -> Response:
    response.ended = line.clock()
    response.settle(failed.kind, failed.message)
    return response


def _head(status: int, details: str, *metadata: Iterable[tuple[str, str | bytes]]) -> bytes:
    """Metadata as the lines of a head, for those who look at headers; what isn't text is base64, as on the wire."""
    lines = [f"grpc-status: {status - GRPC_OK}", f"grpc-message: {details.translate(_LINE_ENDS)}"]
    for some in metadata:
        for name, value in some:
            text = base64.b64encode(value).decode() if isinstance(value, bytes) else value
            lines.append(f"{name}: {text.translate(_LINE_ENDS)}")
    return "\r\n".join(("gRPC", *lines, "", "")).encode("utf-8", "replace")
