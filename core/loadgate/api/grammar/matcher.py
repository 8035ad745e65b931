"""What a check or a condition asks of a value, as it is written in a manifest: `exists`, `<500`, `~^[a-z]+$`, `42`, …

| written | asks that the value |
| --- | --- |
| a number, a boolean, null | is that very value |
| `exists`, `absent` | is there, or isn't |
| `<N` `<=N` `>N` `>=N` | compares so as a number (as a duration or a size where those are meant) |
| `==text`, `!=text` | has, or hasn't, this text, whatever its type |
| `~regex` | holds a match of the regular expression (RE2) |
| `*text` | contains the text |
| any other text | is that very text |

Texts may hold `${…}`, but for regular expressions, which are compiled once.
"""

import json
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from . import regex, template
from .amounts import parse_duration, parse_size
from .errors import GrammarError
from .regex import Regex
from .template import Template


class Op(StrEnum):
    """How a value is matched."""

    EQUAL = "is"
    SAME_TEXT = "=="
    OTHER_TEXT = "!="
    LESS = "<"
    LESS_EQUAL = "<="
    GREATER = ">"
    GREATER_EQUAL = ">="
    MATCHES = "~"
    CONTAINS = "*"
    EXISTS = "exists"
    ABSENT = "absent"


class Unit(StrEnum):
    """What numbers are where the matcher stands; operands are in seconds, or in bytes."""

    NUMBER = "number"
    DURATION = "duration"
    SIZE = "size"


Operand = None | bool | int | float | str | Template | Regex


@dataclass(frozen=True)
class Matcher:
    """An operation and what it compares with (a Template only where the text isn't literal); `text` is for people."""

    op: Op
    operand: Operand
    text: str

    def names(self) -> set[tuple[str, ...]]:
        """Return the names that the operand looks up."""
        return self.operand.names() if isinstance(self.operand, Template) else set()


COMPARISONS: Final = {
    "<=": Op.LESS_EQUAL,
    ">=": Op.GREATER_EQUAL,
    "<": Op.LESS,
    ">": Op.GREATER,
}
_LONGEST_DESCRIPTION = 100
_UNIT_HINTS = {
    Unit.NUMBER: "numbers are compared as <500; a text that begins with the sign is written ==<…",
    Unit.DURATION: "durations are compared as <500ms or >=1.5s",
    Unit.SIZE: "sizes are compared as <64KiB or >0",
}


def parse(value: object, *, unit: Unit = Unit.NUMBER) -> Matcher:
    """Parse a matcher from a manifest's JSON value."""
    if value is None or isinstance(value, bool | int | float):
        if unit is Unit.DURATION or (unit is Unit.SIZE and (value is None or isinstance(value, bool))):
            raise GrammarError(f"{_json(value)} is no {unit} to compare with", hint=_UNIT_HINTS[unit])
        return Matcher(Op.EQUAL, value, f"is {_json(value)}")
    if isinstance(value, str):
        return _parse_text(value, unit)
    raise GrammarError("a matcher is a text, a number, true, false or null", hint='for example exists, "<500" or 42')


def describe(matcher: Matcher) -> str:
    """Return what the matcher asks, as it reads in a check's name: `<500ms`, `exists`, `is 42`."""
    text = " ".join(matcher.text.split())
    return text if len(text) <= _LONGEST_DESCRIPTION else f"{text[: _LONGEST_DESCRIPTION - 1]}…"


def _parse_text(text: str, unit: Unit) -> Matcher:
    if text in {Op.EXISTS, Op.ABSENT} and unit is Unit.NUMBER:
        return Matcher(Op(text), None, text)
    for sign, op in COMPARISONS.items():
        if text.startswith(sign):
            return Matcher(op, _amount(text[len(sign) :].strip(), unit), text)
    if unit is not Unit.NUMBER:
        return _parse_exact(text, unit)
    if text.startswith(("==", "!=")):
        op = Op(text[:2])
        described = f"{'is' if op is Op.SAME_TEXT else 'is not'} {text[2:]}"
        return Matcher(op, _text(text[2:]), described)
    if text.startswith("~"):
        return Matcher(Op.MATCHES, _pattern(text[1:]), f"matches {text[1:]}")
    if text.startswith("*"):
        if text == "*":
            raise GrammarError("`*` contains nothing to look for", hint="write exists, or *text")
        return Matcher(Op.CONTAINS, _text(text[1:]), f"contains {text[1:]}")
    return Matcher(Op.EQUAL, _text(text), f"is {text}")


def _parse_exact(text: str, unit: Unit) -> Matcher:
    if unit is Unit.DURATION:
        raise GrammarError(f"{text[:64]!r} compares no duration", hint=_UNIT_HINTS[unit])
    return Matcher(Op.EQUAL, _amount(text.removeprefix("==").strip(), unit), f"is {text.removeprefix('==').strip()}")


def _amount(text: str, unit: Unit) -> float | Template:
    if unit is Unit.DURATION:
        return parse_duration(text)
    if unit is Unit.SIZE:
        return parse_size(text)
    operand = template.parse(text)
    if not operand.is_literal:
        return operand
    number = number_of(text)
    if number is None:
        raise GrammarError(f"{text[:64]!r} is no number to compare with", hint=_UNIT_HINTS[unit])
    return number


def _text(text: str) -> str | Template:
    operand = template.parse(text)
    return operand.literal if operand.is_literal else operand


def _pattern(text: str) -> Regex:
    if not text:
        raise GrammarError("`~` has no regular expression", hint="write exists, or ~^[a-z]+$")
    return regex.parse(text)


def number_of(text: str) -> float | None:
    """Return the number that a text is (`5`, `-1.5`, `2e3`), or None; neither infinity nor NaN is one."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in text else None


def _json(value: float | str | None) -> str:
    return json.dumps(value)
