"""Calls of one method: a message for a message, or streams of them; whatever comes of it is a response."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import grpc

from loadgate.api.grammar.status import GRPC_OK, status_tag
from loadgate_runner.http.failures import Failure, RequestFailed
from loadgate_runner.http.waiter import in_task
from loadgate_runner.journey.errors import ValueFault
from loadgate_runner.rpc.conversation import PREFIX, Conversation, head_of
from loadgate_runner.rpc.descriptors import DescriptorsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadgate_runner.http import Request as Prepared
    from loadgate_runner.http import Response
    from loadgate_runner.rpc.descriptors import Method
    from loadgate_runner.rpc.line import Line

Metadata = tuple[tuple[str, str | bytes], ...]

_SECOND: Final = 1_000_000_000
_LONGEST: Final = 300


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
            return unsent(line, response, failed)
        left = min(until - response.began, prepared.first_byte) / _SECOND
        call = make(message, timeout=left, metadata=metadata)
        try:
            reply = await call
        except grpc.aio.AioRpcError as error:
            response.first = response.ended = line.clock()
            self.refused(response, error)
        else:
            response.first = response.ended = line.clock()
            response.received = response.size = len(reply)
            response.received += PREFIX
            if prepared.needs_head:
                response.head = head_of(GRPC_OK, "", await call.initial_metadata(), await call.trailing_metadata())
            self.judge(response, GRPC_OK, "")
            if prepared.needs_body:
                self.keep(response, reply)
        response.sent = len(message) + PREFIX
        line.answered()
        return response

    async def stream(self, line: Line, messages: Iterable[bytes], metadata: Metadata, ear: Ear) -> Response:
        """Send messages, read replies as they come. Raises CancelledError, and what making a message raises.

        The response's duration is the time to the first reply, or to the end where there is none before.
        """
        await in_task()
        response = line.begin(self.prepared)
        try:
            (message,) = (None,) if self.method.client_streams else messages
            talk = await self.open(line, response, message, metadata, ear)
        except RequestFailed as failed:
            return unsent(line, response, failed)
        try:
            await _Exchange(self, talk).run(messages if self.method.client_streams else None)
            await talk.conclude()
        except RequestFailed as failed:
            talk.fail(failed)
        except grpc.aio.AioRpcError as error:
            talk.refuse(error)
        finally:
            talk.cancel()
        talk.end()
        return response

    async def open(
        self, line: Line, response: Response, message: bytes | None, metadata: Metadata, ear: Ear
    ) -> Conversation:
        """Begin a call with streams; `message` is what a server's stream answers. Raises RequestFailed."""
        until = response.started + self.prepared.total
        shape = _SHAPES[self.method.client_streams, self.method.server_streams]
        make = await line.callable(shape, self.method.path, response, until)
        seconds = (until - response.began) / _SECOND + (self.wish.seconds or 0.0)
        if self.method.client_streams:
            return Conversation(self, line, response, make(timeout=seconds, metadata=metadata), ear)
        message = message or b""
        talk = Conversation(self, line, response, make(message, timeout=seconds, metadata=metadata), ear)
        talk.wrote(message)
        return talk

    def refused(self, response: Response, error: Any) -> None:
        """The call ended with another status than OK, the server's or grpc's own."""
        status, details = GRPC_OK + error.code().value[0], error.details() or ""
        if self.prepared.needs_head:
            response.head = head_of(status, details, error.initial_metadata() or (), error.trailing_metadata() or ())
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


class _Exchange:
    """All of a conversation that a step has: its messages out, and replies up to what it wishes for."""

    def __init__(self, caller: Caller, talk: Conversation) -> None:
        self._wish = caller.wish
        self._replies = caller.method.server_streams
        self._talk = talk
        self._fault: Exception | None = None

    async def run(self, messages: Iterable[bytes] | None) -> None:
        """Write and read until it is over. Raises RequestFailed, AioRpcError, and what making a message raises."""
        writing = None if messages is None else asyncio.ensure_future(self._write(messages))
        try:
            async with asyncio.timeout(self._wish.seconds):
                await (self._read() if writing is None or self._replies else self._reply(writing))
        except TimeoutError as late:
            self._talk.cut()
            if self._wish.awaited:
                raise late_reply() from late
        except asyncio.CancelledError:
            if self._fault is not None:  # the call was given up, not the virtual user
                raise self._fault from None
            raise
        finally:
            if writing is not None:
                writing.cancel()
        if self._fault is not None:
            raise self._fault

    async def _read(self) -> None:
        while (reply := await self._talk.read()) is not None:
            if self._talk.take(reply):
                self._talk.cut()
                return
        if self._wish.awaited:
            raise ended_early()

    async def _reply(self, writing: asyncio.Future[None]) -> None:
        """The one reply to a stream of messages, which may come before they are all sent."""
        waiting = asyncio.ensure_future(self._talk.waiting())
        try:
            await asyncio.wait((writing, waiting), return_when=asyncio.FIRST_COMPLETED)
            self._talk.take(await self._talk.reply())
        finally:
            waiting.cancel()

    async def _write(self, messages: Iterable[bytes]) -> None:
        """Send what there is. Where the stream is over before, reading says why."""
        made = iter(messages)
        first = True
        while True:
            try:
                message = next(made, None)
            except ValueFault as fault:
                self._fault = fault
                self._talk.cancel()
                return
            if message is None:
                await self._talk.done_writing()
                return
            if self._wish.pause and not first:
                await asyncio.sleep(self._wish.pause)
            if not await self._talk.write(message):
                return
            first = False


def late_reply() -> RequestFailed:
    """What a stream is of which what is waited for didn't come in time."""
    return RequestFailed(Failure.TIMEOUT, "what was waited for didn't come in time")


def ended_early() -> RequestFailed:
    """What a stream is that ended before what is waited for came."""
    return RequestFailed(Failure.BODY, "the stream ended before what was waited for came")


def unsent(line: Line, response: Response, failed: RequestFailed) -> Response:
    """The response of a call for which there was no connection."""
    response.ended = line.clock()
    response.settle(failed.kind, failed.message)
    return response
