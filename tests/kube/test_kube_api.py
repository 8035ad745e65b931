"""One call to an API server: typed errors, bounded retries, bounded time; against a server on loopback that misbehaves."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from loadgate_operator.cluster.kubernetes import Api, ApiLimits, Connection, KubernetesCluster
from loadgate_operator.cluster.kubernetes.api import Call, NotFoundError
from loadgate_operator.cluster.port import ClusterError, ConflictError, GoingError, RefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

CALL = Call(verb="GET", path="/api/v1/pods", resource="pods")
QUICK = ApiLimits(seconds=10.0, tries=3, total=5.0, pause=0.01, concurrency=2)
HASTY = ApiLimits(seconds=0.2, tries=3, total=5.0, pause=0.01)


class Server:
    """Answers as its list says, one after another; the last for ever."""

    def __init__(self) -> None:
        self.answers: list[Callable[[], Awaitable[web.Response]]] = []
        self.times: list[float] = []
        self.busy = self.most = 0
        self.url = ""

    async def answer(self, _request: web.Request) -> web.Response:
        """The next one."""
        self.times.append(time.monotonic())
        self.busy += 1
        self.most = max(self.most, self.busy)
        try:
            return await (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])()
        finally:
            self.busy -= 1


def says(status: int, **headers: str) -> Callable[[], Awaitable[web.Response]]:
    """An answer of a status, as an API server words it."""

    async def answer() -> web.Response:
        return web.json_response({"kind": "Status", "message": f"it is {status}"}, status=status, headers=headers)

    return answer


async def hangs() -> web.Response:
    """No answer in time."""
    await asyncio.sleep(0.5)
    return web.Response()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """On loopback."""
    it = Server()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", it.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    it.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield it
    await runner.cleanup()


def connection(url: str) -> Connection:
    """To that server."""
    from kubernetes.aio.client import Configuration  # noqa: PLC0415 - as slow as it is everywhere

    configuration = Configuration(host=url)
    configuration.retries = None
    return Connection(configuration, "default")


async def ask(server: Server, limits: ApiLimits = QUICK, **options: Any) -> Any:
    """One call, with what is left of the answer list untouched."""
    async with Api(connection(server.url), limits, **options) as api:
        return await api.ask(CALL)


@pytest.mark.parametrize(
    ("status", "error", "tries"),
    [
        (404, NotFoundError, 1),
        (409, ConflictError, 1),
        (400, RefusedError, 1),
        (403, RefusedError, 1),
        (413, RefusedError, 1),
        (422, RefusedError, 1),
        (401, ClusterError, 1),
        (429, ClusterError, 3),
        (500, ClusterError, 3),
        (503, ClusterError, 3),
    ],
)
async def test_a_status_is_an_error_with_its_words(
    server: Server, status: int, error: type[Exception], tries: int
) -> None:
    """Each status becomes one kind of error that repeats the server's words; only what may pass is tried again."""
    server.answers = [says(status)]
    with pytest.raises(ClusterError, match=f"it is {status}") as raised:
        await ask(server)
    assert type(raised.value) is error
    assert len(server.times) == tries


async def test_what_passes_is_waited_for(server: Server) -> None:
    """A server that is busy twice answers the third try."""
    server.answers = [says(503), says(429), says(200)]
    assert await ask(server) == {"kind": "Status", "message": "it is 200"}


async def test_retry_after_is_honoured(server: Server) -> None:
    """The server says how long to stay away, and that is how long the operator stays away."""
    server.answers = [says(429, **{"Retry-After": "1"}), says(200)]
    await ask(server)
    assert server.times[1] - server.times[0] >= 1.0


async def test_no_call_waits_longer_than_its_total(server: Server) -> None:
    """A server that wants to be left alone for an hour ends the call at once, with an error."""
    server.answers = [says(429, **{"Retry-After": "3600"})]
    with pytest.raises(ClusterError, match="429"):
        await ask(server)
    assert len(server.times) == 1


