"""A gRPC call with streams in a Python journey's hands: messages written and replies read in any order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import grpc
from pydantic import ValidationError

from loadgate.api.grammar.errors import GrammarError
from loadgate.api.steps import AwaitedMessage
from loadgate_runner.http.failures import Failure, RequestFailed
from loadgate_runner.http.stream import after
from loadgate_runner.rpc import DescriptorsError, ended_early, late_reply

from .errors import JourneyError, ValueFault
from .reply import CallReply
from .rpc import compile_reply
from .terms import seconds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from loadgate_runner.http import Response
    from loadgate_runner.rpc import Conversation, Line

    from .kit import Kit
    from .methods import Made
    from .noting import Called
    from .state import State
    from .terms import Seconds

_NANOSECONDS: Final = 1e9
_FAILURES: Final = (RequestFailed, grpc.aio.AioRpcError)


class _Over(Exception):  # noqa: N818 - it names what happened, and never leaves the block
    """The call has ended well, so that there is nothing more to say."""


class Conversing:
    """What `async with user.grpc(…) as call:` gives.

    What the server does raises nothing that leaves the block: where the call fails, or is over while there is more to
    write, the block ends, and `reply` has the `error`.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what it stands on
        self, made: Made | None, line: Line, response: Response, called: Called, state: State, kit: Kit
    ) -> None:
        self._made = made
        self._line = line
        self._response = response
        self._called = called
        self._state = state
        self._kit = kit
        self._talk: Conversation | None = None
        self._until: int | None = None
        self._finished = self._settled = self._closed = False
        self.stop: Exception | None = None
        """What ends the block."""

    @property
    def reply(self) -> CallReply:
        """What came of it, behind the block: its status, metadata and `error`, and the last reply that was read."""
        return CallReply(self._response, self._called.name, self._called.group)

    def __aiter__(self) -> Self:
        """The replies as they come."""
        return self

    async def __anext__(self) -> dict[str, Any]:
        """The next reply. Iterating ends where the stream does, and when `for_` has passed."""
        message = await self.read()
        if message is None:
            raise StopAsyncIteration
        return message

    async def write(self, message: Mapping[str, Any]) -> None:
        """Send a message, in protobuf's JSON. Where the call is over, the block ends."""
        talk, made = self._live()
        if not made.caller.method.client_streams:
            raise ValueFault(f"{self._called.name} takes one message, which is given with the call")
        if not await talk.write(made.encode(message)):
            await self._drain()
            self.stop = _Over()
            raise self.stop

    async def done_writing(self) -> None:
        """Say that no more messages come; replies still do."""
        await self._live()[0].done_writing()

    async def read(self) -> dict[str, Any] | None:
        """The next reply, in protobuf's JSON; None at the end of the stream, and when `for_` has passed.

        Where the method gives one reply, this says that no more messages come, and waits for it.
        """
        return await self._next(self._until, content=True)

    async def expect(
        self, *, json: Mapping[str, Any] | None = None, count: int = 1, within: Seconds | None = None
    ) -> dict[str, Any]:
        """Wait for a reply, in the grammar of a step's `until`: for the `count`-th such one. Others are passed over.

        Where it doesn't come `within` a time (a duration or seconds; without one all that is left), the call has failed
        as `timeout`, and where the stream ends before, as `body`; either ends the block.
        """
        wanted = self._kit.wanted(("reply", json, count), lambda: self._compile(json, count))
        until = self._until
        if within is not None:
            soon = after(self._line.clock(), seconds_of(within))
            until = soon if until is None else min(soon, until)
        while True:
            message = await self._next(until, content=False)
            if message is None:
                raise self._failed(ended_early())
            if wanted(self._state, message):
                count -= 1
                if not count:
                    return message

    def begin(self, talk: Conversation, seconds: float | None) -> None:
        """The call is under way, and is listened to for so long."""
        self._talk = talk
        self._line.talks += 1
        self._response.error, self._response.message = None, ""  # so far
        self._until = None if seconds is None else after(self._line.clock(), seconds)

    async def close(self, *, whole: bool) -> None:
        """End it; one that the journey is `whole`-hearted about still waits for the one reply of its method."""
        talk = self._talk
        if talk is None:
            self._closed = True
            return
        try:
            if whole and self.stop is None:
                await self._answer()
            if not self._settled:
                await self._conclude(talk)
        finally:
            self.drop()
        talk.end()

    def drop(self) -> None:
        """Give it up at once."""
        self._closed = True
        if self._talk is not None:
            self._talk.cancel()
            self._line.talks -= 1
            self._talk = None

    # ---- how

    def _live(self) -> tuple[Conversation, Made]:
        if self._closed:
            raise ValueFault("messages go and come within `async with`")
        if self.stop is not None or self._talk is None or self._made is None:
            raise self.stop or ValueFault("the call hasn't begun")
        return self._talk, self._made

    async def _next(self, until: int | None, *, content: bool) -> dict[str, Any] | None:
        """The next reply; None where there is none any more, which is when time is over where that is `content`."""
        talk, made = self._live()
        if self._finished:
            return None
        try:
            async with asyncio.timeout(self._left(until)):
                reply = await self._reply(talk, made)
            if reply is not None:
                return self._taken(talk, made, reply)
        except TimeoutError:
            talk.cut()
            if not content:
                raise self._failed(late_reply()) from None
        except _FAILURES as failed:
            fault = self._failed(failed)
            if self._response.error is not None:
                raise fault from None
        self._finished = True
        return None

    async def _reply(self, talk: Conversation, made: Made) -> bytes | None:
        if made.caller.method.server_streams:
            return await talk.read()
        await talk.done_writing()
        self._finished = True
        return await talk.reply()

    def _taken(self, talk: Conversation, made: Made, reply: bytes) -> dict[str, Any]:
        talk.take(reply)
        try:
            return made.caller.method.document(reply)
        except DescriptorsError as fault:
            raise RequestFailed(Failure.PROTOCOL, str(fault)) from fault

    async def _drain(self) -> None:
        """Read what there still is, though nobody looks at it, to the end."""
        while await self._next(self._until, content=True) is not None:
            pass

    async def _answer(self) -> None:
        """Wait for the one reply of a method that gives one, unless it was read."""
        _, made = self._live()
        if made.caller.method.server_streams:
            return
        try:
            await self._drain()
        except _FAILURES as failed:
            if failed is not self.stop:
                raise

    async def _conclude(self, talk: Conversation) -> None:
        if not self._finished:
            talk.cut()
        try:
            await talk.conclude()
        except grpc.aio.AioRpcError as error:
            self._failed(error)

    def _failed(self, failed: Exception) -> Exception:
        """Note how it went wrong, or with which status it ended; where that isn't wished for, it ends the block."""
        if self._talk is not None:
            if isinstance(failed, RequestFailed):
                self._talk.fail(failed)
            else:
                self._talk.refuse(failed)
        self._settled = True
        if self._response.error is not None:
            self.stop = failed
        return failed

    def _left(self, until: int | None) -> float | None:
        return None if until is None else max(0.0, (until - self._line.clock()) / _NANOSECONDS)

    def _compile(self, json: Mapping[str, Any] | None, count: int) -> Callable[[State, Any], bool]:
        try:
            asked = AwaitedMessage.model_validate({"json": dict(json or {}), "count": count})
            return compile_reply(asked, self._kit.shop.scope)
        except (JourneyError, ValidationError, GrammarError) as error:
            raise ValueFault(f"expect: {error}") from error
