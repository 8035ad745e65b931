"""Streams of server-sent events: what is waited for, and what is measured while it comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from loadgate_runner.http import MEDIA_TYPE, Response, Wish, listen
from loadgate_runner.http.stream import opened

from .checks import compile_matcher, json_test, parse_matcher
from .extract import parse_json
from .requests import compile_opening

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgate.api.steps import SSE, AwaitedEvent
    from loadgate_runner.http import Event

    from .checks import Test
    from .ports import MetricSeries
    from .requests import Needs, Send
    from .scope import Scope
    from .state import State
    from .workshop import Workshop

_MILLISECOND: Final = 1e6
_NO_RESPONSE: Final = Response()
"""For tests that look at a document alone."""


def compile_sse(call: SSE, needs: Needs, shop: Workshop) -> Send:
    """Return what opens the stream for a virtual user and listens to it."""
    opening = compile_opening(call, needs, shop, accept=MEDIA_TYPE)
    metrics = Metrics.of(shop, call.label)
    wanted = compile_wanted(call.until, shop.scope) if call.until else None
    count = call.until.count if call.until else 0
    seconds = call.for_.seconds if call.for_ else None

    async def run(state: State) -> Response:
        ear, beginning = Ear(state, metrics, wanted, count), opening(state)
        wish = Wish(ear.hear, wanted is not None, seconds)
        response = await opened(beginning, lambda each: listen(each, wish))
        ear.ended(response, beginning.network.clock())
        return response

    return run


def compile_wanted(until: AwaitedEvent, scope: Scope) -> Callable[[State, Event], bool]:
    """Return what says whether an event is one of those that are waited for."""
    tests: list[Callable[[State, Event], bool]] = []
    if until.event is not None:
        of_type = compile_matcher(parse_matcher(until.event), scope, loose=True)
        tests.append(lambda state, event: of_type(state, event.type))
    if until.data is not None:
        of_data = compile_matcher(parse_matcher(until.data), scope, loose=True)
        tests.append(lambda state, event: of_data(state, event.data))
    if until.json_:
        in_json = [json_test(path, value, scope) for path, value in until.json_.items()]
        tests.append(lambda state, event: _all_hold(state, parse_json(event.data.encode()), in_json))
    return lambda state, event: all(test(state, event) for test in tests)


def _all_hold(state: State, document: Any, tests: list[Test]) -> bool:
    return all(test(state, _NO_RESPONSE, document) for test in tests)


@dataclass(frozen=True)
class Metrics:
    """Where one step's streams are measured; times are in milliseconds."""

    events: MetricSeries
    first: MetricSeries
    gap: MetricSeries
    session: MetricSeries

    @classmethod
    def of(cls, shop: Workshop, name: str) -> Metrics:
        """Those of a step."""
        recorder, tags = shop.recorder, shop.series_tags(name=name)
        return cls(
            recorder.counter("sse_events", tags),
            recorder.trend("sse_time_to_first_event", tags),
            recorder.trend("sse_event_gap", tags),
            recorder.trend("sse_session_duration", tags),
        )


class Ear:
    """Measures one stream's events as they come, and knows what is waited for."""

    def __init__(
        self, state: State, metrics: Metrics, wanted: Callable[[State, Event], bool] | None, count: int
    ) -> None:
        self._state = state
        self._metrics = metrics
        self._wanted = wanted
        self._left = count
        self._first = self._last = 0

    def hear(self, event: Event, moment: int) -> bool:
        """Count an event; say whether it is the last one that is waited for."""
        self._metrics.events.add(1)
        if self._first:
            self._metrics.gap.add((moment - self._last) / _MILLISECOND)
        self._first, self._last = self._first or moment, moment
        if self._wanted is not None and self._wanted(self._state, event):
            self._left -= 1
            return not self._left
        return False

    def ended(self, response: Response, moment: int) -> None:
        """The stream is over, in ns of the network's clock: its times are known."""
        if self._first:
            self._metrics.first.add((self._first - response.started) / _MILLISECOND)
        if response.status == 200 and response.first:
            self._metrics.session.add((moment - response.first) / _MILLISECOND)
