"""The functions that templates call, compiled: from arguments to a value, or to what gives one."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from loadgate.api.grammar.matcher import number_of
from loadgate.api.grammar.template import LONGEST_RANDOM_STRING

from .errors import ValueFault
from .values import constant, dumps, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .scope import Scope
    from .state import State
    from .values import Value

_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def _random_int(args: list[Any], _scope: Scope) -> Value:
    low, high = args
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


def _random_float(args: list[Any], _scope: Scope) -> Value:
    low, high = map(_numeric, args)
    return lambda state: state.random.uniform(low(state), high(state))


def _random_choice(args: list[Any], _scope: Scope) -> Value:
    if not any(callable(arg) for arg in args):
        return lambda state: state.random.choice(args)
    makers = [arg if callable(arg) else constant(arg) for arg in args]
    return lambda state: state.random.choice(makers)(state)


def _random_string(args: list[Any], _scope: Scope) -> Value:
    wanted = _whole(args[0])

    def made(state: State) -> str:
        length = wanted(state)
        if not 0 <= length <= LONGEST_RANDOM_STRING:
            raise ValueFault(f"random.string({length}): a length lies within 0..{LONGEST_RANDOM_STRING}")
        return "".join(state.random.choices(_ALPHABET, k=length))

    return made


def _uuid(_args: list[Any], _scope: Scope) -> Value:
    return lambda state: _uuid_of(state.random.getrandbits(128))


def _now(read: Callable[[float], Any]) -> Callable[[list[Any], Scope], Value]:
    return lambda _args, scope: lambda _state: read(scope.wall())


def _converted(convert: Callable[[Any], str]) -> Callable[[list[Any], Scope], Any]:
    def make(args: list[Any], _scope: Scope) -> Any:
        (arg,) = args
        return (lambda state: convert(arg(state))) if callable(arg) else convert(arg)

    return make


def _number(args: list[Any], _scope: Scope) -> Value:
    """A whole number where the value is one, so that it is written without a fraction."""
    number = _numeric(args[0])

    def made(state: State) -> int | float:
        found = number(state)
        return int(found) if isinstance(found, float) and found.is_integer() else found

    return made


def _whole(arg: Any) -> Callable[[State], int]:
    number = _numeric(arg)
    return lambda state: int(number(state))


def _numeric(arg: Any) -> Callable[[State], float]:
    make = arg if callable(arg) else constant(arg)

    def number(state: State) -> float:
        found = make(state)
        if isinstance(found, int | float) and not isinstance(found, bool):
            return found
        read = number_of(found) if isinstance(found, str) else None
        if read is None:
            raise ValueFault(f"{text_of(found)[:64]!r} is no number")
        return read

    return number


def _uuid_of(bits: int) -> str:
    bits = bits & ~(0xF000 << 64) | 4 << 76  # version 4
    bits = bits & ~(0xC000 << 48) | 8 << 60  # the variant of RFC 9562
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _iso(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


FUNCTIONS: Final[Mapping[str, Callable[[list[Any], Scope], Any]]] = {
    "random.int": _random_int,
    "random.float": _random_float,
    "random.choice": _random_choice,
    "random.string": _random_string,
    "uuid": _uuid,
    "now.unix": _now(int),
    "now.ms": _now(lambda wall: int(wall * 1000)),
    "now.iso": _now(_iso),
    "base64": _converted(lambda value: base64.b64encode(text_of(value).encode()).decode()),
    "urlencode": _converted(lambda value: quote(text_of(value), safe="")),
    "json": _converted(lambda value: dumps(value).decode()),
    "number": _number,
}
"""How each function of the grammar is compiled: from its arguments (values, or closures) to a value or a closure."""
