"""The verdict for a terminal: plain lines of spans, which a command may colour by their tone, or print as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from loadgate.api.conditions import Outcome
from loadgate.report import rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loadgate.report.result import Result

Tone = Literal["", "passed", "failed", "inconclusive", "aborted", "strong", "quiet"]

SIGNS = {Outcome.Passed: "✓", Outcome.Failed: "✗", Outcome.Inconclusive: "?", Outcome.Aborted: "■"}
_STATES: dict[str, tuple[str, Tone]] = {
    "held": ("✓", "passed"),
    "broken": ("✗", "failed"),
    "unknown": ("?", "inconclusive"),
    "warned": ("!", "quiet"),
}
_LONGEST_NAME = 48
_MOST_FAILURES = 10
_MOST_TRACES = 5
_FIGURES_IN_A_LINE = 6


@dataclass(frozen=True)
class Span:
    """Text of one tone; printed as it is where there are no colours."""

    text: str
    tone: Tone = ""


Line = tuple[Span, ...]


def render_text(result: Result) -> str:
    """The verdict as plain text, ending in a newline."""
    return "".join("".join(span.text for span in line).rstrip() + "\n" for line in text_lines(result))


def text_lines(result: Result) -> list[Line]:
    """The verdict as lines: outcome, figures, limits, doubts, failures, endpoints, traces, notes."""
    return [
        *_headline(result),
        *_figures(result),
        *_limits(result),
        *_doubts(result),
        *_failures(result),
        *_endpoints(result),
        *_traces(result),
        *_notes(result),
    ]


def _headline(result: Result) -> Iterator[Line]:
    outcome = result.verdict.outcome
    tone: Tone = outcome.value.lower()  # type: ignore[assignment]  # the tones are named for the outcomes
    run = result.run
    name = rows.printable(f"{run.namespace}/{run.test}")
    yield (Span(f"{SIGNS[outcome]} {outcome.value}", tone), Span(f"  {name}, run {run.number}", "strong"))
    yield (Span(f"  {rows.printable(result.verdict.message)}"),)


def _figures(result: Result) -> Iterator[Line]:
    yield ()
    found = rows.key_figures(result)
    for at in range(0, len(found), _FIGURES_IN_A_LINE):
        spans = [Span(" ")]
        for name, value in found[at : at + _FIGURES_IN_A_LINE]:
            spans += (Span(f" {value}", "strong"), Span(f" {name}  ", "quiet"))
        yield tuple(spans)


def _limits(result: Result) -> Iterator[Line]:
    found = rows.limit_rows(result)
    if not found:
        return
    yield from _heading("Limits")
    cells = [(row.subject, row.allowed, row.actual, row.margin, row.source) for row in found]
    widths = _widths(cells)
    for row, line in zip(found, cells, strict=True):
        sign, tone = _STATES[row.state]
        subject, allowed, actual, left, source = _padded(line, widths, numbers=set())
        yield (
            Span(f"  {sign} ", tone),
            Span(f"{subject}  {allowed}  "),
            Span(actual, tone if row.state != "held" else "strong"),
            Span(f"  {left}  {source}", "quiet"),
        )


def _doubts(result: Result) -> Iterator[Line]:
    found = rows.doubt_rows(result)
    if not found:
        return
    yield from _heading("Doubts")
    for doubt, tolerated in found:
        said = f" (tolerated, {doubt.figure})" if tolerated else f" ({doubt.figure})"
        yield (
            Span("  ? ", "quiet" if tolerated else "inconclusive"),
            Span(doubt.reason.value, "strong"),
            Span(rows.printable(said), "quiet"),
        )
        yield (Span(f"    {rows.printable(doubt.message)}"),)


def _failures(result: Result) -> Iterator[Line]:
    found = rows.failure_rows(result)
    if not found:
        return
    yield from _heading("Failed requests")
    shown = [(n, _short(name), what) for name, what, n in found[:_MOST_FAILURES]]
    widths = _widths(shown)
    for row in shown:
        yield (Span("  " + "  ".join(_padded(row, widths, numbers={0}))),)
    if len(found) > _MOST_FAILURES:
        yield (Span(f"  and {len(found) - _MOST_FAILURES} more kinds", "quiet"),)


def _endpoints(result: Result) -> Iterator[Line]:
    found = rows.endpoint_rows(result)
    if not found:
        return
    yield from _heading("Endpoints")
    table = [rows.ENDPOINT_HEADINGS, *((_short(name), *rest) for name, *rest in found)]
    widths = _widths(table)
    for number, row in enumerate(table):
        cells = _padded(row, widths, numbers=set(range(1, len(row))))
        yield (Span("  " + "  ".join(cells), "" if number else "quiet"),)


def _traces(result: Result) -> Iterator[Line]:
    found = [*rows.slow_trace_rows(result)[:_MOST_TRACES], *rows.failed_trace_rows(result)[:_MOST_TRACES]]
    if not found:
        return
    yield from _heading("Traces to look up")
    table = [rows.TRACE_HEADINGS, *((_short(name), *rest) for name, *rest in dict.fromkeys(found))]
    widths = _widths(table)
    for number, row in enumerate(table):
        yield (Span("  " + "  ".join(_padded(row, widths, numbers={2, 3})), "" if number else "quiet"),)


def _notes(result: Result) -> Iterator[Line]:
    if result.notes:
        yield ()
    for note in result.notes:
        yield (Span(f"  {note}", "quiet"),)


def _heading(title: str) -> Iterator[Line]:
    yield ()
    yield (Span(f"  {title}", "strong"),)


def _widths(table: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(row[column]) for row in table) for column in range(len(table[0]))]


def _padded(row: Sequence[str], widths: Sequence[int], *, numbers: set[int]) -> list[str]:
    return [
        cell.rjust(width) if column in numbers else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
