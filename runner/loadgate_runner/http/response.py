"""What a request came to: an answer or a failure, and the time each phase took."""

import re
from functools import lru_cache

from loadgate_runner.http.failures import Failure
from loadgate_runner.http.headers import Headers
from loadgate_runner.http.request import Request
from loadgate_runner.http.urls import Origin

_CHARSET = re.compile(r"charset\s*=\s*\"?([^\s\";]+)", re.IGNORECASE)
_NO_HEADERS = Headers()
_NOT_FOR_BODIES = {"idna", "punycode", "unicode_escape", "raw_unicode_escape"}  # codecs of Python, not charsets


class Response:
    """One request's outcome. Each request has its own, so it may be kept.

    Phases are whole microseconds. `duration` is `sending + waiting + receiving`, as k6 defines it, but a failed
    request's is all the time from its start to its failure, so that a limit on durations sees what failing took.
    """

    __slots__ = (
        "_headers",
        "_text",
        "_trailers",
        "began",
        "blocked",
        "body",
        "connecting",
        "duration",
        "ended",
        "error",
        "first",
        "head",
        "hops",
        "message",
        "origin",
        "path",
        "plain",
        "received",
        "receiving",
        "request",
        "reused",
        "sending",
        "sent",
        "sent_at",
        "size",
        "started",
        "status",
        "tls",
        "truncated",
        "waiting",
    )

    status: int
    """The answer's, 0 when there is none."""
    error: Failure | None
    message: str
    """What failed, for people; empty otherwise."""
    started: int
    ended: int
    """Nanoseconds of the network's clock, as are the moments between: when it `began` to be sent, when it was
    (`sent_at`), when the `first` byte of an answer came (0: none did). What comes on a plain socket came when the
    kernel had it (see poller)."""
    began: int
    sent_at: int
    first: int
    blocked: int
    """Before anything could be sent that is neither connecting nor TLS: looking the name up, waiting for the VU's
    connection or one of a pool, an attempt on a connection that the peer had closed, and the rest of the loop's turn,
    at whose end requests go out."""
    connecting: int
    tls: int
    sending: int
    """Until the kernel had the last byte."""
    waiting: int
    receiving: int
    duration: int
    sent: int
    received: int
    """Bytes of head and body, before TLS."""
    reused: bool
    """Whether the connection had carried a request before."""
    head: bytes | None
    """The raw head, perhaps with more behind its empty line; None unless the request needs it."""
    hops: tuple["Response", ...]
    """The redirects that led here, each a request of its own."""
    request: Request
    origin: Origin
    path: bytes
    body: bytes
    """Decoded; empty unless the request needs it, and cut at the limits (`truncated`)."""
    size: int
    """Bytes of the decoded body, of a truncated one the bytes that came; 0 unless the request needs the body."""
    truncated: bool

    plain: bool
    """Whether the answer's head is known to ask for nothing (see Request.plain)."""

    def settle(self, kind: Failure | None, message: str) -> None:
        """Derive the phases from the moments, once it has ended."""
        self.error, self.message = kind, message
        began, ended, first = self.began, self.ended, self.first
        self.duration = duration = (ended - began) // 1000
        self.receiving = (ended - first) // 1000 if first else 0
        self.sending = (min(self.sent_at, first or ended) - began) // 1000
        self.waiting = duration - self.sending - self.receiving
        self.blocked = (began - self.started) // 1000 - self.connecting - self.tls
        if kind is not None:
            self.duration = (ended - self.started) // 1000

    @property
    def url(self) -> str:
        """What was requested."""
        return self.origin.url(self.path)

    @property
    def method(self) -> str:
        """How it was requested; GET where a redirect made it that."""
        return self.request.method

    @property
    def headers(self) -> Headers:
        """The answer's headers, read at the first look; empty unless the request needs them."""
        try:
            return self._headers
        except AttributeError:  # nobody has looked yet
            self._headers = headers = _NO_HEADERS if self.head is None else Headers(self.head)
            return headers

    @property
    def trailers(self) -> Headers:
        """The fields behind the body; none unless the request needs them. They are no headers (RFC 9110, 6.5.1)."""
        try:
            return self._trailers
        except AttributeError:  # there were none
            return _NO_HEADERS

    def trail(self, lines: bytes) -> None:
        """Take the trailers, as whole lines."""
        self._trailers = Headers(b"\r\n" + lines + b"\r\n")

    @property
    def cookies(self) -> dict[str, str]:
        """What this answer set."""
        return self.headers.cookies

    @property
    def text(self) -> str:
        """The body by its charset (UTF-8 unless said), with what doesn't decode replaced."""
        try:
            return self._text
        except AttributeError:
            self._text = text = self.body.decode(_charset(self.headers.get("content-type") or ""), "replace")
            return text

    _headers: Headers
    _trailers: Headers
    _text: str


@lru_cache(maxsize=256)
def _charset(content_type: str) -> str:
    """The charset that a content type names and Python knows, else UTF-8."""
    match = _CHARSET.search(content_type)
    if match is None:
        return "utf-8"
    try:
        b"a".decode(match[1], "replace")  # an empty text would not even be looked up
    except (LookupError, UnicodeError):
        return "utf-8"
    return "utf-8" if match[1].lower() in _NOT_FOR_BODIES else match[1]
