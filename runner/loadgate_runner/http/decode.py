"""Content codings undone, never into more bytes than allowed: a small answer may unpack to gigabytes."""

import zlib
from collections.abc import Callable

import brotli
import zstandard

OFFERED = "gzip, deflate, br, zstd"
_GZIP = zlib.MAX_WBITS | 16
_MOST_CODINGS = 3
_MOST_MEMBERS = 1000  # of one gzip or zstd body; empty ones unpack to nothing, so that no other limit would meet them
_GZIP_STEP = 1 << 14
_ZSTD_STEP = 256  # small, since a frame's decoder gives all that one step unpacks to


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
    at = 0
    for _ in range(_MOST_MEMBERS):
        member = zlib.decompressobj(bits)
        while not member.eof and at < len(data) and len(output) < limit:
            step = data[at : at + _GZIP_STEP]
            output += member.decompress(step, limit - len(output))
            at += len(step) - len(member.unused_data) - len(member.unconsumed_tail)
        if not member.eof:
            return bytes(output), False
        if bits != _GZIP or at == len(data) or len(output) >= limit:
            return bytes(output), bits != _GZIP or at == len(data)
    raise Undecodable(f"more than {_MOST_MEMBERS} gzip members")


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
    at = 0
    try:
        for _ in range(_MOST_MEMBERS):
            frame = zstandard.ZstdDecompressor(max_window_size=8 << 20).decompressobj()
            while not frame.eof and at < len(data) and len(output) < limit:
                step = data[at : at + _ZSTD_STEP]
                output += frame.decompress(step)
                at += len(step) - len(frame.unused_data)
            if not frame.eof or at == len(data) or len(output) >= limit:
                return bytes(output), frame.eof and at == len(data)
    except zstandard.ZstdError as error:
        raise Undecodable(str(error)) from error
    raise Undecodable(f"more than {_MOST_MEMBERS} zstd frames")


_gzip = _zlib_with(_GZIP)
_DECODERS: dict[str, Callable[[bytes, int], tuple[bytes, bool]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _zlib_with(zlib.MAX_WBITS, -zlib.MAX_WBITS),
    "br": _brotli,
    "zstd": _zstd,
}
