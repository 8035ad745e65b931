"""A stream of server-sent events as a Python journey listens to it: the `sse` step's, event by event."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from loadgate.api.grammar.errors import GrammarError
from loadgate.api.steps import AwaitedEvent
from loadgate_runner.http import MEDIA_TYPE, Failure
from loadgate_runner.http.failures import RequestFailed
from loadgate_runner.http.listen import Listening, ended_early
from loadgate_runner.http.stream import after, opened
from loadgate_runner.http.waiter import in_task

from .errors import JourneyError, ValueFault
from .extract import parse_json
from .noting import Noting
from .reply import Reply, first_found
from .sse import Ear, Metrics, compile_wanted
from .terms import seconds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

    from loadgate_runner.http import Event, Opening, Response

    from .kit import Kit
    from .noting import Called
    from .state import State
    from .terms import Seconds, Terms


class ServerEvent(NamedTuple):
    """One event of a stream."""

    event: str
    """Its type; `message` where the stream names none."""
    data: str
    """Its data; lines are joined by line ends."""
    id: str
    """The last id that the stream has said so far; empty without one."""
    retry: int | None
    """How long to wait before connecting again, in milliseconds, as the stream has said so far; None without it."""

    def json(self, path: str | None = None, default: Any = None) -> Any:
        """Return the data's JSON, or what a JSONPath finds first in it, `default` when it finds nothing.

        Without a path, data that is no JSON ends the iteration as failed.
        """
        return first_found(parse_json(self.data.encode()), path, default, f"the data of an event {self.event!r}")


class Listener:
    """A stream under way: `async with user.sse(url) as events:`, and `async for event in events:` within it.

    What the target does raises nothing that leaves the block: where the stream breaks, or is none, listening ends the
    block, and `reply` has the `error`. Leaving the block closes the connection and records the request.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a stream
        self, url: str, terms: Terms, lasts: Seconds | None, called: Called, state: State, kit: Kit
    ) -> None:
        self._url = url
        self._terms = terms
        self._seconds = None if lasts is None else seconds_of(lasts)
        self._called = called
        self._state = state
        self._kit = kit
        self._listening: Listening | None = None
        self._response: Response | None = None
        self._until = 0
        self._failed: RequestFailed | None = None
        self._stop: RequestFailed | None = None

    @property
    def reply(self) -> Reply:
        """The answer: its status and headers, and behind the block its `error`; its body is the last event's data."""
        if self._response is None:
            raise ValueFault("a stream has a reply within and behind `async with`")
        return Reply(self._response, self._called.name, self._called.group)

    async def __aenter__(self) -> Self:
        """Ask for the stream, and wait for the answer's head."""
        if self._response is not None:
            raise ValueFault("a stream is listened to once: ask for another")
        await in_task()
        self._noting = Noting(self._called, self._state, self._kit)
        opening = self._kit.opening(self._url, self._state, self._terms, accept=MEDIA_TYPE)
        self._noting.sent()
        self._clock = opening.network.clock
        metrics = self._kit.talk_metrics(Metrics.of, self._called.name, self._called.group)
        self._ear = Ear(self._state, metrics, None, 0)
        self._response = await opened(opening, self._begin)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Close it and record it, unless it was cut off from without."""
        if self._listening is not None and self._listening.streams:
            self._listening.end(self._failed)
        self._listening = None
        if self._response is not None and not isinstance(fault, asyncio.CancelledError | GeneratorExit):
            self._ear.ended(self._response, self._clock())
            self._noting.done(self._response)
        return fault is not None and fault is self._stop

    def __aiter__(self) -> Self:
        """The events as they come."""
        return self

    async def __anext__(self) -> ServerEvent:
        """The next event. Iterating ends where the stream does, and when `for_` has passed."""
        event = await self._next(self._until, content=self._seconds is not None)
        if event is None:
            raise StopAsyncIteration
        return _shown(event)

    async def expect(
        self,
        *,
        event: Any = None,
        data: Any = None,
        json: Mapping[str, Any] | None = None,
        count: int = 1,
        within: Seconds | None = None,
    ) -> ServerEvent:
        """Wait for an event, in the grammar of a step's `until`: for the `count`-th such one. Others are passed over.

        Where it doesn't come `within` a time (all that is left, without one), the request has failed as `timeout`, and
        where the stream ends before, as `body`; either ends the block.
        """
        asked = ("event", event, data, json, count)
        wanted = self._kit.wanted(asked, lambda: self._compile(event, data, json, count))
        until = self._until if within is None else min(self._until, after(self._clock(), seconds_of(within)))
        while True:
            came = await self._next(until, content=False)
            if came is None:
                raise self._ended(ended_early())
            if wanted(self._state, came):
                count -= 1
                if not count:
                    return _shown(came)

    def _compile(
        self, event: Any, data: Any, json: Mapping[str, Any] | None, count: int
    ) -> Callable[[State, Event], bool]:
        try:
            asked = AwaitedEvent.model_validate(
                {"event": event, "data": data, "json": dict(json or {}), "count": count}
            )
            return compile_wanted(asked, self._kit.shop.scope)
        except (JourneyError, ValidationError, GrammarError) as error:
            raise ValueFault(f"expect: {error}") from error

    async def _begin(self, opening: Opening) -> Response:
        self._listening = listening = Listening(opening)
        stands = False
        try:
            await listening.begin()
            stands = listening.streams
        except RequestFailed as failed:
            self._failed = self._stop = failed
        finally:
            if not stands:
                listening.end(self._failed)
        self._until = listening.until(self._seconds) if stands else 0
        return listening.response

    async def _next(self, until: int, *, content: bool) -> Event | None:
        """The next event; None where there is none any more, which is when time is over where that is `content`."""
        listening = self._listening
        if listening is None:
            raise ValueFault("events come within `async with`")
        if self._stop is not None:
            raise self._stop
        if not listening.streams:
            raise self._refused()
        try:
            event = await listening.next(until)
        except RequestFailed as failed:
            if content and failed.kind is Failure.TIMEOUT:
                return None
            raise self._ended(failed) from None
        if event is not None:
            self._ear.hear(event, listening.moment)
        return event

    def _ended(self, failed: RequestFailed) -> RequestFailed:
        """A failure of the request, which ends the block."""
        self._failed = self._stop = failed
        return failed

    def _refused(self) -> RequestFailed:
        """What ends the block where an answer came that is no stream; no failure by itself."""
        self._stop = RequestFailed(Failure.PROTOCOL, f"no stream of events came, but status {self.reply.status}")
        return self._stop


def _shown(event: Event) -> ServerEvent:
    return ServerEvent(event.type, event.data, event.id, event.retry)
