"""WebSockets as steps: what is sent, what is expected, and what is measured of it."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from loadgate.api.grammar.think import parse_think
from loadgate_runner.http import Received, Response, Socket, converse
from loadgate_runner.http.stream import after, opened

from .checks import compile_matcher, json_test, parse_matcher
from .errors import JourneyError
from .extract import MISSING, Extraction, parse_json
from .requests import compile_opening
from .templates import compile_text, join, json_pieces, parse

if TYPE_CHECKING:
    from loadgate.api.steps import Exchange, Expect, WebSocket

    from .ports import CheckSeries, MetricSeries
    from .requests import Needs, Send
    from .scope import Scope
    from .state import State
    from .workshop import Workshop

_MILLISECOND: Final = 1e6
_NO_RESPONSE: Final = Response()
"""For tests that look at a document alone."""


def compile_websocket(call: WebSocket, needs: Needs, shop: Workshop) -> Send:
    """Return what opens the WebSocket for a virtual user, talks over it, and closes it."""
    opening = compile_opening(call, needs, shop)
    metrics = Metrics.of(shop, call.label)
    patience = call.timeout.total.seconds if call.timeout else shop.target.options.timeouts.total
    acts = [_compile_act(act, call.label, patience, shop) for act in call.steps]
    stay = call.for_.seconds if call.for_ else 0.0

    async def run(state: State) -> Response:
        session: Session | None = None

        async def talk(socket: Socket) -> None:
            nonlocal session
            session = Session(state, socket, metrics)
            for _ in range(call.times):
                for act in acts:
                    await act(session)
            if stay:
                await socket.drain(stay)

        response = await opened(opening(state), lambda each: converse(each, call.subprotocols, talk, call.close))
        if session is not None:
            session.ended(response)
        return response

    return run


@dataclass(frozen=True)
class Metrics:
    """Where one step's WebSockets are measured; times are in milliseconds."""

    sessions: MetricSeries
    sent: MetricSeries
    received: MetricSeries
    connecting: MetricSeries
    first: MetricSeries
    latency: MetricSeries
    duration: MetricSeries

    @classmethod
    def of(cls, shop: Workshop, name: str) -> Metrics:
        """Those of a step."""
        recorder, tags = shop.recorder, shop.series_tags(name=name)
        counters = [recorder.counter(f"ws_{what}", tags) for what in ("sessions", "msgs_sent", "msgs_received")]
        times = ("connecting", "time_to_first_message", "message_latency", "session_duration")
        return cls(*counters, *(recorder.trend(f"ws_{what}", tags) for what in times))


class Session:
    """One open WebSocket of a virtual user."""

    def __init__(self, state: State, socket: Socket, metrics: Metrics) -> None:
        self.state = state
        self.socket = socket
        self.metrics = metrics
        self.asked_at = 0
        """When the last message was sent for which nothing has been expected yet; 0 without one."""
        self.last: Received | None = None
        self._heard = False
        metrics.sessions.add(1)
        socket.on_message = self._hear

    def _hear(self, message: Received) -> None:
        self.metrics.received.add(1)
        if not self._heard:
            self._heard = True
            self.metrics.first.add((message.moment - self.socket.opened_at) / _MILLISECOND)

    async def send(self, data: str | bytes, patience: float) -> None:
        """Send a message and count it."""
        self.asked_at = self.socket.clock()
        await self.socket.send(data, patience)
        self.metrics.sent.add(1)

    def answered(self, message: Received) -> None:
        """What was expected came."""
        if self.asked_at:
            self.metrics.latency.add(max(0, message.moment - self.asked_at) / _MILLISECOND)
            self.asked_at = 0
        self.last = message

    def ended(self, response: Response) -> None:
        """It is over: its times are known, and what was expected last is what the step's checks look at."""
        opened = self.socket.opened_at
        self.metrics.connecting.add((opened - response.started) / _MILLISECOND)
        self.metrics.duration.add((self.socket.clock() - opened) / _MILLISECOND)
        if self.last is not None:
            response.body = self.last.data
            response.size = len(response.body)


Act = Callable[[Session], Awaitable[None]]


def _compile_act(act: Exchange, name: str, patience: float, shop: Workshop) -> Act:
    if act.expect is not None:
        return _compile_expect(act.expect, name, shop)
    if act.think is not None:
        low, high = parse_think(act.think)
        return lambda session: session.socket.idle(low + (high - low) * session.state.random.random())
    if act.send is not None:
        text = compile_text(parse(act.send), shop.scope)
        return lambda session: session.send(text(session.state), patience)
    if act.send_base64 is not None:
        try:
            data = base64.b64decode(act.send_base64, validate=True)
        except ValueError as error:
            raise JourneyError(f"sendBase64 is no base64: {error}") from error
        return lambda session: session.send(data, patience)
    body = join(json_pieces(act.send_json, shop.scope))
    if isinstance(body, bytes):
        known = body.decode()
        return lambda session: session.send(known, patience)
    return lambda session: session.send(body(session.state).decode(), patience)


def _compile_expect(expect: Expect, name: str, shop: Workshop) -> Act:
    wanted = compile_wanted(expect, shop.scope)
    taken = [_compile_taken(Extraction(variable, one), name, shop) for variable, one in expect.extract.items()]
    needs_document = bool(expect.json_) or any(each.needs_document for each, _ in taken)

    async def run(session: Session) -> None:
        until = after(session.socket.clock(), expect.within.seconds)
        while True:
            message = await session.socket.receive(until)
            document = parse_json(message.data) if needs_document else MISSING
            if wanted(session.state, message, document):
                break
        session.answered(message)
        if taken:
            response = Response()
            response.head, response.body, response.hops = None, message.data, ()
            for extraction, checks in taken:
                found = extraction.apply(session.state, response, document)
                if checks is not None:
                    checks.record(found)

    return run


def _compile_taken(extraction: Extraction, name: str, shop: Workshop) -> tuple[Extraction, CheckSeries | None]:
    if not extraction.required:
        return extraction, None
    return extraction, shop.recorder.check_series(shop.series_tags(name=name, check=extraction.check_name))


def compile_wanted(expect: Expect, scope: Scope) -> Callable[[State, Received, Any], bool]:
    """Return what says whether a message is the one that is expected, given its document where `json` asks for one."""
    in_json = [json_test(path, value, scope) for path, value in expect.json_.items()]
    of_text = compile_matcher(parse_matcher(expect.text), scope, loose=True) if expect.text is not None else None

    def wanted(state: State, message: Received, document: Any) -> bool:
        if of_text is not None and not of_text(state, message.data.decode("utf-8", "replace")):
            return False
        return all(test(state, _NO_RESPONSE, document) for test in in_json)

    return wanted
