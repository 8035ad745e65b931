"""One call to the API server: bounded in time and in number, tried again where that helps, its errors typed.

The client of `kubernetes.aio` brings certificates, tokens and proxies; models and their cost are left aside.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import orjson

from loadgate_operator.cluster.port import ClusterError, ConflictError, GoingError, RefusedError
from loadgate_operator.steady import read_date

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from types import TracebackType

    from loadgate_operator.cluster.kubernetes.connection import Connection

logger = logging.getLogger(__name__)

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON = "application/json"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

_BUSY = frozenset({429, 500, 502, 503, 504})
_NETWORK = (aiohttp.ClientError, OSError, TimeoutError)


class NotFoundError(ClusterError):
    """There is no such object. Stays in here: the port says None, or that all is well."""


@dataclass(frozen=True, kw_only=True)
class ApiLimits:
    """What one call may cost. Times are seconds."""

    seconds: float = 10.0
    """One try."""
    tries: int = 4
    total: float = 30.0
    """All tries and the pauses between them: a reconcile that waits longer is better begun anew."""
    pause: float = 0.2
    """Before the second try, doubled before each further one; the server's Retry-After goes before it."""
    concurrency: int = 32
    """Calls at one time; the others wait for their turn before their time begins."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """What is asked of the server."""

    verb: str
    path: str
    resource: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    content_type: str = JSON
    accept: str = JSON


class Api:
    """Calls to one API server. Use it as an async context."""

    def __init__(
        self,
        connection: Connection,
        limits: ApiLimits | None = None,
        called: Callable[[str, str, int, float], None] | None = None,
    ) -> None:
        """`called` is told of each try: verb, resource, status (0: no answer), seconds."""
        from kubernetes.aio.client import ApiClient  # noqa: PLC0415 - it takes a second to import

        self._connection = connection
        self._limits = limits or ApiLimits()
        self._called = called or _ignore
        self._slots = asyncio.Semaphore(self._limits.concurrency)
        self._client = ApiClient(connection.configuration)
        self._client.user_agent = "loadgate-operator"
        self._failing = False
        self._date = ("", 0.0)
        self.recovered: Callable[[], None] = _nothing
        """Told when the server answers again after it didn't."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()  # type: ignore[no-untyped-call]

    @property
    def server_time(self) -> float | None:
        """What the server's clock says now, in Unix seconds, by its last answer; None where it has told no time."""
        said, heard = self._date
        date = read_date(said)
        return None if date is None else date + time.monotonic() - heard

    async def ask(self, call: Call) -> Any:
        """The answer's JSON. Raises NotFoundError, ConflictError, RefusedError, GoingError or ClusterError."""
        return orjson.loads(await self.text(call))

    async def text(self, call: Call, limit: int | None = None) -> bytes:
        """The answer as it is, or the last `limit` bytes of it. Raises as `ask` does."""
        until = time.monotonic() + self._limits.total
        pause = self._limits.pause
        for attempt in range(1, self._limits.tries + 1):
            try:
                return await self._try(call, limit)
            except _BusyError as busy:
                pause = max(pause, busy.after)
                if attempt == self._limits.tries or time.monotonic() + pause > until:
                    raise ClusterError(str(busy)) from busy
                logger.info("%s; again in %gs", busy, pause)
            await asyncio.sleep(pause)
            pause *= 2
        raise AssertionError("the last try answers or raises")

    @contextlib.asynccontextmanager
    async def stream(self, call: Call, idle: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of an answer that goes on, until none comes for `idle` seconds. Raises as `ask` does."""
        times = aiohttp.ClientTimeout(total=None, sock_connect=self._limits.seconds, sock_read=idle)
        begun = time.monotonic()
        response = None
        try:
            response = await self._send(call, times)
            self._note(call, response.status, begun)
            if response.status >= 400:
                _check(call, response, await response.read())
            yield aiter(response.content)
        except _NETWORK as error:
            raise ClusterError(f"{call.verb} {call.path}: {_words(error)}") from error
        except _BusyError as error:
            raise ClusterError(str(error)) from error
        finally:
            if response is not None:
                response.close()

    async def _try(self, call: Call, limit: int | None) -> bytes:
        async with self._slots:
            begun, status = time.monotonic(), 0
            try:
                async with asyncio.timeout(self._limits.seconds):
                    response = await self._send(call, aiohttp.ClientTimeout(total=None))
                    status = response.status
                    self._date = (response.headers.get("Date", ""), time.monotonic())
                    data = await _body(response, limit)
            except _NETWORK as error:
                raise _BusyError(f"{call.verb} {call.path}: {_words(error)}", 0.0) from error
            finally:
                self._note(call, status, begun)
        _check(call, response, data)
        return data

    async def _send(self, call: Call, times: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        headers = {"Accept": call.accept}
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        method, url, headers, body, _ = await self._client.param_serialize(
            method=call.verb,
            resource_path=call.path,
            query_params=list(call.query.items()),
            header_params=headers,
            body=call.body,
            auth_settings=["BearerToken"],
        )
        answer = await self._client.call_api(method, url, headers, body, _request_timeout=times)
        response: aiohttp.ClientResponse = answer.response
        return response

    def _note(self, call: Call, status: int, begun: float) -> None:
        self._called(call.verb, call.resource, status, time.monotonic() - begun)
        if status == HTTPStatus.UNAUTHORIZED:
            self._connection.doubt()
        failing = status == 0 or status in _BUSY
        if self._failing and not failing:
            self.recovered()
        self._failing = failing


class _BusyError(Exception):
    """A try that came to nothing and may be repeated, after so many seconds at least."""

    def __init__(self, message: str, after: float) -> None:
        super().__init__(message)
        self.after = after


def _check(call: Call, response: aiohttp.ClientResponse, data: bytes) -> None:
    """Raise what an answer's status means."""
    status = response.status
    if status < 400:
        return
    message = f"{call.verb} {call.path}: {status}: {_said(data)}"
    if status in _BUSY:
        raise _BusyError(message, _retry_after(response))
    if status in (404, 410):
        raise NotFoundError(message)
    if status == 409:
        raise ConflictError(message)
    if status in (401, 408):
        raise ClusterError(message)
    raise (GoingError if _is_going(data) else RefusedError)(message)


def _retry_after(response: aiohttp.ClientResponse) -> float:
    said = response.headers.get("Retry-After", "")
    return float(said) if said.isdecimal() else 0.0


def _said(data: bytes) -> str:
    try:
        return str(orjson.loads(data)["message"])[:2000]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return data[:200].decode(errors="replace").strip()


def _is_going(data: bytes) -> bool:
    """Whether a refusal's cause is that its namespace is being deleted, as admission puts it."""
    try:
        causes = orjson.loads(data)["details"]["causes"]
        return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return False


async def _body(response: aiohttp.ClientResponse, limit: int | None) -> bytes:
    """All of it, or its end: never more in memory than is wanted of it."""
    if limit is None:
        return await response.read()
    end = bytearray()
    async for chunk in response.content.iter_any():
        end += chunk
        if len(end) > 2 * limit:
            del end[:-limit]
    return bytes(end[-limit:])


def _words(error: BaseException) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}".rstrip(": ")


def _ignore(_verb: str, _resource: str, _status: int, _seconds: float) -> None:
    """Nobody counts."""


def _nothing() -> None:
    """Nobody wants to know."""
