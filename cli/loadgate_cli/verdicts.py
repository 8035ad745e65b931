"""A verdict on a terminal: the report's lines, coloured where colours are welcome, wrapped where they are too long."""

import shutil
from collections.abc import Iterator
from typing import TextIO

import click

from loadgate.report import Line, Result, Span, text_lines
from loadgate_cli.terminal import has_colour

_STYLES: dict[str, dict[str, object]] = {
    "passed": {"fg": "green", "bold": True},
    "failed": {"fg": "red", "bold": True},
    "inconclusive": {"fg": "yellow", "bold": True},
    "aborted": {"fg": "magenta", "bold": True},
    "strong": {"bold": True},
    "quiet": {"dim": True},
}
_NARROWEST = 40


def coloured(result: Result, stream: TextIO) -> str:
    """The verdict as text for a stream, without a newline at the end; only a terminal's lines are wrapped."""
    lines = text_lines(result)
    if stream.isatty():
        width = max(shutil.get_terminal_size((80, 24)).columns, _NARROWEST)
        lines = [part for line in lines for part in wrapped(line, width)]
    paint = _styled if has_colour(stream) else _plain
    return "\n".join("".join(map(paint, line)).rstrip() for line in lines)


def wrapped(line: Line, width: int) -> Iterator[Line]:
    """The line in parts of at most `width` columns, later ones indented by two more than the first."""
    text = "".join(span.text for span in line).rstrip()
    indent = " " * min(len(text) - len(text.lstrip()) + 2, width // 2)
    while len(text) > width:
        place = _break(text, width, len(indent))
        yield _cut(line, 0, place)
        rest = text[place:].lstrip()
        line = (Span(indent), *_cut(line, len(text) - len(rest), len(text)))
        text = indent + rest
    yield line


def _break(text: str, width: int, indent: int) -> int:
    """Where to break: between two cells of a row, or else between two words, or else anywhere."""
    for between in ("   ", " "):
        place = text.rfind(between, indent, width + 1)
        if place > (width // 2 if between == "   " else indent):
            return place
    return width


def _cut(line: Line, start: int, end: int) -> Line:
    """The spans of a line from one column to another."""
    spans: list[Span] = []
    place = 0
    for span in line:
        part = span.text[max(start - place, 0) : max(end - place, 0)]
        if part:
            spans.append(Span(part, span.tone))
        place += len(span.text)
    return tuple(spans)


def _styled(span: Span) -> str:
    style = _STYLES.get(span.tone)
    return click.style(span.text, **style) if style else span.text  # type: ignore[arg-type]  # the table above, as it is


def _plain(span: Span) -> str:
    return span.text
