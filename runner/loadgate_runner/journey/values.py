"""Values as templates give them, and how they stand within texts and documents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from .errors import ValueFault
from .state import State

Value = Callable[[State], Any]
"""What gives a virtual user's value."""


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
    return dumps(value).decode()


def dumps(value: Any) -> bytes:
    """Return a value's JSON; ValueFault when it has none, as an integer beyond 64 bits."""
    if type(value) is str or isinstance(value, str):
        value = str(value)
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise ValueFault(f"a value has no JSON form: {error}") from error


def constant(value: Any) -> Value:
    """Return what gives the same value to every virtual user."""
    return lambda _state: value
