"""Content codings undone, never into more bytes than allowed: a small answer may unpack to gigabytes."""

import zlib
from collections.abc import Callable
from typing import Any

import brotli
import zstandard

OFFERED = "gzip, deflate, br, zstd"
_GZIP = zlib.MAX_WBITS | 16
_MOST_CODINGS = 3


class Undecodable(Exception):  # noqa: N818  it says what the body is
    """The body isn't what its `Content-Encoding` says; the message names what is wrong."""


def decode(codings: str, data: bytes, limit: int, *, whole: bool = True) -> tuple[bytes, bool]:
    """Undo the codings of a `Content-Encoding`, in their reverse order.

    Gives the first `limit` bytes and whether that is all. With `whole=False` the data is the beginning of a body, whose
    end may be missing. Raises Undecodable.
    """
    names = [name.strip().lower() for name in codings.split(",") if name.strip()]
    if len(names) > _MOST_CODINGS:
        raise Undecodable(f"{len(names)} content codings on one body")
    complete = whole
    for name in reversed(names):
        if name == "identity" or not data:
            continue
        decoder = _DECODERS.get(name)
        if decoder is None:
            raise Undecodable(f"unknown content coding {name!r}")
        data, ended = decoder(data, limit + 1)
        if len(data) > limit:
            data, complete = data[:limit], False
        elif not ended and complete:
            raise Undecodable(f"the {name} data ends early")
    return data, complete


def _zlib_with(*window_bits: int) -> Callable[[bytes, int], tuple[bytes, bool]]:
    """A decoder for data in one of several zlib framings, tried in turn."""

    def decoder(data: bytes, limit: int) -> tuple[bytes, bool]:
        fault = ""
        for bits in window_bits:
            try:
                return _inflate(data, limit, bits)
            except zlib.error as error:
                fault = fault or str(error)
        raise Undecodable(fault)

    return decoder


def _inflate(data: bytes, limit: int, bits: int) -> tuple[bytes, bool]:
    """Inflate one or, as gzip allows, several members one after another."""
    output = bytearray()
    while data and len(output) < limit:
        member = zlib.decompressobj(bits)
        output += member.decompress(data, limit - len(output))
        if not member.eof:
            return bytes(output), False
        data = member.unused_data if bits == _GZIP else b""
    return bytes(output), not data


def _brotli(data: bytes, limit: int) -> tuple[bytes, bool]:
    decoder = brotli.Decompressor()
    output = bytearray()
    try:
        output += decoder.process(data, output_buffer_limit=limit)
        while len(output) < limit and not decoder.can_accept_more_data():
            output += decoder.process(b"", output_buffer_limit=limit - len(output))
    except brotli.error as error:
        raise Undecodable(str(error)) from error
    return bytes(output), decoder.is_finished()


def _zstd(data: bytes, limit: int) -> tuple[bytes, bool]:
    """Several frames may follow one another. A frame's window is bounded by zstandard at 8 MiB, as RFC 9659 asks."""
    output = bytearray()
    try:
        while data and len(output) < limit:
            frame = zstandard.ZstdDecompressor(max_window_size=8 << 20).decompressobj()
            piece, data = _zstd_frame(frame, data, limit - len(output))
            output += piece
            if not frame.eof:
                return bytes(output), False
    except zstandard.ZstdError as error:
        raise Undecodable(str(error)) from error
    return bytes(output), not data


def _zstd_frame(frame: Any, data: bytes, limit: int) -> tuple[bytes, bytes]:
    """Fed in small steps, since a frame's decoder gives all that one step unpacks to."""
    step = 256
    output = bytearray()
    for start in range(0, len(data), step):
        output += frame.decompress(data[start : start + step])
        if frame.eof:
            return bytes(output), frame.unused_data + data[start + step :]
        if len(output) >= limit:
            break
    return bytes(output), b""


_gzip = _zlib_with(_GZIP)
_DECODERS: dict[str, Callable[[bytes, int], tuple[bytes, bool]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _zlib_with(zlib.MAX_WBITS, -zlib.MAX_WBITS),
    "br": _brotli,
    "zstd": _zstd,
}
