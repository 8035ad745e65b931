"""A request compiled once, sent many times: everything that doesn't change is bytes already."""

from collections.abc import Collection, Hashable, Iterable
from dataclasses import replace
from typing import Protocol

from loadgate import __version__
from loadgate_runner.http.content import Content
from loadgate_runner.http.decode import OFFERED
from loadgate_runner.http.settings import Options, Way
from loadgate_runner.http.urls import Origin

_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
_EXPECT_BODY = frozenset({"POST", "PUT", "PATCH"})
_PRIVATE = frozenset({b"authorization", b"cookie", b"proxy-authorization"})
_OF_CONTENT = frozenset({b"content-type", b"content-length", b"content-encoding", b"content-language"})
_NANOSECONDS = 1_000_000_000
_LINE_ENDS = str.maketrans("\r\n\0", "   ")
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_EXPECTATION = b"Expect: 100-continue\r\n"
_TRAILERS_TAKEN = (("te", b"TE: trailers\r\n"), ("connection", b"Connection: TE\r\n"))  # RFC 9110, 10.1.4
_UNKNOWN = (b"", -1, 0)
USER_AGENT = f"loadgate/{__version__}"


class Signer(Protocol):
    """Says whose a request is by what is computed over it, each time that it is sent."""

    @property
    def origin(self) -> Origin:
        """Where signed requests go: no other origin gets to see a signature."""

    @property
    def answers(self) -> bool:
        """Whether a 401 may be answered with the same request, signed anew."""

    def sign(
        self, method: str, host: str, path: bytes, headers: bytes, body: bytes | Content | None
    ) -> tuple[bytes, bytes]:
        """Return the path as it is to be sent, and the header lines that come behind the given ones."""

    def challenged(self, head: bytes, wire: bytes) -> bool:
        """Take a 401's head in; say whether the request, which was sent as `wire`, would now be signed otherwise."""


