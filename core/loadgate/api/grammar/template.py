"""Texts with `${…}` in them: names to look up and a short list of functions to call, never code.

`$${` stands for a literal `${`: of a run of dollars before a brace each pair stands for one, an odd last one opens an
expression; dollars elsewhere are themselves. A quoted argument is a template too: `${base64("${user}:${secret.key}")}`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from .errors import GrammarError, did_you_mean

LONGEST_TEMPLATE: Final = 1 << 20
"""Characters of a text."""

DEEPEST_NESTING: Final = 8
"""Calls and quoted texts within one another."""

LONGEST_RANDOM_STRING: Final = 65_536
"""Characters that `random.string` makes at most."""


@dataclass(frozen=True)
class Name:
    """Something looked up when the text is made: a variable, `vu.id`, `secret.password`, `data.users.email`, …"""

    path: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True)
class Call:
    """A function called when the text is made; arguments are numbers or texts."""

    function: str
    args: tuple["Argument", ...]

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(_argument_text, self.args))})"


@dataclass(frozen=True)
class Template:
    """A text in parts: literals (never empty, never two in a row), names and calls."""

    parts: tuple[str | Name | Call, ...]

    @property
    def is_literal(self) -> bool:
        """Whether the text is the same each time."""
        return all(isinstance(part, str) for part in self.parts)

    @property
    def literal(self) -> str:
        """The text of a literal template."""
        return "".join(part for part in self.parts if isinstance(part, str))

    @property
    def single(self) -> Name | Call | None:
        """The only part when that is an expression: such a template has the value's own type, not only its text."""
        only = self.parts[0] if len(self.parts) == 1 else ""
        return None if isinstance(only, str) else only

    def names(self) -> set[tuple[str, ...]]:
        """Return the paths of all names, also of those within calls."""
        return {part.path for part in self._walk() if isinstance(part, Name)}

    def functions(self) -> set[str]:
        """Return the functions that are called."""
        return {part.function for part in self._walk() if isinstance(part, Call)}

    def _walk(self) -> Iterator[Name | Call]:
        for part in self.parts:
            if isinstance(part, str):
                continue
            yield part
            if isinstance(part, Call):
                for argument in part.args:
                    if isinstance(argument, Template):
                        yield from argument._walk()  # noqa: SLF001 - the same class

    def __str__(self) -> str:
        return "".join(
            _escape(part, before_expression=index + 1 < len(self.parts)) if isinstance(part, str) else f"${{{part}}}"
            for index, part in enumerate(self.parts)
        )


Argument = int | float | Template

BUILT_IN_NAMES: Final[Mapping[tuple[str, ...], str]] = {
    ("vu", "id"): "the virtual user's number, from 1, unique over the run",
    ("vu", "iteration"): "how often this virtual user began before, from 0",
    ("iteration",): "the iteration's number within the scenario, from 0, unique over the run",
    ("scenario",): "the scenario's name",
    ("run", "id"): "the run's id",
    ("runner", "index"): "the runner's index, from 0",
}
"""Names that are always there."""

NAME_SPACES: Final[Mapping[str, int]] = {"secret": 2, "data": 3, "setup": 2}
"""First segments that lead to declared things, and how many segments such a name has."""


@dataclass(frozen=True)
class Function:
    """What a function takes: how many arguments, and whether they are numbers."""

    usage: str
    least: int
    most: int
    numeric: bool = False


FUNCTIONS: Final[Mapping[str, Function]] = {
    "random.int": Function("random.int(lowest, highest)", 2, 2, numeric=True),
    "random.float": Function("random.float(lowest, highest)", 2, 2, numeric=True),
    "random.choice": Function('random.choice("one", "two", …)', 1, 100),
    "random.string": Function("random.string(length)", 1, 1, numeric=True),
    "uuid": Function("uuid()", 0, 0),
    "now.unix": Function("now.unix()", 0, 0),
    "now.ms": Function("now.ms()", 0, 0),
    "now.iso": Function("now.iso()", 0, 0),
    "base64": Function("base64(value)", 1, 1),
    "urlencode": Function("urlencode(value)", 1, 1),
    "json": Function("json(value)", 1, 1),
    "number": Function("number(value)", 1, 1),
}
"""All that `${…}` can call."""

_DOLLARS = re.compile(r"(?<!\$)(\$+)\{")  # looking back keeps a long run of dollars from being scanned at each of them
_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?(?![\w.])")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'', re.DOTALL)
_BACKSLASHED = re.compile(r"\\(.)", re.DOTALL)
_BACKSLASH_MEANINGS = {"n": "\n", "t": "\t", "r": "\r"}


def parse(text: str) -> Template:
    """Parse a text with `${…}` in it."""
    if len(text) > LONGEST_TEMPLATE:
        raise GrammarError(f"the text is longer than {LONGEST_TEMPLATE} characters")
    return _parse(text, depth=0)


def escape(text: str) -> str:
    """Return the text that, parsed as a template, is this very text."""
    return _escape(text, before_expression=False)


