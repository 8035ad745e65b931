"""Server-sent events as they are written (WHATWG HTML, 9.2): bytes in whatever pieces become events. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

_LINE_END = re.compile(rb"\r\n|\r|\n")
_MARK = b"\xef\xbb\xbf"
_MOST_DIGITS = 15


class Event(NamedTuple):
    """One event; `type` is `message` where the stream names none."""

    type: str
    data: str
    id: str
    retry: int | None = None
    """Milliseconds before connecting again, as the stream has said so far."""


class TooLarge(Exception):  # noqa: N818 - it names what happened
    """An event, or a line, is larger than the limit."""


class EventParser:
    """Takes a stream in pieces. `limit` is what an event may have in bytes, its field names included."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._line = bytearray()
        self._at_start = True
        self._after_return = False
        self._type = b""
        self._data: list[bytes] = []
        self._size = 0
        self._id = b""
        self._retry: int | None = None

    def feed(self, piece: bytes) -> list[Event]:
        """The events that are whole with this piece. Raises TooLarge."""
        if self._after_return and piece[:1] == b"\n":
            piece = piece[1:]
            self._after_return = False
        if not piece:
            return []
        self._after_return = piece.endswith(b"\r")
        first, *others = _LINE_END.split(piece)
        self._line += first
        events: list[Event] = []
        for line in others:
            if event := self._take(bytes(self._line)):
                events.append(event)
            self._line = bytearray(line)
        if self._size + len(self._line) > self._limit:
            raise TooLarge
        return events

    def _take(self, line: bytes) -> Event | None:
        """A whole line; an event where it ends one."""
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_MARK)
        if not line:
            return self._dispatch()
        self._size += len(line)
        if self._size > self._limit:
            raise TooLarge
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._type = value
        elif name == b"id" and b"\0" not in value:
            self._id = value
        elif name == b"retry" and value.isdigit() and len(value) <= _MOST_DIGITS:
            self._retry = int(value)
        elif not name:
            self._size -= len(line)  # a comment, which servers send to keep a connection open
        return None

    def _dispatch(self) -> Event | None:
        data, kind = self._data, self._type
        self._data, self._type, self._size = [], b"", 0
        if not data:
            return None
        text = b"\n".join(data).decode("utf-8", "replace")
        return Event(
            kind.decode("utf-8", "replace") or "message", text, self._id.decode("utf-8", "replace"), self._retry
        )