class Request:
    """Immutable but for one note: `plain`, the head of the last whole answer in which nothing asks for attention (no
    cookie, coding, redirect or end of the connection), with the answer's size and status. What begins with the same
    head and has the same size is the same to us but for its body, and needs no parsing.
    """

    __slots__ = (
        "_lines",
        "_no_body",
        "_start",
        "body",
        "content",
        "first_byte",
        "head_only",
        "headers",
        "idempotent",
        "key",
        "max_redirects",
        "method",
        "needs_body",
        "needs_head",
        "needs_trailers",
        "options",
        "origin",
        "path",
        "patience",
        "plain",
        "signer",
        "total",
        "wire",
    )

    def __init__(  # noqa: PLR0913, PLR0917  these are the parts of a request; `prepare` is the way to build one
        self,
        method: str,
        origin: Origin,
        path: bytes | None,
        headers: bytes,
        body: bytes | None,
        options: Options,
        *,
        needs_head: bool,
        needs_body: bool,
        content: Content | None = None,
        patience: int = 0,
        needs_trailers: bool = False,
    ) -> None:
        self.method = method
        self.origin = origin
        self.headers = headers
        self.body = body
        self.options = options
        self.needs_head = needs_head
        self.needs_body = needs_body
        self.needs_trailers = needs_trailers
        self.max_redirects = options.max_redirects
        self.first_byte = int(options.timeouts.first_byte * _NANOSECONDS)
        self.total = int(options.timeouts.total * _NANOSECONDS)
        self.head_only = method == "HEAD"
        self.signer: Signer | None = None
        self.idempotent = method in _IDEMPOTENT
        self.key = self.key_of(origin)
        self._start, self._lines = self._frame(origin)
        self.content = content
        """A body that goes out apart from its head; `Client.deliver` is the way to send it."""
        self.patience = patience
        """Nanoseconds for which such a body waits to be asked for; 0: it isn't."""
        self._no_body = self._announcement(content)
        self.plain: tuple[bytes, int, int] = _UNKNOWN
        self.path = path or b"/"
        """Where a `send` goes that says no path."""
        self.wire = None if path is None else self.compose(origin, path)

    def key_of(self, origin: Origin) -> Hashable:
        """What two requests must share to share a connection."""
        key: Hashable = (origin, self.options.tls) if origin.scheme == "https" else origin
        return key if self.options.proxy is None else (key, self.options.proxy)

    def compose(
        self, origin: Origin, path: bytes, headers: bytes = b"", body: bytes | None = None, cookies: bytes = b""
    ) -> bytes:
        """All bytes of one request. `headers` are whole lines that come behind the prepared ones."""
        if origin is self.origin:
            start, lines = self._start, self._lines
        else:
            start, lines = self._frame(origin)
        body = self.body if body is None else body
        if body is None:
            return b"".join((start, path, lines, headers, cookies, self._no_body, b"\r\n"))
        length = b"Content-Length: %d\r\n" % len(body)
        return b"".join((start, path, lines, headers, cookies, length, b"\r\n", body))

    def _frame(self, origin: Origin) -> tuple[bytes, bytes]:
        """What stands before the path, and what between it and the lines that change: the end of the request line,
        and prepared headers. A proxy that asks the origin itself needs the whole URL (RFC 9112, 3.2.2).
        """
        start = f"{self.method} ".encode("ascii")
        host = (self.options.host or origin.authority).encode("ascii", "replace")
        lines = b" HTTP/1.1\r\nHost: " + host + b"\r\n" + self.headers
        proxy = self.options.proxy
        if proxy is None or proxy.way(origin) is not Way.FORWARD:
            return start, lines
        return start + f"http://{origin.authority}".encode("ascii", "replace"), lines + proxy.line

    def challenged(self, origin: Origin, head: bytes | None, wire: bytes) -> bool:
        """Whether a 401 asks for the request once more, signed anew; `wire` is as it was sent."""
        signer = self.signer
        if signer is None or head is None or not signer.answers or origin != signer.origin:
            return False
        return signer.challenged(head, wire)

    def carrying(self, content: Content) -> "Request":
        """The same with a body of this time, which goes out apart from its head."""
        return self._like(self.method, self.headers, None, self.options, content)

    def _announcement(self, content: Content | None) -> bytes:
        """What a head that nothing stands behind says of the body."""
        if content is None:
            return b"Content-Length: 0\r\n" if self.method in _EXPECT_BODY else b""
        return b"Content-Length: %d\r\n" % content.size + (_EXPECTATION if self.patience and content.size else b"")

    def redirected(self, as_get: bool, same_origin: bool, headers: bytes, body: bytes | None) -> "Request":  # noqa: FBT001  both positions are named at the only call
        """The request that a redirect asks for; `headers` and `body` are the dynamic parts of the one redirected.

        To another origin go neither credentials nor a `Host` and server name that were meant for the first.
        """
        headers = self.headers + headers
        method, options, content = self.method, self.options, self.content
        body = self.body if body is None else body
        if as_get and method != "HEAD":
            method, body, content, headers = "GET", None, None, _without(headers, _OF_CONTENT)
        if not same_origin:
            headers = _without(headers, _PRIVATE)
            options = replace(options, host=None, tls=options.tls._replace(server_name=None))
        return self._like(method, headers, body, options, content)

    def _like(
        self, method: str, headers: bytes, body: bytes | None, options: Options, content: Content | None
    ) -> "Request":
        return Request(
            method, self.origin, None, headers, body, options, needs_head=self.needs_head, needs_body=self.needs_body,
            content=content, patience=self.patience, needs_trailers=self.needs_trailers,
        )  # fmt: skip


class Signed(Request):
    """One that is signed each time that it goes to the signer's origin: none of its bytes are known before."""

    __slots__ = ("_by",)

    def __init__(  # noqa: PLR0913, PLR0917  as above
        self,
        method: str,
        origin: Origin,
        path: bytes | None,
        headers: bytes,
        body: bytes | None,
        options: Options,
        signer: Signer,
        *,
        needs_head: bool,
        needs_body: bool,
        content: Content | None = None,
        patience: int = 0,
        needs_trailers: bool = False,
    ) -> None:
        super().__init__(
            method, origin, None, headers, body, options, needs_head=needs_head, needs_body=needs_body,
            content=content, patience=patience, needs_trailers=needs_trailers,
        )  # fmt: skip
        self.path = path or b"/"
        self.needs_head = needs_head or signer.answers  # a challenge is in it
        self._by = self.signer = signer

    def compose(
        self, origin: Origin, path: bytes, headers: bytes = b"", body: bytes | None = None, cookies: bytes = b""
    ) -> bytes:
        """The same, signed."""
        if origin == self._by.origin:
            host = self.options.host or origin.authority
            signed = self.content or (self.body if body is None else body)
            path, lines = self._by.sign(self.method, host, path, self.headers + headers, signed)
            headers += lines
        return super().compose(origin, path, headers, body, cookies)

    def _like(
        self, method: str, headers: bytes, body: bytes | None, options: Options, content: Content | None
    ) -> Request:
        return Signed(
            method, self.origin, None, headers, body, options, self._by,
            needs_head=self.needs_head, needs_body=self.needs_body, content=content, patience=self.patience,
            needs_trailers=self.needs_trailers,
        )  # fmt: skip


