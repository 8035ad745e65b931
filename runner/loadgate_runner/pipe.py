"""How a runner's parent and its load processes talk: JSON frames over a socket pair, questions with answers."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

_LENGTH = 4
"""Bytes that say how long a frame is."""


class LostError(Exception):
    """The other side is gone."""


class RefusedError(Exception):
    """The other side could not do what it was asked; `kind` says which of its errors that was."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Pipe:
    """One end of a socket pair."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Pipe:
        """Take over a connected socket."""
        end.setblocking(False)
        return cls(*await asyncio.open_connection(sock=end))

    def send(self, frame: dict[str, Any]) -> None:
        """Write a frame; the other side reads all the time, so what is buffered stays small."""
        data = orjson.dumps(frame)
        self._writer.write(len(data).to_bytes(_LENGTH, "big") + data)

    async def receive(self) -> dict[str, Any]:
        """Read a frame. Raises LostError when the other side is gone."""
        try:
            length = int.from_bytes(await self._reader.readexactly(_LENGTH), "big")
            frame: dict[str, Any] = orjson.loads(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise LostError("the other side is gone") from error
        return frame

    def close(self) -> None:
        """Close this end, which the other side reads as the end."""
        self._writer.close()


class Asker:
    """The end that asks. Many questions may be open at a time."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._numbers = itertools.count()
        self._open: dict[int, asyncio.Future[Any]] = {}
        self._lost = False

    async def ask(self, what: str, **details: Any) -> Any:
        """The answer. Raises RefusedError, or LostError when there will be none."""
        number = next(self._numbers)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._lost:
            raise LostError("the other side is gone")
        self._open[number] = answer
        try:
            self._pipe.send({"number": number, "what": what, "details": details})
            return await answer
        finally:
            del self._open[number]

    def tell(self, what: str, **details: Any) -> None:
        """Say something that wants no answer."""
        if not self._lost:
            self._pipe.send({"what": what, "details": details})

    async def listen(self) -> None:
        """Take in answers until the other side is gone; then every open question fails."""
        try:
            while True:
                self._settle(await self._pipe.receive())
        except LostError as error:
            self._lost = True
            for answer in self._open.values():
                if not answer.done():
                    answer.set_exception(error)

    def close(self) -> None:
        """Ask no more."""
        self._pipe.close()

    def _settle(self, frame: dict[str, Any]) -> None:
        answer = self._open.get(frame["number"])
        if answer is None or answer.done():
            return
        if "refused" in frame:
            answer.set_exception(RefusedError(frame["refused"], frame["message"]))
        else:
            answer.set_result(frame["answer"])


class Answerer:
    """The end that answers; each question is worked on beside the others."""

    def __init__(self, pipe: Pipe, answer: Callable[[str, dict[str, Any]], Awaitable[Any]]) -> None:
        self._pipe = pipe
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, refusals: tuple[type[Exception], ...]) -> None:
        """Answer until the other side is gone. `refusals` are the errors that are answers."""
        while True:
            try:
                frame = await self._pipe.receive()
            except LostError:
                return
            task = asyncio.get_running_loop().create_task(self._work(frame, refusals))
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        """A fault of our own leaves a question that nobody answers: the other side had better know that at once."""
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a question ended in a fault", "exception": fault}
            )
            self._pipe.close()

    async def _work(self, frame: dict[str, Any], refusals: tuple[type[Exception], ...]) -> None:
        number = frame.get("number")
        try:
            reply = {"number": number, "answer": await self._answer(frame["what"], frame["details"])}
        except refusals as error:
            reply = {"number": number, "refused": type(error).__name__, "message": str(error)}
        if number is not None:
            self._pipe.send(reply)
