"""Request bodies as bytes, with their content types. Pure."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from loadgate_runner.http.content import Content, StoredFile
from loadgate_runner.http.urls import encode_query

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
TEXT = "text/plain; charset=utf-8"
BINARY = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart form: a field, or a file where it has a `filename`."""

    name: str
    value: bytes | StoredFile
    filename: str | None = None
    content_type: str | None = None


def json_body(value: Any) -> tuple[str, bytes]:
    """A JSON document, compact."""
    return JSON, orjson.dumps(value)


def text_body(text: str) -> tuple[str, bytes]:
    """Plain text in UTF-8."""
    return TEXT, text.encode("utf-8", "replace")


def form_body(pairs: Iterable[tuple[str, str]]) -> tuple[str, bytes]:
    """A form as browsers send one without files."""
    return FORM, encode_query(pairs)


def multipart_body(parts: Iterable[Part], boundary: str | None = None) -> tuple[str, bytes | Content]:
    """A form with files. Without a boundary, a random one is made."""
    boundary = boundary or new_boundary()
    return multipart_type(boundary), multipart_content(parts, boundary)


def new_boundary() -> str:
    """A boundary that no content has by chance."""
    return f"loadgate-{secrets.token_hex(16)}"


def multipart_type(boundary: str) -> str:
    """The content type of a form whose parts are split by `boundary`."""
    return f"multipart/form-data; boundary={boundary}"


def multipart_content(parts: Iterable[Part], boundary: str) -> bytes | Content:
    """The parts with their heads (RFC 7578), between boundaries: bytes where all that they hold is in memory."""
    delimiter = b"--" + boundary.encode("ascii")
    pieces: list[bytes | StoredFile] = []
    for part in parts:
        pieces += [b"\r\n".join((delimiter, *_part_head(part), b"", b"")), part.value, b"\r\n"]
    pieces.append(delimiter + b"--\r\n")
    held = [piece for piece in pieces if isinstance(piece, bytes)]
    return b"".join(held) if len(held) == len(pieces) else Content(*pieces)


def _part_head(part: Part) -> Iterable[bytes]:
    disposition = f'Content-Disposition: form-data; name="{_quoted(part.name)}"'
    if part.filename is not None:
        disposition += f'; filename="{_quoted(part.filename)}"'
    yield disposition.encode("utf-8", "replace")
    content_type = part.content_type or (BINARY if part.filename is not None else None)
    if content_type is not None:
        yield f"Content-Type: {_quoted(content_type)}".encode("ascii", "replace")


def _quoted(text: str) -> str:
    """Names as browsers write them in a part's head: what would end the quotes or the line is percent-encoded."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
