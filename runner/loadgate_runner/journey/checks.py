"""Checks and conditions: matchers compiled to closures, and what each looks at in a response.

Texts that carry no type of their own (headers, cookies, what a template gives) are compared loosely: `5` matches the
text `5`. Values of JSON are compared as what they are: `5` isn't `"5"`, except where a matcher asks for the text
(`==5`) or has a `${…}` in it. Nothing but `absent` holds of a value that isn't there.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from loadgate.api.grammar import matcher as grammar
from loadgate.api.grammar import status as statuses
from loadgate.api.grammar.errors import GrammarError
from loadgate.api.grammar.matcher import Matcher, Op, Unit, number_of
from loadgate.api.grammar.regex import Regex
from loadgate.api.grammar.template import Template
from loadgate.api.steps import check_names

from .errors import JourneyError, ValueFault
from .extract import MISSING, cookie_of, every, parse_path, singular
from .state import State
from .templates import compile_value
from .values import text_of

if TYPE_CHECKING:
    from loadgate.api.steps import Check
    from loadgate_runner.http import Response

    from .scope import Scope

Holds = Callable[[State, Any], bool]
"""Says whether a value, or MISSING, is what a matcher asks for."""

Test = Callable[[State, "Response", Any], bool]
"""Says whether a response, whose JSON document is the last argument (MISSING where it has none), passes a check."""

_MICROSECONDS: Final = 1e6
_COMPARE: Final = {
    Op.LESS: operator.lt,
    Op.LESS_EQUAL: operator.le,
    Op.GREATER: operator.gt,
    Op.GREATER_EQUAL: operator.ge,
}


def parse_matcher(value: object, unit: Unit = Unit.NUMBER) -> Matcher:
    """Parse a matcher; validation saw the same value, so a fault here is a plan made by other hands."""
    try:
        return grammar.parse(value, unit=unit)
    except GrammarError as error:
        raise JourneyError(f"{value!r}: {error.message}") from error


def parse_status(value: object) -> frozenset[int]:
    """Parse the statuses that are accepted."""
    try:
        return statuses.parse_status(value)
    except GrammarError as error:
        raise JourneyError(error.message) from error


def compile_matcher(matcher: Matcher, scope: Scope, *, loose: bool) -> Holds:
    """Return a closure for a matcher; `loose` for values whose type says nothing."""
    operand = matcher.operand
    if matcher.op is Op.EXISTS:
        return lambda _state, actual: actual is not MISSING
    if matcher.op is Op.ABSENT:
        return lambda _state, actual: actual is MISSING
    if isinstance(operand, Regex):
        return lambda _state, actual: actual is not MISSING and operand.found_in(_encoded(actual))
    if isinstance(operand, Template):
        return _compare_rendered(matcher.op, compile_value(operand, scope), loose=loose)
    if matcher.op is Op.EQUAL and not loose:
        return lambda _state, actual: _equal(actual, operand)
    test = _TESTS[matcher.op]
    return lambda _state, actual: actual is not MISSING and test(actual, operand, loose)


def _compare_rendered(op: Op, make: Callable[[State], Any], *, loose: bool) -> Holds:
    # A rendered operand has no declared type: what it is equal to is decided by its text.
    test = _TESTS[Op.SAME_TEXT if op is Op.EQUAL else op]
    return lambda state, actual: actual is not MISSING and test(actual, make(state), loose)


def _equal(actual: Any, wanted: Any) -> bool:
    if isinstance(wanted, bool) or isinstance(actual, bool) or wanted is None:
        return actual is wanted
    return bool(actual == wanted)


def _same_text(actual: Any, wanted: Any, _loose: bool) -> bool:  # noqa: FBT001 - one signature for all tests
    text, wanted_text = _text(actual), text_of(wanted)
    if text == wanted_text:
        return True
    if not _is_number(actual) and not _is_number(wanted):
        return False
    number = number_of(text)
    return number is not None and number == number_of(wanted_text)


def _contains(actual: Any, wanted: Any, _loose: bool) -> bool:  # noqa: FBT001 - one signature for all tests
    wanted = text_of(wanted)
    if isinstance(actual, list):
        return any(_text(item) == wanted for item in actual)
    return wanted in _text(actual)


def _comparison(op: Op) -> Callable[[Any, Any, bool], bool]:
    compare = _COMPARE[op]

    def test(actual: Any, wanted: Any, loose: bool) -> bool:  # noqa: FBT001 - one signature for all tests
        left = actual if _is_number(actual) else number_of(actual) if loose and isinstance(actual, str) else None
        right = wanted if _is_number(wanted) else number_of(text_of(wanted))
        return left is not None and right is not None and bool(compare(left, right))

    return test


_TESTS: Final[dict[Op, Callable[[Any, Any, bool], bool]]] = {
    Op.EQUAL: _same_text,
    Op.SAME_TEXT: _same_text,
    Op.OTHER_TEXT: lambda actual, wanted, loose: not _same_text(actual, wanted, loose),
    Op.CONTAINS: _contains,
    **{op: _comparison(op) for op in _COMPARE},
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _encoded(value: Any) -> bytes:
    return _text(value).encode("utf-8", "surrogatepass")


def _text(actual: Any) -> str:
    """The text of what a target sent; of what nests too deep to be written, none."""
    try:
        return text_of(actual)
    except ValueFault:
        return ""


def compile_check(check: Check, scope: Scope) -> list[tuple[str, Test]]:
    """Return a check's tests, each with the name that it is counted under."""
    return list(zip(check_names(check), _tests(check, scope), strict=True))


