"""A verdict on a terminal."""

import io

import pytest
from cli_samples import sample
from hypothesis import given
from hypothesis import strategies as st

from loadgate.report import Span, render_text
from loadgate_cli.verdicts import coloured, wrapped


def text_of(line: tuple[Span, ...]) -> str:
    """A line without its tones."""
    return "".join(span.text for span in line)


def test_a_pipe_gets_the_plain_report():
    """Neither colours nor wrapping where nobody looks."""
    assert coloured(sample(), io.StringIO()) + "\n" == render_text(sample())


class Terminal(io.StringIO):
    """What claims to be a terminal."""

    def isatty(self) -> bool:
        """It does."""
        return True


def test_a_terminal_gets_colours_unless_it_asked_for_none(monkeypatch: pytest.MonkeyPatch):
    """Green for a pass, and no escape sequence with NO_COLOR."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32m" in coloured(sample(), Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert coloured(sample(), Terminal()) + "\n" == render_text(sample())


def test_rows_break_between_cells():
    """A row that is too long is broken where a cell ends, not within one."""
    line = (Span("  10 requests   "), Span("20 iterations", "strong"), Span("   0 dropped"))
    assert [text_of(part) for part in wrapped(line, 36)] == ["  10 requests   20 iterations", "    0 dropped"]


@given(
    st.lists(st.tuples(st.text("ab ", max_size=30) | st.just(" " * 40), st.sampled_from(["", "strong"])), max_size=6),
    st.integers(12, 60),
)
def test_wrapping_loses_nothing_and_keeps_to_the_width(parts: list[tuple[str, str]], width: int):
    """Every letter is there once, in order and with its tone, and no line is too long."""
    line = (Span("  "), *(Span(text, tone) for text, tone in parts))  # type: ignore[arg-type]
    found = list(wrapped(line, width))
    letters = [(sign, span.tone) for part in found for span in part for sign in span.text if sign != " "]
    assert letters == [(sign, span.tone) for span in line for sign in span.text if sign != " "]
    assert all(len(text_of(part).rstrip()) <= width for part in found)
