"""Frames of HTTP/2 as bytes and back (RFC 9113, 4 and 6), with no library of it: what is sent may be wrong. Pure."""

import struct
from dataclasses import dataclass

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
ALTSVC = 10
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 1, 1, 4, 8, 32
HEAD = 9
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@dataclass(frozen=True)
class Frame:
    """One frame; `length` where it says another length than it has."""

    kind: int
    payload: bytes = b""
    flags: int = 0
    stream: int = 0
    length: int | None = None

    @property
    def wire(self):
        """Its bytes."""
        length = len(self.payload) if self.length is None else self.length
        return (
            struct.pack(">I", length)[1:]
            + bytes([self.kind, self.flags])
            + struct.pack(">I", self.stream)
            + self.payload
        )

    @property
    def content(self):
        """The payload without padding and priority; None where these don't fit into it."""
        rest, pad = self.payload, 0
        if self.flags & PADDED and self.kind in {DATA, HEADERS}:
            if not rest:
                return None
            pad, rest = rest[0], rest[1:]
        if self.flags & PRIORITIZED and self.kind == HEADERS:
            if len(rest) < 5:
                return None
            rest = rest[5:]
        return None if pad > len(rest) else rest[: len(rest) - pad]


def frames_of(wire):
    """The whole frames that bytes begin with, and the rest behind them."""
    frames, at = [], 0
    while len(wire) - at >= HEAD:
        length = int.from_bytes(wire[at : at + 3], "big")
        if len(wire) - at - HEAD < length:
            break
        kind, flags = wire[at + 3 : at + 5]
        stream = int.from_bytes(wire[at + 5 : at + HEAD], "big") & 0x7FFFFFFF
        frames.append(Frame(kind, wire[at + HEAD : at + HEAD + length], flags, stream))
        at += HEAD + length
    return frames, wire[at:]


def literally(*fields):
    """Fields for HPACK that neither use nor change what the other side remembers (RFC 7541, 6.2.2)."""
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)


def _text(text):
    return (bytes([len(text)]) if len(text) < 127 else b"\x7f" + _rest(len(text) - 127)) + text


def _rest(number):
    low = b""
    while number >= 128:
        low, number = low + bytes([number & 127 | 128]), number >> 7
    return low + bytes([number])
