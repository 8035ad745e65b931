"""gRPC calls as steps. Messages are made by descriptors, got before the load; what is constant is bytes then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from loadgate.api.grammar.status import GRPC_OK
from loadgate_runner.http import Response, prepare
from loadgate_runner.http.failures import RequestFailed
from loadgate_runner.rpc import Caller, DescriptorsError, Wish, line_of

from .checks import json_test
from .describing import compiled, described, reflected
from .errors import JourneyError, ValueFault
from .extract import parse_json
from .metadata import Metadata
from .state import State
from .target import place
from .templates import join, json_pieces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping
    from pathlib import Path

    from loadgate.api.references import ConfigMapSource
    from loadgate.api.steps import GRPC, AwaitedMessage
    from loadgate_runner.http import Request as Prepared
    from loadgate_runner.rpc import Descriptors, Method

    from .ports import MetricSeries, Sender
    from .requests import Needs, Send
    from .scope import Scope
    from .target import Target
    from .templates import Piece
    from .workshop import Workshop

_MILLISECOND: Final = 1e6
_NO_RESPONSE: Final = Response()
"""For tests that look at a document alone."""
Make = Callable[[State], bytes]


def compile_grpc(call: GRPC, needs: Needs, shop: Workshop) -> Send:
    """Return what makes the call for a virtual user, once it is prepared."""
    step = _Step(call, needs, shop)
    shop.preparations.append(step.prepare)
    return step.send


class _Step:
    """One step: what is known when it is compiled, and what becomes of that with descriptors."""

    def __init__(self, call: GRPC, needs: Needs, shop: Workshop) -> None:
        self._call = call
        self._shop = shop
        self._prepared = _prepared(call, needs, shop.target)
        if self._prepared.origin != shop.target.origin:
            shop = replace(shop, tokens=None)  # it is the target's only
        self._accepted = needs.accepted or frozenset({GRPC_OK})
        self._metadata = Metadata.of_call(call, shop)
        documents = [call.message] if call.messages is None else call.messages
        self._documents = [(document, join(json_pieces(document, shop.scope))) for document in documents]
        self._metrics = Metrics.of(shop, call.label)
        self._until = compile_reply(call.until, shop.scope) if call.until else None
        self._send: Send | None = None

    def send(self, state: State) -> Awaitable[Response]:
        """Make the call."""
        if self._send is None:
            raise JourneyError(f"{self._call.label}: nothing describes the method yet")
        return self._send(state)

    async def prepare(self, client: Sender) -> None:
        """Get the method's descriptors, and make of messages what can be made now. Raises JourneyError."""
        try:
            descriptors = await self._descriptors(client)
            method = descriptors.method(self._call.method)
            self._check(method)
            makers = [_compile_message(method, document, piece) for document, piece in self._documents]
        except (DescriptorsError, RequestFailed) as fault:
            raise JourneyError(f"gRPC call {self._call.label!r}: {fault}") from fault
        streams = method.client_streams or method.server_streams
        self._send = self._stream(method, makers) if streams else self._unary(method, makers[0])

    async def _descriptors(self, client: Sender) -> Descriptors:
        kept, call = self._shop.kept, self._call
        if call.protoset is not None:
            return described(self._file(call.protoset), kept)
        if call.protos is not None:
            return await compiled({path: self._file(source) for path, source in call.protos.items()}, kept)
        service = self._call.method.partition("/")[0]
        return await reflected(service, self._prepared, self._metadata.known, client, kept)

    def _file(self, source: ConfigMapSource) -> Path:
        ref = source.config_map_key_ref
        return self._shop.files / ref.name / ref.key

    def _check(self, method: Method) -> None:
        """Hold what the step says against what the method is."""
        call, name = self._call, self._call.method
        if call.messages is not None and not method.client_streams:
            raise DescriptorsError(f"{name} takes one message: give `message`")
        if (call.until is not None or call.for_ is not None) and not method.server_streams:
            raise DescriptorsError(f"{name} gives one reply: `until` and `for` are for streams")

    def _unary(self, method: Method, make: bytes | Make) -> Send:
        caller = Caller(method, self._prepared, self._accepted)
        prepared, metadata = self._prepared, self._metadata

        def send(state: State) -> Awaitable[Response]:
            message = make if isinstance(make, bytes) else make(state)
            return caller.unary(line_of(state.client, prepared), message, metadata.of(state))

        return send

    def _stream(self, method: Method, makers: list[bytes | Make]) -> Send:
        call, until, metrics = self._call, self._until, self._metrics
        wish = Wish(
            until is not None, call.for_.seconds if call.for_ else None, call.every.seconds if call.every else 0
        )
        caller = Caller(method, self._prepared, self._accepted, wish)
        prepared, metadata, times = self._prepared, self._metadata, call.times

        def messages(state: State) -> Iterator[bytes]:
            for _ in range(times):
                for make in makers:
                    yield make if isinstance(make, bytes) else make(state)

        def send(state: State) -> Awaitable[Response]:
            ear = Ear(state, metrics, method, until, call.until.count if call.until else 0)
            return caller.stream(line_of(state.client, prepared), messages(state), metadata.of(state), ear)

        return send


