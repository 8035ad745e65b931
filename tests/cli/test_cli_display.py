"""Progress of a run, in lines and on a terminal."""

import io
import sys
from typing import Any

import pytest

from loadgate_cli.display import EVERY, LiveDisplay, PlainDisplay, display, line, waiting_for
from loadgate_operator.embedded import Progress

STARTING = {"conditions": [{"type": "Reconciling", "status": "True", "message": "1 of 2 runners are armed"}]}


def progress(phase: str = "Running", **changes: Any) -> Progress:
    """A run about half way."""
    facts = {
        "status": {},
        "percent": 45.4,
        "elapsed": 9.0,
        "vus": 12,
        "requests_per_second": 88.44,
        "requests": 800,
        "p95": 0.0123,
        "failed_rate": 0.005,
        "measurement": None,
    }
    return Progress(phase=phase, **{**facts, **changes})


def test_line_has_the_figures():
    """How far, VUs, requests per second, p95 and failures."""
    assert line(progress()) == "Running, 45%, 12 VUs, 88.4 req/s, p95 12ms, failed 0.5%"


def test_line_says_what_a_run_waits_for():
    """Before load is on, what holds it up is what matters."""
    assert line(progress("Starting", status=STARTING)) == "Starting: 1 of 2 runners are armed"
    assert waiting_for(progress(status=STARTING)) == ""


def test_plain_lines_come_with_each_phase_and_every_few_seconds(capsys: pytest.CaptureFixture[str]):
    """A log isn't flooded, and misses no phase."""
    now = 0.0
    shown = PlainDisplay(lambda: now)
    with shown:
        for now in (0.0, 1.0, EVERY - 0.1, EVERY + 0.1, EVERY + 1):  # noqa: B007 - the clock reads it
            shown.show("t", progress())
        shown.show("t", progress("Judging"))
    assert len(capsys.readouterr().err.splitlines()) == 3


@pytest.mark.parametrize("variable", ["CI", "NO_TERMINAL"])
def test_lines_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch, variable: str):
    """Neither a pipe nor continuous integration gets lines that are redrawn."""
    monkeypatch.setenv(variable, "true")
    monkeypatch.setattr(sys, "stderr", Terminal() if variable == "CI" else io.StringIO())
    assert isinstance(display(), PlainDisplay)


class Terminal(io.StringIO):
    """What claims to be a terminal."""

    def isatty(self) -> bool:
        """It does."""
        return True


def test_terminal_is_redrawn_without_colour_if_asked(monkeypatch: pytest.MonkeyPatch):
    """On a terminal the two lines are drawn in place; NO_COLOR takes the colours away."""
    for name, value in {"TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CI", raising=False)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    shown = display()
    assert isinstance(shown, LiveDisplay)
    with shown:
        shown.show("t", progress())
        shown.note("a note [not markup]")
    drawn = terminal.getvalue()
    assert "88.4 req/s" in drawn
    assert "a note [not markup]" in drawn
    assert "\x1b[3" not in drawn  # no foreground colour