def prepare(  # noqa: PLR0913  a request has these parts, all but three with a default
    method: str,
    origin: Origin,
    path: bytes | None,
    *,
    headers: Iterable[tuple[str, str]] = (),
    content_type: str | None = None,
    body: bytes | Content | None = None,
    options: Options | None = None,
    needs_headers: bool = False,
    needs_body: bool = False,
    needs_trailers: bool = False,
    changing: Collection[str] = (),
    patience: float = 0,
    signer: Signer | None = None,
) -> Request:
    """Compile a request.

    Without a `path`, each `send` says one. With `patience` (seconds), the body waits so long to be asked for; then, and
    where it is a Content, `deliver` is the way to send the request. `headers` win over what would be sent by default
    (User-Agent, Accept, Accept-Encoding, Content-Type), as do those that each `send` adds: their names, in lower case,
    are `changing`. `Host` and `Content-Length` are ignored: the options and the body decide.
    Raises ValueError where the method or a header's name is none.
    """
    options = options or Options()
    if not method or not set(method) <= _TOKEN:
        raise ValueError(f"{method!r} is not an HTTP method")
    given = [(name, value) for name, value in headers if name.strip().lower() not in {"host", "content-length"}]
    names = {name.strip().lower() for name, _ in given}
    defaults = _default_headers(options, content_type)
    lines = [header_line(name, value) for name, value in defaults if name.lower() not in names.union(changing)]
    lines += [header_line(name, value) for name, value in given]
    if needs_trailers:
        lines += [line for name, line in _TRAILERS_TAKEN if name not in names]
    apart = Content(body) if patience and isinstance(body, bytes) else body if isinstance(body, Content) else None
    together = body if isinstance(body, bytes) and not patience else None
    parts = (method, origin, path, b"".join(lines), together, options)
    needs_head, wait = needs_headers or needs_body, int(patience * _NANOSECONDS)
    if signer is None:
        return Request(
            *parts, needs_head=needs_head, needs_body=needs_body, content=apart, patience=wait,
            needs_trailers=needs_trailers,
        )  # fmt: skip
    return Signed(
        *parts, signer, needs_head=needs_head, needs_body=needs_body, content=apart, patience=wait,
        needs_trailers=needs_trailers,
    )  # fmt: skip


def header_line(name: str, value: str) -> bytes:
    """One header as a whole line. Line ends and NUL in the value become spaces, so that no value adds a header.

    Raises ValueError where the name is none.
    """
    name = name.strip()
    if not name or not set(name) <= _TOKEN:
        raise ValueError(f"{name!r} is not a header's name")
    return f"{name}: {value.translate(_LINE_ENDS).strip()}\r\n".encode("utf-8", "replace")


def _default_headers(options: Options, content_type: str | None) -> list[tuple[str, str]]:
    accept = [("Accept-Encoding", OFFERED)] if options.compressed else []
    return [("User-Agent", USER_AGENT), ("Accept", "*/*"), *accept, *_content_type(content_type)]


def _content_type(content_type: str | None) -> list[tuple[str, str]]:
    return [("Content-Type", content_type)] if content_type else []


def _without(headers: bytes, names: frozenset[bytes]) -> bytes:
    """Header lines without those of certain names."""
    lines = headers.split(b"\r\n")[:-1]
    return b"".join(line + b"\r\n" for line in lines if line.partition(b":")[0].strip().lower() not in names)
