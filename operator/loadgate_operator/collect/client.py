"""Calls to one runner: bounded in time and in size, and every way they can go wrong is one exception with a reason."""

from __future__ import annotations

import asyncio
import contextlib
import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal, Self

import zstandard

from loadgate.control import (
    ACK,
    ARM,
    SETUP,
    SNAPSHOT,
    START,
    STATE,
    STOP,
    TEARDOWN,
    Ack,
    MessageError,
    RunMessage,
    RunnerReport,
    Start,
    Stop,
    Teardown,
)
from loadgate.metrics import Snapshot, SnapshotError
from loadgate_operator.collect.exchange import Answer, Exchange, ExchangeError, Http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType

    from loadgate_operator.collect.answers import Runner


_LARGE = 1 << 18


class RunnerFaultError(Exception):
    """A call came to nothing; the message says why in a few words."""


@dataclass(frozen=True, kw_only=True)
class ClientLimits:
    """What one call may cost."""

    seconds: float = 5.0
    """A call in all. A runner that needs longer is busy beyond what its figures are worth."""
    snapshot_seconds: float = 20.0
    """A snapshot in all: it may have megabytes, and come from a runner that is at its limit."""
    wire_bytes: int = 16 << 20
    """An answer as it is sent."""
    plain_bytes: int = 24 << 20
    """An answer as it is once decompressed: twice what a runner can have to say at most."""
    parts: int = 1 << 19
    """Objects and lists in an answer; each takes many times the memory of the two characters that it may consist of."""
    values: int = 1 << 22
    """Values in an answer, of which each takes up to 32 bytes for two characters. A runner has 3 million at most."""
    concurrency: int = 64
    """Calls at one time; the others wait for their turn before their time begins."""
    snapshots: int = 16
    """Snapshots beside them that are asked for at one time, so that large ones keep no runner from being told."""
    small_bytes: int = 1 << 18
    """An answer that is no larger is taken as it comes."""
    large: int = 4
    """Larger answers that are in memory at one time: the others stay where they are until it is their turn. So all that
    is under way is 20 MB of small answers, 64 MB of large ones, and what one of these becomes when it is read."""
    large_seconds: float = 5.0
    """The rest of a large answer, once it is its turn; until then its time stands still."""


