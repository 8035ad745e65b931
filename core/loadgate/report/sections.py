"""The HTML report's sections, rendered here so that the page reads without JavaScript."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import yaml

from loadgate.api.units import format_bytes, format_duration, format_ratio
from loadgate.report import drawings, rows
from loadgate.report.blocks import data_table, grouped, heads, part, scroll
from loadgate.report.markup import Markup, tag
from loadgate.verdict import by_endpoint, totals
from loadgate.verdict.budgets import ALL

if TYPE_CHECKING:
    from loadgate.report.result import Result, RunnerFacts
    from loadgate.verdict import Doubt, Figures


_MOST_TRACES = 100
"""Rows of each table."""


def verdict(result: Result) -> Markup:
    """The outcome, in a word, a sentence and a strip of figures."""
    run, outcome = result.run, result.verdict.outcome
    eyebrow = tag("p", tag("b", run.test), f" in {run.namespace}, run {run.number}", class_="eyebrow")
    heading = tag("h1", drawings.sign(outcome.value.lower()), outcome.value, id="verdict")
    return tag(
        "section",
        eyebrow,
        heading,
        tag("p", _sentence(result.verdict.message), class_="lede"),
        _meta(result),
        _figures(result),
        class_="verdict",
        aria_labelledby="verdict",
    )


def _sentence(text: str) -> str:
    """A message as a sentence; a field's or a metric's name at its beginning keeps its spelling."""
    first, _, _ = text.partition(" ")
    begun = text[:1].upper() + text[1:] if first.isalpha() and first.islower() else text
    return begun if text.endswith((".", "!", "?")) else f"{begun}."


def _meta(result: Result) -> Markup:
    run, spec = result.run, result.manifest.get("spec", {})
    facts = {
        "Started": run.started_at.replace("T", " ").replace("Z", " UTC"),
        "Took": _took(run.started_at, run.finished_at),
        "Warm-up": f"{format_duration(result.warmup)}, not judged" if result.warmup else "",
        "Target": str(spec.get("target", {}).get("url", "")),
        "Runners": str(len(result.runners) or ""),
        "Cause": run.cause,
    }
    items = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items() if value]
    return tag("dl", *items, class_="meta")


def _took(started: str, finished: str) -> str:
    try:
        seconds = (datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds()
    except ValueError:
        return ""  # a run that never began has no such times
    return format_duration(seconds)


def _figures(result: Result) -> Markup:
    items = [
        tag("div", tag("dt", name), tag("dd", *_with_small_unit(value))) for name, value in rows.key_figures(result)
    ]
    return tag("dl", *items, class_="figures")


def _with_small_unit(value: str) -> tuple[str, Markup | None]:
    """`412` and a smaller `ms`, which reads faster in a row of figures; `1m30s` stays as it is."""
    number = value.rstrip("abcdefghijklmnopqrstuvwxyzBGMT%µ ")
    unit = value[len(number) :].strip()
    if not unit or any(sign.isalpha() for sign in number):
        return grouped(value), None
    return grouped(number), tag("small", unit)


def limits(result: Result) -> Markup:
    """Every limit with what was measured and how much room was left."""
    found = rows.ordered_limits(result)
    if not found:
        none = "This test has neither thresholds nor budgets: nothing is asked of the target."
        return part("limits", "Limits", tag("p", none, class_="none"))
    body = []
    for limit in found:
        row = rows.limit_row(limit)
        state = tag("span", drawings.sign(row.state), row.word, class_=f"state state-{row.state}")
        body.append(
            tag(
                "tr",
                tag("td", state),
                tag("th", row.subject, tag("span", row.source, class_="source"), scope="row", class_="name"),
                tag("td", row.allowed, class_="number"),
                tag("td", row.actual, class_="number actual"),
                tag("td", drawings.margin_bar(limit)),
                tag("td", row.margin, class_="number quiet"),
                class_=row.state,
            )
        )
    head = heads(("State", "Limit", "Allowed", "Actual", "Actual against limit", "Margin"), numbers={2, 3, 5})
    table = tag("table", tag("caption", "Limits"), head, tag("tbody", *body), class_="limits")
    return part("limits", "Limits", scroll(table, "Limits"))


def doubts(result: Result) -> Markup | None:
    """Why the result can't be trusted, and what to change; nothing where there is no doubt."""
    found = rows.doubt_rows(result)
    if not found:
        return None
    hint = "What makes the measurement itself uncertain. Unless they are tolerated, a run with doubts never passes."
    items = [_doubt(doubt, tolerated=tolerated) for doubt, tolerated in found]
    return part("doubts", "Doubts", tag("ul", *items, class_="doubts"), hint=hint)


def _doubt(doubt: Doubt, *, tolerated: bool) -> Markup:
    said = f"{doubt.figure}, tolerated" if tolerated else doubt.figure
    return tag(
        "li",
        tag("h3", doubt.reason.value, " ", tag("span", said, class_="figure")),
        tag("p", _sentence(rows.printable(doubt.message))),
        class_="tolerated" if tolerated else None,
    )


