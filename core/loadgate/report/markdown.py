"""The verdict as a comment on a pull request: GitHub's Markdown, the details folded away."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from loadgate.api.conditions import Outcome
from loadgate.report import rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from loadgate.report.result import Result

LONGEST = 60_000
"""Characters; GitHub refuses a comment of more than 65,536."""

_MOST_TRACES = 10
"""Of the slowest, and of those that failed."""

_SIGNS = {
    Outcome.Passed: "✅",
    Outcome.Failed: "❌",
    Outcome.Inconclusive: "⚠️",
    Outcome.Aborted: "⏹️",
}
_STATES = {"held": "✅", "broken": "❌", "unknown": "❔", "warned": "⚠️"}

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|~&$-])")

_REFERENCE = re.compile(r"(?<=[@#!~%$&])(?=\w)|(?<=:)(?=//)|(?<=www)(?=\.)")
"""Where GitHub and GitLab would see a person, an issue, a label or an address, even in escaped text."""


def render_markdown(result: Result) -> str:
    """The comment, ending in a newline; cut at a whole block where it would be too long."""
    out = ""
    for block in _blocks(result):
        if len(out) + len(block) > LONGEST:
            return out + "\nThe rest is in the report: it is too long for a comment.\n"
        out += block
    return out


def escape(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no mention, no link, one line."""
    return _REFERENCE.sub("<!-- -->", _SPECIAL.sub(r"\\\1", rows.printable(text)))


def _blocks(result: Result) -> Iterator[str]:
    run, verdict = result.run, result.verdict
    yield f"### {_SIGNS[verdict.outcome]} {verdict.outcome.value}: {escape(run.test)}\n\n{escape(verdict.message)}\n"
    figures = " · ".join(f"**{value}** {name}" for name, value in rows.key_figures(result) if value != rows.NONE)
    yield f"\n{figures}\n"
    yield from _limits(result)
    yield from _doubts(result)
    yield from _folded("Endpoints", rows.ENDPOINT_HEADINGS, rows.endpoint_rows(result))
    yield from _folded("Checks", ("Check", "Held", "Failed", "Share"), rows.check_rows(result))
    yield from _folded("Failed requests", ("Endpoint", "What", "Count"), rows.failure_rows(result)[:30], numbers={2})
    traces = [*rows.slow_trace_rows(result)[:_MOST_TRACES], *rows.failed_trace_rows(result)[:_MOST_TRACES]]
    yield from _folded("Traces to look up", rows.TRACE_HEADINGS, list(dict.fromkeys(traces)), numbers={2, 3})
    for note in result.notes:
        yield f"\n{escape(note)}\n"
    origin = escape(f"{run.namespace}/{run.test}, run {run.number}, loadgate {result.loadgate}")
    yield f"\n<sub>{origin}</sub>\n"


def _limits(result: Result) -> Iterator[str]:
    cells = [
        (f"{_STATES[row.state]} {row.word}", row.subject, row.allowed, row.actual, row.margin, row.source)
        for row in rows.limit_rows(result)
    ]
    if cells:
        yield "\n" + _table(rows.LIMIT_HEADINGS, cells, numbers={2, 3, 4})


def _doubts(result: Result) -> Iterator[str]:
    found = rows.doubt_rows(result)
    if found:
        yield "\n**Doubts**\n\n"
    for doubt, tolerated in found:
        said = ", tolerated" if tolerated else ""
        yield f"- **{doubt.reason.value}** ({escape(doubt.figure)}{said}): {escape(doubt.message)}\n"


def _folded(
    title: str, headings: Sequence[str], cells: Sequence[Sequence[str]], numbers: set[int] | None = None
) -> Iterator[str]:
    if cells:
        yield _details(title, _table(headings, cells, numbers=numbers or set(range(1, len(headings)))))


def _details(title: str, body: str) -> str:
    # The blank line after the summary is what makes GitHub read what follows as Markdown.
    return f"\n<details><summary>{title}</summary>\n\n{body}\n</details>\n"


def _table(headings: Sequence[str], cells: Iterable[Sequence[str]], *, numbers: set[int]) -> str:
    rule = ["--:" if column in numbers else ":--" for column in range(len(headings))]
    lines = [list(headings), rule, *([escape(cell) for cell in row] for row in cells)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
