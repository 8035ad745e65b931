"""Small drawings as SVG: signs of state, margin bars, phases. Sizes are attributes, so no inline style is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgate.metrics.names import PHASES
from loadgate.report.markup import Markup, tag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgate.verdict import LimitResult

_PATHS = {
    "tick": "M4.5 10.5l3.6 3.6 7.4-8",
    "cross": "M5.5 5.5l9 9m0-9l-9 9",
    "question": "M7 7.4a3 3 0 1 1 4.3 2.9c-.9.4-1.3 1-1.3 1.9m0 2.6v.2",
    "bang": "M10 4.8v6.4m0 3.4v.2",
    "stop": "M6.5 6.5h7v7h-7z",
}
_SIGNS = {
    "passed": "tick",
    "held": "tick",
    "failed": "cross",
    "broken": "cross",
    "inconclusive": "question",
    "unknown": "question",
    "warned": "bang",
    "aborted": "stop",
}

_BAR, _HEIGHT = 176.0, 20.0
_FULL = 1.5
"""A margin bar ends at one and a half times the limit, so that the limit's mark has room on both sides."""


def sign(state: str) -> Markup:
    """The sign of a state or an outcome; the word beside it says the same, so it is hidden from screen readers."""
    path = tag(
        "path",
        d=_PATHS[_SIGNS[state]],
        fill="none",
        stroke="currentColor",
        stroke_width=2,
        stroke_linecap="round",
        stroke_linejoin="round",
    )
    ring = tag("circle", cx=10, cy=10, r=9, fill="none", stroke="currentColor", stroke_width=1.5)
    return tag("svg", ring, path, viewBox="0 0 20 20", aria_hidden="true")


def margin_bar(limit: LimitResult) -> Markup | None:
    """The actual value as a bar against the limit's mark; nothing where they can't be compared by length."""
    if limit.actual_value is None or limit.limit_value <= 0 or limit.actual_value < 0:
        return None
    filled = min(limit.actual_value / limit.limit_value / _FULL, 1.0) * _BAR
    mark = _BAR / _FULL
    fill = "fill-held" if limit.passed else "fill-broken"
    return tag(
        "svg",
        tag("rect", class_="track", x=0, y=6, width=_BAR, height=8, rx=2),
        tag(
            "rect",
            class_=fill,
            x=0,
            y=6,
            width=max(filled, 1.5),
            height=8,
            rx=2,
        ),
        tag("line", class_="mark", x1=mark, x2=mark, y1=2, y2=18),
        class_="margin",
        viewBox=f"0 0 {_BAR:g} {_HEIGHT:g}",
        role="img",
        aria_label=f"{limit.actual} of {limit.limit}",
    )


def phase_bar(times: Mapping[str, float], longest: float) -> Markup:
    """Phases side by side, to the scale of the longest endpoint."""
    pieces, at = [], 0.0
    for phase in PHASES.values():
        wide = 1000 * times.get(phase, 0.0) / longest
        if wide > 0:
            pieces.append(tag("rect", class_=f"phase-{phase}", x=round(at, 2), y=0, width=round(wide, 2), height=10))
            at += wide
    return tag("svg", *pieces, viewBox="0 0 1000 10", preserveAspectRatio="none", aria_hidden="true")


def swatch(phase: str) -> Markup:
    """A phase's colour, for the key."""
    box = tag("rect", class_=f"phase-{phase}", x=0, y=0, width=10, height=10)
    return tag("svg", box, viewBox="0 0 10 10", aria_hidden="true")
