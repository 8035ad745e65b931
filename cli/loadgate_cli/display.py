"""How a run looks while it runs: two lines that are redrawn on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from loadgate.api.conditions import ConditionType, Phase
from loadgate.api.units import format_duration, format_ratio
from loadgate_cli.terminal import has_colour, is_live, say
from loadgate_operator.embedded import Progress

EVERY = 5.0
"""Seconds from one plain line to the next."""


class Display(Protocol):
    """Shows progress for as long as it is entered."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, name: str, progress: Progress) -> None:
        """How a test stands now."""

    def note(self, text: str) -> None:
        """Something to know, said once."""


def display() -> Display:
    """The one that fits standard error."""
    return LiveDisplay() if is_live(sys.stderr) else PlainDisplay(time.monotonic)


def figures(progress: Progress) -> list[str]:
    """The few figures of a run under way."""
    found = [f"{progress.vus} VUs", f"{progress.requests_per_second:.1f} req/s"]
    if progress.p95 is not None:
        found.append(f"p95 {format_duration(progress.p95)}")
    if progress.failed_rate is not None:
        found.append(f"failed {format_ratio(progress.failed_rate)}")
    return found


def waiting_for(progress: Progress) -> str:
    """What holds a run up, in the operator's words; "" while load is on."""
    if progress.phase == Phase.Running:
        return ""
    conditions = progress.status.get("conditions") or []
    return next((str(c.get("message") or "") for c in conditions if c.get("type") == ConditionType.Reconciling), "")


class PlainDisplay:
    """Lines for logs: at each new phase, and every few seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._shown: tuple[str, str] = ("", "")
        self._due = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, name: str, progress: Progress) -> None:
        """A line, if it is time for one."""
        now = self._clock()
        if (name, progress.phase) == self._shown and now < self._due:
            return
        self._shown, self._due = (name, progress.phase), now + EVERY
        say(f"{name}: {line(progress)}")

    def note(self, text: str) -> None:
        """A line."""
        say(text)


def line(progress: Progress) -> str:
    """`Running, 45%, 12 VUs, 88.4 req/s, p95 12ms, failed 0%`."""
    if progress.phase == Phase.Running:
        return ", ".join([progress.phase, f"{progress.percent:.0f}%", *figures(progress)])
    message = waiting_for(progress)
    return f"{progress.phase}: {message}" if message else progress.phase


class LiveDisplay:
    """Two lines that are redrawn: how far it is, and the figures."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, no_color=not has_colour(sys.stderr), highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True, redirect_stdout=False)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def show(self, name: str, progress: Progress) -> None:
        """Draw both lines anew."""
        head = Table.grid(padding=(0, 1), expand=False)
        head.add_row(
            Text(name, style="bold"),
            Text(progress.phase),
            ProgressBar(100, progress.percent, width=self._bar_width(name), complete_style="cyan"),
            Text(f"{progress.percent:3.0f}%"),
            Text(format_duration(progress.elapsed), style="dim"),
        )
        message = waiting_for(progress)
        second = Text("  " + (message or "   ".join(figures(progress))), overflow="ellipsis", no_wrap=True)
        self._live.update(Group(head, second), refresh=True)

    def note(self, text: str) -> None:
        """A line above the two."""
        self._console.print(Text(text))

    def _bar_width(self, name: str) -> int:
        return max(10, min(40, self._console.width - len(name) - 30))
