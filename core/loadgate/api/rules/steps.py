"""What the steps of a journey must mean: names that are known, texts that parse, loops that end."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from loadgate.api.auth import STEP_AUTHS, TARGET_AUTHS
from loadgate.api.base import manifest_names
from loadgate.api.grammar import jsonpath, matcher, regex
from loadgate.api.grammar.matcher import Matcher, Unit
from loadgate.api.grammar.noproxy import NoProxy
from loadgate.api.grammar.status import GRPC_OK, parse_status
from loadgate.api.grammar.think import parse_think
from loadgate.api.names import PATTERNS, PROTO_PATH
from loadgate.api.steps import (
    BODIES,
    CALLS,
    EXCHANGES,
    KINDS,
    MAX_DEPTH,
    MAX_STEPS,
    PROTOC,
    Step,
    grpc_url,
    websocket_url,
)

from .auth import signature_headers
from .findings import Findings, Node
from .messages import (
    check_fixed,
    check_grpc_url,
    check_headers,
    check_line,
    check_metadata,
    check_request_url,
    check_tags,
)
from .scenarios import seconds
from .scope import RESERVED, Scope

_TEMPLATES = ("url", "headers", "auth")
_TEMPLATES_OF = {
    "request": ("query", "json", "form", "text"),
    "graphql": ("variables",),
    "sse": ("query",),
    "websocket": ("query",),
    "grpc": ("metadata", "message", "messages"),
}
_SOURCES = ("json", "header", "trailer", "regex", "cookie")
_WITHOUT_TRAILERS = frozenset({"sse", "websocket", "grpc"})
_STEP_FIELDS = frozenset(manifest_names(Step).values())


def nested(step: Node) -> list[Node]:
    """The lists of steps that stand inside a step."""
    return [
        *(step[kind]["steps"] for kind in ("group", "repeat", "while")),
        step["if"]["then"],
        step["if"]["else"],
        *(branch["steps"] for branch in step["choice"].each()),
    ]


def calls_in(steps: Node) -> Iterator[tuple[str, Node]]:
    """Each call of some steps with its kind, nested ones included."""
    for step in steps.each():
        yield from ((kind, step[kind]) for kind in CALLS if kind in step)
        for inner in nested(step):
            yield from calls_in(inner)


def count(steps: Node) -> int:
    """How many steps there are, nested ones included."""
    return sum(1 + sum(count(inner) for inner in nested(step)) for step in steps.each())


def extracted(steps: Node) -> set[str]:
    """The variables that some step takes from a response, nested ones included."""
    names = set[str]()
    for step in steps.each():
        names.update(step["extract"].keys)
        names.update(*(act["expect"]["extract"].keys for act in step["websocket"]["steps"].each()))
        for inner in nested(step):
            names |= extracted(inner)
    return names


def check_count(findings: Findings, spec: Node, blocks: list[Node]) -> None:
    """Find a test with too many steps in all."""
    total = sum(count(steps) for steps in blocks)
    if total > MAX_STEPS:
        findings.add(spec, f"has {total} steps in all; at most {MAX_STEPS}", "use repeat, or a Python script")


def check_trust(findings: Findings, spec: Node, blocks: list[Node]) -> None:
    """Find that certificates aren't to be verified where gRPC always does so."""
    verify = spec["target"]["tls"]["verify"]
    urls = _grpc_urls(spec, blocks)
    if verify.value is False and any(url.lower().startswith("https:") for url in urls):
        findings.add(
            verify,
            "can't be false where a gRPC call goes over TLS: its certificate is always verified",
            "give the server's own certificate as tls.ca, and its name as tls.serverName",
        )


def check_ways(findings: Findings, spec: Node, blocks: list[Node]) -> None:
    """Find ways to connect that gRPC hasn't."""
    proxy, sources = spec["target"]["proxy"], spec["target"]["connection"]["sourceAddresses"]
    urls = _grpc_urls(spec, blocks)
    if urls and sources.given:
        findings.add(sources, "can't be chosen for gRPC calls", "leave them out, or call from a test of its own")
    for rate in (spec["target"]["connection"][field] for field in ("uploadRate", "downloadRate")):
        if urls and rate.given:
            findings.add(rate, "doesn't hold for gRPC calls", "leave it out, or call from a test of its own")
    if not proxy.given:
        return
    try:
        without = NoProxy(entry.text or "" for entry in proxy["noProxy"].each())
        hosts = [urlsplit(url).hostname or "" for url in urls]
    except ValueError:  # said where it stands
        return
    for host in sorted({host for host in hosts if not without.covers(host)}):
        findings.add(proxy, f"gRPC calls to {host[:64]!r} don't go through a proxy", "list the host in noProxy")


