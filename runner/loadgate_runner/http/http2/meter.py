"""Frames counted before anything reads them: how large they are, and how many come that carry nothing. Pure.

A frame costs us far more than it costs its sender, and most kinds may be sent without end: SETTINGS, PING, RST_STREAM,
WINDOW_UPDATE, PRIORITY, empty DATA, kinds that nobody knows (CVE-2019-9511 to 9518, CVE-2023-44487, CVE-2024-24549 and
others). So each of them takes from an allowance, to which each of our frames adds and the passing of time; and what
came is read in slices, so that other connections have their turn between two of them.
"""

from typing import Final

DATA: Final = 0
HEADERS: Final = 1
SETTINGS: Final = 4
GOAWAY: Final = 7
CONTINUATION: Final = 9

ALLOWANCE: Final = 1000
"""Frames without content that a peer may send before it is taken for a flood; as many again after each PERIOD."""
PERIOD: Final = 10_000_000_000
LARGEST: Final = 16_384
"""Bytes of a frame: what a peer may send where our SETTINGS don't say more (RFC 9113, 4.2)."""
_SLICE: Final = 16_384
_FRAMES: Final = 64
_HEAD: Final = 9
_END_STREAM: Final = 1
_PER_BYTES: Final = 256  # a frame costs one more for each of these: 2,700 settings fit into one frame


class Flood(Exception):  # noqa: N818  it says what comes
    """A peer sends what no peer needs to send; the message says what."""


class Meter:
    """Walks over the frames of one connection; `most` is the largest block of fields, in bytes as sent."""

    __slots__ = ("_begun", "_block", "_head", "_kind", "_left", "_most", "_renewed", "_stream", "allowance", "shares")

    def __init__(self, most: int, now: int) -> None:
        self._most = most
        self._head = b""
        self._left = 0
        self._kind = -1
        self._block = 0
        self._begun = False
        self._renewed = now
        self.allowance = ALLOWANCE
        self._stream = 0
        self.shares: list[tuple[int, int]] = []
        """Of the last slice, in order: a stream, and bytes of its frames."""

    def grant(self, frames: int) -> None:
        """We sent something that a peer may answer with so many frames."""
        self.allowance = min(ALLOWANCE, self.allowance + frames)

    def take(self, data: bytes, start: int, now: int) -> int:
        """Go over the next slice of what came, and say where it ends; `shares` tell whose bytes they were.

        A slice ends behind a GOAWAY, and else is as large as may be read in one go. Raises Flood.
        """
        if now - self._renewed >= PERIOD:
            self._renewed, self.allowance = now, ALLOWANCE
        at, frames, end = start, 0, min(len(data), start + _SLICE)
        self.shares = shares = []
        while at < end:
            if self._left:
                step = min(self._left, end - at)
                self._left -= step
                at += step
                shares.append((self._stream, step))
                if self._kind == GOAWAY and not self._left:
                    break
                continue
            if frames == _FRAMES:
                break
            step = min(_HEAD - len(self._head), end - at)
            self._head += data[at : at + step]
            at += step
            if len(self._head) < _HEAD:
                break
            self._begin(self._head)
            shares.append((self._stream, _HEAD))
            self._head = b""
            frames += 1
        return at

    def _begin(self, head: bytes) -> None:
        """A frame begins (RFC 9113, 4.1)."""
        length = head[0] << 16 | head[1] << 8 | head[2]
        self._kind = kind = head[3]
        self._left = length
        self._stream = (head[5] & 0x7F) << 24 | head[6] << 16 | head[7] << 8 | head[8]
        if not self._begun and kind != SETTINGS:
            raise Flood("it doesn't begin with SETTINGS")
        self._begun = True
        if length > LARGEST:
            raise Flood(f"a frame is larger than {LARGEST} bytes")
        if kind == DATA:
            if length or head[4] & _END_STREAM:
                return
            cost = 1
        elif kind in {HEADERS, CONTINUATION}:
            self._block = length if kind == HEADERS else self._block + length
            if self._block > self._most:
                raise Flood(f"the answer's head is larger than {self._most} bytes")
            cost = 1
        else:
            cost = 1 + length // _PER_BYTES
        self.allowance -= cost
        if self.allowance < 0:
            raise Flood(f"more than {ALLOWANCE} frames that carry nothing")
