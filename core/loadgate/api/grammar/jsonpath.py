"""JSONPath (RFC 9535): what is valid, and whether a path names at most one value.

A plain path is a row of names, indexes and wildcards (`$.items[*].id`), which the runner turns into a closure of its
own, some forty times cheaper than a library's walk; any other path is left to the library. Its `match` and `search`
run on RE2 here, since a backtracking engine could be made to hang by a response.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from itertools import islice
from typing import Any, ClassVar, Final

from jsonpath_rfc9535 import JSONPathEnvironment, JSONPathError, JSONPathQuery
from jsonpath_rfc9535.function_extensions import ExpressionType, FilterFunction
from jsonpath_rfc9535.segments import JSONPathChildSegment
from jsonpath_rfc9535.selectors import IndexSelector, NameSelector, WildcardSelector

from .errors import GrammarError
from .regex import Regex

LONGEST_PATH = 1_000
"""Characters of a path."""

MOST_VALUES = 10_000
"""Values that one query yields at most; what is beyond them is left unseen."""

_DEEPEST_NESTING = 32
_HINT = "paths are written like $.user.id, $.items[0].name or $.items[*].id (RFC 9535)"


class _Pattern(FilterFunction):
    """`match` and `search` of RFC 9535, in linear time."""

    arg_types: ClassVar[list[ExpressionType]] = [ExpressionType.VALUE, ExpressionType.VALUE]
    return_type = ExpressionType.LOGICAL

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole

    def __call__(self, text: object, pattern: object) -> bool:
        if not isinstance(text, str) or not isinstance(pattern, str):
            return False
        try:
            return _pattern(pattern, whole=self._whole).found_in(text.encode("utf-8", "surrogatepass"))
        except GrammarError:
            return False  # RFC 9535: a pattern that isn't valid matches nothing


class _Environment(JSONPathEnvironment):
    def setup_function_extensions(self) -> None:
        super().setup_function_extensions()
        self.function_extensions["match"] = _Pattern(whole=True)
        self.function_extensions["search"] = _Pattern(whole=False)


_ENVIRONMENT = _Environment()


class Wildcard(Enum):
    """`[*]` or `.*`: all members of an object, all elements of an array."""

    EVERY = "*"


EVERY: Final = Wildcard.EVERY

Plain = tuple[str | int | Wildcard, ...]
"""Names, indexes and wildcards, from the document's root on."""


@dataclass(frozen=True)
class JSONPath:
    """A valid path; `plain` is None where it has slices, filters, unions or descents."""

    text: str
    plain: Plain | None
    _query: JSONPathQuery = field(repr=False, compare=False)

    @property
    def singular(self) -> tuple[str | int, ...] | None:
        """Its row of names and indexes, when it names at most one value."""
        if self.plain is None or EVERY in self.plain:
            return None
        return tuple(step for step in self.plain if step is not EVERY)

    def find(self, document: Any) -> list[Any]:
        """Return the values that the path selects, in document order, at most `MOST_VALUES`."""
        return list(islice(self._values(document), MOST_VALUES))

    def first(self, document: Any, default: Any = None) -> Any:
        """Return the first value that the path selects, or `default` when there is none."""
        return next(self._values(document), default)

    def _values(self, document: Any) -> Iterator[Any]:
        try:
            for node in self._query.finditer(document):
                yield node.value
        except JSONPathError:  # deeper than the library descends: what was found until here is what there is
            return


def parse(text: str) -> JSONPath:
    """Compile a path."""
    if len(text) > LONGEST_PATH or text.count("(") + text.count("!") > _DEEPEST_NESTING:
        raise GrammarError(f"the path is longer than {LONGEST_PATH} characters or nests deeper than {_DEEPEST_NESTING}")
    try:
        query = _ENVIRONMENT.compile(text)
    except JSONPathError as error:
        position = error.token.index if error.token else None
        raise GrammarError(f"the JSONPath doesn't parse: {error}", hint=_HINT, position=position) from error
    return JSONPath(text, _plain(query), query)


def _plain(query: JSONPathQuery) -> Plain | None:
    steps: list[str | int | Wildcard] = []
    for segment in query.segments:
        if not isinstance(segment, JSONPathChildSegment) or len(segment.selectors) != 1:
            return None
        match segment.selectors[0]:
            case NameSelector(name=name):
                steps.append(name)
            case IndexSelector(index=index):
                steps.append(index)
            case WildcardSelector():
                steps.append(EVERY)
            case _:
                return None
    return tuple(steps)


@lru_cache(maxsize=64)
def _pattern(pattern: str, *, whole: bool) -> Regex:
    # I-Regexp's dot leaves out line ends, and the anchors are those of the whole text: RE2's own defaults.
    return Regex(rf"\A(?:{pattern})\z" if whole else pattern)
