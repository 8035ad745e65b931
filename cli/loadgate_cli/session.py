"""From manifests to verdicts: an embedded operator, its progress, its results, and what the exit code is then."""

import asyncio
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from loadgate.api.conditions import ConditionType, Phase
from loadgate.api.loadtest import LoadTest
from loadgate.plan import Targets
from loadgate.report.result import Result, ResultError
from loadgate_cli import outputs
from loadgate_cli.bundle import Bundle
from loadgate_cli.display import Display, display
from loadgate_cli.exits import Exit, exit_of, worst
from loadgate_cli.interrupts import Interrupts
from loadgate_cli.objects import dump, listed
from loadgate_cli.outputs import OutputError
from loadgate_cli.terminal import has_colour, say
from loadgate_cli.verdicts import coloured
from loadgate_operator.cluster.port import ClusterError, Key, Kind
from loadgate_operator.embedded import Embedded, Options

Object = dict[str, Any]

_BUDGETS_WITHIN = 2.0
"""Seconds that budgets get to say their word after the last verdict."""


@dataclass(frozen=True)
class Ran:
    """What came of one test: its object as it is at the end, and its result where there is one."""

    key: Key
    obj: Object
    result: Result | None

    @property
    def exit(self) -> Exit:
        """The exit code for this test alone."""
        if self.result is not None:
            return exit_of(self.result.verdict.outcome)
        phase = (self.obj.get("status") or {}).get("phase")
        return _WITHOUT_RESULT.get(str(phase), Exit.INVALID)


_WITHOUT_RESULT = {Phase.Failed.value: Exit.FAILED, Phase.Inconclusive.value: Exit.INCONCLUSIVE}
_WITHOUT_RESULT[Phase.Aborted.value] = Exit.ABORTED


async def execute(bundle: Bundle, *, out: Path | None, form: str, targets: Targets | None = None) -> Exit:
    """Run every test of the bundle, one after another, print what came of them, and return the exit code."""
    try:
        logs = out / outputs.LOGS if out else None
        async with Embedded(Options(logs=logs, targets=targets or Targets())) as operator:
            with display() as shown:
                interrupts = Interrupts(operator.stop, shown.note)
                with interrupts.installed():
                    ran = await _run_all(operator, bundle, shown, interrupts)
                    await interrupts.finished()
            budgets = await _budgets(operator, ran)
    except ClusterError as error:
        say(f"cannot run this: {error}")
        return Exit.INVALID
    _print(ran, budgets, form)
    written = _write(ran, out, several=len(bundle.tests) > 1)
    return Exit.INTERRUPTED if interrupts.count else worst([*(one.exit for one in ran), written])


async def _run_all(operator: Embedded, bundle: Bundle, shown: Display, interrupts: Interrupts) -> list[Ran]:
    objects = bundle.objects
    await operator.apply(raw for raw in objects if raw["kind"] != Kind.LOAD_TEST)
    ran = []
    for test, raw in _pairs(bundle.tests, objects):
        if interrupts.count:
            break
        await operator.apply([raw])
        ran.append(await _run(operator, Key(Kind.LOAD_TEST, test.metadata.namespace, test.metadata.name), shown))
    return ran


def _pairs(tests: Sequence[LoadTest], objects: Sequence[Object]) -> Iterable[tuple[LoadTest, Object]]:
    return zip(tests, (raw for raw in objects if raw["kind"] == Kind.LOAD_TEST), strict=True)


async def _run(operator: Embedded, key: Key, shown: Display) -> Ran:
    async for progress in operator.follow(key):
        shown.show(key.name, progress)
    result = None
    try:
        result = await operator.result(key)
    except ResultError as error:
        shown.note(f"{key.name}: the result is damaged: {error}")
    return Ran(key, operator.read(*key) or {}, result)


async def _budgets(operator: Embedded, ran: Sequence[Ran]) -> list[Object]:
    """All budgets, once each says what it has to say of the runs that it judged."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_BUDGETS_WITHIN):
            async for _ in operator.changes():
                if all(_judged(operator, one) for one in ran):
                    break
    return operator.objects(Kind.PERFORMANCE_BUDGET)


def _judged(operator: Embedded, one: Ran) -> bool:
    status = one.obj.get("status") or {}
    verdict = (one.key.name, (status.get("run") or {}).get("number"))
    said = (
        operator.status(Kind.PERFORMANCE_BUDGET, one.key.namespace, name).get("loadTests") or []
        for name in status.get("budgets") or []
    )
    return all(verdict in [(test.get("name"), test.get("run")) for test in tests] for tests in said)


def _print(ran: Sequence[Ran], budgets: Sequence[Object], form: str) -> None:
    if form != "text":
        click.echo(dump(listed([*(one.obj for one in ran), *budgets]), form), nl=False)
        return
    for number, one in enumerate(ran):
        if number:
            click.echo()
        text = coloured(one.result, sys.stdout) if one.result is not None else without_result(one)
        click.echo(text, color=has_colour(sys.stdout))


def without_result(one: Ran) -> str:
    """Why a test has no result, in the operator's words."""
    status = one.obj.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or []}
    said = conditions.get(ConditionType.Stalled) or conditions.get(ConditionType.Ready) or {}
    head = f"{status.get('phase') or Phase.Pending}  {one.key.namespace}/{one.key.name}"
    return f"{head}\n  {said.get('reason')}: {said.get('message')}"


def _write(ran: Sequence[Ran], out: Path | None, *, several: bool) -> Exit:
    """Keep every result; a folder each where there are several."""
    if out is None:
        return Exit.PASSED
    try:
        for one in ran:
            if one.result is not None:
                folder = outputs.folder_of(out, one.key.namespace, one.key.name, several=several)
                outputs.write(folder, one.result)
                say(f"report: {folder / outputs.HTML}")
    except OutputError as error:
        say(str(error))
        return Exit.INVALID
    return Exit.PASSED
