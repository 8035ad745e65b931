"""Bodies that aren't kept whole in memory: their parts, the files among these, and a body's pieces as they are sent."""

import os
import stat
from hashlib import sha256
from pathlib import Path
from typing import Final

PIECE: Final = 65_536
"""Bytes that are handed to the kernel at once: of each body under way, no more is in our memory."""


class Unreadable(Exception):  # noqa: N818  it says what a file is
    """A file can't be read, or isn't what it was; the message says which one and why."""


class StoredFile:
    """A file that is read as it is sent, by any number of requests at once; it stays open, and as long as it was."""

    __slots__ = ("_descriptor", "_path", "size")

    def __init__(self, path: Path) -> None:
        """Raises Unreadable."""
        self._path = path
        self._descriptor = -1
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would hold us up
            status = os.fstat(self._descriptor)
        except OSError as error:
            raise Unreadable(f"{path} can't be read: {error.strerror}") from error
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable(f"{path} is no file")
        self.size = status.st_size

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def read(self, at: int, most: int) -> bytes:
        """Bytes from there on, at most so many and at least one. Raises Unreadable."""
        try:
            piece = os.pread(self._descriptor, min(most, self.size - at), at)
        except OSError as error:
            raise Unreadable(f"{self._path} can't be read: {error.strerror}") from error
        if not piece:
            raise Unreadable(f"{self._path} has become shorter than its {self.size} bytes")
        return piece


class Content:
    """A body whose length is known, of parts in memory and in files; the same for all requests that carry it."""

    __slots__ = ("_digest", "_parts", "size")

    def __init__(self, *parts: bytes | StoredFile) -> None:
        self._parts = [part for part in parts if _size(part)]
        self._digest = ""
        self.size = sum(map(_size, parts))

    @property
    def digest(self) -> str:
        """Its SHA-256 in hexadecimal, for what is signed; files are read for it once. Raises Unreadable."""
        if not self._digest:
            digest, pieces = sha256(), self.pieces()
            while piece := pieces.take():
                digest.update(piece)
            self._digest = digest.hexdigest()
        return self._digest

    def pieces(self) -> "Pieces":
        """The body from its beginning."""
        return Pieces(self._parts, self.size)


class Pieces:
    """What of a body is still to be sent; `left` is how many bytes that is."""

    __slots__ = ("_at", "_parts", "left")

    def __init__(self, parts: list[bytes | StoredFile], size: int) -> None:
        self._parts = parts[::-1]
        self._at = 0
        self.left = size

    def take(self, most: int = PIECE) -> bytes:
        """The next bytes, at most so many; none at the end. Raises Unreadable."""
        if not self._parts:
            return b""
        part, at = self._parts[-1], self._at
        piece = part[at : at + most] if isinstance(part, bytes) else part.read(at, most)
        self._at += len(piece)
        self.left -= len(piece)
        if self._at == _size(part):
            self._parts.pop()
            self._at = 0
        return piece


def _size(part: bytes | StoredFile) -> int:
    return len(part) if isinstance(part, bytes) else part.size
