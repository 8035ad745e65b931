"""A verdict on a terminal: the report's lines, coloured where colours are welcome."""

from typing import TextIO

import click

from loadgate.report import Result, Span, text_lines
from loadgate_cli.terminal import has_colour

_STYLES: dict[str, dict[str, object]] = {
    "passed": {"fg": "green", "bold": True},
    "failed": {"fg": "red", "bold": True},
    "inconclusive": {"fg": "yellow", "bold": True},
    "aborted": {"fg": "magenta", "bold": True},
    "strong": {"bold": True},
    "quiet": {"dim": True},
}


def coloured(result: Result, stream: TextIO) -> str:
    """The verdict as text for a stream, without a newline at the end."""
    paint = _styled if has_colour(stream) else _plain
    return "\n".join("".join(map(paint, line)).rstrip() for line in text_lines(result))


def _styled(span: Span) -> str:
    style = _STYLES.get(span.tone)
    return click.style(span.text, **style) if style else span.text  # type: ignore[arg-type]  # the table above, as it is


def _plain(span: Span) -> str:
    return span.text
