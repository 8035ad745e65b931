"""What may be drawn where: colours and live lines only on a terminal, and never where someone asked for none."""

import os
import sys
from typing import TextIO

import click


def has_colour(stream: TextIO) -> bool:
    """Whether to write colours: a terminal, and no NO_COLOR (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def is_live(stream: TextIO) -> bool:
    """Whether lines may be redrawn: a terminal that a person looks at, and no continuous integration."""
    return stream.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


class Paint:
    """Styles for one stream; without colours each returns its text as it is."""

    def __init__(self, stream: TextIO) -> None:
        self._on = has_colour(stream)

    def bold(self, text: str) -> str:
        """What a line is about."""
        return click.style(text, bold=True) if self._on else text

    def faint(self, text: str) -> str:
        """What is beside the point."""
        return click.style(text, dim=True) if self._on else text

    def good(self, text: str) -> str:
        """What is as it should be."""
        return click.style(text, fg="green", bold=True) if self._on else text

    def bad(self, text: str) -> str:
        """What is wrong."""
        return click.style(text, fg="red", bold=True) if self._on else text

    def hint(self, text: str) -> str:
        """What would be right."""
        return click.style(text, fg="cyan") if self._on else text


def say(text: str) -> None:
    """Write a line for people, to standard error."""
    click.echo(text, file=sys.stderr, color=has_colour(sys.stderr))