async def test_a_server_that_hangs_is_an_error(server: Server) -> None:
    """Each try has its time limit, and their number is bounded."""
    server.answers = [hangs]
    with pytest.raises(ClusterError, match="no answer in time"):
        await ask(server, HASTY)
    assert len(server.times) == HASTY.tries


async def test_a_server_that_is_away_is_an_error() -> None:
    """A refused connection is no crash."""
    async with Api(connection("http://127.0.0.1:1"), QUICK) as api:
        with pytest.raises(ClusterError, match="Connect"):
            await api.ask(CALL)


async def test_calls_at_one_time_are_bounded(server: Server) -> None:
    """However many are asked for, so many are made at once."""

    async def slow() -> web.Response:
        await asyncio.sleep(0.02)
        return web.json_response({})

    server.answers = [slow]
    async with Api(connection(server.url), QUICK) as api:
        await asyncio.gather(*(api.ask(CALL) for _ in range(10)))
    assert server.most == QUICK.concurrency


async def test_every_try_is_counted(server: Server) -> None:
    """The operator's metrics see what the API server sees."""
    seen: list[tuple[str, str, int]] = []
    server.answers = [says(503), says(200)]
    await ask(server, called=lambda verb, resource, status, _seconds: seen.append((verb, resource, status)))
    assert seen == [("GET", "pods", 503), ("GET", "pods", 200)]


async def test_the_servers_time_is_known_from_its_answers(server: Server) -> None:
    """Every answer says what the server's clock says, and the time since then goes on; before there is none."""
    server.answers = [says(200, Date="Thu, 01 Jan 1970 02:00:00 GMT")]
    async with Api(connection(server.url), QUICK) as api:
        assert api.server_time is None
        await api.ask(CALL)
        assert api.server_time == pytest.approx(7200.0, abs=5.0)


async def test_an_outage_that_ends_is_told(server: Server) -> None:
    """What was missed meanwhile must be looked for."""
    server.answers = [says(503), says(200)]
    told: list[bool] = []
    async with Api(connection(server.url), QUICK) as api:
        api.recovered = lambda: told.append(True)
        await api.ask(CALL)
        await api.ask(CALL)
    assert told == [True]


def refuses(**details: Any) -> Callable[[], Awaitable[web.Response]]:
    """A refusal in an API server's words."""

    async def answer() -> web.Response:
        return web.json_response({"kind": "Status", "message": "forbidden", "details": details}, status=403)

    return answer


GOING = refuses(causes=[{"reason": "NamespaceTerminating", "field": "metadata.namespace"}])


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (GOING, GoingError),
        (refuses(causes=[{"reason": "FieldValueInvalid"}]), RefusedError),
        (refuses(causes=None), RefusedError),
        (refuses(causes=["NamespaceTerminating"]), RefusedError),
        (refuses(), RefusedError),
    ],
)
async def test_a_namespace_that_goes_is_told_apart(
    server: Server, answer: Callable[[], Awaitable[web.Response]], error: type[Exception]
) -> None:
    """A refusal because the namespace is being deleted is an error of its own; any other is a refusal."""
    server.answers = [answer]
    with pytest.raises(RefusedError) as raised:
        await ask(server)
    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("answer", "going"), [(GOING, True), (says(404), True), (says(201), False), (refuses(), False)]
)
async def test_whether_a_namespace_goes_is_asked_seldom(
    server: Server, answer: Callable[[], Awaitable[web.Response]], *, going: bool
) -> None:
    """It is tried out by making something, and known for a few seconds, however often someone wants to know."""
    server.answers = [answer]
    async with Api(connection(server.url), QUICK) as api:
        cluster = KubernetesCluster(api)
        assert [await cluster.is_going("here") for _ in range(10)] == [going] * 10
        assert len(server.times) == 1
        await cluster.is_going("there")
        assert len(server.times) == 2
