"""The verdict as JUnit XML, which GitLab, Jenkins and GitHub's actions show among a pipeline's tests.

A limit is a test case, a suite is where limits come from. A broken limit is a `<failure>`, one that couldn't be judged
an `<error>`, one that only warns is skipped with its figure. A doubt is an `<error>` in the suite `doubts`, unless it
is tolerated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from loadgate.api.conditions import Outcome
from loadgate.report import rows
from loadgate.report.text import render_text
from loadgate.verdict.limits import THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadgate.report.result import Result
    from loadgate.verdict import Doubt, LimitResult


def render_junit(result: Result) -> str:
    """The document, with its XML declaration."""
    run = result.run
    root = Element("testsuites", name=rows.printable(f"loadgate {run.namespace}/{run.test}"))
    seconds = f"{result.measurement.elapsed:.3f}"
    sources = dict.fromkeys(limit.source for limit in result.verdict.limits)
    for source in sources:
        suite = _suite(root, "thresholds" if source == THRESHOLD else source, result)
        for limit in (one for one in result.verdict.limits if one.source == source):
            _limit_case(suite, limit, _class(result, source), seconds)
    _doubts_suite(root, result, seconds)
    for suite in root:
        _count(suite, [suite], seconds)
    _count(root, list(root), seconds)
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(root: Element, name: str, result: Result) -> Element:
    suite = SubElement(root, "testsuite", name=rows.printable(name), timestamp=_timestamp(result))
    properties = SubElement(suite, "properties")
    run = result.run
    facts = {
        "verdict": result.verdict.outcome.value,
        "test": f"{run.namespace}/{run.test}",
        "run": run.id,
        "number": str(run.number),
        "cause": run.cause,
        "loadgate": result.loadgate,
        **{name: value for name, value in rows.key_figures(result) if value != rows.NONE},
    }
    for key, value in facts.items():
        SubElement(properties, "property", name=key, value=rows.printable(value))
    return suite


def _limit_case(suite: Element, limit: LimitResult, group: str, seconds: str) -> None:
    row = rows.limit_row(limit)
    name = f"{row.subject} {row.allowed}"
    case = SubElement(suite, "testcase", name=name, classname=group, time=seconds)
    said = f"{row.subject} is {row.actual}, to be {row.allowed} ({row.margin})"
    if row.state == "broken":
        failure = SubElement(case, "failure", message=said, type="LimitBroken")
        failure.text = f"{said}\nsource: {row.source}\nexpression: {rows.printable(limit.expression)}"
    elif row.state == "unknown" and limit.enforced:
        error = SubElement(case, "error", message=f"nothing was measured for {row.subject}", type="NoSamples")
        error.text = "Look for a misspelt name or tag, or let the load run until it gets there."
    elif row.state != "held":
        SubElement(case, "skipped", message=f"only a warning: {said}")
    else:
        SubElement(case, "system-out").text = said


def _doubts_suite(root: Element, result: Result, seconds: str) -> None:
    suite, group = _suite(root, "doubts", result), _class(result, "doubts")
    verdict = result.verdict
    for doubt, tolerated in rows.doubt_rows(result):
        _doubt_case(suite, doubt, tolerated=tolerated, group=group, seconds=seconds)
    if verdict.outcome is Outcome.Aborted:
        case = SubElement(suite, "testcase", name="the run was not called off", classname=group, time=seconds)
        SubElement(case, "error", message=rows.printable(verdict.message), type="Aborted")
    elif not verdict.doubts:
        SubElement(suite, "testcase", name="the measurement can be trusted", classname=group, time=seconds)
    report = "\n".join(rows.printable(line) for line in render_text(result).splitlines())
    SubElement(suite, "system-out").text = report


def _doubt_case(suite: Element, doubt: Doubt, *, tolerated: bool, group: str, seconds: str) -> None:
    figure, message = rows.printable(doubt.figure), rows.printable(doubt.message)
    case = SubElement(suite, "testcase", name=f"{doubt.reason.value} ({figure})", classname=group, time=seconds)
    if tolerated:
        SubElement(case, "skipped", message=f"tolerated: {message}")
    else:
        SubElement(case, "error", message=message, type=doubt.reason.value).text = message


def _class(result: Result, source: str) -> str:
    """Jenkins groups by what is before the last dot, so a dot within a name would make groups of its own."""
    parts = ("loadgate", result.run.namespace, result.run.test, source)
    return ".".join(rows.printable(part).replace(".", "_") for part in parts)


def _timestamp(result: Result) -> str:
    # The schema that Jenkins checks against knows no time zone; ours are UTC.
    return rows.printable(result.run.started_at.removesuffix("Z"))


def _count(element: Element, suites: Iterable[Element], seconds: str) -> None:
    cases = [case for suite in suites for case in suite.iter("testcase")]
    element.set("tests", str(len(cases)))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(name, str(sum(1 for case in cases if case.find(tag) is not None)))
    element.set("time", seconds)
