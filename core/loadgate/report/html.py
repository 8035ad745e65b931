"""The report as one HTML file: no network, no framework, readable without JavaScript, and machine-readable too.

The result (without the measurement's histograms, which are in the result file) and what is drawn are in it as JSON,
in the element `loadgate-data`. A content security policy allows this file's own style and scripts, by their hashes,
and nothing else: no request leaves the page, whatever a manifest or a target put into a name.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import orjson

from loadgate.api.conditions import Outcome
from loadgate.report import plots, sections
from loadgate.report.charts import charts
from loadgate.report.markup import Markup, join, raw, tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from loadgate.report.result import Result

_STYLES = ("uPlot.min.css", "report.css")
_SCRIPTS = ("uPlot.iife.min.js", "report.js")
_PARTS: dict[str, Callable[[Result], Markup | None]] = {
    "limits": sections.limits,
    "doubts": sections.doubts,
    "over-time": plots.over_time,
    "distribution": plots.distribution,
    "endpoints": sections.endpoints,
    "traces": sections.traces,
    "phases": plots.phases,
    "runners": sections.runners,
    "manifest": sections.manifests,
}
"""The page's sections by their anchors, in order; what has nothing to show is left out."""


def render_html(result: Result) -> str:
    """The whole page."""
    parts = {name: made for name, make in _ordered(result) if (made := make(result)) is not None}
    main = tag("main", sections.verdict(result), *parts.values(), id="main", tabindex=-1)
    body = join(_skip(), _masthead(parts), main, sections.footer(result), _data(result), *_scripts())
    outcome = result.verdict.outcome.value.lower()
    return f"<!DOCTYPE html>\n{tag('html', _head(result), tag('body', body), lang='en', data_outcome=outcome)}\n"


def _ordered(result: Result) -> list[tuple[str, Callable[[Result], Markup | None]]]:
    """The sections, with what decided on top: doubts come before limits where they made the verdict inconclusive."""
    first = "doubts" if result.verdict.outcome is Outcome.Inconclusive else "limits"
    return sorted(_PARTS.items(), key=lambda item: item[0] != first)


def _head(result: Result) -> Markup:
    run = result.run
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy()),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{result.verdict.outcome.value}: {run.namespace}/{run.test}, run {run.number}"),
        *(tag("style", raw(_asset(name))) for name in _STYLES),
    )


def _policy() -> str:
    styles = " ".join(_hash(_asset(name)) for name in _STYLES)
    scripts = " ".join(_hash(_asset(name)) for name in _SCRIPTS)
    return f"default-src 'none'; style-src {styles}; script-src {scripts}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _skip() -> Markup:
    return tag("a", "Skip to the verdict", href="#main", class_="skip")


def _masthead(parts: Iterable[str]) -> Markup:
    links = [tag("li", tag("a", name.capitalize().replace("-", " "), href=f"#{name}")) for name in parts]
    return tag(
        "header",
        tag(
            "div",
            tag("p", tag("span", class_="dot"), "loadgate", class_="brand"),
            tag("nav", tag("ul", *links), aria_label="Sections"),
            tag("button", "Dark theme", type="button", id="theme", aria_pressed="false", class_="js-only"),
        ),
        class_="masthead",
    )


def _data(result: Result) -> Markup:
    document = result.to_json()
    del document["measurement"]
    text = orjson.dumps({"result": document, "charts": charts(result)}).decode()
    # A "<" can only be within a JSON string, where this escape means the same: no "</script>" and no "<!--" is left.
    return tag("script", raw(text.replace("<", "\\u003c")), type="application/json", id="loadgate-data")


def _scripts() -> list[Markup]:
    return [tag("script", raw(_asset(name))) for name in _SCRIPTS]


@cache
def _asset(name: str) -> str:
    return files("loadgate.report").joinpath("assets", name).read_text(encoding="utf-8")
