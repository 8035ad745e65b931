"""What a Python journey gets for a request."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from loadgate.api.grammar import jsonpath
from loadgate.api.grammar.errors import GrammarError
from loadgate.api.grammar.status import GRPC_OK, status_tag

from .errors import ValueFault
from .extract import MISSING, every, parse_json, singular

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgate_runner.http import Response

_MICROSECONDS: Final = 1e6
_UNREAD: Final = object()


class Answer:
    """What came of a request, whatever it was sent over; where it failed on its way, `error` is the kind of that."""

    __slots__ = ("_document", "group", "name", "response")

    def __init__(self, response: Response, name: str, group: str) -> None:
        self.response = response
        self.name = name
        self.group = group
        self._document: Any = _UNREAD

    @property
    def error(self) -> str | None:
        """The kind of failure on the way (`connect`, `timeout`, …), None when an answer came."""
        return None if self.response.error is None else str(self.response.error)

    @property
    def headers(self) -> Any:
        """The headers: `.get(name)`, `.all(name)`, without regard to case."""
        return self.response.headers

    @property
    def trailers(self) -> Any:
        """The fields behind the body, as `headers`; kept where the request asked for them (`trailers=True`)."""
        return self.response.trailers

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
        return first_found(
            self.document, path, default, f"the body of {self.name!r} (status {status_tag(self.response.status)})"
        )


class Reply(Answer):
    """An answer, or the failure to get one: `error` is its kind then, `status` 0."""

    __slots__ = ()

    @property
    def status(self) -> int:
        """The status; 0 when no answer came."""
        return self.response.status

    @property
    def ok(self) -> bool:
        """Whether an answer came, with a status of 200..399."""
        return self.error is None and 200 <= self.status < 400


class CallReply(Answer):
    """What came of a gRPC call; of a stream, the last reply that was read."""

    __slots__ = ()

    @property
    def status(self) -> str:
        """The status by its name (`OK`, `NOT_FOUND`, …); empty where there was none, for want of a connection."""
        return status_tag(self.response.status) if self.response.status else ""

    @property
    def ok(self) -> bool:
        """Whether the status is OK."""
        return self.error is None and self.response.status == GRPC_OK

    @property
    def details(self) -> str:
        """The server's words with the status."""
        return self.headers.get("grpc-message") or ""

    @property
    def message(self) -> Any:
        """The reply in protobuf's JSON, where 64-bit numbers are texts; None where none came."""
        return None if self.document is MISSING else self.document


def first_found(document: Any, path: str | None, default: Any, what: str) -> Any:
    """Return a document, or what a JSONPath finds first in it. Raises ValueFault where no JSON is asked for whole."""
    if path is not None:
        found = _finder(path)(document)
        return default if found is MISSING else found
    if document is MISSING:
        raise ValueFault(f"{what} is no JSON")
    return document


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
