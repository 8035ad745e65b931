"""Grafana's JSON for what our dashboards are made of: panels in rows, queries, variables, annotations.

Plain dictionaries, the same for the same input: ids and places are counted, nothing is drawn at random.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24

Json = dict[str, Any]


@dataclass(frozen=True)
class Query:
    """A PromQL expression and how its series are called; `instant` for the last value only."""

    expr: str
    legend: str = ""
    instant: bool = False
    table: bool = False


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel: width and height are in Grafana's grid of 24 columns."""

    title: str
    text: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 8
    height: int = 8
    options: Json = field(default_factory=dict)
    custom: Json = field(default_factory=dict)
    defaults: Json = field(default_factory=dict)
    overrides: tuple[Json, ...] = ()
    transformations: tuple[Json, ...] = ()


def stat(title: str, text: str, query: Query, *, unit: str = "short", width: int = 3, **more: Any) -> Panel:
    """One number, large."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "none",
        "textMode": "auto",
        **more.pop("options", {}),
    }
    return Panel(
        title=title, text=text, queries=(query,), kind="stat", unit=unit, width=width, height=4, options=options, **more
    )


def graph(title: str, text: str, *queries: Query, unit: str = "short", **more: Any) -> Panel:
    """Lines over time, with a legend that says the last value and the highest."""
    options = {
        "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    custom = {"lineWidth": 1, "fillOpacity": 8, "showPoints": "never", "spanNulls": False, **more.pop("custom", {})}
    return Panel(title=title, text=text, queries=queries, unit=unit, options=options, custom=custom, **more)


def table(title: str, text: str, *queries: Query, **more: Any) -> Panel:
    """A row for each set of labels, a column for each query."""
    return Panel(title=title, text=text, queries=queries, kind="table", options={"cellHeight": "sm"}, **more)


_VERDICTS = {"Passed": "green", "Failed": "red", "Inconclusive": "orange", "Aborted": "purple"}


def verdict_colours() -> Json:
    """A value mapping: each verdict that is a value in a colour of its own."""
    return {"type": "value", "options": {name: {"text": name, "color": colour} for name, colour in _VERDICTS.items()}}


def in_verdict_colours() -> tuple[Json, ...]:
    """Overrides: each series that is called by its verdict in that colour."""
    return tuple(
        override(name, ("color", {"mode": "fixed", "fixedColor": colour})) for name, colour in _VERDICTS.items()
    )


def thresholds(*steps: tuple[str, float | None]) -> Json:
    """Colours by value: each from its number upwards, the first from the beginning."""
    return {"mode": "absolute", "steps": [{"color": colour, "value": value} for colour, value in steps]}


def override(name: str, *properties: tuple[str, Any]) -> Json:
    """What is different for the field of this name."""
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key, "value": value} for key, value in properties],
    }


def variable(name: str, query: str, label: str, *, every: bool = False, sort: int = 1) -> Json:
    """What the user chooses at the top, asked of Prometheus whenever the time range changes."""
    out: Json = {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": f"variable-{name}"},
        "refresh": 2,
        "sort": sort,
        "multi": every,
        "includeAll": every,
    }
    return {**out, "allValue": ".*", "current": {"text": "All", "value": "$__all"}} if every else out


def source_variable() -> Json:
    """Which Prometheus."""
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1}


def annotation(name: str, expr: str, *, title: str, text: str, colour: str) -> Json:
    """A line at the moment that the expression's value is, in milliseconds."""
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "expr": expr,
        "iconColor": colour,
        "titleFormat": title,
        "textFormat": text,
        "tagKeys": "name",
        "step": "10s",
        "useValueForTime": True,
    }


def dashboard(
    uid: str, title: str, text: str, rows: list[tuple[str, list[Panel]]], *, variables: list[Json], **more: Any
) -> Json:
    """The whole of it; rows are headings with the panels below them, from left to right."""
    return {
        "uid": uid,
        "title": title,
        "description": text,
        "tags": ["loadgate"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "fiscalYearStartMonth": 0,
        "panels": _placed(rows),
        "templating": {"list": [source_variable(), *variables]},
        "annotations": {"list": more.pop("annotations", [])},
        **more,
    }


def _placed(rows: list[tuple[str, list[Panel]]]) -> list[Json]:
    out: list[Json] = []
    y = 0
    for title, panels in rows:
        if title:
            place = {"h": 1, "w": WIDTH, "x": 0, "y": y}
            out.append(
                {"id": len(out) + 1, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}
            )
            y += 1
        x = height = 0
        for panel in panels:
            if x + panel.width > WIDTH:
                x, y, height = 0, y + height, 0
            place = {"h": panel.height, "w": panel.width, "x": x, "y": y}
            out.append({"id": len(out) + 1, "gridPos": place, **_panel(panel)})
            x, height = x + panel.width, max(height, panel.height)
        y += height
    return out


def _panel(panel: Panel) -> Json:
    defaults = {"unit": panel.unit, **({"custom": panel.custom} if panel.custom else {}), **panel.defaults}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "targets": [_target(query, number) for number, query in enumerate(panel.queries)],
        "options": panel.options,
        "fieldConfig": {"defaults": defaults, "overrides": list(panel.overrides)},
        **({"transformations": list(panel.transformations)} if panel.transformations else {}),
    }


def _target(query: Query, number: int) -> Json:
    return {
        "refId": chr(ord("A") + number),
        "datasource": SOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "instant": query.instant or query.table,
        "range": not (query.instant or query.table),
        "format": "table" if query.table else "time_series",
    }
