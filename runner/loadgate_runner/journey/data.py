"""Data sources: rows for virtual users, each taken in one of three orders.

`sequential` gives row `iteration % rows`, so that over the whole run each row is taken as often as any other.
`random` draws from the virtual user's own generator. `unique` deals the rows out over runners and processes, each
once in a run; who finds none left is exhausted.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final

import orjson

from loadgate_runner.http import StoredFile, Unreadable

from .errors import Exhausted, JourneyError
from .rows import Row, Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from loadgate.plan.share import Share

    from .state import State

LARGEST_FILE: Final = 4 << 20
"""Bytes of a file with data, a body or a script; a ConfigMap holds 1 MiB."""


class Source:
    """A named source; `take` gives the row for a virtual user's iteration."""

    def __init__(self, name: str, rows: Rows | Sequence[Row], order: str, share: Share) -> None:
        if not rows:
            raise JourneyError(f"data source {name!r} has no rows")
        self.name = name
        self.rows = rows
        self._names = rows.names if isinstance(rows, Rows) else frozenset(name for row in rows for name in row)
        self.take: Callable[[State], Mapping[str, Any]] = {
            "sequential": self._sequential,
            "random": self._random,
            "unique": self._unique,
        }[order]
        self._left = iter(share.numbers(len(rows)))

    def has(self, column: str) -> bool:
        """Say whether any row has a column."""
        return column in self._names

    def _sequential(self, state: State) -> Row:
        return self.rows[state.number % len(self.rows)]

    def _random(self, state: State) -> Row:
        return state.random.choice(self.rows)

    def _unique(self, _state: State) -> Row:
        index = next(self._left, None)
        if index is None:
            raise Exhausted(self.name)
        return self.rows[index]


def read_rows(path: Path, kind: str | None) -> Rows:
    """Read the rows of a mounted file, `csv` or `json`. Raises JourneyError."""
    return read_csv(path) if kind == "csv" else read_json(path)


def read_csv(path: Path) -> Rows:
    """Read rows of texts; the first line names the columns."""
    try:
        # No line end is translated, as the csv module wants it, so that one within quotes stays what it is.
        lines = csv.reader(io.StringIO(read_file(path).decode("utf-8-sig"), newline=""), strict=True)
        columns = next(lines, [])
        return Rows.of_lists(columns, _whole(lines, len(columns), path.name))
    except (csv.Error, UnicodeDecodeError) as error:
        raise JourneyError(f"{path.name} is no CSV: {error}") from error


def _whole(lines: Iterable[list[str]], columns: int, name: str) -> Iterable[list[str]]:
    for line in lines:
        if len(line) == columns:
            yield line
        elif line:  # an empty line is no row
            raise JourneyError(f"{name}: a row has more or fewer fields than the first line names")


def read_json(path: Path) -> Rows:
    """Read rows from a JSON array of objects."""
    try:
        rows = orjson.loads(read_file(path))
    except orjson.JSONDecodeError as error:
        raise JourneyError(f"{path.name} is no JSON: {error}") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise JourneyError(f"{path.name} is no array of objects")
    return Rows.of_objects(rows)


STREAMED_FROM: Final = 256 << 10
"""Bytes from which on a file isn't kept in memory to be sent, but read each time: fewer fit what the kernel takes."""


def open_file(path: Path) -> bytes | StoredFile:
    """Open a file to be sent, of any size. Raises JourneyError."""
    try:
        file = StoredFile(path)
    except Unreadable as error:
        raise JourneyError(str(error)) from error
    return file if file.size >= STREAMED_FROM else read_file(path)


def read_file(path: Path) -> bytes:
    """Read a mounted file."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise JourneyError(f"{path} can't be read: {error.strerror}") from error
    if len(content) > LARGEST_FILE:
        raise JourneyError(f"{path} is larger than {LARGEST_FILE} bytes")
    return content