def _prepared(call: GRPC, needs: Needs, target: Target) -> Prepared:
    origin = place(call.http_url)[0] if call.url else target.origin
    return prepare(
        "POST",
        origin,
        f"/{call.method}".encode(),
        options=target.options_for(call),
        needs_headers=needs.headers,
        needs_body=needs.body,
    )


def _compile_message(method: Method, document: Mapping[str, Any], piece: Piece) -> bytes | Make:
    """Return a message's bytes where they are known, else what makes them. Raises DescriptorsError."""
    if lacks := method.lacks(document):
        raise DescriptorsError(lacks)
    if isinstance(piece, bytes):
        return method.encode(orjson.loads(piece))
    make = piece

    def encode(state: State) -> bytes:
        try:
            return method.encode(orjson.loads(make(state)))
        except DescriptorsError as fault:
            raise ValueFault(f"a message of {method.path}: {fault}") from fault

    return encode


def compile_reply(until: AwaitedMessage, scope: Scope) -> Callable[[State, Any], bool]:
    """Return what says whether a reply is one of those that are waited for."""
    tests = [json_test(path, value, scope) for path, value in until.json_.items()]
    return lambda state, document: all(test(state, _NO_RESPONSE, document) for test in tests)


@dataclass(frozen=True)
class Metrics:
    """Where one step's streams are measured; times are in milliseconds."""

    streams: MetricSeries
    sent: MetricSeries
    received: MetricSeries
    first: MetricSeries
    gap: MetricSeries
    duration: MetricSeries

    @classmethod
    def of(cls, shop: Workshop, name: str) -> Metrics:
        """Those of a step."""
        recorder, tags = shop.recorder, shop.series_tags(name=name)
        counters = [recorder.counter(f"grpc_{what}", tags) for what in ("streams", "msgs_sent", "msgs_received")]
        times = ("time_to_first_message", "message_gap", "stream_duration")
        return cls(*counters, *(recorder.trend(f"grpc_{what}", tags) for what in times))


class Ear:
    """Measures one stream as it goes on, and knows what is waited for."""

    def __init__(
        self,
        state: State,
        metrics: Metrics,
        method: Method,
        wanted: Callable[[State, Any], bool] | None,
        count: int,
    ) -> None:
        self._state = state
        self._metrics = metrics
        self._method = method
        self._wanted = wanted
        self._left = count
        self._last = 0

    def sent(self) -> None:
        """A message went out."""
        self._metrics.sent.add(1)

    def hear(self, data: bytes, moment: int) -> bool:
        """Count a reply; say whether it is the last one that is waited for."""
        self._metrics.received.add(1)
        if self._last:
            self._metrics.gap.add((moment - self._last) / _MILLISECOND)
        self._last = moment
        if self._wanted is not None and self._wanted(self._state, parse_json(self._method.decode(data))):
            self._left -= 1
            return not self._left
        return False

    def ended(self, response: Response, moment: int) -> None:
        """The stream is over: its times are known."""
        self._metrics.streams.add(1)
        if response.first:
            self._metrics.first.add((response.first - response.started) / _MILLISECOND)
        self._metrics.duration.add((moment - response.began) / _MILLISECOND)
