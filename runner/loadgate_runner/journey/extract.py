"""Values taken out of responses: JSONPaths as closures, headers, regular expressions, cookies.

A value that isn't found takes the extraction's default. Without a default the variable is empty, the journey goes on,
and it shows: each extraction without a default counts as a check, `extract NAME`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import orjson

from loadgate.api.grammar import jsonpath, regex
from loadgate.api.grammar.errors import GrammarError
from loadgate.api.grammar.jsonpath import EVERY

from .errors import JourneyError
from .state import State

if TYPE_CHECKING:
    from loadgate.api.steps import Extract
    from loadgate_runner.http import Response


class _Missing:
    """Stands for a value that isn't there, since null is one."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()

LARGEST_VALUE: Final = 64 << 10
"""Bytes of a value that a variable keeps. A larger one counts as missing: ten thousand virtual users may have it."""

_MOST_MATCHES: Final = 1_000

Find = Callable[[Any], Any]
"""From a JSON document (or MISSING) to a value in it, or MISSING."""

FindAll = Callable[[Any], list[Any]]
"""From a JSON document (or MISSING) to all values in it."""

Take = Callable[[State, "Response", Any], Any]
"""From a response and its JSON document to a value, or MISSING."""


class Extraction:
    """One variable and where its value comes from; `required` when it has no default."""

    __slots__ = (
        "default",
        "needs_body",
        "needs_document",
        "needs_headers",
        "needs_trailers",
        "required",
        "take",
        "variable",
    )

    def __init__(self, variable: str, extract: Extract) -> None:
        self.variable = variable
        self.required = "default" not in extract.model_fields_set
        self.default = "" if self.required else extract.default
        self.needs_document = extract.json_ is not None
        self.needs_headers = extract.header is not None or extract.cookie is not None
        self.needs_trailers = extract.trailer is not None
        self.needs_body = not self.needs_headers and not self.needs_trailers
        self.take = _compile(extract)

    @property
    def check_name(self) -> str:
        """What it counts as when its value is required."""
        return f"extract {self.variable}"

    def apply(self, state: State, response: Response, document: Any) -> bool:
        """Set the variable; say whether the value was there."""
        value = self.take(state, response, document)
        found = value is not MISSING
        state.vars[self.variable] = value if found else self.default
        return found


def parse_path(text: str) -> jsonpath.JSONPath:
    """Parse a JSONPath."""
    try:
        return jsonpath.parse(text)
    except GrammarError as error:
        raise JourneyError(f"{text!r}: {error.message}") from error


def parse_json(body: bytes) -> Any:
    """Return a body's document, or MISSING when it is none."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return MISSING


def singular(path: tuple[str | int, ...]) -> Find:
    """Return a closure that gives a document's value at a row of names and indexes, or MISSING."""
    if not path:
        return lambda document: document
    if any(isinstance(step, int) for step in path):
        return lambda document: _walk(document, path)
    if len(path) == 1:
        (only,) = path
        return lambda document: document.get(only, MISSING) if type(document) is dict else MISSING
    return lambda document: _descend(document, path)


def every(path: jsonpath.JSONPath) -> FindAll:
    """Return a closure that gives all values of a path, at most `MOST_VALUES`."""
    plain = path.plain
    if plain is None:
        return lambda document: [] if document is MISSING else path.find(document)
    return lambda document: [] if document is MISSING else _walk_all(document, plain)


def cookie_of(response: Response, name: str) -> Any:
    """Return the cookie that a response, or else the latest redirect before it, sets; MISSING when none does."""
    for answer in (response, *reversed(response.hops)):
        if name in answer.cookies:
            return answer.cookies[name]
    return MISSING


def _descend(document: Any, names: tuple[str | int, ...]) -> Any:
    try:
        for name in names:
            document = document[name]
    except (KeyError, TypeError):
        return MISSING
    return document


def _walk(document: Any, path: tuple[str | int, ...]) -> Any:
    try:
        for step in path:
            if type(document) is str:  # a text's characters are no elements
                return MISSING
            document = document[step]
    except (KeyError, IndexError, TypeError):
        return MISSING
    return document


def _walk_all(document: Any, path: jsonpath.Plain) -> list[Any]:
    nodes = [document]
    for step in path:
        if step is EVERY:
            nodes = [value for node in nodes for value in _values(node)]
        elif isinstance(step, str):
            nodes = [node[step] for node in nodes if type(node) is dict and step in node]
        else:
            nodes = [node[step] for node in nodes if type(node) is list and -len(node) <= step < len(node)]
    return nodes if len(nodes) <= jsonpath.MOST_VALUES else nodes[: jsonpath.MOST_VALUES]


def _values(node: Any) -> Iterable[Any]:
    if type(node) is list:
        return node
    return node.values() if type(node) is dict else ()


def _compile(extract: Extract) -> Take:
    if extract.json_ is not None:
        return _from_json(parse_path(extract.json_), extract.pick)
    if extract.regex is not None:
        return _from_regex(extract, extract.regex)
    if extract.header is not None:
        header, pick = extract.header, _PICKS[extract.pick]
        return lambda state, response, _document: _bounded(pick(state, response.headers.all(header)))
    if extract.trailer is not None:
        trailer, pick = extract.trailer, _PICKS[extract.pick]
        return lambda state, response, _document: _bounded(pick(state, response.trailers.all(trailer)))
    cookie = extract.cookie or ""
    return lambda _state, response, _document: _bounded(cookie_of(response, cookie))


def _from_json(path: jsonpath.JSONPath, pick: str) -> Take:
    if path.singular is not None and pick != "all":
        find = singular(path.singular)
        return lambda _state, _response, document: _bounded(find(document))
    find_all, choose = every(path), _PICKS[pick]
    return lambda state, _response, document: _bounded(choose(state, find_all(document)))


def _from_regex(extract: Extract, pattern: str) -> Take:
    try:
        compiled = regex.parse(pattern)
        group = min(1, compiled.groups) if extract.group is None else extract.group
        regex.parse(pattern, group=group)
    except GrammarError as error:
        raise JourneyError(f"{pattern!r}: {error.message}") from error
    group = min(1, compiled.groups) if extract.group is None else extract.group
    if extract.pick == "first":
        return lambda _state, response, _document: _or_missing(compiled.first(response.body, group))
    choose = _PICKS[extract.pick]
    return lambda state, response, _document: _bounded(
        choose(state, compiled.all(response.body, group, limit=_MOST_MATCHES))
    )


def _or_missing(value: str | None) -> Any:
    return MISSING if value is None else _bounded(value)


_PICKS: Final[dict[str, Callable[[State, list[Any]], Any]]] = {
    "first": lambda _state, values: values[0] if values else MISSING,
    "last": lambda _state, values: values[-1] if values else MISSING,
    "random": lambda state, values: state.random.choice(values) if values else MISSING,
    "all": lambda _state, values: values or MISSING,
}


def _bounded(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= LARGEST_VALUE else MISSING
    if isinstance(value, (dict, list)):
        return value if _fits(value) else MISSING
    return value


def _fits(value: dict[str, Any] | list[Any]) -> bool:
    try:
        return len(orjson.dumps(value)) <= LARGEST_VALUE
    except orjson.JSONEncodeError:  # it nests deeper than can be written
        return False
