"""Templates compiled to closures on a virtual user's state.

What is known when a scenario is compiled (literals, secrets, the run's id) is folded into the literals, and these are
encoded then. A request's bytes are made by one closure that puts ready bytes and encoded values together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from loadgate.api.grammar import template as grammar
from loadgate.api.grammar.errors import GrammarError
from loadgate.api.grammar.template import Call, Name, Template

from .errors import JourneyError
from .functions import FUNCTIONS
from .scope import compile_name
from .state import State
from .values import constant, dumps, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .scope import Scope
    from .values import Value

Encode = Callable[[str], bytes]
Piece = bytes | Callable[[State], bytes]

DEEPEST_JSON: Final = 100
"""Objects and arrays within one another in a body that a test sends."""


def parse(text: str) -> Template:
    """Parse a template; validation saw the same text, so a fault here is a plan made by other hands."""
    try:
        return grammar.parse(text)
    except GrammarError as error:
        raise JourneyError(f"{text[:200]!r}: {error.message}") from error


def compile_value(template: Template, scope: Scope) -> Value:
    """Return a closure that gives the template's value: of its own type when it is one expression, else a text."""
    if template.single is not None:
        part = _compile_part(template.single, scope)
        return part if callable(part) else constant(part)
    return compile_text(template, scope)


def compile_text(template: Template, scope: Scope) -> Callable[[State], str]:
    """Return a closure that gives the template's text."""
    parts = fold(template, scope)
    if not parts:
        return constant("")
    if len(parts) == 1:
        only = parts[0]
        return constant(only) if isinstance(only, str) else lambda state: text_of(only(state))
    makers = [constant(part) if isinstance(part, str) else part for part in parts]
    return lambda state: "".join([text_of(make(state)) for make in makers])


def fold(template: Template, scope: Scope) -> list[str | Value]:
    """Resolve what is known now; no two texts in a row, none empty."""
    parts: list[str | Value] = []
    for part in template.parts:
        known = part if isinstance(part, str) else _compile_part(part, scope)
        if callable(known):
            parts.append(known)
            continue
        text = text_of(known)
        if parts and isinstance(parts[-1], str):
            parts[-1] += text
        elif text:
            parts.append(text)
    return parts


def pieces(template: Template, scope: Scope, encode: Encode) -> list[Piece]:
    """Return the template as bytes where they are known now, and closures that encode values where they are not."""
    return [encode(part) if isinstance(part, str) else encoded(part, encode) for part in fold(template, scope)]


def json_pieces(value: Any, scope: Scope, depth: int = 0) -> list[Piece]:
    """Return a JSON document whose texts are templates, in the same way."""
    if depth > DEEPEST_JSON:
        raise JourneyError(f"a JSON body nests deeper than {DEEPEST_JSON}")
    if isinstance(value, dict):
        parts: list[Piece] = [b"{"]
        for index, (key, item) in enumerate(value.items()):
            parts += [b"," * bool(index) + dumps(str(key)) + b":", *json_pieces(item, scope, depth + 1)]
        return [*parts, b"}"]
    if isinstance(value, list | tuple):
        parts = [b"["]
        for index, item in enumerate(value):
            parts += [b"," * bool(index), *json_pieces(item, scope, depth + 1)]
        return [*parts, b"]"]
    if not isinstance(value, str):
        return [dumps(value)]
    template = parse(value)
    if template.single is not None:
        make = compile_value(template, scope)
        return [lambda state: dumps(make(state))]
    return [b'"', *pieces(template, scope, _inside_json), b'"']


def join(parts: Sequence[Piece]) -> Piece:
    """Return the bytes when all are known, else one closure that makes them."""
    merged: list[Piece] = []
    for part in parts:
        last = merged[-1] if merged else None
        if isinstance(part, bytes) and isinstance(last, bytes):
            merged[-1] = last + part
        elif part != b"":
            merged.append(part)
    if not merged:
        return b""
    if len(merged) == 1:
        return merged[0]
    return _joined(merged)


def _joined(parts: list[Piece]) -> Callable[[State], bytes]:
    makers = [part for part in parts if not isinstance(part, bytes)]
    pattern = b"".join(part.replace(b"%", b"%%") if isinstance(part, bytes) else b"%b" for part in parts)
    if len(makers) == 1:
        (only,) = makers
        return lambda state: pattern % only(state)
    if len(makers) == 2:
        one, two = makers
        return lambda state: pattern % (one(state), two(state))
    return lambda state: pattern % tuple([make(state) for make in makers])


def encoded(value: Value, encode: Encode) -> Callable[[State], bytes]:
    """Return a closure that gives a value's text, encoded."""

    def make(state: State) -> bytes:
        found = value(state)
        if type(found) is int:
            return b"%d" % found
        return encode(found if isinstance(found, str) else text_of(found))

    return make


def _inside_json(text: str) -> bytes:
    return dumps(text)[1:-1]


def _compile_part(part: Name | Call, scope: Scope) -> Any:
    """Return a closure, or the value itself when it is known now (values are never callable)."""
    return compile_name(part.path, scope) if isinstance(part, Name) else _compile_call(part, scope)


def _compile_call(call: Call, scope: Scope) -> Any:
    make = FUNCTIONS.get(call.function)
    if make is None:
        raise JourneyError(f"there is no function {call.function}")
    return make([_compile_argument(arg, scope) if isinstance(arg, Template) else arg for arg in call.args], scope)


def _compile_argument(template: Template, scope: Scope) -> Any:
    if template.is_literal:
        return template.literal
    if template.single is not None:
        return _compile_part(template.single, scope)
    return compile_text(template, scope)
