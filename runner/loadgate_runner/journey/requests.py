"""A request compiled: what doesn't change prepared as bytes, closures for what does."""

from __future__ import annotations

import mimetypes
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from loadgate_runner.http import (
    BINARY,
    FORM,
    JSON,
    TEXT,
    Content,
    Part,
    StoredFile,
    Unreadable,
    basic,
    header_line,
    multipart_body,
    multipart_content,
    multipart_type,
    new_boundary,
    prepare,
)

from .data import open_file
from .errors import JourneyError
from .state import State
from .templates import Piece, compile_text, fold, join, json_pieces, parse, pieces
from .tracing import HEADER as TRACE_HEADER
from .urls import Address, compile_address, form_pieces

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgate.api.auth import Basic
    from loadgate.api.references import FileSource
    from loadgate.api.steps import Call, Request
    from loadgate.api.steps import Part as FormPart
    from loadgate_runner.http import Opening, Response, Signer
    from loadgate_runner.http.request import Request as Prepared

    from .ports import Bearer
    from .scope import Scope
    from .target import Target
    from .tracing import Tracing
    from .workshop import Workshop

Send = Callable[[State], Awaitable["Response"]]
Sendable = Piece | Content | Callable[[State], bytes | Content]
"""A body, or what makes one each time."""
Open = Callable[[State], "Opening"]


@dataclass(frozen=True)
class Needs:
    """What of a response is looked at; the rest isn't kept."""

    headers: bool = False
    body: bool = False
    trailers: bool = False
    accepted: frozenset[int] | None = None
    """The statuses that the step's check accepts, if it names any."""


def compile_request(request: Request, needs: Needs, shop: Workshop) -> Send:
    """Return what sends the request for a virtual user."""
    return compile_sending(request, *compile_body(request, shop), needs, shop)


def compile_sending(  # noqa: PLR0913, PLR0917 - the parts of a request
    call: Call,
    content_type: str | None,
    body: Sendable | None,
    needs: Needs,
    shop: Workshop,
    accept: str | None = None,
) -> Send:
    """Return what sends a call's body over HTTP; `accept` is the header of that name, unless the call has one."""
    return _sender(_prepare(call, content_type, body, needs, shop, accept), body)


def compile_opening(call: Call, needs: Needs, shop: Workshop, accept: str | None = None) -> Open:
    """Return what gives a call's beginning, where what follows isn't one answer."""
    parts = _prepare(call, None, None, needs, shop, accept)
    prepared, locate, make_headers, authorize = (
        parts.prepared,
        parts.address.locate,
        parts.make_headers,
        parts.authorize,
    )
    make_path = parts.make_path

    def opening(state: State) -> Opening:
        if locate is None:
            path = make_path(state) if make_path else None
            return state.client.opening(prepared, path, make_headers(state) if make_headers else b"")
        origin, path = locate(state)
        headers = make_headers(state) if make_headers else b""
        if authorize is not None and origin == prepared.origin:
            headers += authorize(state)
        return state.client.opening(prepared, path, headers, origin)

    return opening


@dataclass(frozen=True)
class Parts:
    """What is the same each time, where it goes, and the headers that change.

    Where it is seen only then where a request goes (`address.locate`), `authorize` gives the lines that are for the
    target alone.
    """

    prepared: Prepared
    address: Address
    headers: Piece
    authorize: Callable[[State], bytes] | None = None

    @property
    def make_path(self) -> Callable[[State], bytes] | None:
        """What makes the path, where it changes."""
        return self.address.path if callable(self.address.path) else None

    @property
    def make_headers(self) -> Callable[[State], bytes] | None:
        """What makes the headers that change, where there are any."""
        return self.headers if callable(self.headers) else None


def _prepare(  # noqa: PLR0913, PLR0917 - the parts of a request
    call: Call, content_type: str | None, body: Sendable | None, needs: Needs, shop: Workshop, accept: str | None
) -> Parts:
    """Return a call's parts."""
    target, scope = shop.target, shop.scope
    address = compile_address(call.http_url, call.parameters, target, scope)
    headers = _headers(call, target, accept)
    names = {name.lower() for name in headers}
    fixed, changing = header_pieces(headers, scope)
    if call.auth is not None and call.auth.basic is not None:
        credentials = _basic(call.auth.basic, scope)
        if isinstance(credentials, str):
            fixed.append(("Authorization", credentials))
        else:
            changing.append(credentials)
    known = {name.lower() for name, _ in fixed}
    tracing = tracing_of(call, shop)
    if tracing is not None:
        changing.append(tracing.line)
    authorize = _authorizer(call, shop)
    if authorize is not None and address.locate is None:
        if address.origin == target.origin:
            changing.append(authorize)
        authorize = None
    try:
        prepared = prepare(
            call.http_method,
            address.origin,
            address.path if isinstance(address.path, bytes) and address.locate is None else None,
            headers=fixed,
            content_type=content_type,
            body=None if callable(body) else body,
            options=target.options_for(call),
            needs_headers=needs.headers,
            needs_body=needs.body,
            needs_trailers=needs.trailers,
            changing=names - known,
            patience=call.patience,
            signer=signer_of(call, shop) if address.locate or address.origin == target.origin else None,
        )
        if prepared.signer is not None and prepared.content is not None:
            _ = prepared.content.digest  # before the load, since a large file takes its time
    except (ValueError, Unreadable) as error:
        raise JourneyError(f"request {call.label!r}: {error}") from error
    return Parts(prepared, address, join(changing), authorize)


