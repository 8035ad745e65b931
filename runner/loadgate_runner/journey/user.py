"""What a Python journey is given: one virtual user, on the very machinery that steps compile to.

async def journey(user):
    reply = await user.post("/auth/login", name="login", json={"email": f"user{user.id}@example.com"})
    user.check(reply, status=200, duration="<500ms", json={"$.token": "exists"})
    user.vars["token"] = reply.json("$.token")
    await user.think("1s..3s")
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal

from loadgate.api.steps import operation_name, websocket_url
from loadgate_runner.http.failures import ANSWERED
from loadgate_runner.http.waiter import in_task

from .errors import Interrupted
from .graphql import ACCEPTED, judged
from .kit import UNSET, Kit
from .observe import UNAUTHORIZED, due_of, is_expected, record
from .reply import Reply
from .talk import hold, think_span

if TYPE_CHECKING:
    from random import Random

    from loadgate_runner.http import Response

    from .metrics import Metrics
    from .secrets import Secrets
    from .state import State
    from .talk import Talk

_FAILING: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a predicate may raise over a response that isn't as it expects: that check has failed."""


class User:
    """One virtual user, as its journey sees it. Use one request at a time per user, as a person would."""

    __slots__ = ("_group", "_kit", "_state", "data", "metrics")

    def __init__(self, state: State, kit: Kit) -> None:
        self._state = state
        self._kit = kit
        self._group = ""
        self.data = Data(state, kit)
        """Rows: `user.data.products["sku"]` is of this iteration's row, in the source's order."""
        self.metrics: Metrics = kit.metrics
        """Custom metrics: `user.metrics.counter("orders").add(1)`; also gauge, rate, trend."""

    def begin(self) -> None:
        """Called as an iteration begins."""
        self._group = ""
        self._state.rows.clear()

    @property
    def id(self) -> int:
        """The virtual user's number, from 1, unique over the run."""
        return self._state.id

    @property
    def iteration(self) -> int:
        """How often this virtual user began before."""
        return self._state.iteration

    @property
    def number(self) -> int:
        """The iteration's number within the scenario, unique over the run."""
        return self._state.number

    @property
    def scenario(self) -> str:
        """The scenario's name."""
        return self._kit.shop.scope.scenario

    @property
    def run(self) -> str:
        """The run's id."""
        return self._kit.shop.scope.run

    @property
    def vars(self) -> dict[str, Any]:
        """Variables; every iteration begins without any."""
        return self._state.vars

    @property
    def setup(self) -> Mapping[str, Any]:
        """What the setup block extracted."""
        return self._kit.shop.scope.setup

    @property
    def secret(self) -> Secrets:
        """The test's secrets: `user.secret.password` or `user.secret["api-key"]`."""
        return self._kit.shop.scope.secrets

    @property
    def random(self) -> Random:
        """The virtual user's own generator."""
        return self._state.random

    async def get(self, url: str, **options: Any) -> Reply:
        """GET; see `request`."""
        return await self.request("GET", url, **options)

    async def post(self, url: str, **options: Any) -> Reply:
        """POST; see `request`."""
        return await self.request("POST", url, **options)

    async def put(self, url: str, **options: Any) -> Reply:
        """PUT; see `request`."""
        return await self.request("PUT", url, **options)

    async def patch(self, url: str, **options: Any) -> Reply:
        """PATCH; see `request`."""
        return await self.request("PATCH", url, **options)

    async def delete(self, url: str, **options: Any) -> Reply:
        """DELETE; see `request`."""
        return await self.request("DELETE", url, **options)

    async def request(  # noqa: PLR0913 - the parts of a request, all but two with a default
        self,
        method: str,
        url: str,
        *,
        name: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        json: Any = UNSET,
        form: Mapping[str, Any] | None = None,
        body: str | bytes | None = None,
        auth: str | tuple[str, str] | Literal[False] | None = None,
        timeout: str | float | None = None,  # noqa: ASYNC109 - the HTTP client's own limit
        status: int | str | tuple[int | str, ...] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request and return what came of it; what a target does never raises.

        `url` is appended to the target's, unless it is a whole one. `name` is what the request is called in reports
        (`METHOD path` without one: give one where the path varies). `auth` is a bearer token, or a user and password;
        without it the target's `auth` holds, and with False none.
        `timeout` is a duration (`5s`) or seconds. `status` says which statuses aren't failures, 200..399 without it.
        """
        method = method.upper()
        sending = self._kit.compose(
            method, url, self._state,
            headers=headers, query=query, json=json, form=form, body=body, auth=auth, timeout=timeout,
        )  # fmt: skip
        return await self._recorded(sending, name or f"{method} {url.partition('?')[0]}", method, status, tags)

    async def graphql(  # noqa: PLR0913 - the parts of an operation, all but one with a default
        self,
        query: str,
        *,
        variables: Mapping[str, Any] | None = None,
        operation: str | None = None,
        url: str = "/graphql",
        errors: Literal["fail", "allow"] = "fail",
        name: str | None = None,
        headers: Mapping[str, str] | None = None,
        auth: str | tuple[str, str] | Literal[False] | None = None,
        timeout: str | float | None = None,  # noqa: ASYNC109 - the HTTP client's own limit
        tags: Mapping[str, str] | None = None,
    ) -> Reply:
        """Do a GraphQL operation; an answer with errors is a failed request, unless they are allowed.

        `operation` is the one to do where the document has several. Without a `name`, the request is called like the
        operation. The rest is as for `request`.
        """
        document = {"query": query, "variables": dict(variables or {})}
        if operation is not None:
            document["operationName"] = operation
        sending = self._kit.compose(
            "POST", url, self._state, headers={"Accept": ACCEPTED, **(headers or {})}, json=document, auth=auth,
            timeout=timeout,
        )  # fmt: skip
        called = name or operation_name(operation, query) or f"POST {url.partition('?')[0]}"
        if errors == "fail":
            sending = judged(sending)
        return await self._recorded(sending, called, "POST", None, tags)

    async def websocket(  # noqa: PLR0913 - the parts of a handshake, all but two with a default
        self,
        url: str,
        talk: Callable[[Talk], Awaitable[object]],
        *,
        name: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        subprotocols: Sequence[str] = (),
        auth: str | tuple[str, str] | Literal[False] | None = None,
        timeout: str | float | None = None,  # noqa: ASYNC109 - the handshake's own limit
        tags: Mapping[str, str] | None = None,
    ) -> Reply:
        """Open a WebSocket, have `talk` (a coroutine function) send and expect over it, and close it.

        What the peer does never raises here: an `expect` that isn't met ends the talk, and the reply has its `error`.
        The reply is the handshake's, with status 101 where it succeeded; its body is what was expected last.
        """
        beginning = self._kit.opening(
            websocket_url(url), self._state, headers=headers, query=query, auth=auth, timeout=timeout
        )
        called = name or f"GET {url.partition('?')[0]}"
        metrics = self._kit.socket_metrics(called, self._group)
        talking = hold(beginning, subprotocols, talk, metrics, self._state, self._kit)
        return await self._recorded(talking, called, "GET", 101, tags)

    async def _recorded(
        self, sending: Awaitable[Response], name: str, method: str, status: Any, tags: Mapping[str, str] | None
    ) -> Reply:
        series = self._kit.request_series(name, method, self._group, tags)
        state, trace = self._state, self._state.trace
        state.trace = None  # another request of this user may begin before this one has ended
        response = await sending
        await in_task()
        expected, due = is_expected(response, self._kit.accepted(status)), due_of(state, response)
        record(series, state, response, expected=expected)
        if response.status == UNAUTHORIZED and self._kit.tokens is not None:
            self._kit.tokens.refused()
        if trace is not None:
            self._kit.trace_series(name).keep(trace, response, expected, due)
        return Reply(response, name, self._group)

    def check(  # noqa: PLR0913 - what can be asked of a reply
        self,
        reply: Reply,
        named: Mapping[str, Predicate] | None = None,
        /,
        *,
        status: Any = None,
        duration: Any = None,
        size: Any = None,
        body: Any = None,
        headers: Mapping[str, Any] | None = None,
        cookies: Mapping[str, Any] | None = None,
        json: Mapping[str, Any] | None = None,
        **more: Predicate,
    ) -> bool:
        """Count checks of a reply, and say whether all passed.

        Keywords up to `json` are those of a step's `check`, in the same grammar. Any others are named checks: a
        function of the reply, or a boolean; so are those of `named`, whose names may have spaces.
        """
        asked = {
            "status": status, "duration": duration, "size": size, "body": body,
            "headers": headers, "cookies": cookies, "json_": json,
        }  # fmt: skip
        results = self._kit.results(
            self._state, reply, {key: value for key, value in asked.items() if value is not None}
        )
        for check, predicate in {**(named or {}), **more}.items():
            results[check] = _holds(predicate, reply)
        for check, ok in results.items():
            self._kit.check_series(reply.name, reply.group, check).record(ok)
        return all(results.values())

    async def think(self, time: str | float) -> None:
        """Pause: `1s`, `1s..3s` (drawn evenly), or seconds."""
        low, high = think_span(time) if isinstance(time, str) else (float(time), float(time))
        if not await self._kit.shop.sleep(low + (high - low) * self._state.random.random() if high > low else low):
            raise Interrupted
        await in_task()

    @contextmanager
    def group(self, name: str) -> Iterator[None]:
        """`with user.group("checkout"):` gives the samples of what is within the tag `group`."""
        outer = self._group
        self._group = f"{outer}::{name}" if outer else name
        try:
            yield
        finally:
            self._group = outer


Predicate = bool | Callable[[Reply], object]


class Data:
    """A test's data sources, as attributes or items; a source's row is taken when an iteration first asks for it."""

    __slots__ = ("_kit", "_state")

    def __init__(self, state: State, kit: Kit) -> None:
        self._state = state
        self._kit = kit

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        rows = self._state.rows
        if name not in rows:
            rows[name] = self._kit.shop.scope.sources[name].take(self._state)
        return rows[name]

    def __getattr__(self, name: str) -> Mapping[str, Any]:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the test declares no data source {name!r}") from None


def _holds(predicate: Predicate, reply: Reply) -> bool:
    if reply.error is not None and reply.error not in ANSWERED:
        return False
    if not callable(predicate):
        return bool(predicate)
    try:
        return bool(predicate(reply))
    except _FAILING:
        return False
