"""Templates compiled to closures on a virtual user's state.

What is known when a scenario is compiled (literals, secrets, the run's id) is folded into the literals, and these are
encoded then. A request's bytes are made by one closure that puts ready bytes and encoded values together.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import orjson

from loadgate.api.grammar import template as grammar
from loadgate.api.grammar.errors import GrammarError
from loadgate.api.grammar.template import Call, Name, Template

from .errors import JourneyError, ValueFault
from .secrets import Secrets
from .state import State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .data import Source

Value = Callable[[State], Any]
Encode = Callable[[str], bytes]
Piece = bytes | Callable[[State], bytes]

DEEPEST_JSON: Final = 100
"""Objects and arrays within one another in a body that a test sends."""

_OF_THE_STATE: Final[Mapping[tuple[str, ...], Value]] = {
    ("vu", "id"): lambda state: state.id,
    ("vu", "iteration"): lambda state: state.iteration,
    ("iteration",): lambda state: state.number,
}
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


@dataclass
class Scope:
    """What names mean where a template stands. `used` collects the data sources that the templates read."""

    run: str
    runner_index: int
    scenario: str
    secrets: Secrets = field(default_factory=Secrets)
    sources: Mapping[str, Source] = field(default_factory=dict)
    setup: Mapping[str, Any] = field(default_factory=dict)
    wall: Callable[[], float] = time.time
    used: set[str] = field(default_factory=set)


def text_of(value: Any) -> str:
    """Return a value as it stands within a text: JSON's spelling for what isn't text; nothing for no value."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return _dumps(value).decode()


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
        return part if callable(part) else _constant(part)
    return compile_text(template, scope)


def compile_text(template: Template, scope: Scope) -> Callable[[State], str]:
    """Return a closure that gives the template's text."""
    parts = fold(template, scope)
    if not parts:
        return _constant("")
    if len(parts) == 1:
        only = parts[0]
        return _constant(only) if isinstance(only, str) else lambda state: text_of(only(state))
    makers = [_constant(part) if isinstance(part, str) else part for part in parts]
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
            parts += [b"," * bool(index) + _dumps(str(key)) + b":", *json_pieces(item, scope, depth + 1)]
        return [*parts, b"}"]
    if isinstance(value, list | tuple):
        parts = [b"["]
        for index, item in enumerate(value):
            parts += [b"," * bool(index), *json_pieces(item, scope, depth + 1)]
        return [*parts, b"]"]
    if not isinstance(value, str):
        return [_dumps(value)]
    template = parse(value)
    if template.single is not None:
        make = compile_value(template, scope)
        return [lambda state: _dumps(make(state))]
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
    return _dumps(text)[1:-1]


def _dumps(value: Any) -> bytes:
    if type(value) is str or isinstance(value, str):
        value = str(value)
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise ValueFault(f"a value has no JSON form: {error}") from error


def _constant(value: Any) -> Callable[[State], Any]:
    return lambda _state: value


def _compile_part(part: Name | Call, scope: Scope) -> Any:
    """Return a closure, or the value itself when it is known now (values are never callable)."""
    return _compile_name(part.path, scope) if isinstance(part, Name) else _compile_call(part, scope)


def _compile_name(path: tuple[str, ...], scope: Scope) -> Any:
    if path in _OF_THE_STATE:
        return _OF_THE_STATE[path]
    match path:
        case ("scenario",):
            return scope.scenario
        case ("run", "id"):
            return scope.run
        case ("runner", "index"):
            return scope.runner_index
        case ("secret", name) if name in scope.secrets:
            return scope.secrets[name]
        case ("data", source, column) if source in scope.sources:
            scope.used.add(source)
            return lambda state: state.rows[source].get(column)
        case ("setup", name):
            return lambda _state: scope.setup.get(name)
        case (name,):
            return lambda state: state.vars.get(name)
    raise JourneyError(f"`${{{'.'.join(path)}}}` names nothing")


def _compile_call(call: Call, scope: Scope) -> Any:
    args = [_compile_argument(arg, scope) if isinstance(arg, Template) else arg for arg in call.args]
    match call.function:
        case "uuid":
            return lambda state: _uuid(state.random.getrandbits(128))
        case "now.unix":
            return lambda _state: int(scope.wall())
        case "now.ms":
            return lambda _state: int(scope.wall() * 1000)
        case "now.iso":
            return lambda _state: _iso(scope.wall())
        case "random.int":
            return _random_int(*args)
        case "random.float":
            low, high = map(_numeric, args)
            return lambda state: state.random.uniform(low(state), high(state))
        case "random.choice":
            return _random_choice(args)
        case "random.string":
            length = _whole(args[0])
            return lambda state: _random_string(state, length(state))
        case "base64" | "urlencode" | "json":
            return _converted(_CONVERSIONS[call.function], args[0])
    raise JourneyError(f"there is no function {call.function}")


def _compile_argument(template: Template, scope: Scope) -> Any:
    if template.is_literal:
        return template.literal
    if template.single is not None:
        return _compile_part(template.single, scope)
    return compile_text(template, scope)


def _random_int(low: Any, high: Any) -> Value:
    if isinstance(low, int) and isinstance(high, int):
        span = high - low + 1
        return lambda state: low + state.random.randrange(span)
    least, most = _whole(low), _whole(high)

    def drawn(state: State) -> int:
        first, last = least(state), most(state)
        if last < first:
            raise ValueFault(f"random.int({first}, {last}) has nothing to draw from")
        return first + state.random.randrange(last - first + 1)

    return drawn


def _random_choice(args: list[Any]) -> Value:
    if not any(callable(arg) for arg in args):
        return lambda state: state.random.choice(args)
    makers = [arg if callable(arg) else _constant(arg) for arg in args]
    return lambda state: state.random.choice(makers)(state)


def _random_string(state: State, length: int) -> str:
    if not 0 <= length <= grammar.LONGEST_RANDOM_STRING:
        raise ValueFault(f"random.string({length}): a length lies within 0..{grammar.LONGEST_RANDOM_STRING}")
    return "".join(state.random.choices(_ALPHABET, k=length))


def _converted(convert: Callable[[Any], str], arg: Any) -> Any:
    return (lambda state: convert(arg(state))) if callable(arg) else convert(arg)


def _whole(arg: Any) -> Callable[[State], int]:
    number = _numeric(arg)
    return lambda state: int(number(state))


def _numeric(arg: Any) -> Callable[[State], float]:
    if not callable(arg):
        return _constant(arg)

    def number(state: State) -> float:
        found = arg(state)
        try:
            return found if isinstance(found, int | float) else float(found)
        except (TypeError, ValueError):
            raise ValueFault(f"{text_of(found)[:64]!r} is no number") from None

    return number


def _uuid(bits: int) -> str:
    bits = bits & ~(0xF000 << 64) | 4 << 76  # version 4
    bits = bits & ~(0xC000 << 48) | 8 << 60  # the variant of RFC 9562
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _iso(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_CONVERSIONS: Final[Mapping[str, Callable[[Any], str]]] = {
    "base64": lambda value: base64.b64encode(text_of(value).encode()).decode(),
    "urlencode": lambda value: quote(text_of(value), safe=""),
    "json": lambda value: _dumps(value).decode(),
}