def endpoints(result: Result) -> Markup | None:
    """The busiest endpoints, all requests together, checks and what failed."""
    found = by_endpoint(result.measurement)
    if not found:
        return None
    body = [_endpoint(figures) for figures in found]
    foot = tag("tfoot", _endpoint(totals(result.measurement), name=ALL))
    head = heads(rows.ENDPOINT_HEADINGS, numbers=set(range(1, 9)))
    table = tag("table", tag("caption", "Endpoints"), head, tag("tbody", *body), foot, class_="sortable")
    names = {dict(tags).get("name") for tags in result.measurement.requests}
    hint = f"The {len(found)} busiest of {len(names)}." if len(names) > len(found) else None
    return part("endpoints", "Endpoints", scroll(table, "Endpoints"), _failures(result), _checks(result), hint=hint)


def _endpoint(figures: Figures, name: str = "") -> Markup:
    texts = rows.figures_row(figures)
    values: list[float | None] = [
        figures.requests,
        figures.requests_per_second,
        figures.failed_rate,
        figures.quantile(0.5),
        figures.quantile(0.95),
        figures.quantile(0.99),
        figures.maximum,
        figures.checks_rate,
    ]
    cells = [
        tag("td", grouped(text), class_="number", data_sort=-1 if value is None else f"{value:.9g}")
        for text, value in zip(texts[1:], values, strict=True)
    ]
    return tag("tr", tag("th", name or texts[0], scope="row", class_="name"), *cells)


def _failures(result: Result) -> Markup | None:
    found = rows.failure_rows(result)[:100]
    if not found:
        return None
    table = data_table(("Endpoint", "What failed", "Requests"), found, numbers={2})
    return tag("details", tag("summary", f"Failed requests by kind ({len(found)})"), table, open=True)


def _checks(result: Result) -> Markup | None:
    found = rows.check_rows(result)[:200]
    if not found:
        return None
    table = data_table(("Check", "Held", "Failed", "Share that held"), found)
    return tag("details", tag("summary", f"Checks ({len(found)})"), table)


def traces(result: Result) -> Markup | None:
    """Ids of requests that can be looked up at the target; nothing where none were traced."""
    slow, failed = rows.slow_trace_rows(result)[:_MOST_TRACES], rows.failed_trace_rows(result)[:_MOST_TRACES]
    if not slow:
        return None
    hint = (
        "Ids that the target's own traces have, where it keeps them: each endpoint's slowest of the sampled requests, "
    )
    hint += "and the first and last that failed of each kind. A time is from the run's start."
    table = data_table(rows.TRACE_HEADINGS, slow, numbers={2, 3})
    more = None
    if failed:
        failures = data_table(rows.TRACE_HEADINGS, failed, numbers={2, 3})
        more = tag("details", tag("summary", f"Failed requests ({len(failed)})"), failures, open=True)
    return part("traces", "Traces", table, more, hint=hint)


def runners(result: Result) -> Markup | None:
    """How the runners themselves were doing."""
    if not result.runners:
        return None
    headings = (
        "Runner",
        "State",
        "Node",
        "CPU",
        "CPU, most",
        "Throttled",
        "Loop lag p99",
        "Slip p99",
        "Memory",
        "Open files",
    )
    body = [tag("tr", tag("th", f"{r.index}", scope="row"), *_runner_cells(r)) for r in result.runners]
    table = tag("table", tag("caption", "Runners"), heads(headings, numbers=set(range(3, 10))), tag("tbody", *body))
    hint = "The load makers' own health: a runner at its limits measures itself rather than the target."
    return part("runners", "Runners", scroll(table, "Runners"), hint=hint)


def _runner_cells(runner: RunnerFacts) -> list[Markup]:
    health = runner.health
    texts = [
        format_ratio(health.cpu_ratio),
        format_ratio(health.cpu_ratio_max),
        format_ratio(health.throttled_ratio),
        format_duration(health.lag_p99),
        format_duration(health.slip_p99),
        _of(
            format_bytes(health.memory or health.rss), format_bytes(health.memory_limit) if health.memory_limit else ""
        ),
        _of(str(health.fds), str(health.fd_limit) if health.fd_limit else ""),
    ]
    plain = [tag("td", runner.state), tag("td", runner.node or rows.NONE)]
    return [*plain, *(tag("td", text, class_="number") for text in texts)]


def _of(used: str, limit: str) -> str:
    return f"{used} of {limit}" if limit else used


def manifests(result: Result) -> Markup:
    """What was asked for: the test's manifest and those of the budgets that judged it."""
    documents: list[tuple[str, dict[str, Any]]] = [("LoadTest", result.manifest)]
    documents += [("PerformanceBudget", document) for document in result.budgets]
    folded = [
        tag(
            "details",
            tag("summary", f"{kind} {_name(document)}"),
            tag("pre", tag("code", _yaml(document)), tabindex=0),
            class_="document",
        )
        for kind, document in documents
    ]
    return part("manifest", "What was asked for", *folded)


def _name(document: dict[str, Any]) -> str:
    return str(document.get("metadata", {}).get("name", ""))


def _yaml(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def footer(result: Result) -> Markup:
    """Which versions and which run."""
    run = result.run
    lines = [
        f"loadgate {result.loadgate}, result version 1, plots by uPlot 1.6.32",
        f"run {run.id}, spec {run.spec_hash or 'unknown'}, finished {run.finished_at or 'never'}",
        *result.notes,
    ]
    return tag("footer", *(tag("p", line) for line in lines))
