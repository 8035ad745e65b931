"""A request's URL as a template: what of it is known when it is compiled, and what each time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loadgate_runner.http import Origin, encode_component, encode_path, locate

from .errors import ValueFault
from .target import Target, is_absolute, place
from .templates import Piece, encoded, fold, join, parse, pieces
from .values import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .scope import Scope
    from .state import State
    from .values import Value

_WHOLE_ORIGIN = re.compile(r"(https?://[^/?#]+)(?=[/?#])", re.IGNORECASE)


@dataclass(frozen=True)
class Address:
    """Where a request goes: a fixed origin and path, a path made each time, or (`locate`) both made each time."""

    origin: Origin
    path: Piece = b"/"
    locate: Callable[[State], tuple[Origin, bytes]] | None = None


def compile_address(url: str, query: Mapping[str, Any], target: Target, scope: Scope) -> Address:
    """Compile a URL with the query that comes behind it."""
    parts = _without_fragment(fold(parse(url), scope))
    first = parts[0] if parts and isinstance(parts[0], str) else ""
    fields = form_pieces(query, scope)
    sign = b"&" if any("?" in part for part in parts if isinstance(part, str)) else b"?"
    more: list[Piece] = [sign, *fields] if fields else []
    if len(parts) == 1 and first and is_absolute(first):
        origin, path = place(first)
        return Address(origin, join([path, *more]))
    if found := _WHOLE_ORIGIN.match(first):
        origin, _ = place(found[1])
        return Address(origin, join([*_path_pieces([first[found.end() :], *parts[1:]]), *more]))
    if _names_a_host(parts):
        return Address(target.origin, locate=_located(parts, join(fields), target))
    return Address(target.origin, join([target.base, *_path_pieces(parts), *more]))


def form_pieces(fields: Mapping[str, Any], scope: Scope) -> list[Piece]:
    """Return `a=1&b=x+y`; a list of values gives a name several times, null none."""
    found: list[Piece] = []
    for name, value in fields.items():
        for item in value if isinstance(value, list) else [value]:
            if item is None:
                continue
            text = item if isinstance(item, str) else text_of(item)
            found += [b"&" * bool(found), encode_component(name) + b"=", *pieces(parse(text), scope, encode_component)]
    return found


def _names_a_host(parts: Sequence[str | Value]) -> bool:
    """Whether the host may be within a value: the URL begins with one, or with a scheme and no whole host."""
    return bool(parts) and (not isinstance(parts[0], str) or is_absolute(parts[0]))


def _located(parts: Sequence[str | Value], more: Piece, target: Target) -> Callable[[State], tuple[Origin, bytes]]:
    def located(state: State) -> tuple[Origin, bytes]:
        url = "".join([part if isinstance(part, str) else text_of(part(state)) for part in parts])
        try:
            origin, path = locate(url) if is_absolute(url) else (target.origin, target.base + encode_path(url))
        except ValueError as error:
            raise ValueFault(str(error)) from error
        query = more if isinstance(more, bytes) else more(state)
        return origin, path + (b"&" if b"?" in path else b"?") + query if query else path

    return located


def _path_pieces(parts: Sequence[str | Value]) -> list[Piece]:
    found = [_in_path(part) if isinstance(part, str) else encoded(part, _in_path) for part in parts if part != ""]
    first = found[0] if found else b""
    return found if isinstance(first, bytes) and first.startswith(b"/") else [b"/", *found]


def _in_path(text: str) -> bytes:
    """What a text is within a path or query: a literal `#` is never a fragment here."""
    if text.isascii() and text.isalnum():
        return text.encode()
    return encode_path("/" + text.replace("#", "%23"))[1:]


def _without_fragment(parts: list[str | Value]) -> list[str | Value]:
    for index, part in enumerate(parts):
        if isinstance(part, str) and "#" in part:
            return [*parts[:index], part.partition("#")[0]]
    return parts
