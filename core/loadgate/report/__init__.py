"""Results as people and machines read them: text, Markdown, JUnit, JSON, HTML. Reports take a Result only."""

from loadgate.report.fit import fit
from loadgate.report.result import Result, ResultError, RunFacts, RunnerFacts
from loadgate.report.text import Line, Span, render_text, text_lines

__all__ = [
    "Line",
    "Result",
    "ResultError",
    "RunFacts",
    "RunnerFacts",
    "Span",
    "fit",
    "render_text",
    "text_lines",
]