def check_signing(findings: Findings, spec: Node, blocks: list[Node]) -> None:
    """Find gRPC calls to the target that would have to be signed: their library puts the requests together."""
    auth = spec["target"]["auth"]
    kinds = [kind for kind in TARGET_AUTHS if kind != "oauth2" and kind in auth]
    if not kinds or _authorizes(spec["target"]["headers"]):
        return
    target = spec["target"]["url"].text or ""
    for kind, call in (found for block in blocks for found in calls_in(block)):
        own = "auth" in call or _authorizes(call["metadata"])
        there = _origin(grpc_url(call["url"].text or "") or target) == _origin(target)
        if kind == "grpc" and there and not own:
            findings.add(call, f"a gRPC call can't be authenticated by the target's {kinds[0]}", "auth: {none: true}")


def check_signed(findings: Findings, spec: Node, blocks: list[Node]) -> None:
    """Find headers that the target's signature brings by itself: they would be there twice, and signed so."""
    target, aws = spec["target"], spec["target"]["auth"]["awsSigV4"]
    if not aws.given or _authorizes(target["headers"]):
        return
    names = signature_headers(aws)
    _find_signed(findings, target["headers"], names, "leave it out, or give it to requests with an `auth` of their own")
    for kind, call in (found for block in blocks for found in calls_in(block)):
        own = "auth" in call or _authorizes(call["headers"])
        if kind != "grpc" and not own and _is_of(call["url"].text or "", target["url"].text or ""):
            _find_signed(findings, call["headers"], names, "leave it out, or give the request an `auth` of its own")


def _find_signed(findings: Findings, headers: Node, names: frozenset[str], hint: str) -> None:
    for name, value in headers.entries():
        if name.lower() in names:
            findings.add(value, f"is what target.auth.awsSigV4 sends itself, so that {name} would be there twice", hint)


def _is_of(url: str, target: str) -> bool:
    """Whether a request goes to the target for sure; one that begins with `${` may go anywhere."""
    if "://" not in url:
        return not url.startswith("${")
    return _origin(websocket_url(url)) == _origin(target)


def _authorizes(headers: Node) -> bool:
    return any(name.lower() == "authorization" for name, _ in headers.entries())


def _origin(url: str) -> str:
    scheme, _, rest = url.lower().partition("://")
    return f"{scheme}://{rest.partition('/')[0].removesuffix(':443' if scheme == 'https' else ':80')}"


def _grpc_urls(spec: Node, blocks: list[Node]) -> list[str]:
    """The URL of each gRPC call."""
    calls = [call for block in blocks for kind, call in calls_in(block) if kind == "grpc"]
    return [grpc_url(call["url"].text or spec["target"]["url"].text or "") for call in calls]


def check_steps(findings: Findings, steps: Node, scope: Scope, depth: int = 1) -> None:
    """Find what is wrong with a list of steps; the scope learns what they extract."""
    if depth > MAX_DEPTH and steps.given:
        findings.add(steps, f"steps stand more than {MAX_DEPTH} deep inside one another", "flatten the journey")
        return
    for step in steps.each():
        _check_step(findings, step, scope)
        for inner in nested(step):
            check_steps(findings, inner, scope, depth + 1)


def _check_step(findings: Findings, step: Node, scope: Scope) -> None:
    if isinstance(step.value, dict) and set(step.value) <= _STEP_FIELDS:
        findings.one_of(step, KINDS)
    if step["think"].text is not None:
        findings.parsed(step["think"], parse_think)
    calls = [kind for kind in CALLS if kind in step]
    for kind in calls:
        _check_call(findings, kind, step[kind], scope)
        _CHECKS[kind](findings, step[kind], scope)
    if not calls:
        for field in ("check", "extract"):
            if step[field].value:
                findings.add(step[field], "goes with a request only", "put it beside the request that it is about")
    check_fixed(findings, step["group"]["name"])
    for kind in ("while", "if"):
        scope.check(findings, step[kind]["value"])
        _check_matcher(findings, step[kind]["is"], scope)
    _check_check(findings, step["check"], scope)
    for name, source in step["extract"].entries():
        _check_extract(findings, name, source)
    _check_protocol(findings, step, calls)
    scope.variables.update(step["extract"].keys)


