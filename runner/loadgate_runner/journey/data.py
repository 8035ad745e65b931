"""Data sources: rows for virtual users, each taken in one of three orders.

`sequential` gives row `iteration % rows`, so that over the whole run each row is taken as often as any other.
`random` draws from the virtual user's own generator. `unique` deals the rows out over runners and processes, each
once in a run; who finds none left is exhausted.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any, Final

import orjson

from .errors import Exhausted, JourneyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from loadgate.plan.share import Share

    from .state import State

LARGEST_FILE: Final = 4 << 20
"""Bytes of a file with data, a body or a script; a ConfigMap holds 1 MiB."""

Row = dict[str, Any]


class Source:
    """A named source; `take` gives the row for a virtual user's iteration."""

    def __init__(self, name: str, rows: Sequence[Row], order: str, share: Share) -> None:
        if not rows:
            raise JourneyError(f"data source {name!r} has no rows")
        self.name = name
        self.rows = rows
        self.take: Callable[[State], Mapping[str, Any]] = {
            "sequential": self._sequential,
            "random": self._random,
            "unique": self._unique,
        }[order]
        self._left = iter(share.numbers(len(rows)))

    def has(self, column: str) -> bool:
        """Say whether any row has a column."""
        return any(column in row for row in self.rows)

    def _sequential(self, state: State) -> Row:
        return self.rows[state.number % len(self.rows)]

    def _random(self, state: State) -> Row:
        return state.random.choice(self.rows)

    def _unique(self, _state: State) -> Row:
        index = next(self._left, None)
        if index is None:
            raise Exhausted(self.name)
        return self.rows[index]


def read_csv(path: Path) -> list[Row]:
    """Read rows of texts; the first line names the columns."""
    try:
        rows = list(csv.DictReader(read_file(path).decode("utf-8-sig").splitlines(keepends=True), strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise JourneyError(f"{path.name} is no CSV: {error}") from error
    if any(None in row or None in row.values() for row in rows):
        raise JourneyError(f"{path.name}: a row has more or fewer fields than the first line names")
    return [dict(row) for row in rows]


def read_json(path: Path) -> list[Row]:
    """Read rows from a JSON array of objects."""
    try:
        rows = orjson.loads(read_file(path))
    except orjson.JSONDecodeError as error:
        raise JourneyError(f"{path.name} is no JSON: {error}") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise JourneyError(f"{path.name} is no array of objects")
    return rows


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