def compile_body(request: Request, shop: Workshop) -> tuple[str | None, Sendable | None]:
    """Return a body with its content type; (None, None) without one."""
    scope = shop.scope
    if "json_" in request.model_fields_set:
        return JSON, join(json_pieces(request.json_, scope))
    if request.form is not None:
        return FORM, join(form_pieces(request.form, scope))
    if request.text is not None:
        return TEXT, join(pieces(parse(request.text), scope, _utf8))
    if request.file is not None:
        held = _held(request.file, shop)
        return _type_of(request.file), held if isinstance(held, bytes) else Content(held)
    if request.multipart is not None:
        return _multipart(request.multipart, shop)
    return None, None


def _sender(parts: Parts, body: Sendable | None) -> Send:
    """Return the cheapest closure for what changes."""
    prepared, make_path, make_headers = parts.prepared, parts.make_path, parts.make_headers
    if isinstance(body, Assembly) and prepared.signer is not None:
        raise JourneyError("a form with a large file that is made anew each time can't be signed: leave out its ${…}")
    if prepared.content is not None or prepared.patience or isinstance(body, Assembly):
        return _delivering(parts, body if callable(body) else None)
    make_body = cast("Callable[[State], bytes]", body) if callable(body) else None
    if parts.address.locate is not None:
        return _anywhere(parts, parts.address.locate, make_body)
    if make_headers is None and make_body is None:
        if make_path is None:
            return lambda state: state.client.send(prepared)
        return lambda state: state.client.send(prepared, path=make_path(state))
    return lambda state: state.client.send(
        prepared,
        path=make_path(state) if make_path else None,
        headers=make_headers(state) if make_headers else b"",
        body=make_body(state) if make_body else None,
    )


def _anywhere(
    parts: Parts, locate: Callable[[State], tuple[Any, bytes]], make_body: Callable[[State], bytes] | None
) -> Send:
    prepared, make_headers, authorize = parts.prepared, parts.make_headers, parts.authorize

    def send(state: State) -> Awaitable[Response]:
        origin, path = locate(state)
        headers = make_headers(state) if make_headers else b""
        if authorize is not None and origin == prepared.origin:
            headers += authorize(state)
        return state.client.send(
            prepared,
            path=path,
            headers=headers,
            body=make_body(state) if make_body else None,
            origin=origin,
        )

    return send


def _delivering(parts: Parts, make_body: Callable[[State], bytes | Content] | None) -> Send:
    """Return what sends a body that goes out apart from its head."""
    prepared, make_headers, authorize = parts.prepared, parts.make_headers, parts.authorize
    make_path, locate = parts.make_path, parts.address.locate

    def deliver(state: State) -> Awaitable[Response]:
        origin, path = locate(state) if locate else (prepared.origin, make_path(state) if make_path else None)
        headers = make_headers(state) if make_headers else b""
        if authorize is not None and origin == prepared.origin:
            headers += authorize(state)
        return state.client.deliver(prepared, path, headers, make_body(state) if make_body else None, origin)

    return deliver


def header_pieces(headers: Mapping[str, str], scope: Scope) -> tuple[list[tuple[str, str]], list[Piece]]:
    """Return the headers that are known now, and the pieces of those lines that are made each time."""
    fixed: list[tuple[str, str]] = []
    changing: list[Piece] = []
    for name, value in headers.items():
        template = parse(value)
        parts = fold(template, scope)
        if any(callable(part) for part in parts):
            changing += [_line_start(name), *pieces(template, scope, _in_header), b"\r\n"]
        else:
            fixed.append((name, "".join(part for part in parts if isinstance(part, str))))
    return fixed, changing


def tracing_of(call: Call, shop: Workshop) -> Tracing | None:
    """Return what traces a call; None where nothing does, and where the test says the header itself."""
    return None if TRACE_HEADER in map(str.lower, (*call.headers, *shop.target.headers)) else shop.tracing


