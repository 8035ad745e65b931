"""Who we are to the API server, read anew before it is out of date: by steady time, never by the machine's clock.

A service account's token lasts an hour, and the node puts a new one into its file long before that. A machine's clock
that is set back would keep a token until it has expired; so what is judged by is how long ago it was read, and
whether the server still believes it.
"""

from __future__ import annotations

import inspect
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadgate_operator.steady import steady_seconds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)

TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

EVERY = 60.0
"""Seconds for which a token is used before its file is read again."""

DOUBTED = 5.0
"""Seconds between two readings where the server believes none of them: who is refused doesn't ask in a loop."""


class UnreadableError(Exception):
    """What says who we are can't be read just now; the message says why."""


class Credentials:
    """Puts them into a client's configuration, as its `refresh_api_key_hook`."""

    def __init__(
        self,
        load: Callable[[Any], Awaitable[None] | None],
        every: float | None = None,
        steady: Callable[[], float] = steady_seconds,
    ) -> None:
        """`load` fills a configuration, or raises UnreadableError; it was called just now.

        It is called again `every` so many seconds (None: never by itself), and where the server refuses who we are.
        `steady` gives seconds that nobody can set.
        """
        self._load = load
        self._every = every
        self._steady = steady
        self._read_at = steady()
        self._doubted = False

    async def __call__(self, configuration: Any) -> None:
        """Before each call to the server."""
        age = self._steady() - self._read_at
        if (self._every is not None and age >= self._every) or (self._doubted and age >= DOUBTED):
            await self.read(configuration)

    def doubt(self) -> None:
        """The server doesn't know us by what we said: it may have expired."""
        self._doubted = True

    async def read(self, configuration: Any) -> None:
        """Read them anew; where that can't be done, those that we have stay until it can."""
        self._read_at, self._doubted = self._steady(), False
        try:
            loaded = self._load(configuration)
            if inspect.isawaitable(loaded):
                await loaded
        except UnreadableError as error:
            logger.warning("credentials can't be read anew, and the old ones are used: %s", error)


def token_of(path: Path) -> Callable[[Any], None]:
    """Loads the token in a file."""

    def load(configuration: Any) -> None:
        try:
            token = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise UnreadableError(f"{path}: {error.strerror}") from error
        if not token:
            raise UnreadableError(f"{path} is empty")
        configuration.api_key["BearerToken"] = f"bearer {token}"

    return load
