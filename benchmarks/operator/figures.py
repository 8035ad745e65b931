"""Figures with their limits, and the one table that they are printed as."""

import textwrap
from dataclasses import asdict, dataclass
from typing import Any

_WHAT, _HOW = 58, 64


@dataclass(frozen=True)
class Figure:
    """One thing that was measured: what it is, how it was taken, and the most that it may be (None: only told)."""

    what: str
    how: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def verdict(self) -> str:
        """`ok`, `OVER`, or nothing where there is no limit."""
        if self.limit is None:
            return ""
        return "ok" if self.value <= self.limit else "OVER"

    def to_json(self) -> dict[str, Any]:
        """For whoever keeps figures."""
        return {**asdict(self), "value": round(self.value, 4), "verdict": self.verdict}


def table(figures: list[Figure]) -> str:
    """What was measured, how, the figure, its limit, and whether it holds."""
    lines = [f"{'what':{_WHAT}}  {'how':{_HOW}}  {'figure':>14}  {'at most':>12}"]
    for figure in figures:
        whats, hows = textwrap.wrap(figure.what, _WHAT), textwrap.wrap(figure.how, _HOW)
        for row in range(max(len(whats), len(hows))):
            what, how = (part[row] if row < len(part) else "" for part in (whats, hows))
            lines.append(f"{what:{_WHAT}}  {how:{_HOW}}  {_figure(figure) if row == 0 else ''}".rstrip())
    return "\n".join(lines)


def _figure(figure: Figure) -> str:
    limit = "" if figure.limit is None else f"{number(figure.limit)} {figure.unit}"
    return f"{number(figure.value) + ' ' + figure.unit:>14}  {limit:>12}  {figure.verdict}"


def number(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
