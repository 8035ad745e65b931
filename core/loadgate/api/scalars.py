"""Places in a manifest that take a number or a text alike; what they may mean is the grammar's to say."""

from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

Scalar = str | int | float | bool | None
_FREE = {"x-kubernetes-preserve-unknown-fields": True}
OPEN_VALUE: JsonDict = {**_FREE, "nullable": True}
"""The schema of a value that may be anything."""
_LONGEST_TEXT = 8192


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _scalar(value: Any) -> Any:
    if not _is_scalar(value):
        raise PydanticCustomError("wrong_form", "must be a text, a number, true, false or null")
    return _bounded(value)


def _scalar_or_list(value: Any) -> Any:
    if isinstance(value, list) and all(_is_scalar(item) for item in value):
        return [_bounded(item) for item in value]
    if not _is_scalar(value):
        raise PydanticCustomError("wrong_form", "must be a text, a number, true, false, or a list of these")
    return _bounded(value)


def _status(value: Any) -> Any:
    items = value if isinstance(value, list) else [value]
    if not items or not all(isinstance(item, int | str) and not isinstance(item, bool) for item in items):
        raise PydanticCustomError("wrong_form", "must be a status, like 200, 2xx or 200..204, or a list of these")
    return value


def _think(value: Any) -> str:
    if not isinstance(value, str):
        raise PydanticCustomError("wrong_form", "must be a duration, like 1s, or a range of two, like 1s..3s")
    return value


def _bounded(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        raise PydanticCustomError("wrong_form", f"must be at most {_LONGEST_TEXT} characters long")
    return value


def _given(value: Any) -> Any:
    if value is None:
        raise PydanticCustomError("wrong_form", "must be a text, a number, true or false")
    return _scalar(value)


MatcherValue = Annotated[Scalar, PlainValidator(_scalar), WithJsonSchema(OPEN_VALUE)]
"""What a value must be, in the matcher grammar: a value to equal, or a text such as `>=3`, `exists` or `~regex`."""

QueryValue = Annotated[Scalar | list[Scalar], PlainValidator(_scalar_or_list), WithJsonSchema(_FREE)]
"""A parameter's value, or several."""

StatusValue = Annotated[int | str | list[int | str], PlainValidator(_status), WithJsonSchema(_FREE)]
"""A status, a class, a range, or a list of these."""

_DURATION = r"([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+"

ThinkText = Annotated[
    str,
    PlainValidator(_think),
    WithJsonSchema({"type": "string", "pattern": rf"^\s*{_DURATION}\s*(\.\.\s*{_DURATION}\s*)?$", "maxLength": 64}),
]
"""A pause, or a range of pauses."""

OpenObject = Annotated[dict[str, Any], WithJsonSchema({"type": "object", **_FREE})]
"""An object whose parts somebody else judges."""

GivenMatcher = Annotated[str | int | float | bool, PlainValidator(_given), WithJsonSchema(_FREE)]
"""A matcher for a template's text, which is never null."""