def tokens_of(call: Call, shop: Workshop) -> Bearer | None:
    """Return the token that a call carries to the target; None where it says by itself who it is."""
    return None if _says_who(call, shop) else shop.tokens


def signer_of(call: Call, shop: Workshop) -> Signer | None:
    """Return what signs a call to the target; None where it says by itself who it is."""
    return None if _says_who(call, shop) else shop.signer


def _says_who(call: Call, shop: Workshop) -> bool:
    return call.auth is not None or "authorization" in map(str.lower, (*call.headers, *shop.target.headers))


def _authorizer(call: Call, shop: Workshop) -> Callable[[State], bytes] | None:
    tokens = tokens_of(call, shop)
    return None if tokens is None else lambda _state: tokens.line


def _headers(call: Call, target: Target, accept: str | None) -> dict[str, str]:
    """A call's own header wins over the target's of the same name, `auth` over both."""
    given = {"accept": ("Accept", accept)} if accept else {}
    given |= {name.lower(): (name, value) for name, value in (*target.headers.items(), *call.headers.items())}
    if call.auth is not None:
        given.pop("authorization", None)
    if call.auth is not None and call.auth.bearer is not None:
        given["authorization"] = ("Authorization", f"Bearer {call.auth.bearer}")
    return dict(given.values())


def _basic(auth: Basic, scope: Scope) -> str | Callable[[State], bytes]:
    """Return the header's value when it is known now, else what makes its line."""
    parts = fold(parse(auth.username), scope), fold(parse(auth.password), scope)
    if not any(callable(part) for part in (*parts[0], *parts[1])):
        user, password = ("".join(part for part in texts if isinstance(part, str)) for texts in parts)
        return basic(user, password)
    make_user = compile_text(parse(auth.username), scope)
    make_password = compile_text(parse(auth.password), scope)
    line = _line_start("Authorization")
    return lambda state: line + basic(make_user(state), make_password(state)).encode() + b"\r\n"


class Assembly:
    """What makes a form each time, of which some is in files."""

    __slots__ = ("_boundary", "_parts")

    def __init__(self, parts: list[tuple[Part, Piece | StoredFile]], boundary: str) -> None:
        self._parts = parts
        self._boundary = boundary

    def __call__(self, state: State) -> bytes | Content:
        """The form of now."""
        return multipart_content(_filled(self._parts, state), self._boundary)


def _multipart(parts: list[FormPart], shop: Workshop) -> tuple[str, Sendable]:
    boundary = new_boundary()
    made = [(_form_part(part), _part_value(part, shop)) for part in parts]
    if not any(callable(value) for _, value in made):
        return multipart_body([replace(part, value=value) for part, value in made if not callable(value)], boundary)
    if any(isinstance(value, StoredFile) for _, value in made):
        return multipart_type(boundary), Assembly(made, boundary)
    return multipart_type(boundary), lambda state: multipart_content(_filled(made, state), boundary)


def _filled(parts: list[tuple[Part, Piece | StoredFile]], state: State) -> list[Part]:
    return [replace(part, value=value(state) if callable(value) else value) for part, value in parts]


def _form_part(part: FormPart) -> Part:
    if part.file is None:
        return Part(part.name, b"", part.filename, part.content_type)
    name = _path(part.file, Path()).name
    return Part(part.name, b"", part.filename or name, part.content_type or _type_of(part.file))


def _part_value(part: FormPart, shop: Workshop) -> Piece | StoredFile:
    if part.file is not None:
        return _held(part.file, shop)
    return join(pieces(parse(part.value or ""), shop.scope, _utf8))


def _held(source: FileSource, shop: Workshop) -> bytes | StoredFile:
    """A file's contents, opened once for all steps that send it."""
    path = _path(source, shop.files)
    if ("file", path) not in shop.kept:
        shop.kept["file", path] = open_file(path)
    return cast("bytes | StoredFile", shop.kept["file", path])


def _path(source: FileSource, files: Path) -> Path:
    ref = source.config_map_key_ref
    return files / ref.name / ref.key if ref else Path(source.path or "")


def _type_of(source: FileSource) -> str:
    return mimetypes.guess_type(_path(source, Path()).name)[0] or BINARY


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _line_start(name: str) -> bytes:
    return header_line(name, "").rstrip() + b" "


def _in_header(text: str) -> bytes:
    """A value within a header: no line end in it ends the header."""
    if text.isprintable():
        return text.encode("utf-8", "replace")
    return _utf8(text.translate(_LINE_ENDS))


_LINE_ENDS: Final = str.maketrans("\r\n\0", "   ")