def _check_call(findings: Findings, kind: str, call: Node, scope: Scope) -> None:
    """Find what is wrong with what all calls have."""
    if "auth" in call:
        findings.one_of(call["auth"], STEP_AUTHS)
    for field in (*_TEMPLATES, *_TEMPLATES_OF[kind]):
        scope.check(findings, call[field])
    url = call["url"]
    if kind != "grpc":
        check_request_url(
            findings, Node(url.path, websocket_url(url.text)) if kind == "websocket" and url.text else url
        )
    check_headers(findings, call["headers"])
    check_line(findings, call["host"])
    check_fixed(findings, call["host"])
    check_fixed(findings, call["name"])
    check_tags(findings, call["tags"])


def _check_request(findings: Findings, request: Node, scope: Scope) -> None:
    findings.one_of(request, BODIES, required=False)
    _check_expectation(findings, request)
    _check_file(findings, request["file"])
    for part in request["multipart"].each():
        findings.one_of(part, ("value", "file"))
        scope.check(findings, part["value"])
        for field in ("name", "filename", "contentType"):
            check_fixed(findings, part[field])
            check_line(findings, part[field])
        _check_file(findings, part["file"])


def _check_file(findings: Findings, file: Node) -> None:
    if file.given:
        findings.one_of(file, ("configMapKeyRef", "path"))


def _check_expectation(findings: Findings, request: Node) -> None:
    """Find a wait for an answer about a body that isn't there, or for no time."""
    wait = request["expectContinue"]
    if "expectContinue" not in request:
        return
    if not any(body in request for body in BODIES):
        findings.add(wait, "holds a body back, and there is none", f"give one of {', '.join(BODIES)}, or leave it out")
    if wait.given and seconds(wait) == 0:
        findings.add(wait, "must be more than 0s", "expectContinue: 1s")
    for name, value in request["headers"].entries():
        if name.lower() == "expect":
            findings.add(value, "is what expectContinue sends", "keep one of the two")


def _check_graphql(findings: Findings, call: Node, _scope: Scope) -> None:
    findings.one_of(call, ("query", "file"))
    if "${" in (call["query"].text or ""):
        findings.add(call["query"], "must not hold ${…}", "write $name in it, and give name under `variables`")


def _check_sse(findings: Findings, call: Node, scope: Scope) -> None:
    if "until" not in call and "for" not in call:
        findings.add(call, "needs until, for, or both", "for: 10s")
    if call["for"].given and seconds(call["for"]) == 0:
        findings.add(call["for"], "must be more than 0s")
    until = call["until"]
    for field in ("event", "data"):
        _check_matcher(findings, until[field], scope)
    _check_json(findings, until["json"], scope)


def _check_websocket(findings: Findings, call: Node, scope: Scope) -> None:
    code = call["close"].number
    if code is not None and 1000 < code < 3000:
        findings.add(call["close"], "is not a code that a client may close with", "1000, or one from 3000 on")
    for act in call["steps"].each():
        findings.one_of(act, EXCHANGES)
        for field in ("send", "sendJson"):
            scope.check(findings, act[field])
        if act["think"].text is not None:
            findings.parsed(act["think"], parse_think)
        expect = act["expect"]
        _check_matcher(findings, expect["text"], scope)
        _check_json(findings, expect["json"], scope)
        for name, source in expect["extract"].entries():
            _check_extract(findings, name, source)
            if any(field in source for field in ("header", "trailer", "cookie")):
                findings.add(source, "takes what a message hasn't", "json or regex")
        scope.variables.update(expect["extract"].keys)


def _check_grpc(findings: Findings, call: Node, scope: Scope) -> None:
    check_grpc_url(findings, call["url"])
    check_metadata(findings, call["metadata"])
    _check_descriptors(findings, call)
    if "message" in call and "messages" in call:
        findings.add(call, "has message and messages", "messages are a stream's; keep one of the two")
    if "messages" not in call:
        times, every = call["times"], call["every"]
        if times.value not in (None, 1):  # the API server fills the default in
            findings.add(times, "goes with messages only", "message is sent once")
        if every.given:
            findings.add(every, "goes with messages only", "message is sent once")
    if call["for"].given and seconds(call["for"]) == 0:
        findings.add(call["for"], "must be more than 0s")
    _check_json(findings, call["until"]["json"], scope)


