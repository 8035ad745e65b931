"""Steps compiled, once, to one coroutine function per scenario: control flow is Python's own."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from loadgate.api.grammar.errors import GrammarError
from loadgate.api.grammar.matcher import Op
from loadgate.api.grammar.think import parse_think

from .checks import compile_check, compile_matcher, parse_matcher, parse_status
from .errors import Interrupted, JourneyError
from .extract import Extraction
from .kinds import compile_call
from .observe import Observer, renewing, traced
from .requests import Needs, tokens_of, tracing_of
from .state import State
from .templates import compile_value, parse

if TYPE_CHECKING:
    from loadgate.api.steps import Branch, Call, If, Repeat, Step, While

    from .observe import Observe
    from .ports import CheckSeries
    from .workshop import Workshop

Run = Callable[[State], Awaitable[None]]

Act = tuple[Callable[[State], Awaitable[Any]], Callable[[State, Any], None]]
"""What a virtual user does and waits for, and what is then done with what came of it."""


def nothing(_state: State, _outcome: Any) -> None:
    """What is done with what comes of an act that is nothing but done."""


_TURNS_AT_ONCE: Final = 100
"""Turns of a loop after which others get their turn: its steps may never wait by themselves."""


def compile_steps(steps: Sequence[Step], shop: Workshop) -> Run:
    """Compile steps to one coroutine function."""
    acts = compile_acts(steps, shop)
    if len(acts) == 1 and acts[0][1] is nothing:
        return acts[0][0]

    async def run(state: State) -> None:
        for act, then in acts:
            then(state, await act(state))

    return run


def compile_acts(steps: Sequence[Step], shop: Workshop) -> list[Act]:
    """Compile steps to what is done one after another: a layer of coroutines less than `compile_steps`."""
    return [act for step in steps for act in _compile_step(step, shop)]


def _compile_step(step: Step, shop: Workshop) -> list[Act]:
    call = step.call
    if call is not None:
        return [_call(step, call, shop)]
    if step.group is not None:
        inner = f"{shop.group}::{step.group.name}" if shop.group else step.group.name
        return compile_acts(step.group.steps, replace(shop, group=inner))
    return [(_control(step, shop), nothing)]


def _control(step: Step, shop: Workshop) -> Run:
    if step.think is not None:
        return _think(step.think, shop)
    if step.repeat is not None:
        return _repeat(step.repeat, shop)
    if step.while_ is not None:
        return _while(step.while_, shop)
    if step.if_ is not None:
        return _if(step.if_, shop)
    if step.choice is not None:
        return _choice(step.choice, shop)
    raise JourneyError("a step that is nothing")


def _think(text: str, shop: Workshop) -> Run:
    try:
        low, high = parse_think(text)
    except GrammarError as error:
        raise JourneyError(error.message) from error
    span, sleep = high - low, shop.sleep

    async def think(state: State) -> None:
        if not await sleep(low + span * state.random.random() if span else low):
            raise Interrupted

    return think


def _repeat(step: Repeat, shop: Workshop) -> Run:
    run, times, sleep = compile_steps(step.steps, shop), step.times, shop.sleep

    async def repeat(state: State) -> None:
        for turn in range(times):
            if turn % _TURNS_AT_ONCE == _TURNS_AT_ONCE - 1 and not await sleep(0):
                raise Interrupted
            await run(state)

    return repeat


def _while(step: While, shop: Workshop) -> Run:
    holds = _condition(step.value, step.is_, shop)
    run, most, sleep = compile_steps(step.steps, shop), step.max, shop.sleep

    async def loop(state: State) -> None:
        for turn in range(most):
            if not holds(state):
                return
            if turn % _TURNS_AT_ONCE == _TURNS_AT_ONCE - 1 and not await sleep(0):
                raise Interrupted
            await run(state)

    return loop


def _if(step: If, shop: Workshop) -> Run:
    holds, then = _condition(step.value, step.is_, shop), compile_steps(step.then, shop)
    otherwise = compile_steps(step.else_, shop) if step.else_ else None

    async def choose(state: State) -> None:
        if holds(state):
            await then(state)
        elif otherwise is not None:
            await otherwise(state)

    return choose


def _choice(branches: Sequence[Branch], shop: Workshop) -> Run:
    runs = [compile_steps(branch.steps, shop) for branch in branches]
    bounds = list(accumulate(branch.weight for branch in branches))
    total, last = bounds[-1], len(bounds) - 1

    async def choose(state: State) -> None:
        await runs[bisect_right(bounds, state.random.random() * total, 0, last)](state)

    return choose


def _condition(value: str, asked: object, shop: Workshop) -> Callable[[State], bool]:
    """A variable that was never set, or is empty, doesn't exist; for all other matchers it is an empty text."""
    make = compile_value(parse(value), shop.scope)
    matcher = parse_matcher(asked)
    if matcher.op in {Op.EXISTS, Op.ABSENT}:
        absent = matcher.op is Op.ABSENT
        return lambda state: (make(state) in (None, "")) is absent
    holds = compile_matcher(matcher, shop.scope, loose=True)

    def condition(state: State) -> bool:
        found = make(state)
        return holds(state, "" if found is None else found)

    return condition


def _call(step: Step, call: Call, shop: Workshop) -> Act:
    extractions = [Extraction(variable, extract) for variable, extract in step.extract.items()]
    shop = replace(shop, tags={**shop.tags, **call.tags})
    observer = _observer(step, call, extractions, shop)
    send = compile_call(call, _needs(step, extractions), shop)
    observe: Observe = observer.observe if step.check or extractions else observer.count
    tokens = tokens_of(call, shop)
    if tokens is not None:
        observe = renewing(observe, tokens)
    if tracing_of(call, shop) is not None:
        observe = traced(observe, _accepted(step, call), shop.recorder.trace_series(call.label))
    return send, observe


def _accepted(step: Step, call: Call) -> frozenset[int] | None:
    """Return the statuses that don't make a call failed; None: 200..399."""
    named = step.check.status if step.check else None
    return call.succeeds_with if named is None else parse_status(named)


def _observer(step: Step, call: Call, extractions: Sequence[Extraction], shop: Workshop) -> Observer:
    check, name = step.check, call.label

    def checks(called: str) -> CheckSeries:
        return shop.recorder.check_series(shop.series_tags(name=name, check=called))

    return Observer(
        shop.recorder.request_series(shop.series_tags(name=name, method=call.http_method)),
        _accepted(step, call),
        [(test, checks(called)) for called, test in compile_check(check, shop.scope)] if check else [],
        [(each, checks(each.check_name) if each.required else None) for each in extractions],
        needs_document=bool(check and check.json_) or any(each.needs_document for each in extractions),
    )


def _needs(step: Step, extractions: Sequence[Extraction]) -> Needs:
    check = step.check
    return Needs(
        headers=bool(check and (check.headers or check.cookies)) or any(each.needs_headers for each in extractions),
        body=bool(check and (check.body is not None or check.size is not None or check.json_))
        or any(each.needs_body for each in extractions),
        trailers=bool(check and check.trailers) or any(each.needs_trailers for each in extractions),
        accepted=parse_status(check.status) if check and check.status is not None else None,
    )
