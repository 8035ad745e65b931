"""Fields of documents that come from outside: each is of its kind and within bounds, or the document is refused."""

from __future__ import annotations

import math
from typing import Any

MOST = 1 << 53
"""The largest count, and the largest number: every whole number up to it is exact in JSON and in a float."""

LONGEST_TEXT = 4096
"""Characters of a name or of a tag's value."""


def count(value: Any) -> int:
    """A whole number from 0 on. Raises ValueError."""
    if type(value) is not int or not 0 <= value <= MOST:
        raise ValueError(f"a count is a whole number from 0 on, not {_shown(value)}")
    return value


def number(value: Any) -> float:
    """A finite number, whatever its sign. Raises ValueError."""
    if type(value) not in {int, float} or not math.isfinite(value) or abs(value) > MOST:
        raise ValueError(f"a finite number was expected, not {_shown(value)}")
    return float(value)


def measure(value: Any) -> float:
    """A finite number from 0 on. Raises ValueError."""
    if number(value) < 0:
        raise ValueError(f"a number from 0 on was expected, not {_shown(value)}")
    return float(value)


def text(value: Any) -> str:
    """A text that isn't too long. Raises ValueError."""
    if type(value) is not str or len(value) > LONGEST_TEXT:
        raise ValueError(f"a text of at most {LONGEST_TEXT} characters was expected, not {_shown(value)}")
    return value


def flag(value: Any) -> bool:
    """True or false. Raises ValueError."""
    if type(value) is not bool:
        raise ValueError(f"true or false was expected, not {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    return f"{type(value).__name__} {str(value)[:40]!r}"
