"""Regular expressions that take linear time whatever is thrown at them: RE2, with bounds on pattern and memory."""

from typing import Any

import re2

from .errors import GrammarError

LONGEST_PATTERN = 2_000
"""Characters of a pattern: longer ones are refused when a manifest is read."""

SEARCHED_BYTES = 1 << 20
"""How much of a text is searched: the first MiB, so that a huge body costs no more than a big one."""

_PROGRAM_MEMORY = 8 << 20


class Regex:
    """A compiled pattern over bytes (UTF-8); it finds the first match anywhere in a text."""

    __slots__ = ("_compiled", "groups", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._compiled = _compile(text)
        self.groups: int = self._compiled.groups

    def found_in(self, data: bytes) -> bool:
        """Say whether the pattern occurs in the first MiB."""
        return self._compiled.search(data, 0, SEARCHED_BYTES) is not None

    def first(self, data: bytes, group: int = 0) -> str | None:
        """Return a group's text of the first match; None when nothing matched or the group took no part."""
        found = self._compiled.search(data, 0, SEARCHED_BYTES)
        return None if found is None else _decode(found[group])

    def all(self, data: bytes, group: int = 0, *, limit: int) -> list[str]:
        """Return a group's text of each match, at most `limit` of them."""
        values: list[str] = []
        for found in self._compiled.finditer(data, 0, SEARCHED_BYTES):
            value = _decode(found[group])
            if value is not None:
                values.append(value)
            if len(values) >= limit:
                break
        return values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Regex) and other.text == self.text

    def __hash__(self) -> int:
        return hash((Regex, self.text))

    def __repr__(self) -> str:
        return f"Regex({self.text!r})"


def parse(text: str, *, group: int = 0) -> Regex:
    """Compile a pattern that has at least `group` groups."""
    regex = Regex(text)
    if not 0 <= group <= regex.groups:
        raise GrammarError(
            f"the pattern has {regex.groups} groups, not {group}",
            hint="put parentheses around the part that is wanted, or use group: 0 for the whole match",
        )
    return regex


def _compile(text: str) -> Any:
    if len(text) > LONGEST_PATTERN:
        raise GrammarError(f"the pattern is longer than {LONGEST_PATTERN} characters")
    options = re2.Options()
    options.max_mem = _PROGRAM_MEMORY
    options.log_errors = False
    try:
        return re2.compile(text.encode(), options)
    except re2.error as error:
        raise GrammarError(
            f"the regular expression doesn't compile: {_reason(error)}",
            hint="RE2 syntax: no look-around and no back-references, so that matching takes linear time",
        ) from error
    except UnicodeEncodeError as error:
        raise GrammarError("the pattern holds half of a surrogate pair", position=error.start) from error


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else error
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


def _decode(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")
