"""What a Python journey gets for a request."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from loadgate.api.grammar import jsonpath
from loadgate.api.grammar.errors import GrammarError

from .errors import ValueFault
from .extract import MISSING, every, parse_json, singular

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgate_runner.http import Response

_MICROSECONDS: Final = 1e6
_UNREAD: Final = object()


class Reply:
    """An answer, or the failure to get one: `error` is its kind then, `status` 0."""

    __slots__ = ("_document", "group", "name", "response")

    def __init__(self, response: Response, name: str, group: str) -> None:
        self.response = response
        self.name = name
        self.group = group
        self._document: Any = _UNREAD

    @property
    def status(self) -> int:
        """The status; 0 when no answer came."""
        return self.response.status

    @property
    def ok(self) -> bool:
        """Whether an answer came, with a status of 200..399."""
        return self.error is None and 200 <= self.status < 400

    @property
    def error(self) -> str | None:
        """The kind of failure on the way (`connect`, `timeout`, …), None when an answer came."""
        return None if self.response.error is None else str(self.response.error)

    @property
    def headers(self) -> Any:
        """The headers: `.get(name)`, `.all(name)`, without regard to case."""
        return self.response.headers

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that the answer sets."""
        return self.response.cookies

    @property
    def body(self) -> bytes:
        """The body, decompressed."""
        return self.response.body

    @property
    def text(self) -> str:
        """The body as text."""
        return self.response.text

    @property
    def duration(self) -> float:
        """Seconds from the request's first byte to the answer's last."""
        return self.response.duration / _MICROSECONDS

    @property
    def document(self) -> Any:
        """The body's JSON, or MISSING when it is none; read once."""
        if self._document is _UNREAD:
            self._document = parse_json(self.response.body)
        return self._document

    def json(self, path: str | None = None, default: Any = None) -> Any:
        """Return the body's JSON, or what a JSONPath finds first in it, `default` when it finds nothing.

        Without a path, a body that is no JSON ends the iteration as failed.
        """
        if path is not None:
            found = _finder(path)(self.document)
            return default if found is MISSING else found
        if self.document is MISSING:
            raise ValueFault(f"the body of {self.name!r} (status {self.status}) is no JSON")
        return self.document


@lru_cache(maxsize=256)
def _finder(text: str) -> Callable[[Any], Any]:
    try:
        path = jsonpath.parse(text)
    except GrammarError as error:
        raise ValueFault(f"{text!r}: {error.message}") from error
    if path.singular is not None:
        return singular(path.singular)
    find_all = every(path)
    return lambda document: next(iter(find_all(document)), MISSING)
