"""Rows of a data file as one block of bytes, decoded one at a time: small, and shared by a runner's processes.

As dictionaries a hundred thousand rows of two columns take tens of megabytes in each process, and processes forked from
one that has them would soon have their own all the same: whoever looks at an object writes its reference count.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Row = dict[str, Any]

_PLACE: Final = "I"
_PLACE_SIZE: Final = array(_PLACE).itemsize
"""Bytes of a place in a block: 4, good for a thousand times what a file may have."""


@dataclass(frozen=True)
class Description:
    """What it takes to read a block besides its bytes. Rows of `columns` are lists of as many; others name their own.

    `names` are those that any row has.
    """

    count: int
    names: tuple[str, ...]
    columns: tuple[str, ...] | None


class Rows:
    """A sequence of rows. Each look at one makes a dictionary, which is the looker's own.

    The block is a table of places, of where row 0 begins and each row ends, and behind it the rows as JSON, from
    whose first byte places count.
    """

    def __init__(self, description: Description, block: bytes | mmap.mmap) -> None:
        self.description = description
        self.names = frozenset(description.names)
        self._columns = description.columns
        head = (description.count + 1) * _PLACE_SIZE
        self._places = memoryview(block)[:head].cast(_PLACE)
        self._texts = memoryview(block)[head:]
        self._block = block

    def __len__(self) -> int:
        return self.description.count

    def __getitem__(self, index: int) -> Row:
        places = self._places
        found: Any = orjson.loads(self._texts[places[index] : places[index + 1]])
        return found if self._columns is None else dict(zip(self._columns, found, strict=True))

    @classmethod
    def of_lists(cls, columns: Sequence[str], lists: Iterable[list[str]]) -> Rows:
        """Rows that have the same columns, each as the list of its values."""
        count, block = _packed(lists)
        return cls(Description(count, tuple(columns), tuple(columns)), block)

    @classmethod
    def of_objects(cls, rows: Sequence[Row]) -> Rows:
        """Rows of any columns."""
        count, block = _packed(rows)
        return cls(Description(count, tuple(sorted({name for row in rows for name in row})), None), block)

    def share(self, descriptor: int) -> None:
        """Write the block to a file that other processes have open too."""
        with open(descriptor, "wb", closefd=False) as file:
            file.write(self._block)

    @classmethod
    def shared(cls, description: Description, descriptor: int) -> Rows:
        """What another process has written there: one memory for all who map it."""
        return cls(description, mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))


def _packed(rows: Iterable[Any]) -> tuple[int, bytes]:
    """How many rows there are, and their block."""
    ends = array(_PLACE, [0])
    # Into one buffer at once: orjson makes each text in a kilobyte of its own, whose rest is lost while the text lives.
    texts = bytearray()
    dumps, end = orjson.dumps, ends.append  # looked up once: every row is waited for before a run is armed
    for row in rows:
        texts += dumps(row)
        end(len(texts))
    return len(ends) - 1, b"".join((ends.tobytes(), texts))


def nameless_file() -> int:
    """A descriptor of a file that no folder has and that is gone with its last user; in memory where that can be."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("loadgate-rows")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
