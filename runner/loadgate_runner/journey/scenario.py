"""From a plan's scenario or block to what can be run."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from . import block, secrets
from .compile import compile_acts, compile_steps, nothing
from .data import read_file
from .errors import BlockError, JourneyError
from .scope import Scope
from .script import compile_script
from .tracing import Tracing
from .vu import Failures, Journey
from .workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadgate.api.steps import Step
    from loadgate.plan.document import Plan, PlanScenario

    from .compile import Act, Run
    from .context import Context
    from .ports import Recorder
    from .state import State
    from .vu import Ready


def compile_scenario(scenario: PlanScenario, plan: Plan, context: Context) -> Journey:
    """Compile a scenario. Raises JourneyError where something that it needs isn't there or isn't right."""
    shop = _workshop(scenario.name, plan, context, context.recorder, scenario.tags)
    if plan.target.tracing:
        shop = replace(shop, tracing=Tracing(plan.target.tracing, context.run, scenario.name))
    try:
        return _compile(scenario, shop, context, lasting=plan.target.connection.reuse != "iteration")
    except JourneyError as error:
        raise JourneyError(shop.scope.secrets.redact(str(error))) from None


def _compile(scenario: PlanScenario, shop: Workshop, context: Context, *, lasting: bool) -> Journey:
    failures = Failures(scenario.name, scenario.tags, context, shop.scope.secrets)
    if scenario.script is not None:
        code = read_file(context.files / scenario.script)
        script = compile_script(code, scenario.script, shop)
        alone: list[Act] = [(script if lasting else _alone(script), nothing)]
        return Journey(scenario.name, alone, (), context, failures, _nothing)
    if not scenario.steps:
        raise JourneyError(f"scenario {scenario.name!r} has neither steps nor a script")
    acts = compile_acts(scenario.steps, shop) if lasting else [(_alone(compile_steps(scenario.steps, shop)), nothing)]
    sources = [shop.scope.sources[name] for name in sorted(shop.scope.used)]
    return Journey(scenario.name, acts, sources, context, failures, _readiness(shop, context))


def _readiness(shop: Workshop, context: Context) -> Ready:
    return partial(_prepare, shop, context) if shop.preparations else _nothing


async def _nothing() -> None:
    """Most scenarios are ready as they are compiled."""


async def _prepare(shop: Workshop, context: Context) -> None:
    client = context.client()
    try:
        await shop.prepare(client)
    except JourneyError as error:
        raise JourneyError(shop.scope.secrets.redact(str(error))) from None
    finally:
        client.close()


def _alone(run: Run) -> Run:
    """An iteration that leaves no connection to the next one."""

    async def run_alone(state: State) -> None:
        try:
            await run(state)
        finally:
            state.client.close()

    return run_alone


def check_block(name: str, steps: Sequence[Step], plan: Plan, context: Context) -> Ready:
    """Raise JourneyError when the setup or teardown block can't be compiled: before any load, not behind it.

    What is returned has to be awaited, as `Journey.ready` has.
    """
    shop = _block_workshop(name, plan, context)
    try:
        compile_steps(steps, shop)
    except JourneyError as error:
        raise JourneyError(shop.scope.secrets.redact(str(error))) from None
    return _readiness(shop, context)


async def run_block(name: str, steps: Sequence[Step], plan: Plan, context: Context) -> dict[str, Any]:
    """Do the setup or teardown block once and return what it extracted; nothing of it is measured.

    Raises BlockError when a request or a check of it fails, JourneyError when it can't be compiled.
    """
    shop = _block_workshop(name, plan, context)
    try:
        return await block.run_block(name, steps, shop, context)
    except (BlockError, JourneyError) as error:
        raise type(error)(shop.scope.secrets.redact(str(error))) from None


def redacted(text: str, plan: Plan, context: Context) -> str:
    """Return a text without any of the plan's secrets in it."""
    return secrets.load(plan.secrets, context.environ).redact(text)


def _block_workshop(name: str, plan: Plan, context: Context) -> Workshop:
    return _workshop(name, plan, context, block.StrictRecorder(name), {})


def _workshop(name: str, plan: Plan, context: Context, recorder: Recorder, tags: dict[str, str]) -> Workshop:
    scope = Scope(
        run=context.run,
        runner_index=context.runner_index,
        scenario=name,
        secrets=secrets.load(plan.secrets, context.environ),
        sources=context.sources(plan),
        setup=context.setup,
    )
    return Workshop(
        scope, context.target(plan), context.files, recorder, context.sleep, tags,
        tokens=context.tokens, signer=context.signer, kept=context.kept,
    )  # fmt: skip
