"""Python journeys: a file with `async def journey(user)`, loaded once. It runs nowhere but in a runner."""

from __future__ import annotations

import inspect
import linecache
import sys
import traceback
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from loadgate_runner.http.waiter import in_task

from .errors import JourneyError
from .kit import Kit
from .user import User

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .compile import Run
    from .state import State
    from .workshop import Workshop

_LONGEST_TRACEBACK = 4_000


def compile_script(code: bytes, path: str, shop: Workshop) -> Run:
    """Load a script and return what runs its journey. Raises JourneyError when it doesn't load or has none."""
    journey = _journey_of(_load(code, path, shop), path)
    kit = Kit(shop)

    async def run(state: State) -> None:
        user = state.user
        if user is None:
            user = state.user = User(state, kit)
        user.begin()
        await in_task()
        await journey(user)

    return run


def _load(code: bytes, path: str, shop: Workshop) -> ModuleType:
    module = ModuleType(f"loadgate_journey_{shop.scope.scenario.replace('-', '_')}")
    module.__file__ = str(shop.files / path)  # where the other keys of its ConfigMap are too
    sys.modules[module.__name__] = module  # dataclasses and pickles look their module up
    try:
        source = code.decode("utf-8")
        linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)  # lines for tracebacks
        compiled = compile(source, path, "exec")
        if _speaks_grpc(compiled):
            from . import calling  # noqa: F401, PLC0415 - it takes time, which the first call would take from the load
        exec(compiled, module.__dict__)  # noqa: S102 - the test's own code, in its own runner
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a script raises, it didn't load
        told = "".join(traceback.format_exception(error, limit=-5))[-_LONGEST_TRACEBACK:]
        raise JourneyError(f"script {path} doesn't load: {told}") from None
    return module


def _speaks_grpc(code: CodeType) -> bool:
    """Whether some line of it names what makes gRPC calls."""
    return "grpc" in code.co_names or any(_speaks_grpc(one) for one in code.co_consts if isinstance(one, CodeType))


def _journey_of(module: ModuleType, path: str) -> Callable[[User], Awaitable[Any]]:
    journey: Any = getattr(module, "journey", None)
    if not inspect.iscoroutinefunction(journey):
        raise JourneyError(f"script {path} has no `async def journey(user)`")
    try:
        inspect.signature(journey).bind(None)
    except TypeError as error:
        raise JourneyError(f"script {path}: `journey` takes one argument, the user: {error}") from error
    found: Callable[[User], Awaitable[Any]] = journey
    return found
