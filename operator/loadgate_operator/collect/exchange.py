"""One HTTP exchange, as bytes: all that is asked of an HTTP library here, so that another is a change here only.

aiohttp, since a call costs it a tenth of what it costs httpx: 200 runners are asked 200 times a second.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType


class ExchangeError(Exception):
    """No answer, or not all of one; the message says why in a few words."""


@dataclass(frozen=True)
class Answer:
    """What came back. The body comes in `chunks`, as it was sent, in the encoding that is named."""

    status: int
    encoding: str
    chunks: AsyncIterator[bytes]


class Exchange(Protocol):
    """Sends a request and gives its answer for as long as the block. Raises ExchangeError, in the block too."""

    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> AbstractAsyncContextManager[Answer]:
        """One request and its answer."""
        ...


class Http:
    """The exchange with a network in between. Use it as an async context."""

    def __init__(self, connections: int) -> None:
        """`connections` is how many are kept open at most."""
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # No proxy and no credentials from the environment: runners are reached directly, by address.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, use_dns_cache=False),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),  # whoever calls bounds the whole of it
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    @contextlib.asynccontextmanager
    async def __call__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> AsyncIterator[Answer]:
        """See `Exchange`."""
        if self._session is None:
            raise AssertionError("a client is used as a context")
        try:
            async with self._session.request(
                method, url, headers=headers, data=body, allow_redirects=False
            ) as response:
                encoding = response.headers.get("Content-Encoding", "identity")
                yield Answer(response.status, encoding, response.content.iter_any())
        except aiohttp.ClientConnectorError as error:
            raise ExchangeError("connection refused") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ExchangeError(f"{type(error).__name__}: {error}".rstrip(": ")) from error