def _check_descriptors(findings: Findings, call: Node) -> None:
    """Find what can't say what messages are."""
    findings.one_of(call, ("protoset", "protos"), required=False)
    key = call["protoset"]["configMapKeyRef"]["key"]
    if (key.text or "").endswith(".proto"):
        hint = f"give it under protos, or what `{PROTOC}` makes of it"
        findings.add(key, "is what a protoset is made of, not one", hint)
    for path, file in call["protos"].entries():
        if not re.fullmatch(PROTO_PATH, path):
            findings.add(file, f"must stand under {PATTERNS[PROTO_PATH]}")


_CHECKS: Final[dict[str, Callable[[Findings, Node, Scope], None]]] = {
    "request": _check_request,
    "graphql": _check_graphql,
    "sse": _check_sse,
    "websocket": _check_websocket,
    "grpc": _check_grpc,
}


def _check_protocol(findings: Findings, step: Node, calls: list[str]) -> None:
    """Find a status that is none, and what is asked of an answer that another protocol has."""
    status, grpc = step["check"]["status"], "grpc" in calls
    accepted = (findings.parsed(status, parse_status) if status.given else None) or ()
    if grpc and any(each < GRPC_OK for each in accepted):
        findings.add(status, "a gRPC call's status is a name", "status: OK")
    elif calls and not grpc and any(each >= GRPC_OK for each in accepted):
        findings.add(status, "only a gRPC call has such a status", "status: 200")
    if set(calls) & _WITHOUT_TRAILERS:
        trailers = [step["check"]["trailers"], *(source["trailer"] for _, source in step["extract"].entries())]
        for trailer in trailers:
            if trailer.value:
                findings.add(
                    trailer, "only an answer to a request has trailers", "of a gRPC call, headers has them too"
                )
    if grpc:
        cookies = [step["check"]["cookies"], *(source["cookie"] for _, source in step["extract"].entries())]
        for cookie in cookies:
            if cookie.value:
                findings.add(cookie, "a gRPC call has no cookies", "headers are its metadata, the trailing one too")


def _check_check(findings: Findings, check: Node, scope: Scope) -> None:
    if check.value == {}:
        findings.add(check, "checks nothing", "status: 200")
    _check_matcher(findings, check["duration"], scope, Unit.DURATION)
    _check_matcher(findings, check["size"], scope, Unit.SIZE)
    _check_matcher(findings, check["body"], scope)
    for field in ("headers", "trailers", "cookies"):
        for _, wanted in check[field].entries():
            _check_matcher(findings, wanted, scope)
    _check_json(findings, check["json"], scope)


def _check_json(findings: Findings, wants: Node, scope: Scope) -> None:
    for path, wanted in wants.entries():
        findings.parsed(Node(wanted.path, path), jsonpath.parse)
        _check_matcher(findings, wanted, scope, null=True)


def _check_matcher(
    findings: Findings, node: Node, scope: Scope, unit: Unit = Unit.NUMBER, *, null: bool = False
) -> None:
    if isinstance(node.value, dict | list) or (node.value is None and not null):
        return
    parse: Callable[[Any], Matcher] = partial(matcher.parse, unit=unit)
    parsed = findings.parsed(node, parse)
    for name in sorted(parsed.names()) if parsed else ():
        scope.check_name(findings, node, name)


def _check_extract(findings: Findings, name: str, source: Node) -> None:
    if name in RESERVED:
        findings.add(source, f"{name!r} is a name of its own", "call the variable something else")
    if not isinstance(source.value, dict):
        return
    findings.one_of(source, _SOURCES)
    if source["json"].text is not None:
        findings.parsed(source["json"], jsonpath.parse)
    if source["regex"].text is not None:
        findings.parsed(source["regex"], partial(regex.parse, group=source["group"].number or 0))
    check_fixed(findings, source["default"])
    if source["pick"].value not in (None, "first") and "cookie" in source:
        findings.add(source["pick"], "goes with json, regex, header and trailer only")
    if "group" in source and "regex" not in source:
        findings.add(source["group"], "goes with regex only")
