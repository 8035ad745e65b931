"""A curve in a terminal, drawn with block characters."""

from collections.abc import Callable

from loadgate.api.units import format_duration

_BLOCKS = " ▁▂▃▄▅▆▇█"
_EIGHTHS = 8
_SAMPLES = 4
"""How often a column is looked at: a peak that is narrower than a column is drawn all the same."""


def draw(height_at: Callable[[float], float], seconds: float, *, width: int, rows: int = 6) -> list[str]:
    """Lines of a chart of `height_at` from 0 to `seconds`, `width` columns in all with its scale."""
    label = number(max(_heights(height_at, seconds, width)))
    margin = len(label) + 1
    columns = max(width - margin - 2, 10)
    heights = _heights(height_at, seconds, columns)
    levels = [_level(height, max(heights), rows) for height in heights]
    lines = [
        f"{'' if row else label:>{margin}} ┤{''.join(_cell(level, rows - 1 - row) for level in levels).rstrip()}"
        for row in range(rows)
    ]
    return [*lines, f"{'':>{margin}} └{'─' * columns}", f"{'':>{margin}}  {axis(seconds, columns)}"]


def axis(seconds: float, columns: int) -> str:
    """Times below a chart: the start, the middle where there is room, and the end."""
    end, middle = format_duration(seconds), format_duration(seconds / 2)
    text = "0s".ljust(columns - len(end)) + end
    place = columns // 2 - len(middle) // 2
    if columns < 4 * len(middle) + len(end):
        return text
    return text[:place] + middle + text[place + len(middle) :]


def number(value: float) -> str:
    """A whole number, or what is left of it in a few digits."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _heights(height_at: Callable[[float], float], seconds: float, columns: int) -> list[float]:
    """The highest of each column."""
    step = seconds / columns
    return [
        max(height_at(step * (column + (sample + 0.5) / _SAMPLES)) for sample in range(_SAMPLES))
        for column in range(columns)
    ]


def _level(height: float, highest: float, rows: int) -> int:
    """How many eighths of a row a column is high; anything above nothing shows."""
    return max(round(height / highest * rows * _EIGHTHS), 1) if height > 0 else 0


def _cell(level: int, row_from_below: int) -> str:
    return _BLOCKS[min(max(level - row_from_below * _EIGHTHS, 0), _EIGHTHS)]
