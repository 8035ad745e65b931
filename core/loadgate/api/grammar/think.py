"""How long a virtual user pauses: one duration, or a range that is drawn from evenly."""

from .amounts import parse_duration
from .errors import GrammarError


def parse_think(text: str) -> tuple[float, float]:
    """Return the shortest and the longest pause in seconds (`1s` gives both the same, `1s..3s` a range)."""
    low_text, dots, high_text = text.partition("..")
    low = parse_duration(low_text.strip())
    high = parse_duration(high_text.strip()) if dots else low
    if high < low:
        raise GrammarError(
            f"the range {text!r} ends before it begins", hint=f"write {high_text.strip()}..{low_text.strip()}"
        )
    return low, high
