"""What a Python journey does over an open WebSocket: the acts of the `websocket` step, as coroutines."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import ValidationError

from loadgate.api.grammar.errors import GrammarError
from loadgate.api.grammar.think import parse_think
from loadgate.api.steps import Expect
from loadgate_runner.http import Response, converse
from loadgate_runner.http.stream import after, opened

from .errors import JourneyError, ValueFault
from .extract import MISSING, parse_json
from .reply import Reply
from .values import dumps
from .websocket import Session, compile_wanted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from loadgate_runner.http import Opening, Socket

    from .kit import Kit
    from .state import State
    from .websocket import Metrics

UNSENT: Any = object()
_NORMAL: Final = 1000
_FIRST_CODE: Final = 3000
_LAST_CODE: Final = 4999


class Talk:
    """One open WebSocket. What the peer fails to do ends the talk; the reply of the whole says so."""

    __slots__ = ("_kit", "_patience", "_session")

    def __init__(self, session: Session, kit: Kit, patience: float) -> None:
        self._session = session
        self._kit = kit
        self._patience = patience

    async def send(self, message: str | bytes | None = None, *, json: Any = UNSENT) -> None:
        """Send a text, bytes, or a JSON document."""
        if (message is None) == (json is UNSENT):
            raise ValueFault("give a message or json")
        data = message if message is not None else dumps(json).decode()
        await self._session.send(data, self._patience)

    async def expect(self, *, text: Any = None, json: Mapping[str, Any] | None = None, within: str = "5s") -> Reply:
        """Wait for a message, in the grammar of a step's `expect`; others on the way are counted and passed over."""
        asked = ("message", text, json, within)
        wanted, seconds = self._kit.wanted(asked, lambda: _expectation(text, json, within, self._kit))
        socket = self._session.socket
        until = after(socket.clock(), seconds)
        while True:
            message = await socket.receive(until)
            if wanted(self._session.state, message, parse_json(message.data) if json else MISSING):
                break
        self._session.answered(message)
        response = Response()
        response.status, response.error, response.message = 0, None, ""
        response.head, response.body, response.hops = None, message.data, ()
        response.size = len(message.data)
        return Reply(response, "", "")

    async def think(self, time: str | float) -> None:
        """Pause, as `user.think` does; messages that come meanwhile are kept for later."""
        low, high = think_span(time) if isinstance(time, str) else (float(time), float(time))
        await self._session.socket.idle(low + (high - low) * self._session.state.random.random())


class Handshake(NamedTuple):
    """How a WebSocket is opened, and closed."""

    beginning: Opening
    subprotocols: Sequence[str]
    code: int


async def hold(
    handshake: Handshake, talk: Callable[[Talk], Awaitable[object]], metrics: Metrics, state: State, kit: Kit
) -> Response:
    """Open a WebSocket, have the journey talk over it, and close it; what the target does never raises."""
    session: Session | None = None
    beginning, subprotocols, code = handshake
    if code != _NORMAL and not _FIRST_CODE <= code <= _LAST_CODE:
        raise ValueFault(f"close: {code} is no code that one may close with")

    async def over(socket: Socket) -> None:
        nonlocal session
        session = Session(state, socket, metrics)
        await talk(Talk(session, kit, beginning.request.options.timeouts.total))

    response = await opened(beginning, lambda each: converse(each, subprotocols, over, code))
    if session is not None:
        session.ended(response)
    return response


def _expectation(text: Any, json: Mapping[str, Any] | None, within: str, kit: Kit) -> tuple[Any, float]:
    """What is waited for, compiled, and for how many seconds. Raises ValueFault."""
    try:
        expect = Expect.model_validate({"text": text, "json": dict(json or {}), "within": within})
        return compile_wanted(expect, kit.shop.scope), expect.within.seconds
    except (JourneyError, ValidationError, GrammarError) as error:
        raise ValueFault(f"expect: {error}") from error


@lru_cache(maxsize=256)
def think_span(text: str) -> tuple[float, float]:
    """The shortest and the longest of a pause in seconds. Raises ValueFault."""
    try:
        return parse_think(text)
    except GrammarError as error:
        raise ValueFault(error.message) from error
