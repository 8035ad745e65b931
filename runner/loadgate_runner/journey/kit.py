"""What Python journeys of one scenario share: requests prepared once per shape, series and checks once per name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeVar

from pydantic import ValidationError

from loadgate.api.grammar.amounts import parse_duration
from loadgate.api.grammar.errors import GrammarError
from loadgate.api.steps import Check
from loadgate_runner.http import (
    ANSWERED,
    FORM,
    JSON,
    TEXT,
    Timeouts,
    basic,
    bearer,
    encode_path,
    encode_query,
    header_line,
    json_body,
    locate,
    prepare,
)

from .checks import Test, compile_check, parse_status
from .errors import JourneyError, ValueFault
from .extract import MISSING
from .metrics import Metrics
from .requests import defaults_beside, header_pieces
from .talk import expectation
from .target import is_absolute
from .templates import join
from .tracing import HEADER as TRACE_HEADER
from .values import text_of
from .websocket import Metrics as SocketMetrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from loadgate_runner.http import Opening, Origin, Response
    from loadgate_runner.http import Request as Prepared

    from .ports import CheckSeries, RequestSeries, Tags, TraceSeries
    from .reply import Reply
    from .state import State
    from .workshop import Workshop

T = TypeVar("T")

UNSET: Final[Any] = object()

_MOST_KEPT: Final = 1_000
"""Things of one kind that are kept by name. Beyond them, which only names made of data reach, each is made anew."""


class _Shape(NamedTuple):
    """What requests have to have alike to be prepared once."""

    method: str
    content_type: str | None
    timeout: str | float | None
    given: frozenset[str] = frozenset()
    """Names of headers of their own, in lower case."""
    signed: bool = False
    talks: bool = False
    """Whether it opens a WebSocket."""


class Kit:
    """One scenario's, in one process."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop
        self.metrics = Metrics(shop)
        self._prepared: dict[Any, tuple[Prepared, Callable[[State], bytes] | bytes]] = {}
        self._series: dict[Any, RequestSeries] = {}
        self._check_series: dict[Any, CheckSeries] = {}
        self._trace_series: dict[str, TraceSeries] = {}
        self._socket_metrics: dict[Any, SocketMetrics] = {}
        self._wanted: dict[str, tuple[Any, float]] = {}
        alike = "authorization" in map(str.lower, shop.target.headers)
        self.tokens = None if alike else shop.tokens
        """What requests carry to the target that don't say by themselves who they are."""
        self._signer = None if alike else shop.signer
        self._tracing = None if TRACE_HEADER in map(str.lower, shop.target.headers) else shop.tracing
        self._tests: dict[str, list[tuple[str, Test]]] = {}
        self._accepted: dict[Any, frozenset[int]] = {}

    def request_series(self, name: str, method: str, group: str, tags: Mapping[str, str] | None) -> RequestSeries:
        """Return where requests of a name are recorded."""
        key = (name, method, group, tuple(sorted(tags.items())) if tags else ())
        return _kept(
            self._series,
            key,
            lambda: self.shop.recorder.request_series(
                self._tags(group, {**(tags or {}), "name": name, "method": method})
            ),
        )

    def check_series(self, name: str, group: str, check: str) -> CheckSeries:
        """Return where a check's results are recorded."""
        return _kept(
            self._check_series,
            (name, group, check),
            lambda: self.shop.recorder.check_series(self._tags(group, {"name": name, "check": check})),
        )

    def socket_metrics(self, name: str, group: str) -> SocketMetrics:
        """Return where WebSockets of a name are measured."""
        redact = self.shop.scope.secrets.redact
        return _kept(
            self._socket_metrics,
            (name, group),
            lambda: SocketMetrics.of(replace(self.shop, group=redact(group)), redact(name)),
        )

    def wanted(self, text: Any, json: Mapping[str, Any] | None, within: str) -> tuple[Any, float]:
        """Return what says whether a WebSocket's message is the expected one, and for how long it is waited for."""
        return _kept(self._wanted, repr((text, json, within)), lambda: expectation(text, json, within, self))

    def trace_series(self, name: str) -> TraceSeries:
        """Return where ids of a name's traced requests are kept."""
        return _kept(
            self._trace_series,
            name,
            lambda: self.shop.recorder.trace_series(self.shop.scope.secrets.redact(name)),
        )

    def _tags(self, group: str, tags: Mapping[str, str]) -> Tags:
        """Sorted tags without any secret: a name may be made of a URL, a check's of what it compares with."""
        redact = self.shop.scope.secrets.redact
        tags = {key: redact(str(value)) for key, value in tags.items()}
        return replace(self.shop, group=redact(group)).series_tags(**tags)

    def accepted(self, status: Any) -> frozenset[int] | None:
        """Return the statuses that don't make a request failed; None is 200..399."""
        if status is None:
            return None
        try:
            return _kept(self._accepted, repr(status), lambda: parse_status(status))
        except JourneyError as error:
            raise ValueFault(str(error)) from error

    def results(self, state: State, reply: Reply, asked: dict[str, Any]) -> dict[str, bool]:
        """Return the results of checks in a step's grammar by their names."""
        if not asked:
            return {}
        tests = _kept(self._tests, repr(asked), lambda: self._compile(asked))
        if reply.response.error is not None and reply.response.error not in ANSWERED:
            return {name: False for name, _ in tests}
        document = reply.document if "json_" in asked else MISSING
        return {name: test(state, reply.response, document) for name, test in tests}

    def compose(  # noqa: PLR0913 - the parts of a request
        self,
        method: str,
        url: str,
        state: State,
        *,
        headers: Mapping[str, str] | None,
        query: Mapping[str, Any] | None = None,
        json: Any = UNSET,
        form: Mapping[str, Any] | None = None,
        body: str | bytes | None = None,
        auth: str | tuple[str, str] | Literal[False] | None,
        timeout: str | float | None,
    ) -> Awaitable[Response]:
        """Return the sending of a request, to be awaited; `state.trace` is its id where it is traced."""
        content_type, content = _content(json, form, body)
        shape = _Shape(method, content_type, timeout)
        prepared, origin, path, lines = self._parts(shape, url, state, headers, query, auth)
        return state.client.send(prepared, path=path, headers=lines, body=content, origin=origin)

    def opening(  # noqa: PLR0913 - as above
        self,
        url: str,
        state: State,
        *,
        headers: Mapping[str, str] | None,
        query: Mapping[str, Any] | None,
        auth: str | tuple[str, str] | Literal[False] | None,
        timeout: str | float | None,
    ) -> Opening:
        """Return what a WebSocket begins with; the parts are those of a request."""
        shape = _Shape("GET", None, timeout, talks=True)
        prepared, origin, path, lines = self._parts(shape, url, state, headers, query, auth)
        return state.client.opening(prepared, path, lines, origin)

    def _parts(  # noqa: PLR0913, PLR0917 - as above
        self,
        shape: _Shape,
        url: str,
        state: State,
        headers: Mapping[str, str] | None,
        query: Mapping[str, Any] | None,
        auth: str | tuple[str, str] | Literal[False] | None,
    ) -> tuple[Prepared, Origin, bytes, bytes]:
        origin, path = self._place(url)
        if query:
            path += (b"&" if b"?" in path else b"?") + encode_query(_pairs(query))
        given = dict(headers or {})
        if auth:
            given["Authorization"] = bearer(auth) if isinstance(auth, str) else basic(*auth)
        names = frozenset(map(str.lower, given))
        bare = auth is None and "authorization" not in names
        shape = shape._replace(given=names, signed=bare and self._signer is not None)
        prepared, more = _kept(self._prepared, shape, lambda: self._prepare(shape))
        lines = more if isinstance(more, bytes) else more(state)
        if given:
            lines += b"".join([header_line(name, text_of(value)) for name, value in given.items()])
        if self._tracing is not None and TRACE_HEADER not in names:
            lines += self._tracing.line(state)
        if self.tokens is not None and bare and origin == prepared.origin:
            lines += self.tokens.line
        return prepared, origin, path, lines

    def _place(self, url: str) -> tuple[Origin, bytes]:
        target = self.shop.target
        if not is_absolute(url):
            return target.origin, target.base + encode_path(url)
        try:
            return locate(url)
        except ValueError as error:
            raise ValueFault(str(error)) from error

    def _prepare(self, shape: _Shape) -> tuple[Prepared, Callable[[State], bytes] | bytes]:
        """Return what requests of one shape share, and the target's headers that change each time."""
        target, options = self.shop.target, self.shop.target.options
        if shape.timeout is not None:
            options = replace(options, timeouts=_timeouts(shape.timeout, options.timeouts))
        if shape.talks:
            options = replace(options, compressed=False, proxy=options.proxy and replace(options.proxy, tunnels=True))
        own = {name: value for name, value in target.headers.items() if name.lower() not in shape.given}
        fixed, changing = header_pieces(own, self.shop.scope)
        defaults = defaults_beside(shape.given)
        prepared = prepare(
            shape.method,
            target.origin,
            None,
            headers=[*fixed, *(defaults or ())],
            content_type=None if "content-type" in shape.given else shape.content_type,
            options=options,
            needs_headers=True,
            needs_body=True,
            default_headers=defaults is None,
            signer=self._signer if shape.signed else None,
        )
        return prepared, join(changing)

    def _compile(self, asked: dict[str, Any]) -> list[tuple[str, Test]]:
        try:
            return compile_check(Check(**asked), self.shop.scope)
        except (JourneyError, ValidationError) as error:
            raise ValueFault(f"check: {error}") from error


def _kept(made: dict[Any, T], key: Any, make: Callable[[], T]) -> T:
    found = made.get(key)
    if found is None:
        found = make()
        if len(made) < _MOST_KEPT:
            made[key] = found
    return found


def _pairs(fields: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name, value in fields.items():
        for item in value if isinstance(value, list | tuple) else [value]:
            if item is not None:
                yield name, text_of(item)


def _content(json: Any, form: Mapping[str, Any] | None, body: str | bytes | None) -> tuple[str | None, bytes | None]:
    if (json is not UNSET) + (form is not None) + (body is not None) > 1:
        raise ValueFault("give one of json, form and body")
    if json is not UNSET:
        return JSON, json_body(json)[1]
    if form is not None:
        return FORM, encode_query(_pairs(form))
    if isinstance(body, str):
        return TEXT, body.encode("utf-8", "replace")
    return None, body


def _timeouts(timeout: str | float, others: Timeouts) -> Timeouts:
    try:
        total = parse_duration(timeout) if isinstance(timeout, str) else float(timeout)
    except GrammarError as error:
        raise ValueFault(error.message) from error
    return Timeouts(min(others.connect, total), min(others.tls, total), min(others.first_byte, total), total)
