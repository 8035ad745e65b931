"""What the control port answers: the contract of loadgate.control, over one runner."""

from __future__ import annotations

import asyncio
import hmac
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qs

import orjson
import zstandard

from loadgate.control import (
    ACK,
    ARM,
    HEALTHZ,
    METRICS,
    SETUP,
    SNAPSHOT,
    START,
    STATE,
    STOP,
    TEARDOWN,
    Ack,
    MessageError,
    RunMessage,
    Start,
    Stop,
    Teardown,
)
from loadgate_runner.maker import View
from loadgate_runner.serve.server import Answer, Request
from loadgate_runner.telemetry.exposition import families

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from loadgate_runner.lifecycle import Runner

WORTH_COMPRESSING = 1024
"""Bytes of a snapshot below which zstd gains nothing."""

LEVEL = 3
"""zstd's level: a snapshot becomes 5 to 10 times smaller at some hundred MB/s."""

TEXT = "text/plain; version=0.0.4; charset=utf-8"


class _Message(Protocol):
    run: str

    @classmethod
    def decode(cls, data: bytes) -> _Message: ...


class Control:
    """Answers requests. Everything but `/healthz` and `/metrics` wants the run's token, and messages the run's name."""

    def __init__(self, runner: Runner, token: str, test: Mapping[str, str]) -> None:
        self._runner = runner
        self._authorization = f"Bearer {token}".encode()
        self._test = test
        self._open: dict[str, Callable[[], Awaitable[Answer]]] = {HEALTHZ: self._healthz, METRICS: self._metrics}
        self._reads: dict[str, Callable[[Request], Awaitable[Answer]]] = {
            STATE: self._state,
            SNAPSHOT: self._snapshot,
        }
        self._messages: dict[str, Callable[[bytes], None]] = {
            ARM: self._arm,
            SETUP: self._setup,
            START: self._start,
            STOP: self._stop,
            TEARDOWN: self._teardown,
            ACK: self._ack,
        }

    async def handle(self, request: Request) -> Answer:
        """The answer to a request; what is wrong with it is said as JSON."""
        reading = request.method in {"GET", "HEAD"}
        if request.path in self._open:
            return await self._open[request.path]() if reading else _no_method()
        given = request.headers.get("authorization", "").encode("latin-1")
        if not hmac.compare_digest(given, self._authorization):
            return _refusal(HTTPStatus.UNAUTHORIZED, "the token is not this run's")
        if request.path in self._reads:
            return await self._reads[request.path](request) if reading else _no_method()
        if request.path not in self._messages:
            return _refusal(HTTPStatus.NOT_FOUND, f"nothing is at {request.path[:100]}")
        return self._message(request) if request.method == "POST" else _no_method()

    def _message(self, request: Request) -> Answer:
        try:
            self._messages[request.path](request.body)
        except MessageError as error:
            return _refusal(HTTPStatus.BAD_REQUEST, str(error))
        except _WrongRunError as error:
            return _refusal(HTTPStatus.CONFLICT, str(error))
        return Answer(HTTPStatus.OK, self._runner.report().encode())

    async def _healthz(self) -> Answer:
        return Answer(HTTPStatus.OK, b"ok\n", "text/plain")

    async def _metrics(self) -> Answer:
        snapshot = await self._runner.snapshot(View(slices=False, warmup=True))
        parts = []
        for part in families(snapshot, self._test):
            parts.append(part)
            await asyncio.sleep(0)
        return Answer(HTTPStatus.OK, "".join(parts).encode(), TEXT)

    async def _state(self, _: Request) -> Answer:
        return Answer(HTTPStatus.OK, self._runner.report().encode())

    async def _snapshot(self, request: Request) -> Answer:
        view = parse_qs(request.query).get("view", ["full"])[-1]
        if view not in {"live", "full"}:
            return _refusal(HTTPStatus.BAD_REQUEST, f"view is live or full, not {view[:20]!r}")
        slices = view == "full"
        compress = "zstd" in request.headers.get("accept-encoding", "")
        snapshot = await self._runner.snapshot(View(slices=slices))
        # Nothing in a snapshot changes any more, so another thread may spell it out while load goes on.
        body, encoding = await asyncio.to_thread(spell, snapshot.encode, slices=slices, compress=compress)
        return Answer(HTTPStatus.OK, body, encoding=encoding)

    def _arm(self, body: bytes) -> None:
        # A runner arms by itself; being reminded of it only answers how far it is.
        self._checked(RunMessage.decode(body))

    def _setup(self, body: bytes) -> None:
        self._checked(RunMessage.decode(body))
        self._runner.run_block("setup", {})

    def _start(self, body: bytes) -> None:
        message = Start.decode(body)
        self._checked(message)
        if not (0 <= message.in_seconds < MOST_SECONDS and 0 <= message.offset < MOST_SECONDS):
            raise MessageError("in_seconds and offset are seconds from 0 on")
        self._runner.start(message)

    def _stop(self, body: bytes) -> None:
        message = Stop.decode(body)
        self._checked(message)
        self._runner.stop(message)

    def _teardown(self, body: bytes) -> None:
        message = Teardown.decode(body)
        self._checked(message)
        self._runner.run_block("teardown", message.setup)

    def _ack(self, body: bytes) -> None:
        message = Ack.decode(body)
        self._checked(message)
        self._runner.acknowledge(message.sequence)

    def _checked(self, message: RunMessage | Start | Stop | Teardown | Ack) -> None:
        own = self._runner.identity.run
        if message.run != own:
            raise _WrongRunError(f"this is a runner of {own!r}, not of {message.run[:100]!r}")


MOST_SECONDS = 1e7
"""Longer than any run; and not infinity, which is a number too."""


class _WrongRunError(Exception):
    """A message for another run."""


def spell(encode: Callable[..., bytes], *, slices: bool, compress: bool) -> tuple[bytes, str]:
    """A snapshot's bytes and their content encoding."""
    data = encode(slices=slices)
    if compress and len(data) >= WORTH_COMPRESSING:
        return zstandard.ZstdCompressor(LEVEL).compress(data), "zstd"
    return data, ""


def _refusal(status: HTTPStatus, message: str) -> Answer:
    return Answer(status, orjson.dumps({"message": message}))


def _no_method() -> Answer:
    return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, "not with this method")
