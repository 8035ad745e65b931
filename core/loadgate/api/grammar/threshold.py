"""Thresholds in the grammar that k6 users know: `http_req_duration{name:login}` and `p(95)<500`."""

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

from .errors import GrammarError, did_you_mean

Aggregate = Literal["avg", "min", "max", "med", "p", "count", "rate", "value"]
Operator = Literal["<", "<=", ">", ">=", "==", "!="]
MetricType = Literal["trend", "counter", "rate", "gauge"]

AGGREGATES: Final[Mapping[MetricType, frozenset[Aggregate]]] = {
    "trend": frozenset({"avg", "min", "max", "med", "p", "count"}),
    "counter": frozenset({"count", "rate"}),
    "rate": frozenset({"rate"}),
    "gauge": frozenset({"value"}),
}
"""Which aggregates say something about which type of metric."""

_PLAIN_AGGREGATES: Final[tuple[Aggregate, ...]] = ("avg", "min", "max", "med", "count", "rate", "value")
_LONGEST = 512
_METRIC = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]{0,127})\s*(?:\{(.*)\})?\s*", re.DOTALL)
_TAG = re.compile(r"""\s*([^\s:,{}"']+)\s*:\s*(?:"([^"]*)"|'([^']*)'|([^,"']*?))\s*(,|$)""")
_EXPRESSION = re.compile(
    r"\s*(?:p\(\s*([0-9]+(?:\.[0-9]+)?)\s*\)|([A-Za-z]+))\s*(<=|>=|===?|!==?|<|>)\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*"
)
_EXPRESSION_HINT = "thresholds are written like p(95)<500, avg<=200, rate<0.01 or count>1000"
_METRIC_HINT = "metrics are written like http_req_duration or http_req_duration{scenario:browse,name:login}"


@dataclass(frozen=True)
class MetricSelector:
    """A metric, and the tags that a sample must carry to count; tags are sorted by key."""

    metric: str
    tags: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        if not self.tags:
            return self.metric
        return f"{self.metric}{{{','.join(f'{key}:{_quoted(value)}' for key, value in self.tags)}}}"


@dataclass(frozen=True)
class Expression:
    """One limit: `argument` is the percentile (0..100) of aggregate `p`, and None for every other."""

    aggregate: Aggregate
    argument: float | None
    op: Operator
    value: float

    def __str__(self) -> str:
        aggregate = self.aggregate if self.argument is None else f"p({self.argument:g})"
        return f"{aggregate}{self.op}{_number(self.value)}"

    def holds(self, actual: float) -> bool:
        """Say whether an actual value keeps the limit."""
        return _COMPARE[self.op](actual, self.value)

    def suits(self, metric_type: MetricType) -> bool:
        """Say whether a metric of this type has such an aggregate."""
        return self.aggregate in AGGREGATES[metric_type]


_COMPARE: Final[Mapping[Operator, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def parse_metric(text: str) -> MetricSelector:
    """Parse a metric's name with the tags that select among its samples."""
    found = _METRIC.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        raise GrammarError(f"{text[:_LONGEST]!r} names no metric", hint=_METRIC_HINT)
    tags = dict[str, str]()
    for key, value in _tags(found[2] or "", offset=found.start(2)):
        if key in tags:
            raise GrammarError(f"the tag {key!r} is selected twice", hint=_METRIC_HINT)
        tags[key] = value
    return MetricSelector(found[1], tuple(sorted(tags.items())))


def parse_expression(text: str) -> Expression:
    """Parse one limit on a metric's aggregate."""
    found = _EXPRESSION.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        raise GrammarError(f"{text[:_LONGEST]!r} is no threshold", hint=_EXPRESSION_HINT)
    percentile, name, op, value = found.groups()
    if percentile is None:
        return Expression(_aggregate(name), None, _operator(op), float(value))
    if float(percentile) > 100:
        raise GrammarError(f"p({percentile}) is beyond 100 percent", hint=_EXPRESSION_HINT)
    return Expression("p", float(percentile), _operator(op), float(value))


def _aggregate(name: str) -> Aggregate:
    for known in _PLAIN_AGGREGATES:
        if name == known:
            return known
    hint = "percentiles are written p(95)" if name == "p" else did_you_mean(name, _PLAIN_AGGREGATES)
    raise GrammarError(f"{name!r} is no aggregate", hint=hint)


def _operator(text: str) -> Operator:
    return cast("Operator", {"===": "==", "!==": "!="}.get(text, text))


def _tags(text: str, *, offset: int) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        found = _TAG.match(text, at)
        if found is None:
            raise GrammarError(f"{text[at:]!r} selects no tag", hint=_METRIC_HINT, position=offset + at)
        key, double, single, bare, _ = found.groups()
        yield key, next(value for value in (double, single, bare) if value is not None)
        at = found.end()


def _quoted(value: str) -> str:
    if not value or value != value.strip() or any(sign in value for sign in ",\"'"):
        return f"'{value}'" if '"' in value else f'"{value}"'
    return value


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
