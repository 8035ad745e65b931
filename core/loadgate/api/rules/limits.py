"""What thresholds and budgets must mean: metrics that exist, aggregates that suit them, samples that can be there."""

from dataclasses import dataclass

from loadgate.api.conditions import DoubtReason
from loadgate.api.grammar.errors import did_you_mean
from loadgate.api.grammar.threshold import AGGREGATES, Expression, MetricSelector, parse_expression, parse_metric
from loadgate.api.measures import METRICS, tags_of
from loadgate.api.steps import operation_name, request_label

from .findings import Findings, Node
from .steps import calls_in


@dataclass(frozen=True)
class Samples:
    """What a test's samples will carry, as far as the manifest tells."""

    scenarios: frozenset[str] | None
    """Names of scenarios; None where they can't all be read."""
    requests: frozenset[str]
    tags: frozenset[str]
    open_ended: bool
    """Whether a Python script may add metrics, request names and tags of its own."""


def samples(spec: Node) -> Samples:
    """What the samples of this test will carry."""
    scenarios = list(spec["scenarios"].each())
    blocks = [spec["setup"]["steps"], spec["teardown"]["steps"], *(scenario["steps"] for scenario in scenarios)]
    calls = [call for block in blocks for call in calls_in(block)]
    names = [scenario["name"].text for scenario in scenarios]
    tags = {tag for holder in (*scenarios, *(call for _, call in calls)) for tag in holder["tags"].keys}
    return Samples(
        scenarios=frozenset(filter(None, names)) if names and all(names) else None,
        requests=frozenset(_label(kind, call) for kind, call in calls),
        tags=frozenset(tags),
        open_ended=any("script" in scenario for scenario in scenarios),
    )


def _label(kind: str, call: Node) -> str:
    name, method = call["name"].text, "GET"
    if kind == "request":
        method = call["method"].text or method
    elif kind == "graphql":
        name, method = name or operation_name(call["operationName"].text, call["query"].text), "POST"
    elif kind == "grpc":
        name = name or call["method"].text
    return request_label(name, method, call["url"].text or "")


def check_thresholds(findings: Findings, thresholds: Node, known: Samples) -> None:
    """Find thresholds that don't parse, or that no sample of the test could ever be judged by."""
    for key, limits in thresholds.entries():
        selector = findings.parsed(Node(limits.path, key), parse_metric)
        if selector is not None:
            _check_selector(findings, limits, selector, known)
        for limit in limits.each():
            text = limit if limit.text is not None else limit["threshold"]
            _check_expression(findings, text, selector)


def check_tolerated(findings: Findings, tolerated: Node) -> None:
    """Find a doubt that nobody may tolerate: the rule that was broken isn't the test's own."""
    for node in tolerated.each():
        if node.value == DoubtReason.ConnectionDenied:
            findings.add(node, "can't be tolerated", "keep the test from where load may not go")


def check_metrics(findings: Findings, metrics: Node) -> None:
    """Find limits of a budget that don't parse; which metrics a test has isn't known there."""
    for key, limits in metrics.entries():
        selector = findings.parsed(Node(limits.path, key), parse_metric)
        for limit in limits.each():
            _check_expression(findings, limit, selector)


def _check_selector(findings: Findings, node: Node, selector: MetricSelector, known: Samples) -> None:
    if selector.metric not in METRICS:
        if not known.open_ended:
            findings.add(node, f"there is no metric {selector.metric!r}", did_you_mean(selector.metric, METRICS))
        return
    built_in = tags_of(selector.metric)
    for tag, value in selector.tags:
        if built_in is None:
            findings.add(node, f"{selector.metric} has no tags", f"write {selector.metric}")
        elif tag == "scenario" and known.scenarios is not None and value not in known.scenarios:
            findings.add(node, f"no scenario is called {value!r}", did_you_mean(value, known.scenarios))
        elif known.open_ended or tag == "scenario":
            continue
        elif tag == "name" and value not in known.requests:
            findings.add(node, f"no request is called {value!r}", did_you_mean(value, known.requests))
        elif tag not in built_in | known.tags:
            findings.add(node, f"no sample has the tag {tag!r}", did_you_mean(tag, built_in | known.tags))


def _check_expression(findings: Findings, node: Node, selector: MetricSelector | None) -> None:
    if node.text is None:
        return
    expression = findings.parsed(node, parse_expression)
    kind = METRICS.get(selector.metric) if selector else None
    if expression is None or selector is None or kind is None or expression.suits(kind):
        return
    findings.add(node, f"{_spoken(expression)} says nothing about {selector.metric}, a {kind}", _suitable(kind))


def _spoken(expression: Expression) -> str:
    return "p(N)" if expression.aggregate == "p" else expression.aggregate


def _suitable(kind: str) -> str:
    aggregates = next(known for name, known in AGGREGATES.items() if name == kind)
    return "use " + ", ".join(sorted("p(N)" if aggregate == "p" else aggregate for aggregate in aggregates))
