"""Where a test says outright that its load goes, and which of these places it may not go to. Pure.

A host that is made of a template, a redirect and what a Python journey asks for are seen by the runners only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from loadgate.api.faults import Fault
from loadgate.api.grammar.errors import GrammarError
from loadgate.api.grammar.template import parse
from loadgate.api.paths import Path, format_path
from loadgate.plan.hosts import host_of
from loadgate.plan.steps import walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadgate.api.loadtest import LoadTest
    from loadgate.api.steps import Step
    from loadgate.plan.targets import Targets

MOST_FAULTS = 20
"""Of one test; who has mended these can ask again."""

_ORIGIN = re.compile(r"https?://[^/?#]+", re.IGNORECASE)
_HINT = "take another target, or have the platform's allowedTargets list it"


def target_faults(test: LoadTest, targets: Targets) -> list[Fault]:
    """Each URL of a test whose host load may never go to, with its path."""
    faults: list[Fault] = []
    for path, url in _urls(test):
        if len(faults) < MOST_FAULTS and (why := _refusal(url, targets)):
            faults.append(Fault(format_path(path), why, _HINT))
    socket = test.spec.target.connection.unix_socket
    if socket and (why := targets.socket_refusal(socket)):
        faults.append(Fault("spec.target.connection.unixSocket", why, _HINT))
    return faults


def _refusal(url: str, targets: Targets) -> str:
    origin = _written_origin(url)
    try:
        return targets.refusal(host_of(origin)) if origin else ""
    except ValueError:
        return ""  # a runner can't even look this up, and says so


def _urls(test: LoadTest) -> Iterator[tuple[Path, str]]:
    spec = test.spec
    yield ("spec", "target", "url"), spec.target.url
    if spec.target.proxy:
        yield ("spec", "target", "proxy", "url"), spec.target.proxy.url
    if spec.target.auth and spec.target.auth.oauth2:
        yield ("spec", "target", "auth", "oauth2", "tokenUrl"), spec.target.auth.oauth2.token_url
    blocks: list[tuple[Path, list[Step]]] = [
        (("spec", name, "steps"), block.steps)
        for name, block in (("setup", spec.setup), ("teardown", spec.teardown))
        if block
    ]
    blocks += [
        (("spec", "scenarios", index, "steps"), scenario.steps or []) for index, scenario in enumerate(spec.scenarios)
    ]
    for path, steps in blocks:
        for place, step in walk(steps):
            if step.call:
                yield (*path, *place, step.kind, "url"), step.call.http_url


def _written_origin(url: str) -> str:
    """The scheme and host of a URL where they are written out; empty for a path, and for what a template makes."""
    try:
        parts = parse(url).parts
    except GrammarError:
        return ""
    first = parts[0] if parts and isinstance(parts[0], str) else ""
    found = _ORIGIN.match(first)
    whole = found is not None and (len(parts) == 1 or found.end() < len(first))
    return found[0] if found and whole else ""