class RunnerClient:
    """Calls of the control contract, for any runner. Use it as an async context."""

    def __init__(self, limits: ClientLimits | None = None, exchange: Exchange | None = None) -> None:
        self._limits = limits or ClientLimits()
        self._slots = asyncio.Semaphore(self._limits.concurrency)
        self._snapshots = asyncio.Semaphore(self._limits.snapshots)
        self._large = asyncio.Semaphore(self._limits.large)
        self._reading = asyncio.Lock()
        self._stack = contextlib.AsyncExitStack()
        self._http: Exchange = exchange or Http(self._limits.concurrency + self._limits.snapshots)

    async def __aenter__(self) -> Self:
        if isinstance(self._http, Http):
            await self._stack.enter_async_context(self._http)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def state(self, runner: Runner) -> RunnerReport:
        """The runner's state. Raises RunnerFaultError, as all calls do."""
        return await self._report(runner, "GET", STATE)

    async def arm(self, runner: Runner) -> RunnerReport:
        """Remind a runner to arm, which it does by itself."""
        return await self._post(runner, ARM, RunMessage(run=runner.run))

    async def setup(self, runner: Runner) -> RunnerReport:
        """Have it run the setup block, once."""
        return await self._post(runner, SETUP, RunMessage(run=runner.run))

    async def start(self, runner: Runner, message: Callable[[], Start]) -> RunnerReport:
        """Tell it when to begin, and where in the schedule; the message is made at the moment it goes out."""
        return await self._report(runner, "POST", START, lambda: message().encode())

    async def stop(self, runner: Runner, message: Stop) -> RunnerReport:
        """End its load."""
        return await self._post(runner, STOP, message)

    async def teardown(self, runner: Runner, message: Teardown) -> RunnerReport:
        """Have it run the teardown block, once."""
        return await self._post(runner, TEARDOWN, message)

    async def ack(self, runner: Runner, sequence: int) -> RunnerReport:
        """Tell it that its snapshot of that sequence has arrived."""
        return await self._post(runner, ACK, Ack(run=runner.run, sequence=sequence))

    async def snapshot(self, runner: Runner, view: Literal["live", "full"]) -> Snapshot:
        """What it measured so far; `live` leaves the slices of time out."""
        path = f"{SNAPSHOT}?view={view}"
        async with (
            self._snapshots,
            self._call(runner, "GET", path, seconds=self._limits.snapshot_seconds) as answer,
            # One after another, so that however many runners there are, one large snapshot is in memory in its parts.
            self._reading,
        ):
            snapshot = await _read(answer.plain(self._limits))
        _check_identity(runner, snapshot.run, snapshot.uid)
        return snapshot

    async def _post(self, runner: Runner, path: str, message: RunMessage | Stop | Teardown | Ack) -> RunnerReport:
        return await self._report(runner, "POST", path, message.encode)

    async def _report(
        self, runner: Runner, method: str, path: str, body: Callable[[], bytes] | None = None
    ) -> RunnerReport:
        async with self._slots, self._call(runner, method, path, body) as answer:
            try:
                report = RunnerReport.decode(answer.plain(self._limits))
            except MessageError as error:
                raise RunnerFaultError(f"garbage: {error}") from error
        _check_identity(runner, report.run, report.uid)
        return report

    @contextlib.asynccontextmanager
    async def _call(
        self,
        runner: Runner,
        method: str,
        path: str,
        body: Callable[[], bytes] | None = None,
        seconds: float = math.nan,
    ) -> AsyncIterator[_Answer]:
        """An answer, which is in memory as long as the block takes."""
        limit = self._limits.seconds if math.isnan(seconds) else seconds
        headers = {"Authorization": f"Bearer {runner.token}", "Accept-Encoding": "zstd"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        async with contextlib.AsyncExitStack() as held:
            room = _Room(self._large, held, self._limits.large_seconds)
            try:
                async with asyncio.timeout(limit) as room.time:
                    answer = await self._exchange(method, runner.url + path, headers, body, room)
            except TimeoutError as error:
                raise RunnerFaultError(f"no answer within {room.seconds if room.taken else limit:g}s") from error
            except ExchangeError as error:
                raise RunnerFaultError(str(error)) from error
            yield answer

    async def _exchange(
        self, method: str, url: str, headers: dict[str, str], body: Callable[[], bytes] | None, room: _Room
    ) -> _Answer:
        async with self._http(method, url, headers, body() if body else None) as answer:
            data = await self._bounded(answer, room)
            if answer.status != HTTPStatus.OK:
                words = data[:200].decode(errors="replace").strip()
                raise RunnerFaultError(f"status {answer.status}: {words}".rstrip(": "))
            return _Answer(data, answer.encoding)

    async def _bounded(self, answer: Answer, room: _Room) -> bytes:
        data = bytearray()
        async for chunk in answer.chunks:
            data += chunk
            if len(data) > self._limits.small_bytes:
                await room.take()
            if len(data) > self._limits.wire_bytes:
                raise RunnerFaultError(f"an answer of more than {self._limits.wire_bytes:,} bytes")
        return bytes(data)


@dataclass
class _Room:
    """Where a large answer waits for its turn, without being charged for it, and which it has until it isn't needed."""

    turns: asyncio.Semaphore
    held: contextlib.AsyncExitStack
    seconds: float
    time: asyncio.Timeout | None = None
    taken: bool = False

    async def take(self) -> None:
        """Once for each answer."""
        if self.taken or self.time is None:
            return
        self.time.reschedule(None)
        await self.held.enter_async_context(self.turns)
        self.taken = True
        self.time.reschedule(asyncio.get_running_loop().time() + self.seconds)


@dataclass(frozen=True)
class _Answer:
    """A runner's answer as it was sent."""

    data: bytes
    encoding: str

    def plain(self, limits: ClientLimits) -> bytes:
        """What it is once decompressed. Raises RunnerFaultError where that is too large, or no such thing."""
        if self.encoding not in {"identity", "zstd"}:
            raise RunnerFaultError(f"an answer in {self.encoding[:40]}, which wasn't asked for")
        data = self.data if self.encoding == "identity" else decompressed(self.data, limits.plain_bytes)
        if data.count(b"{") + data.count(b"[") > limits.parts:
            raise RunnerFaultError(f"an answer of more than {limits.parts:,} parts")
        if data.count(b",") > limits.values:
            raise RunnerFaultError(f"an answer of more than {limits.values:,} values")
        return data


async def _read(data: bytes) -> Snapshot:
    """The snapshot in an answer. Raises RunnerFaultError."""
    try:
        # Decoding a large one takes tens of milliseconds: not on the loop that starts runners together.
        return await asyncio.to_thread(Snapshot.decode, data) if len(data) > _LARGE else Snapshot.decode(data)
    except SnapshotError as error:
        raise RunnerFaultError(str(error)) from error


def decompressed(data: bytes, limit: int) -> bytes:
    """What zstd made of at most `limit` bytes. Raises RunnerFaultError where it is larger, or no zstd at all."""
    try:
        reader = zstandard.ZstdDecompressor().stream_reader(data)
        plain = reader.read(limit + 1)
    except zstandard.ZstdError as error:
        raise RunnerFaultError(f"garbage: {error}") from error
    if len(plain) > limit:
        raise RunnerFaultError(f"an answer of more than {limit:,} bytes when decompressed")
    return plain


def _check_identity(runner: Runner, run: str, uid: str) -> None:
    """Another pod may have got the address of one that is gone."""
    if run != runner.run:
        raise RunnerFaultError(f"wrong run: it is of {run!r}")
    if uid != runner.uid:
        raise RunnerFaultError(f"wrong runner: it is pod {uid!r}")
