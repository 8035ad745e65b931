"""The one bearer token of a process: fetched before the load, shared by all its VUs, renewed ahead of its expiry."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from loadgate_runner.http.auth import bearer
from loadgate_runner.http.oauth2 import TokenError
from loadgate_runner.http.request import header_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from random import Random

    from loadgate_runner.http.oauth2 import Grant, Token

RENEW_AT: Final = (0.7, 0.8)
"""Of a token's life: between these it is renewed, by chance, so that a run's processes don't ask at once."""

TRIES: Final = 5
"""How often a first token is asked for."""

CALM: Final = 30.0
"""Seconds. A token that is younger isn't renewed for a 401: another one would fare no better."""

_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
_SHORTEST_LIFE: Final = 1.0
_TOLD: Final = 5
"""Failures that are logged; the others are counted."""


class Tokens:
    """Keeps a token. `line` is the header's line with it; everything runs on the loop's clock.

    There is one task that asks, so two never ask at once. `told` is given what failed, in words.
    """

    __slots__ = (
        "_ask",
        "_chance",
        "_expires",
        "_failures",
        "_fetched",
        "_grant",
        "_lapsed",
        "_loop",
        "_refused",
        "_task",
        "_told",
        "_wake",
        "first_lapse",
        "lapses",
        "line",
    )

    def __init__(
        self, grant: Grant, ask: Callable[[Grant], Awaitable[Token]], chance: Random, told: Callable[[str], None]
    ) -> None:
        self._grant = grant
        self._ask = ask
        self._chance = chance
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._fetched = 0.0
        self._expires: float | None = None
        self._refused = self._lapsed = False
        self._failures = 0
        self.line = b""
        self.lapses = 0
        """How often there was no valid token any more."""
        self.first_lapse = ""

    async def start(self) -> None:
        """Get the first token, and go on renewing it. Raises TokenError where there is none to be had."""
        for left in reversed(range(TRIES)):
            try:
                await self._fetch()
                break
            except TokenError as error:
                if error.final or not left:
                    raise
                await asyncio.sleep(self._pause(TRIES - left))
        self._task = self._loop.create_task(self._keep())
        self._task.add_done_callback(self._ended)

    def refused(self) -> None:
        """The target answered 401. The request stays as it was answered; an older token is renewed at once."""
        if not self._refused and self._loop.time() - self._fetched >= CALM:
            self._refused = True
            self._wake.set()

    def begin(self) -> None:
        """The load begins: what was before doesn't count."""
        self.lapses, self.first_lapse = int(self._lapsed), self.first_lapse if self._lapsed else ""

    async def close(self) -> None:
        """Renew no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._due()):
                    await self._wake.wait()
            self._wake.clear()
            await self._renew()

    def _due(self) -> float | None:
        """When to renew; None: only when the target refuses it."""
        if self._expires is None:
            return None
        return self._fetched + (self._expires - self._fetched) * self._chance.uniform(*RENEW_AT)

    async def _renew(self) -> None:
        tries = 0
        while True:
            try:
                await self._fetch()
            except TokenError as error:
                tries += 1
                self._failed(str(error))
                pause = self._pause(tries)
                if self._expires is not None and self._loop.time() < self._expires and not self._refused:
                    # What is left of the old one is for asking again, and its end isn't to be missed.
                    pause = min(pause, self._expires - self._loop.time())
                await asyncio.sleep(pause)
            else:
                return

    async def _fetch(self) -> None:
        asked = self._loop.time()
        token = await self._ask(self._grant)
        if self._expires is not None and self._loop.time() > self._expires:
            self._lapse("the new one came too late")
        self.line = header_line("Authorization", bearer(token.value))
        self._fetched = asked
        self._expires = None if token.life is None else asked + max(token.life, _SHORTEST_LIFE)
        self._refused = self._lapsed = False
        if self._grant.refresh and token.refresh:
            self._grant = replace(self._grant, refresh=token.refresh)

    def _failed(self, why: str) -> None:
        self._failures += 1
        if self._failures <= _TOLD:
            self._told(f"the token for the target was not renewed: {why}")
        over = self._expires is not None and self._loop.time() >= self._expires
        if over or self._refused:
            self._lapse(why)

    def _lapse(self, why: str) -> None:
        if not self._lapsed:
            self._lapsed = True
            self.lapses += 1
            self.first_lapse = self.first_lapse or why

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A bug must not leave a token that nobody renews, and nobody told."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._told(f"the token for the target is renewed no more: {type(error).__name__}")
            self._lapse(f"a fault of the runner itself: {type(error).__name__}")

    def _pause(self, tries: int) -> float:
        """Twice as long each time, and by chance up to half of it shorter."""
        return min(_PAUSE * 2.0 ** min(tries - 1, 10), _LONGEST_PAUSE) * self._chance.uniform(0.5, 1)
