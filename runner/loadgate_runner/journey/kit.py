"""What Python journeys of one scenario share: requests prepared once per shape, series and checks once per name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from pydantic import ValidationError

from loadgate.api.steps import Check
from loadgate_runner.http import (
    ANSWERED,
    Content,
    basic,
    bearer,
    encode_path,
    encode_query,
    header_line,
    locate,
    prepare,
)

from .bodies import Bodies, pairs
from .checks import Test, compile_check, parse_status
from .errors import JourneyError, ValueFault
from .extract import MISSING
from .metrics import Metrics
from .requests import header_pieces
from .target import is_absolute
from .templates import join
from .terms import Settings
from .tracing import HEADER as TRACE_HEADER
from .values import text_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from loadgate_runner.http import Opening, Origin, Response
    from loadgate_runner.http import Request as Prepared

    from .bodies import Carried
    from .ports import CheckSeries, RequestSeries, Tags, TraceSeries
    from .reply import Answer
    from .state import State
    from .terms import Terms
    from .workshop import Workshop

T = TypeVar("T")

_MOST_KEPT: Final = 1_000
"""Things of one kind that are kept by name. Beyond them, which only names made of data reach, each is made anew."""


class _Shape(NamedTuple):
    """What requests have to have alike to be prepared once."""

    method: str
    content_type: str | None
    settings: Settings
    given: frozenset[str] = frozenset()
    """Names of headers of their own, in lower case."""
    signed: bool = False
    talks: bool = False
    """Whether it opens a WebSocket."""
    accept: str | None = None
    """What it asks for where no header says so."""


class Kit:
    """One scenario's, in one process."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop
        self.metrics = Metrics(shop)
        self._prepared: dict[Any, tuple[Prepared, Callable[[State], bytes] | bytes]] = {}
        self._series: dict[Any, RequestSeries] = {}
        self._check_series: dict[Any, CheckSeries] = {}
        self._trace_series: dict[str, TraceSeries] = {}
        self.bodies = Bodies(shop.kept)
        self.methods: Any = None
        """gRPC's, made with the first call: what they stand on is loaded only where it is used."""
        self._talk_metrics: dict[Any, Any] = {}
        self._wanted: dict[str, Any] = {}
        alike = "authorization" in map(str.lower, shop.target.headers)
        self.tokens = None if alike else shop.tokens
        """What requests carry to the target that don't say by themselves who they are."""
        self._signer = None if alike else shop.signer
        self.tracing = None if TRACE_HEADER in map(str.lower, shop.target.headers) else shop.tracing
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

    def talk_metrics(self, measure: Callable[[Workshop, str], T], name: str, group: str) -> T:
        """Return where conversations of a name are measured, by what makes that of a workshop and the name."""
        redact = self.shop.scope.secrets.redact
        found: T = _kept(
            self._talk_metrics,
            (measure, name, group),
            lambda: measure(replace(self.shop, group=redact(group)), redact(name)),
        )
        return found

    def wanted(self, asked: Any, make: Callable[[], T]) -> T:
        """Return what says whether a message is an expected one, made once for all that ask the same."""
        found: T = _kept(self._wanted, repr(asked), make)
        return found

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

    def results(self, state: State, reply: Answer, asked: dict[str, Any]) -> dict[str, bool]:
        """Return the results of checks in a step's grammar by their names."""
        if not asked:
            return {}
        tests = _kept(self._tests, repr(asked), lambda: self._compile(asked))
        if reply.response.error is not None and reply.response.error not in ANSWERED:
            return {name: False for name, _ in tests}
        document = reply.document if "json_" in asked else MISSING
        return {name: test(state, reply.response, document) for name, test in tests}

    def compose(self, method: str, url: str, state: State, terms: Terms, body: Carried) -> Awaitable[Response]:
        """Return the sending of a request, to be awaited; `state.trace` is its id where it is traced."""
        content = body.content
        if terms.expect_continue is not None and not content:
            raise ValueFault("expect_continue holds a body back, and there is none")
        shape = _Shape(method, body.content_type, Settings.of(terms))
        prepared, origin, path, lines = self._parts(shape, url, state, terms)
        if body.anew and prepared.signer is not None:
            raise ValueFault("a form with a large file can't be signed: it is another one each time")
        if prepared.patience or isinstance(content, Content):
            return state.client.deliver(prepared, path, lines, content, origin)
        return state.client.send(prepared, path=path, headers=lines, body=content, origin=origin)

    def opening(
        self, url: str, state: State, terms: Terms, *, talks: bool = False, accept: str | None = None
    ) -> Opening:
        """Return what a stream, or a WebSocket that `talks`, begins with."""
        shape = _Shape("GET", None, Settings.of(terms), talks=talks, accept=accept)
        prepared, origin, path, lines = self._parts(shape, url, state, terms)
        return state.client.opening(prepared, path, lines, origin)

    def _parts(self, shape: _Shape, url: str, state: State, terms: Terms) -> tuple[Prepared, Origin, bytes, bytes]:
        origin, path = self._place(url)
        if terms.query:
            path += (b"&" if b"?" in path else b"?") + encode_query(pairs(terms.query))
        given = dict(terms.headers or {})
        if terms.auth:
            given["Authorization"] = bearer(terms.auth) if isinstance(terms.auth, str) else basic(*terms.auth)
        names = frozenset(map(str.lower, given))
        bare = terms.auth is None and "authorization" not in names
        shape = shape._replace(given=names, signed=bare and self._signer is not None)
        prepared, more = _kept(self._prepared, shape, lambda: self._prepare(shape))
        lines = more if isinstance(more, bytes) else more(state)
        if given:
            lines += b"".join([header_line(name, text_of(value)) for name, value in given.items()])
        if self.tracing is not None and TRACE_HEADER not in names:
            lines += self.tracing.line(state)
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
        target, settings = self.shop.target, shape.settings
        options = settings.applied(target.options)
        if shape.talks:
            options = replace(options, proxy=options.proxy and replace(options.proxy, tunnels=True))
        own = {name: value for name, value in target.headers.items() if name.lower() not in shape.given}
        if shape.accept and "accept" not in shape.given | {name.lower() for name in own}:
            own["Accept"] = shape.accept
        fixed, changing = header_pieces(own, self.shop.scope)
        changed = {name.lower() for name in own} - {name.lower() for name, _ in fixed}
        prepared = prepare(
            shape.method,
            target.origin,
            None,
            headers=fixed,
            content_type=shape.content_type,
            options=options,
            needs_headers=True,
            needs_body=True,
            needs_trailers=settings.trailers,
            changing=shape.given | changed,
            patience=settings.waits(),
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