def _parse(text: str, *, depth: int) -> Template:
    parts: list[str | Name | Call] = []
    literal: list[str] = []
    at = 0
    while found := _DOLLARS.search(text, at):
        dollars = len(found[1])
        literal += text[at : found.start()], "$" * (dollars // 2)
        at = found.end()
        if dollars % 2 == 0:
            literal.append("{")
            continue
        if before := "".join(literal):
            parts.append(before)
        literal.clear()
        expression, at = _Expression(text, depth).read(at)
        parts.append(expression)
    if rest := "".join(literal) + text[at:]:
        parts.append(rest)
    return Template(tuple(parts))


class _Expression:
    """Reads what stands between `${` and `}`; each method takes a position and returns the one behind what it read."""

    def __init__(self, text: str, depth: int) -> None:
        self._text = text
        self._depth = depth

    def read(self, at: int) -> tuple[Name | Call, int]:
        expression, behind = self._name_or_call(self._space(at), self._depth)
        behind = self._space(behind)
        if not self._text.startswith("}", behind):
            raise self._fault("`${` isn't closed by `}`", behind, hint="a literal ${ is written $${")
        return expression, behind + 1

    def _name_or_call(self, at: int, depth: int) -> tuple[Name | Call, int]:
        found = _NAME.match(self._text, at)
        if found is None:
            raise self._fault("a name or a function is missing", at, hint="a literal ${ is written $${")
        behind = self._space(found.end())
        if not self._text.startswith("(", behind):
            return Name(tuple(found[0].split("."))), found.end()
        if depth >= DEEPEST_NESTING:
            raise self._fault(f"calls nest deeper than {DEEPEST_NESTING}", at)
        function = FUNCTIONS.get(found[0])
        if function is None:
            raise self._fault(f"there is no function {found[0]!r}", at, hint=did_you_mean(found[0], FUNCTIONS))
        args, behind = self._arguments(behind + 1, depth + 1)
        call = Call(found[0], args)
        self._check(call, function, at)
        return call, behind

    def _arguments(self, at: int, depth: int) -> tuple[tuple[Argument, ...], int]:
        at = self._space(at)
        args: list[Argument] = []
        while not self._text.startswith(")", at):
            if args:
                if not self._text.startswith(",", at):
                    raise self._fault("`,` or `)` is missing", at)
                at = self._space(at + 1)
            argument, at = self._argument(at, depth)
            args.append(argument)
            at = self._space(at)
        return tuple(args), at + 1

    def _argument(self, at: int, depth: int) -> tuple[Argument, int]:
        if number := _NUMBER.match(self._text, at):
            return (float(number[0]) if "." in number[0] else int(number[0])), number.end()
        if quoted := _QUOTED.match(self._text, at):
            content = quoted[1] if quoted[1] is not None else quoted[2]
            if depth >= DEEPEST_NESTING:
                raise self._fault(f"texts nest deeper than {DEEPEST_NESTING}", at)
            return _parse(_BACKSLASHED.sub(_unescape, content), depth=depth), quoted.end()
        expression, behind = self._name_or_call(at, depth)
        return Template((expression,)), behind

    def _check(self, call: Call, function: Function, at: int) -> None:
        if not function.least <= len(call.args) <= function.most:
            raise self._fault(f"{call.function} takes other arguments", at, hint=f"write {function.usage}")
        if function.numeric and any(isinstance(arg, Template) and arg.is_literal for arg in call.args):
            raise self._fault(f"{call.function} takes numbers", at, hint=f"write {function.usage}")
        numbers = [arg for arg in call.args if not isinstance(arg, Template)]
        if call.function in {"random.int", "random.float"} and numbers != sorted(numbers):
            raise self._fault(f"{call.function} takes the lowest first", at, hint=f"write {function.usage}")
        if call.function == "random.int" and any(isinstance(number, float) for number in numbers):
            raise self._fault("random.int takes whole numbers", at, hint="use random.float for fractions")
        if call.function == "random.string" and not all(
            isinstance(number, int) and 0 <= number <= LONGEST_RANDOM_STRING for number in numbers
        ):
            raise self._fault(f"a length lies within 0..{LONGEST_RANDOM_STRING}", at, hint=f"write {function.usage}")

    def _space(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        return found.end() if found else at

    def _fault(self, message: str, at: int, *, hint: str = "") -> GrammarError:
        return GrammarError(f"{message} at character {at + 1} of the text", hint=hint, position=at)


def _unescape(found: re.Match[str]) -> str:
    return _BACKSLASH_MEANINGS.get(found[1], found[1])


def _escape(text: str, *, before_expression: bool) -> str:
    escaped = _DOLLARS.sub(lambda found: found[1] * 2 + "{", text)
    if not before_expression:
        return escaped
    bare = escaped.rstrip("$")
    return bare + "$" * (2 * (len(escaped) - len(bare)))


def _argument_text(argument: Argument) -> str:
    if not isinstance(argument, Template):
        return str(argument)
    if argument.single is not None:
        return str(argument.single)
    content = str(argument).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{content}"'
