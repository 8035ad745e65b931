"""What a Python journey is given: one virtual user, on the very machinery that steps compile to.

async def journey(user):
    reply = await user.post("/auth/login", name="login", json={"email": f"user{user.id}@example.com"})
    user.check(reply, status=200, duration="<500ms", json={"$.token": "exists"})
    user.vars["token"] = reply.json("$.token")
    await user.think("1s..3s")
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal

from loadgate.api.steps import operation_name, websocket_url
from loadgate_runner.http import json_body
from loadgate_runner.http.failures import ANSWERED
from loadgate_runner.http.waiter import in_task

from .bodies import UNSET, Carried
from .errors import Interrupted
from .graphql import ACCEPTED, judged
from .hearing import Listener
from .noting import Called, Noting
from .reply import Reply
from .talk import Handshake, hold, think_span
from .terms import Terms
from .websocket import Metrics as SocketMetrics

if TYPE_CHECKING:
    from os import PathLike
    from random import Random

    from loadgate_runner.http import Response

    from .bodies import Body, Fields
    from .calling import Calling
    from .kit import Kit
    from .metrics import Metrics
    from .reply import Answer
    from .secrets import Secrets
    from .state import State
    from .talk import Talk
    from .terms import Auth, Seconds, Timeout

    Status = int | str | tuple[int | str, ...] | None

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

    async def head(self, url: str, **options: Any) -> Reply:
        """HEAD; see `request`."""
        return await self.request("HEAD", url, **options)

    async def options(self, url: str, **options: Any) -> Reply:
        """OPTIONS; see `request`."""
        return await self.request("OPTIONS", url, **options)

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
        multipart: Fields | None = None,
        body: Body | None = None,
        auth: Auth = None,
        timeout: Timeout | None = None,  # noqa: ASYNC109 - the HTTP client's own limit
        host: str | None = None,
        max_redirects: int | None = None,
        compressed: bool = True,
        expect_continue: Seconds | None = None,
        trailers: bool = False,
        status: Status = None,
        tags: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request and return what came of it; what a target does never raises.

        `url` is appended to the target's, unless it is a whole one. `name` is what the request is called in reports
        (`METHOD path` without one: give one where the path varies). `auth` is a bearer token, or a user and password;
        without it the target's `auth` holds, and with False none. `status` says which statuses aren't failures,
        200..399 without it.

        `body` is a text, bytes, or a `Path`: a file, of which a large one is read as it is sent. `multipart` is a form
        by field: a text, bytes, a `Path`, or `(filename, content)` or `(filename, content, content type)`.

        `timeout` is a duration (`5s`) or seconds, or has several of `connect`, `tls`, `first_byte` and `total`.
        `expect_continue` is for how long the body waits to be asked for (`Expect: 100-continue`). `max_redirects` is
        how many are followed (0: none), `compressed` whether a compressed answer is asked for, `trailers` whether
        trailers are, which the reply keeps then; `host` is the `Host` header in place of the URL's.
        """
        method = method.upper()
        terms = Terms(
            headers, query, auth, timeout, host, max_redirects, compressed, expect_continue, trailers
        )  # fmt: skip
        noting = self._noting(name or _label(method, url), method, status, tags)
        carried = self._kit.bodies.carry(json, form, body, multipart)
        return await self._recorded(noting, self._kit.compose(method, url, self._state, terms, carried))

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
        auth: Auth = None,
        timeout: Timeout | None = None,  # noqa: ASYNC109 - the HTTP client's own limit
        host: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Reply:
        """Do a GraphQL operation; an answer with errors is a failed request, unless they are allowed.

        `operation` is the one to do where the document has several. Without a `name`, the request is called like the
        operation. The rest is as for `request`.
        """
        document = {"query": query, "variables": dict(variables or {})}
        if operation is not None:
            document["operationName"] = operation
        terms = Terms({"Accept": ACCEPTED, **(headers or {})}, None, auth, timeout, host)
        noting = self._noting(name or operation_name(operation, query) or _label("POST", url), "POST", None, tags)
        sending = self._kit.compose("POST", url, self._state, terms, Carried(*json_body(document)))
        return await self._recorded(noting, judged(sending) if errors == "fail" else sending)

    async def websocket(  # noqa: PLR0913 - the parts of a handshake, all but two with a default
        self,
        url: str,
        talk: Callable[[Talk], Awaitable[object]],
        *,
        name: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        subprotocols: Sequence[str] = (),
        auth: Auth = None,
        timeout: Timeout | None = None,  # noqa: ASYNC109 - the handshake's own limit
        host: str | None = None,
        close: int = 1000,
        tags: Mapping[str, str] | None = None,
    ) -> Reply:
        """Open a WebSocket, have `talk` (a coroutine function) send and expect over it, and close it.

        What the peer does never raises here: an `expect` that isn't met ends the talk, and the reply has its `error`.
        The reply is the handshake's, with status 101 where it succeeded; its body is what was expected last.
        `close` is the code that it is closed with: 1000, or one from 3000 to 4999. The rest is as for `request`.
        """
        terms = Terms(headers, query, auth, timeout, host, compressed=False)
        noting = self._noting(name or _label("GET", url), "GET", 101, tags)
        beginning = self._kit.opening(websocket_url(url), self._state, terms, talks=True)
        metrics = self._kit.talk_metrics(SocketMetrics.of, noting.called.name, self._group)
        handshake = Handshake(beginning, subprotocols, close)
        return await self._recorded(noting, hold(handshake, talk, metrics, self._state, self._kit))

    def sse(  # noqa: PLR0913 - the parts of a stream, all but one with a default
        self,
        url: str,
        *,
        for_: Seconds | None = None,
        name: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        auth: Auth = None,
        timeout: Timeout | None = None,
        host: str | None = None,
        status: Status = None,
        tags: Mapping[str, str] | None = None,
    ) -> Listener:
        """Listen to server-sent events: `async with user.sse(url) as events:`, then `async for event in events:`.

        An event has `event` (its type), `data`, `id`, `retry` and `json(path)`. Leave the loop or the block at will:
        that closes the connection, and is no failure. `for_` is how long to listen, from the answer's head (a duration
        or seconds): then the loop ends. Without it, a stream that goes on for longer than `timeout` has failed. What
        the target does raises nothing that leaves the block: where the stream breaks, the block ends, and
        `events.reply` has its `error`. The rest is as for `request`.
        """
        terms = Terms(headers, query, auth, timeout, host, compressed=False)
        called = Called(name or _label("GET", url), "GET", self._group, status, tags)
        return Listener(url, terms, for_, called, self._state, self._kit)

    def grpc(  # noqa: PLR0913 - the parts of a call, all but one with a default
        self,
        method: str,
        message: Mapping[str, Any] | None = None,
        *,
        messages: Iterable[Mapping[str, Any]] | None = None,
        for_: Seconds | None = None,
        name: str | None = None,
        url: str = "",
        metadata: Mapping[str, str | bytes] | None = None,
        protoset: str | PathLike[str] | None = None,
        protos: Mapping[str, str | PathLike[str]] | None = None,
        auth: Auth = None,
        timeout: Timeout | None = None,
        host: str | None = None,
        status: Status = None,
        tags: Mapping[str, str] | None = None,
    ) -> Calling:
        """Call a gRPC method, `package.Service/Method`: `reply = await user.grpc(method, {"id": "p1"})`.

        Messages are in protobuf's JSON. `reply.message` is the reply, `reply.status` the status by its name; another
        one than `OK`, or than `status` names, is a failed request, and raises nothing. What messages are the server
        says by reflection; or `protoset`, the path of a file of descriptors; or `protos`, `.proto` files by the paths
        that they import each other by. `metadata` is text, and bytes where a name ends in `-bin`. `timeout` is the
        deadline (a duration or seconds). `url` is the server's, where it isn't the target's; without a `name` the call
        is called like its method.

        Streams: `messages` are sent one after another, and replies read to the end, or for so long as `for_` says; or

            async with user.grpc("shop.v1.Shop/Chat") as call:
                await call.write({"text": "hello"})
                async for reply in call:            # also: await call.read(), which is None at the end
                    ...

        with `call.done_writing()`, `call.expect(json=…)` and `call.reply`. Leaving the block ends the call, which is no
        failure. Where the call fails, the block ends.
        """
        from .calling import Asked, Calling  # noqa: PLC0415 - what speaks gRPC is loaded where it is spoken

        terms = Terms(auth=auth, timeout=timeout, host=host)
        asked = Asked(method, message, messages, url, metadata, protoset, protos, terms, for_)
        called = Called(name or method, "POST", self._group, status or "OK", tags)
        return Calling(asked, called, self._state, self._kit)

    def _noting(self, name: str, method: str, status: Any, tags: Mapping[str, str] | None) -> Noting:
        return Noting(Called(name, method, self._group, status, tags), self._state, self._kit)

    async def _recorded(self, noting: Noting, sending: Awaitable[Response]) -> Reply:
        noting.sent()
        response = await sending
        await in_task()
        noting.done(response)
        return Reply(response, noting.called.name, noting.called.group)

    def check(  # noqa: PLR0913 - what can be asked of a reply
        self,
        reply: Answer,
        named: Mapping[str, Predicate] | None = None,
        /,
        *,
        status: Any = None,
        duration: Any = None,
        size: Any = None,
        body: Any = None,
        headers: Mapping[str, Any] | None = None,
        trailers: Mapping[str, Any] | None = None,
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
            "headers": headers, "trailers": trailers, "cookies": cookies, "json_": json,
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


Predicate = bool | Callable[[Any], object]


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


def _holds(predicate: Predicate, reply: Answer) -> bool:
    if reply.error is not None and reply.error not in ANSWERED:
        return False
    if not callable(predicate):
        return bool(predicate)
    try:
        return bool(predicate(reply))
    except _FAILING:
        return False


def _label(method: str, url: str) -> str:
    return f"{method} {url.partition('?')[0]}"