def _tests(check: Check, scope: Scope) -> Iterator[Test]:
    """One test for each of `check_names`, in that order."""
    if check.status is not None:
        accepted = parse_status(check.status)
        yield lambda _state, response, _document: response.status in accepted
    if check.duration is not None:
        holds = _loose(check.duration, scope, Unit.DURATION)
        yield _on_response(holds, lambda response: response.duration / _MICROSECONDS)
    if check.size is not None:
        holds = _loose(check.size, scope, Unit.SIZE)
        yield _on_response(holds, lambda response: response.size)
    if check.body is not None:
        yield _body(check.body, scope)
    for header, value in check.headers.items():
        yield _on_response(_loose(value, scope), _header(header))
    for trailer, value in check.trailers.items():
        yield _on_response(_loose(value, scope), _trailer(trailer))
    for cookie, value in check.cookies.items():
        yield _on_response(_loose(value, scope), partial(cookie_of, name=cookie))
    for path, value in check.json_.items():
        yield json_test(path, value, scope)


def _loose(value: object, scope: Scope, unit: Unit = Unit.NUMBER) -> Holds:
    return compile_matcher(parse_matcher(value, unit), scope, loose=True)


def _on_response(holds: Holds, look: Callable[[Response], Any]) -> Test:
    return lambda state, response, _document: holds(state, look(response))


def _body(value: object, scope: Scope) -> Test:
    matcher = parse_matcher(value)
    operand = matcher.operand
    if isinstance(operand, Regex):  # over the bytes: no decoding
        return lambda _state, response, _document: operand.found_in(response.body)
    holds = compile_matcher(matcher, scope, loose=True)
    return _on_response(holds, lambda response: response.text if response.body else MISSING)


def _header(name: str) -> Callable[[Response], Any]:
    def look(response: Response) -> Any:
        value = response.headers.get(name)
        return MISSING if value is None else value

    return look


def _trailer(name: str) -> Callable[[Response], Any]:
    def look(response: Response) -> Any:
        value = response.trailers.get(name)
        return MISSING if value is None else value

    return look


def json_test(text: str, value: object, scope: Scope) -> Test:
    """Return a test of what a JSONPath finds. Nothing holds of what is no JSON, not even that a value is absent."""
    path, matcher = parse_path(text), parse_matcher(value)
    holds = compile_matcher(matcher, scope, loose=False)
    if path.singular is not None:
        find = singular(path.singular)
        return lambda state, _response, document: document is not MISSING and holds(state, find(document))
    find_all = every(path)
    if matcher.op is Op.ABSENT:
        return lambda _state, _response, document: document is not MISSING and not find_all(document)
    quantifier = all if matcher.op is Op.OTHER_TEXT else any  # `!=` asks that no value is so

    def test(state: State, _response: Response, document: Any) -> bool:
        values = find_all(document)
        return bool(values) and quantifier(holds(state, value) for value in values)

    return test
