"""Bodies of a Python journey's requests: bytes in memory, and files that are read as they are sent."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from loadgate_runner.http import (
    BINARY,
    FORM,
    TEXT,
    Content,
    Part,
    StoredFile,
    encode_query,
    json_body,
    multipart_content,
    multipart_type,
    new_boundary,
)

from .data import open_file
from .errors import JourneyError, ValueFault
from .values import text_of

UNSET: Final[Any] = object()

Body = str | bytes | os.PathLike[str]
"""A text, bytes, or a file's path."""
Field = Body | tuple[str, Body] | tuple[str, Body, str]
"""A part of a form: its value, or a file's name and content, and perhaps its content type."""
Fields = Mapping[str, Field] | Iterable[tuple[str, Field]]

_MOST_FILES: Final = 256
"""Files that are kept open. Beyond them, which only paths made of data reach, each is opened anew."""


class Carried(NamedTuple):
    """A body with its content type; without one, both are None."""

    content_type: str | None
    content: bytes | Content | None

    @property
    def anew(self) -> bool:
        """Whether it is another one each time, though some of it is in files."""
        return isinstance(self.content, Content) and (self.content_type or "").startswith("multipart/")


class Bodies:
    """Makes them; files are opened once for all who send them, and stay as long as they were then."""

    def __init__(self, kept: dict[Any, Any]) -> None:
        self._kept = kept
        self._opened = 0
        self._boundary = new_boundary()

    def carry(self, json: Any, form: Mapping[str, Any] | None, body: Body | None, multipart: Fields | None) -> Carried:
        """The body that a request has. Raises ValueFault."""
        if (json is not UNSET) + (form is not None) + (body is not None) + (multipart is not None) > 1:
            raise ValueFault("give one of json, form, multipart and body")
        if json is not UNSET:
            return Carried(*json_body(json))
        if form is not None:
            return Carried(FORM, encode_query(pairs(form)))
        if multipart is not None:
            return self._form(multipart)
        if isinstance(body, str):
            return Carried(TEXT, _utf8(body))
        if isinstance(body, os.PathLike):
            held = self._file(Path(body))
            return Carried(_type_of(Path(body)), held if isinstance(held, bytes) else self._whole(Path(body), held))
        return Carried(None, body)

    def _form(self, fields: Fields) -> Carried:
        named = fields.items() if isinstance(fields, Mapping) else fields
        parts = [self._part(name, field) for name, field in named]
        return Carried(multipart_type(self._boundary), multipart_content(parts, self._boundary))

    def _part(self, name: str, field: Field) -> Part:
        if isinstance(field, tuple):
            filename, body, *kinds = field
            return Part(name, self._value(body), filename, kinds[0] if kinds else _type_of(Path(filename)))
        if isinstance(field, os.PathLike):
            return Part(name, self._value(field), Path(field).name, _type_of(Path(field)))
        return Part(name, self._value(field))

    def _value(self, body: Body) -> bytes | StoredFile:
        if isinstance(body, os.PathLike):
            return self._file(Path(body))
        return body if isinstance(body, bytes) else _utf8(text_of(body))

    def _file(self, path: Path) -> bytes | StoredFile:
        found: bytes | StoredFile | None = self._kept.get(("file", path))
        if found is None:
            try:
                found = open_file(path)
            except JourneyError as error:
                raise ValueFault(str(error)) from error
            self._keep(("file", path), found)
        return found

    def _whole(self, path: Path, file: StoredFile) -> Content:
        """One for all who send it, so that what is signed is read for its digest once."""
        found: Content | None = self._kept.get(("content", path))
        if found is None:
            found = Content(file)
            if ("file", path) in self._kept:
                self._kept["content", path] = found
        return found

    def _keep(self, key: tuple[str, Path], file: bytes | StoredFile) -> None:
        if self._opened < _MOST_FILES:
            self._opened += 1
            self._kept[key] = file


def pairs(fields: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Names and texts, several of one name where the value is a list; what is None is left out."""
    for name, value in fields.items():
        for item in value if isinstance(value, list | tuple) else [value]:
            if item is not None:
                yield name, text_of(item)


def _type_of(path: Path) -> str:
    return mimetypes.guess_type(path.name)[0] or BINARY


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")
