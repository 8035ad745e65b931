"""`python -m benchmarks.honesty`: are the figures true? Writes the tables of docs/performance.md; 1 if ours aren't.

BENCH_PEERS chooses the other tools, BENCH_SECONDS how long each run against known latencies takes.
"""

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from benchmarks import table
from benchmarks.honesty import known, shapes, stall
from benchmarks.machine import machine
from benchmarks.tools import PACKAGES, require

CLIENT_CORE, SERVER_CORE = 0, 1
SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
STALL_RELATIVE, STALL_MS = 0.02, 0.2
SHAPE_LIMIT = 0.01
RESULTS = Path(__file__).parents[1] / "honesty.json"


def main() -> int:
    """Measure, print, store; the exit code."""
    require(PACKAGES)
    here = machine()
    asked = os.environ.get("BENCH_PEERS")
    print("a server that freezes …", file=sys.stderr)
    wanted = {"loadgate", *(asked.split(",") if asked else stall.TOOLS)}
    stalled = stall.table_rows(CLIENT_CORE, SERVER_CORE, wanted)
    print("servers with known latencies …", file=sys.stderr)
    highest = known.highest_rate(CLIENT_CORE, SERVER_CORE, SECONDS)
    knowns = known.rows(CLIENT_CORE, SERVER_CORE, SECONDS, highest)
    print("shapes …", file=sys.stderr)
    curves = shapes.shapes(CLIENT_CORE, SERVER_CORE)
    highest_text = f"The highest rate of a closed loop against this server was {highest:,.0f} requests/s."
    text = "\n\n".join([here.sentence(), stall_table(stalled), highest_text, known_table(knowns), shape_table(curves)])
    print(text)
    table.write("honesty", text)
    document = {
        "machine": here.to_json(),
        "stall": [asdict(row) for row in stalled],
        "known": [asdict(row) for row in knowns],
        "shapes": [asdict(shape) for shape in curves],
    }
    RESULTS.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return 0 if holds(stalled, knowns, curves) else 1


def holds(stalled: Iterable[stall.Row], knowns: Iterable[known.Row], curves: Iterable[shapes.Shape]) -> bool:
    """Whether all of ours is true, or says that it may not be."""
    return (
        all(_verdict(row) in {"true", "in doubt"} for row in stalled if row.tool == "loadgate")
        and all(row.off <= 1 or row.doubts for row in knowns)
        and all(_deviation(shape) < SHAPE_LIMIT for shape in curves)
    )


def stall_table(rows: Iterable[stall.Row]) -> str:
    """The truth first, then each tool."""
    rows = list(rows)
    true = " | ".join(_ms(value) for value in stall.truth(stall.FREEZE_FOR))
    lines = ["| tool | setting | requests | p50 | p95 | p99 | p99.9 ms | |", "|---|---|--:|--:|--:|--:|--:|---|"]
    lines.append(f"| **the truth** | by arithmetic | {stall.RATE * stall.SECONDS:,} | {true} | |")
    for row in rows:
        if row.said is None:
            lines.append(f"| {row.tool} | {row.setting} | missing | | | | | {row.fault} |")
            continue
        figures = " | ".join("" if value is None else _ms(value) for value in row.said.percentiles)
        words = "; ".join(filter(None, [_verdict(row), row.said.warning]))
        lines.append(f"| {row.tool} | {row.setting} | {row.said.requests:,} | {figures} | {words} |")
    return "\n".join(lines)


def _verdict(row: stall.Row) -> str:
    """Whether all four percentiles are within the limit of the truth, given how long the server really stood still."""
    if row.said is None:
        return "missing"
    pairs = zip(stall.truth(row.frozen_seconds), row.said.percentiles, strict=True)
    off = [
        name
        for name, (true, said) in zip(("p50", "p95", "p99", "p99.9"), pairs, strict=True)
        if said is None or abs(said - true) > STALL_RELATIVE * true + STALL_MS
    ]
    if not off:
        return "true"
    return "in doubt" if row.tool == "loadgate" and row.said.warning else f"wrong: {', '.join(off)}"


def known_table(rows: Iterable[known.Row]) -> str:
    """True and measured percentiles."""
    lines = [
        "| latencies | model | requests/s | | p50 | p90 | p95 | p99 ms | |",
        "|---|---|--:|---|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        word = "ok" if row.off <= 1 else f"{row.off:.1f} times the limit"
        doubts = f"; in doubt: {', '.join(row.doubts)}" if row.doubts else ""
        truth, said = (" | ".join(_ms(value) for value in values) for values in (row.truth, row.said))
        lines.append(f"| {row.law} | {row.model}, {row.part:.0%} | {row.rate:,.0f} | true | {truth} | |")
        lines.append(f"| | | | measured | {said} | {word}{doubts} |")
    return "\n".join(lines)


def shape_table(curves: Iterable[shapes.Shape]) -> str:
    """The largest deviation in any second, and that from the second one on."""
    lines = ["| executor | | first second | any later second | |", "|---|---|--:|--:|---|"]
    for shape in curves:
        first = abs(shape.made[0] - shape.asked[0]) / max(shape.asked)
        word = "ok" if _deviation(shape) < SHAPE_LIMIT else "**over**"
        later = f"{shape.deviation(1):.2%}" if len(shape.asked) > 1 else ""
        lines.append(f"| {shape.executor} | {shape.unit} | {first:.2%} | {later} | {word} |")
    return "\n".join(lines)


def _deviation(shape: shapes.Shape) -> float:
    """VUs that are due together begin a little apart on purpose, which is the first second's."""
    return shape.deviation(1 if shape.unit == "VUs" else 0)


def _ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main())
