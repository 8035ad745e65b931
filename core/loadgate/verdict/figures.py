"""Numbers of limits as people read them, and never a rounding that hides a broken limit."""

from __future__ import annotations

import math

from loadgate.api.units import format_bytes, format_duration, format_ratio

MILLISECONDS = "ms"
SHARE = "share"
PER_SECOND = "/s"
BYTES = "B"
BYTES_PER_SECOND = "B/s"
PLAIN = ""

_EXACT = 12
"""Digits at which any limit that a person wrote reads as it was written."""

_NEAR = 0.06
"""Short figures are rounded by up to a twentieth (1.04s reads 1s): closer to a limit than this they get more digits."""


def significant(value: float, digits: int) -> str:
    """A number rounded to so many significant digits, its whole part kept, without exponent or trailing zeros."""
    if not value:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(places, 20)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def figure(value: float, unit: str) -> str:
    """A value in one of this module's units, short."""
    if unit == MILLISECONDS:
        return format_duration(value / 1000)
    if unit == SHARE:
        return format_ratio(value)
    if unit == BYTES:
        return format_bytes(value)
    if unit == BYTES_PER_SECOND:
        return f"{format_bytes(value)}/s"
    return f"{significant(value, 4)}{unit}"


def precise(value: float, unit: str, digits: int = _EXACT) -> str:
    """A value to so many significant digits: what a limit says, or what differs from it by little."""
    parts, shown_in = _scale(value, unit)
    return f"{significant(value * parts, digits)}{shown_in}"


def _scale(value: float, unit: str) -> tuple[float, str]:
    """What a value is multiplied by to be shown, and the unit that it is shown in."""
    if unit == SHARE:
        return 100, "%"
    return (0.001, "s") if unit == MILLISECONDS and abs(value) >= 1000 else (1, unit)


def against(value: float, limit: float, unit: str) -> str:
    """`value` as text beside the limit that it is held against: short, but never so short as to mislead.

    Rounding may not carry it to the limit or across it, nor make a share whole that isn't.
    """
    text = figure(value, unit)
    if text != figure(limit, unit) and abs(value - limit) > _NEAR * abs(limit):
        return text
    digits = next((digits for digits in range(3, _EXACT) if _faithful(value, limit, unit, digits)), _EXACT)
    return precise(value, unit, digits)


def _faithful(value: float, limit: float, unit: str, digits: int) -> bool:
    """Whether so many digits leave the value on its side of the limit, as both are shown."""
    parts, _ = _scale(value, unit)
    rounded, shown = float(significant(value * parts, digits)), float(significant(limit * parts, _EXACT))
    whole = unit == SHARE and (rounded == parts) != (value == 1)
    return (rounded < shown) == (value < limit) and (rounded > shown) == (value > limit) and not whole


def cut(text: str, most: int) -> str:
    """A text of at most so many characters; where something is left out it ends in an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"
