"""The HTML report's plots: places that the script draws in, each with its data as a table beneath."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgate.api.units import format_duration
from loadgate.metrics.names import PHASES
from loadgate.report import charts, drawings, rows
from loadgate.report.blocks import data_table, part
from loadgate.report.markup import Markup, join, tag
from loadgate.verdict import by_endpoint
from loadgate.verdict.budgets import ALL, EVERYTHING

if TYPE_CHECKING:
    from loadgate.report.result import Result

_TABLE_ROWS = 60
"""Rows of a plot's data table; slices are merged, so percentiles in it are exact all the same."""


def over_time(result: Result) -> Markup:
    """Latency, throughput, failures and VUs over the run."""
    slices = result.measurement.slices
    if not slices.by_index:
        return part("over-time", "Over time", tag("p", "Nothing was measured.", class_="none"))
    hint = (
        "Drag to zoom, double-click to see all of it again; with the keyboard, + and - zoom, arrows move, Esc resets."
    )
    shaded = " The warm-up is shaded: it is drawn, but not judged." if result.warmup else ""
    tools = tag(
        "div",
        tag("p", hint + shaded, class_="hint"),
        tag("button", "Reset zoom", type="button", id="reset-zoom"),
        class_="tools js-only",
    )
    width = f"each point is {slices.width} s" if slices.width > 1 else "each point is a second"
    plots = tag(
        "div",
        _plot("latency", "Latency", width, _latency_table(result), tools=_latency_tools(result)),
        _plot(
            "requests",
            "Throughput",
            "requests and iterations per second",
            _rates_table(result, "requests", "iterations"),
        ),
        _plot("failures", "Failures", "per second", _rates_table(result, "failed", "dropped")),
        _plot("vus", "Virtual users", "on average", _rates_table(result, "vus")),
        class_="plots",
    )
    return part("over-time", "Over time", tools, plots)


def _latency_tools(result: Result) -> Markup:
    names = [figures.name for figures in by_endpoint(result.measurement, charts.DRAWN_ENDPOINTS)]
    options = [tag("option", ALL, value=EVERYTHING), *(tag("option", rows.printable(n), value=n) for n in names)]
    return join(
        tag("label", "Endpoint ", tag("select", *options, id="endpoint"), for_="endpoint", class_="js-only"),
        tag("button", "Log scale", type="button", id="log-scale", aria_pressed="false", class_="js-only"),
    )


def distribution(result: Result) -> Markup | None:
    """How latency is distributed: by percentile, and as a histogram."""
    drawn = charts.distribution(result)
    if not drawn:
        return None
    hint = "Of all judged requests. The further right a percentile lies, the rarer are the requests beyond it."
    by_percentile = [
        (_percent(q), format_duration(time / 1000))
        for q, time in zip(drawn["quantiles"], drawn["duration"], strict=True)
    ]
    binned = [(f"{_short_ms(low)} to {_short_ms(high)}", f"{n}") for low, high, n in drawn["bins"]]
    plots = tag(
        "div",
        _plot(
            "percentiles", "Latency by percentile", "log scale", data_table(("Percentile", "Latency"), by_percentile)
        ),
        _plot("histogram", "How long requests took", "log scale", data_table(("Took", "Requests"), binned)),
        class_="plots two",
    )
    return part("distribution", "Latency distribution", plots, hint=hint)


def _percent(q: float) -> str:
    return f"p{round(q * 100, 5):g}"


def _short_ms(ms: float) -> str:
    return format_duration(ms / 1000)


def phases(result: Result) -> Markup | None:
    """Where the time of a request goes, endpoint by endpoint."""
    found = charts.phases(result)
    if not found:
        return None
    names = list(dict.fromkeys(phase for _, times in found for phase in times))
    ordered = [phase for phase in PHASES.values() if phase in names]
    key = tag("ul", *(tag("li", drawings.swatch(phase), phase) for phase in ordered), class_="key")
    longest = max(sum(times.values()) for _, times in found)
    bars = [
        tag(
            "div",
            tag("span", rows.printable(name) or rows.NONE, class_="name", title=rows.printable(name)),
            drawings.phase_bar(times, longest),
            tag("span", _short_ms(sum(times.values())), class_="number"),
            class_="phase-row",
        )
        for name, times in found
    ]
    cells = [
        (rows.printable(name), *(_short_ms(times[phase]) if phase in times else rows.NONE for phase in ordered))
        for name, times in found
    ]
    folded = tag("details", tag("summary", "Show as a table"), data_table(("Endpoint", *ordered), cells))
    hint = "The mean time of a request in each phase. A connection that is used again has no connecting and no TLS."
    figure = tag(
        "figure", tag("figcaption", tag("h3", "Mean time by phase")), key, tag("div", *bars, class_="phases"), folded
    )
    return part("phases", "Where the time goes", figure, hint=hint)


def _plot(name: str, title: str, unit: str, cells: Markup, *, tools: Markup | None = None) -> Markup:
    heading = tag("h3", title, " ", tag("span", unit, class_="unit"))
    label = f"{title}, {unit}. The same as a table follows."
    holder = tag("div", class_="plot", id=f"plot-{name}", tabindex=0, role="img", aria_label=label)
    noscript = tag("p", "The plot needs JavaScript; the table below doesn't.", class_="hint no-js")
    data = tag("details", tag("summary", "Show as a table"), cells)
    return tag("figure", tag("figcaption", heading, tools), holder, noscript, data)


def _latency_table(result: Result) -> Markup:
    slices = result.measurement.slices
    pieces = charts.dense(slices, _TABLE_ROWS)
    series = charts.percentiles(piece.duration for piece in pieces)
    starts = _starts(result, len(pieces))
    cells = [
        (start, *(rows.NONE if ms is None else _short_ms(ms) for ms in row))
        for start, *row in zip(starts, *series.values(), strict=True)
    ]
    return data_table(("Time", *series), cells)


def _rates_table(result: Result, *names: str) -> Markup:
    slices = result.measurement.slices
    pieces = charts.dense(slices, _TABLE_ROWS)
    series = charts.rates(pieces, charts.width_of(slices, _TABLE_ROWS))
    starts = _starts(result, len(pieces))
    cells = [
        (start, *(f"{value:g}" for value in row))
        for start, *row in zip(starts, *(series[n] for n in names), strict=True)
    ]
    return data_table(("Time", *names), cells)


def _starts(result: Result, count: int) -> list[str]:
    width = charts.width_of(result.measurement.slices, _TABLE_ROWS)
    return [_clock(number * width) for number in range(count)]


def _clock(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"
