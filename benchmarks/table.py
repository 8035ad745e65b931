"""What was measured, as Markdown for people: the same text on the terminal and in docs/performance.md."""

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.limits import Limit
from benchmarks.watch import Sample, median

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"


def cost_table(samples: Mapping[str, Sequence[Sample]], absent: Mapping[str, str]) -> str:
    """A row for each "group, name": medians, and the range of the costs; or why it is missing."""
    lines = [
        "| case | client | µs/request | range | requests/s | p50 ms | p99 ms | |",
        "|---|---|--:|--:|--:|--:|--:|---|",
    ]
    for key, taken in samples.items():
        group, name = key.split(", ", 1)
        if taken:
            lines.append(f"| {group} | {name} | {_figures(taken)} |")
        else:
            lines.append(f"| {group} | {name} | missing | | | | | {absent.get(key, 'no round came to an end')} |")
    return "\n".join(lines)


def _figures(taken: Sequence[Sample]) -> str:
    costs = [sample.cost for sample in taken]
    figures = [f"{median(taken):.1f}", f"{min(costs):.1f} to {max(costs):.1f}"]
    figures.append(f"{statistics.median(sample.rate for sample in taken):,.0f}")
    for name in ("p50", "p99"):
        values = [value for sample in taken if (value := getattr(sample, name)) is not None]
        figures.append(f"{statistics.median(values):.2f}" if values else "")
    return " | ".join([*figures, taken[-1].note])


def limit_table(limits: Iterable[Limit]) -> str:
    """A row for each limit."""
    words = {True: "ok", False: "**over**", None: "open"}
    rows = [f"| {limit.what} | {limit.measured} | {limit.limit} | {words[limit.holds]} |" for limit in limits]
    return "\n".join(["| what | measured | limit | |", "|---|--:|--:|---|", *rows])


def write(marker: str, text: str, document: Path = DOCUMENT) -> None:
    """Put a text between `<!-- MARKER -->` and `<!-- end MARKER -->`. Raises ValueError where they aren't there."""
    old = document.read_text()
    between = re.compile(rf"(<!-- {marker} -->\n).*?(<!-- end {marker} -->)", re.DOTALL)
    if not between.search(old):
        raise ValueError(f"{document.name} has no markers {marker!r}")
    document.write_text(between.sub(lambda found: found[1] + text + "\n" + found[2], old))
