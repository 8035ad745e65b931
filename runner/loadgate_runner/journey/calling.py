"""gRPC calls of a Python journey: those of the `grpc` step, awaited as a whole, or talked over within a block."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from loadgate_runner.http.failures import RequestFailed
from loadgate_runner.http.waiter import in_task
from loadgate_runner.rpc import line_of, unsent

from .conversing import Conversing
from .errors import ValueFault
from .methods import Methods, own_entries, shape_of
from .noting import Noting
from .reply import CallReply
from .rpc import Ear, Metrics
from .terms import Terms, seconds_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from os import PathLike
    from types import TracebackType

    from loadgate_runner.http import Response
    from loadgate_runner.rpc import Conversation, Line

    from .kit import Kit
    from .metadata import Entries
    from .methods import Made
    from .noting import Called
    from .state import State
    from .terms import Seconds


class Asked(NamedTuple):
    """The parts of `user.grpc`, as they are given."""

    method: str
    message: Mapping[str, Any] | None
    messages: Iterable[Mapping[str, Any]] | None
    url: str
    metadata: Mapping[str, str | bytes] | None
    protoset: str | PathLike[str] | None
    protos: Mapping[str, str | PathLike[str]] | None
    terms: Terms
    lasts: Seconds | None


class Calling:
    """A call that is still to be made: `await` it, or, where it has streams, talk over it within `async with`."""

    def __init__(self, asked: Asked, called: Called, state: State, kit: Kit) -> None:
        self._asked = asked
        self._called = called
        self._state = state
        self._kit = kit
        self._own: Entries = own_entries(asked.metadata, asked.terms.auth)
        self._seconds = None if asked.lasts is None else seconds_of(asked.lasts)
        self._begun = False

    def __await__(self) -> Generator[Any, Any, CallReply]:
        """Send what there is to send, and wait for the reply, or for the end of the stream."""
        return self._whole().__await__()

    async def __aenter__(self) -> Conversing:
        """Begin the call."""
        made, line, response = await self._ready()
        self._talk = talk = Conversing(made, line, response, self._called, self._state, self._kit)
        if made is None:
            talk.stop = self._unasked
            return talk
        message = self._first(made)
        try:
            metadata = self._metadata(made)
            under_way = await made.caller.open(line, response, message, metadata, self._ear(made))
        except RequestFailed as failed:
            unsent(line, response, failed)
            talk.stop = failed
            return talk
        talk.begin(under_way, self._seconds)
        if message is not None and made.caller.method.client_streams:
            await self._write(talk, under_way, message)
        return talk

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """End the call and record it, unless it was cut off from without."""
        talk = self._talk
        if isinstance(fault, asyncio.CancelledError | GeneratorExit):
            talk.drop()
            return False
        await talk.close(whole=fault is None)
        self._noting.done(talk.reply.response)
        return fault is not None and fault is talk.stop

    async def _write(self, talk: Conversing, under_way: Conversation, message: bytes) -> None:
        """Send what was given with the call."""
        try:
            await under_way.write(message)
        except asyncio.CancelledError:
            talk.drop()
            raise

    async def _whole(self) -> CallReply:
        made, line, response = await self._ready()
        if made is not None:
            response = await self._send(made, line)
        self._noting.done(response)
        return CallReply(response, self._called.name, self._called.group)

    async def _send(self, made: Made, line: Line) -> Response:
        method = made.caller.method
        if self._asked.messages is not None and not method.client_streams:
            raise ValueFault(f"{self._asked.method} takes one message")
        messages = self._messages(made)
        if method.client_streams or method.server_streams:
            return await made.caller.stream(line, messages, self._metadata(made), self._ear(made))
        (message,) = messages
        return await made.caller.unary(line, message, self._metadata(made))

    def _messages(self, made: Made) -> list[bytes]:
        """All of them, made before the first is sent: what is wrong with one is the journey's, and no stream's."""
        given = [self._asked.message or {}] if self._asked.messages is None else self._asked.messages
        return [made.encode(message) for message in given]

    def _first(self, made: Made) -> bytes | None:
        """What is sent before a block begins."""
        method, message = made.caller.method, self._asked.message
        if self._asked.messages is not None:
            raise ValueFault("within `async with`, messages are sent by `write`")
        if not (method.client_streams or method.server_streams):
            raise ValueFault(f"{self._asked.method} has no streams: await it")
        return made.encode(message or {}) if message is not None or not method.client_streams else None

    async def _ready(self) -> tuple[Made | None, Line, Response]:
        """The method; None where the server couldn't be asked about it, which the response is then. Once only."""
        if self._begun:
            raise ValueFault("a call is made once: make another")
        self._begun = True
        await in_task()
        asked, methods = self._asked, self._methods()
        self._noting = Noting(self._called, self._state, self._kit)
        accepted = self._kit.accepted(self._called.status)
        described = (asked.protoset, asked.protos)
        shape = shape_of(asked.method, asked.url, asked.terms, accepted, *described, self._seconds, self._own)
        prepared = methods.prepared(shape)
        line = line_of(self._state.client, prepared)
        response = line.begin(prepared)
        try:
            made = await methods.made(shape, self._state)
        except RequestFailed as failed:
            self._unasked = failed
            return None, line, unsent(line, response, failed)
        return made, line, line.begin(prepared)

    def _methods(self) -> Methods:
        kit = self._kit
        if kit.methods is None:
            kit.methods = Methods(kit)
        found: Methods = kit.methods
        return found

    def _metadata(self, made: Made) -> Entries:
        """All that goes beside the messages; with an id where the call is traced."""
        entries = (*made.metadata.of(self._state), *self._own)
        self._noting.sent()
        return entries

    def _ear(self, made: Made) -> Ear:
        metrics = self._kit.talk_metrics(Metrics.of, self._called.name, self._called.group)
        return Ear(self._state, metrics, made.caller.method, None, 0)
