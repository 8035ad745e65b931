"""The one way in which a text of a manifest is refused, whichever small language it is written in."""

import difflib
from collections.abc import Iterable


class GrammarError(ValueError):
    """A text that doesn't parse: what is wrong, where, and what would be right.

    `position` counts characters from 0 in the text that was parsed; None where the whole text is at fault.
    """

    def __init__(self, message: str, *, hint: str = "", position: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.position = position


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the closest known word, or lists the known ones when none is close."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(names)}" if names else ""
